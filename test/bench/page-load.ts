/**
 * What the page costs a daemon of 31 meters on a simulated bus: `node test/bench/page-load.ts [rounds] [seconds]`. Daemons with
 * and without a page in turns, each with the desk; on the page fifty browsers watch, and somebody measures. Prints resident
 * memory and the delay of the event loop (p99, longest) as the daemon itself saw it.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { millis } from '../../src/base/time.ts';
import { askPage } from '../../src/desk/client.ts';
import { buildBus } from '../../src/simulator/build-bus.ts';
import { parseScenario } from '../../src/simulator/scenario.ts';
import { servePty } from '../../src/simulator/serve.ts';
import { listening, until } from '../support/broker.ts';
import { configuration, meterOf } from '../support/configuration.ts';

const [rounds, seconds, readers] = [Number(process.argv[2] ?? 3), Number(process.argv[3] ?? 30), 50];
const root = new URL('../../', import.meta.url).pathname;
const folder = mkdtempSync(join(tmpdir(), 'page-load-'));
const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
const probe = join(folder, 'probe.mjs');
writeFileSync(
  probe,
  `import { monitorEventLoopDelay } from 'node:perf_hooks';
import { writeFileSync } from 'node:fs';
const lag = monitorEventLoopDelay({ resolution: 10 });
process.on('SIGUSR2', () => {
  if (lag.count > 0) writeFileSync(process.env.PROBE, [lag.percentile(50), lag.percentile(99), lag.max].map((ns) => ns / 1e6 - 10).join(' '));
  lag.enable(); lag.reset();
});
`,
);
const secret = join(folder, 'secret');
writeFileSync(secret, 'meter\n', { mode: 0o600 });

async function round(page: boolean, name: string): Promise<{ rss: number; lag: number[] }> {
  const bus = buildBus(
    parseScenario({ bus: { turnaround_ms: 20 }, meters: { count: 31, history_days: 3 } }),
    millis(Date.now()),
  );
  const line = servePty(bus.bus);
  const config = join(folder, `${name}.toml`);
  const socket = join(folder, `${name}.sock`);
  const meter = bus.meters.map(({ settings: { serial, logical, physical } }) =>
    meterOf(serial, { client: 17, server: logical, physical, auth: 'lls', secret: `file:${secret}` }),
  );
  const text = configuration({
    gateway: { state_directory: join(folder, name), status_socket: socket, clock_trust: 'assume', back_fill_days: 2 },
    mqtt: { url: 'mqtt://127.0.0.1:1' },
    page: { listen: page ? '127.0.0.1:0' : 'off' },
    port: [{ device: `serial:${line.device}`, meter }],
  });
  writeFileSync(config, text, { mode: 0o600 });
  const out = join(folder, `${name}.lag`);
  const daemon = spawn(
    join(root, 'node_modules/.bin/node'),
    [
      '--import',
      probe,
      '--max-old-space-size=64',
      '--max-semi-space-size=2',
      join(root, 'dist/main/main.js'),
      'run',
      '--config',
      config,
    ],
    { env: { ...process.env, PROBE: out, UV_THREADPOOL_SIZE: '16', MALLOC_ARENA_MAX: '2' }, stdio: 'ignore' },
  );
  const asked: ReturnType<typeof request>[] = [];
  try {
    await until(() => listening(socket), 'the daemon is there');
    await sleep(4000);
    if (page) {
      const { url } = await askPage(socket);
      const { origin, hash } = new URL(url);
      const headers = { 'content-type': 'application/json', origin };
      const body = JSON.stringify({ ticket: hash.slice('#ticket='.length) });
      const entered = await fetch(`${origin}/login`, { method: 'POST', headers, body });
      const cookie = String(entered.headers.get('set-cookie')).split(';')[0] ?? '';
      for (let i = 0; i < readers; i++)
        asked.push(
          request(
            `${origin}/v1/status/watch`,
            { headers: { cookie, accept: 'text/event-stream' }, agent: false },
            (answer) => answer.resume(),
          )
            .on('error', () => {})
            .end(),
        );
      for (const path of ['/metrics', '/', '/v1/completeness?days=7', '/v1/events'])
        await fetch(origin + path, { headers: { cookie } });
    }
    daemon.kill('SIGUSR2');
    await sleep(seconds * 1000);
    daemon.kill('SIGUSR2');
    await sleep(300);
    const rss = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${daemon.pid}/status`, 'utf8'))?.[1]) / 1024;
    return { rss, lag: readFileSync(out, 'utf8').split(' ').map(Number) };
  } finally {
    for (const one of asked) one.destroy();
    const ended = new Promise((resolve) => daemon.once('exit', resolve));
    daemon.kill('SIGKILL');
    await ended;
    await line.close();
  }
}

const seen: Record<'with' | 'without', number[]> = { with: [], without: [] };
for (let i = 0; i < rounds; i++)
  for (const page of [false, true]) {
    const { rss, lag } = await round(page, `${page ? 'with' : 'without'}-${i}`);
    seen[page ? 'with' : 'without'].push(rss);
    const [p50, p99, max] = lag.map((ms) => Math.max(0, ms).toFixed(1));
    process.stdout.write(
      `${page ? `page, ${readers} readers` : 'no page'}: ${rss.toFixed(1)} MiB resident, event loop p50 ${p50} ms, p99 ${p99} ms, longest ${max} ms\n`,
    );
  }
const median = (values: number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
process.stdout.write(
  `the page costs ${(median(seen.with) - median(seen.without)).toFixed(1)} MiB (medians of ${rounds})\n`,
);
rmSync(folder, { recursive: true, force: true });
process.exit(0);
