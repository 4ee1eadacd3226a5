/**
 * A recording of so many MB (a recorded session again and again), decoded to rows by the built program: memory at its highest, speed
 * by CPU, and when the first row was there. `node test/bench/long-recording.ts [MB]`, 1000 by default; removes what it wrote.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const megabytes = Number(process.argv[2] ?? 1000);
const root = new URL('../../', import.meta.url).pathname;
const folder = mkdtempSync(join(tmpdir(), 'long-recording-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const session = readFileSync(join(root, 'test/traces/c-tcp-hdlc-lls.tap'));
const piece = Buffer.concat(Array.from({ length: 40 }, () => session));
const path = join(folder, 'long.tap');
const file = openSync(path, 'w');
let octets = 0;
for (; octets < megabytes * 1e6; octets += piece.length) writeSync(file, piece);

const begun = performance.now();
const child = spawn(process.execPath, [join(root, 'dist/main/main.js'), 'decode', '--rows', path], {
  stdio: ['ignore', 'pipe', 'ignore'],
});
let [firstMs, rows, peakKb, cpuTicks] = [0, 0, 0, 0];
child.stdout.on('data', (chunk: Buffer) => {
  firstMs ||= performance.now() - begun;
  for (const octet of chunk) if (octet === 0x0a) rows++;
});
const look = setInterval(() => {
  try {
    const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
    peakKb = Math.max(peakKb, Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0));
    const [, , , , , , , , , , , user = '0', system = '0'] = readFileSync(`/proc/${child.pid}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ');
    cpuTicks = Number(user) + Number(system);
  } catch {
    // It has ended.
  }
}, 200);
child.on('close', () => {
  clearInterval(look);
  const cpuS = cpuTicks / 100;
  process.stdout.write(
    `${Math.round(octets / 1e6)} MB: ${rows} rows, ${Math.round((peakKb * 1024) / 1e6)} MB resident at most, ` +
      `${cpuS.toFixed(1)} s of CPU, ${(octets / 1e6 / cpuS).toFixed(1)} MB/s, first row after ${Math.round(firstMs)} ms\n`,
  );
});
