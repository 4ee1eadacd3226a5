/** The control socket: a scenario is driven while it runs, and nobody at the socket ends or holds up the run. */
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { type Bench, startBench } from '../../src/simulator/bench.ts';
import { askControl, serveControl } from '../../src/simulator/control.ts';
import { readOf } from '../support/bench-read.ts';
import { until } from '../support/broker.ts';
import { folder, run, simulate, simulator } from '../support/programs.ts';

const endings: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0).toReversed()) await end();
});
let sockets = 0;
async function bench(count = 1): Promise<{ readonly it: Bench; readonly path: string }> {
  const it = await startBench({ bus: { kind: 'tcp', turnaround_ms: 0, port_per_meter: true }, meters: { count } });
  endings.push(() => it.close());
  const path = join(folder, `control-${sockets++}.sock`);
  endings.push(await serveControl(path, it));
  return { it, path };
}
const impatient = { timeout: '200', retries: '0' };

test('a scenario at run time: a fault, the power, the time and another meter, each with what it answers', async () => {
  const { it, path } = await bench();
  const [device] = it.devices as [string];
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(await askControl(path, 'fault', ['kind=silence', 'meter=0'])).toEqual({ fault: 0 });
  expect(await readOf(device, impatient)).toBe('no-answer');
  expect(await askControl(path, 'show', [])).toMatchObject({
    devices: [device],
    faults: [{ number: 0, kind: 'silence' }],
  });
  expect(await askControl(path, 'fault-off', ['fault=0'])).toEqual({});
  expect(await askControl(path, 'power', ['on=false'])).toMatchObject([{ index: 0, powered: false }]);
  expect(await readOf(device, impatient)).toBe('no-answer');
  await askControl(path, 'power', ['on=true', 'meter=0']);
  expect(await askControl(path, 'time', ['to=2031-05-01T00:00:00Z', 'speed=60'])).toMatchObject({ speed: 60 });
  expect(it.time().now.getUTCFullYear()).toBe(2031);
  expect(await askControl(path, 'swap', ['meter=0', 'serial=70000007', 'quirks=["lifo"]'])).toMatchObject({
    serial: 70_000_007,
  });
  expect(await readOf(device)).toContain('SIM0000070000007');
});
test.each([
  ['an act that is not there', 'fualt', [], /did you mean fault\?/],
  ['no pair', 'power', ['on'], /not key=value/],
  ['a value of another kind', 'power', ['on=1'], /on: boolean is expected/i],
  ['a key that the act does not know', 'power', ['on=true', 'metre=0'], /metre/],
  ['a meter that is not there', 'power', ['on=true', 'meter=9'], /no meter 9/],
  ['a swap without a serial number', 'swap', ['meter=0'], /serial/],
  ['no instant', 'time', ['to=tomorrow'], /to:/],
  ['a time lapse of no use', 'time', ['speed=0'], /speed/],
])('%s is refused in words', async (_, act, pairs, words) => {
  const { path } = await bench();
  await expect(askControl(path, act, pairs)).rejects.toThrow(words);
});
test('where nobody listens, that is received', async () => {
  await expect(askControl(join(folder, 'nobody.sock'), 'show', [])).rejects.toThrow('no simulator answers at');
});
test('a file in the way is left alone', async () => {
  const { it } = await bench();
  const path = join(folder, 'mine.txt');
  writeFileSync(path, 'mine');
  await expect(serveControl(path, it)).rejects.toThrow(`--control ${path}: a file of that name is there`);
  expect(readFileSync(path, 'utf8')).toBe('mine');
});

describe('whoever comes', () => {
  const open = (path: string, octets?: string | Buffer): Promise<{ socket: Socket; received: () => string }> =>
    new Promise((resolve, reject) => {
      let text = '';
      const socket = connect(path, () => {
        if (octets !== undefined) socket.write(octets);
        resolve({ socket, received: () => text });
      });
      socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
      socket.on('error', reject);
      endings.push(() => socket.destroy());
    });
  test('garbage is answered by 400, too much by 413, no JSON by 400', async () => {
    const { path } = await bench();
    const post = (body: string) =>
      `POST /v1/power HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
    for (const [octets, answer] of [
      [Buffer.from([0, 1, 2, 0x7e, 0xff, 13, 10, 13, 10]), 'this is no request of HTTP/1.1'],
      [post('x'.repeat(70_000)), '413'],
      [post('{"on":'), '400'],
      ['GET /v1/nothing HTTP/1.1\r\nhost: x\r\n\r\n', '404'],
      ['DELETE /v1/power HTTP/1.1\r\nhost: x\r\n\r\n', '405'],
    ] as const) {
      const { received } = await open(path, octets);
      await until(() => received().includes(answer), `an answer ${answer}, not ${received()}`);
    }
    expect(await askControl(path, 'show', [])).toMatchObject({ faults: [] });
  });
  test('who asks nothing and never closes does not keep others out; one that is slow is cut', async () => {
    const { path } = await bench();
    const silent = await Promise.all(Array.from({ length: 16 }, () => open(path)));
    const slow = await open(path, 'POST /v1/power HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{');
    expect(await askControl(path, 'show', [])).toMatchObject({ faults: [] });
    expect(silent.some(({ socket: one }) => one.destroyed || one.readableEnded)).toBe(true);
    // Within the five seconds that a request has.
    await until(() => slow.socket.destroyed || slow.socket.readableEnded, 'the slow one is cut', 8000);
    expect(slow.received()).toContain('408');
    expect(slow.received()).toContain('a request is whole within 5 s');
  });
});

test('as programs: run with a control socket and a file of events, and control', async () => {
  const path = join(folder, 'programs.sock');
  const events = join(folder, 'events.jsonl');
  const { device } = await simulate(['--tcp', '0', '--turnaround', '0', '--control', path, '--events', events]);
  await until(() => statSync(path, { throwIfNoEntry: false })?.isSocket() === true, 'the control socket is there');
  const on = await run(simulator, ['control', path, 'fault', 'kind=silence', 'meter=0']);
  expect([on.code, JSON.parse(on.out)]).toEqual([0, { fault: 0 }]);
  expect(await readOf(device, impatient)).toBe('no-answer');
  const wrong = await run(simulator, ['control', path, 'fault', 'kind=silense']);
  expect([wrong.code, wrong.out]).toEqual([2, '']);
  expect(wrong.err).toContain('kind');
  const lines = readFileSync(events, 'utf8').trimEnd().split('\n');
  const written = lines.map((line) => JSON.parse(line) as { kind: string; serial: number | null; time: string });
  expect(written.map(({ kind, serial }) => `${kind} ${serial}`)).toEqual(['fault-on null', 'silence 60120001']);
  expect(written.every(({ time }) => !Number.isNaN(Date.parse(time)))).toBe(true);
});
