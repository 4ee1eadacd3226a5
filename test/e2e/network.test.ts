/** The daemon in a network of its own, whose link to the broker is cut, and swallows everything. */
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { freePort, sleep } from '../support/broker.ts';
import { life } from '../campaigns/cuts.ts';

const run = (...command: string[]) => execFileSync(command[0] as string, command.slice(1), { stdio: 'pipe' });
const name = `mgw${process.pid}`;
const subnet = `10.${(process.pid >> 8) & 0xff}.${process.pid & 0xff}`;

function cannot(): string | undefined {
  try {
    run('ip', 'netns', 'add', `${name}x`);
    run('ip', 'netns', 'del', `${name}x`);
    return undefined;
  } catch (error) {
    return `no network namespaces: ${String(error).split('\n')[0]}`;
  }
}
const why = cannot();

describe.skipIf(why !== undefined)(
  `the network between gateway and broker${why === undefined ? '' : ` (not here: ${why})`}`,
  () => {
    test('a cut link, then a link that swallows everything: delivered, once, equal to the oracle', async () => {
      const folder = mkdtempSync(join(tmpdir(), 'network-'));
      const port = await freePort();
      writeFileSync(join(folder, 'conf'), `listener ${port}\nallow_anonymous true\nlog_type none\nuser root\n`);
      const broker = spawn('mosquitto', ['-c', join(folder, 'conf')], { stdio: 'ignore' });
      const [ours, theirs] = [`${name}a`, `${name}b`];
      try {
        run('ip', 'netns', 'add', name);
        run('ip', 'link', 'add', ours, 'type', 'veth', 'peer', 'name', theirs, 'netns', name);
        run('ip', 'addr', 'add', `${subnet}.1/30`, 'dev', ours);
        run('ip', 'link', 'set', ours, 'up');
        run('ip', '-n', name, 'addr', 'add', `${subnet}.2/30`, 'dev', theirs);
        run('ip', '-n', name, 'link', 'set', theirs, 'up');
        await sleep(500);
        const result = await life({
          seed: 7,
          kind: 'kill',
          cuts: 0,
          paced: true,
          brokerUrl: `mqtt://127.0.0.1:${port}`,
          elsewhere: { command: ['ip', 'netns', 'exec', name], brokerUrl: `mqtt://${subnet}.1:${port}` },
          meanwhile: async () => {
            await sleep(3000);
            run('ip', '-n', name, 'link', 'set', theirs, 'down');
            await sleep(5000);
            run('ip', '-n', name, 'link', 'set', theirs, 'up');
            await sleep(5000);
            // What the broker answers goes nowhere, and nobody is told.
            run('ip', 'route', 'add', 'blackhole', `${subnet}.2/32`);
            await sleep(12_000);
            run('ip', 'route', 'del', 'blackhole', `${subnet}.2/32`);
          },
        });
        expect(result.problems).toEqual([]);
        expect(result.intervals).toBeGreaterThan(500);
      } finally {
        for (const command of [
          ['ip', 'route', 'del', 'blackhole', `${subnet}.2/32`],
          ['ip', 'netns', 'del', name],
        ])
          try {
            run(...command);
          } catch {
            // It is gone already.
          }
        broker.kill('SIGKILL');
        rmSync(folder, { recursive: true, force: true });
      }
    });
  },
);
