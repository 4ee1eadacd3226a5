/** The acceptance test of an adapter: two pseudo-terminals stand for two adapters, and what lies between them is good or is not. */
import { afterEach, describe, expect, test } from 'vitest';
import { join } from 'node:path';
import { acceptAdapter, type AdapterOptions } from '../../src/cli/adapter.ts';
import { type AcceptanceRow, acceptWithPeer, replugged } from '../../src/commission/adapter-acceptance.ts';
import { openPort } from '../../src/line/open-port.ts';
import { systemClock } from '../../src/line/system-clock.ts';
import { startBench } from '../../src/simulator/bench.ts';
import { openPty, type Pty } from '../../src/simulator/pty.ts';
import { folder, gateway, run } from '../support/programs.ts';

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});
type Way = (octets: Uint8Array) => Uint8Array;
const whole: Way = (octets) => octets;
/** Two adapters with a line between them; `back`: what becomes of what the second one says. */
function desk({ there = whole, back = whole, echo = false } = {}): readonly [Pty, Pty] {
  const [a, b] = [openPty(), openPty()];
  closing.push(
    () => a.close(),
    () => b.close(),
  );
  a.onData((octets) => {
    if (echo) a.write(octets);
    b.write(there(octets));
  });
  b.onData((octets) => a.write(back(octets)));
  return [a, b];
}
const options: AdapterOptions = { baud: '9600', exchanges: '20', direction: 'auto', peerDirection: 'auto' };
async function tried([a, b]: readonly [Pty, Pty], more: Partial<AdapterOptions> = {}) {
  const lines: string[] = [];
  const code = await acceptAdapter(a.path, { ...options, peer: b.path, ...more }, systemClock, (line) =>
    lines.push(line),
  );
  return { code, text: lines.join('\n') };
}

/** At one speed: what is lost is waited for as long as the slowest line needs. */
async function rowsOf(pair: readonly [Pty, Pty]): Promise<AcceptanceRow[]> {
  const [adapter, peer] = await Promise.all([
    openPort(pair[0].path, 9600, systemClock),
    openPort(pair[1].path, 9600, systemClock),
  ]);
  const rows: AcceptanceRow[] = [];
  const test = { adapter, peer, clock: systemClock, exchanges: 3, baud: 9600, speeds: [115_200] };
  for await (const row of acceptWithPeer(test)) rows.push(row);
  await adapter.close();
  await peer.close();
  return rows;
}

describe('with a second adapter', () => {
  test('a good one: every row, a table and JSON', async () => {
    const pair = desk();
    const { code, text } = await tried(pair);
    expect(`${code} ${text}`).toMatch(
      /^0 300 Bd +good[^]*115200 Bd +good[^]*7E1 at 300 Bd, 8N1 at 9600 Bd +good[^]*2048 octets +good[^]*echo +good +none[^]*20 exchanges at 9600 Bd +good[^]*It is fit for meters\.$/,
    );
  });
  test('one that listens too late, and one that stops sending too early', async () => {
    const late = rowsOf(desk({ back: (octets) => octets.subarray(2) }));
    const early = rowsOf(desk({ there: (octets) => octets.subarray(0, -1) }));
    expect(await late).toMatchObject([
      {
        outcome: 'bad',
        seen: 'the first 2 octets did not arrive',
        next: expect.stringMatching(/^See direction/) as string,
      },
      {},
      { what: 'frames of 2048 octets', outcome: 'bad' },
      { outcome: 'good' },
      { outcome: 'bad', seen: '0 good; 3 times: the first 2 octets did not arrive' },
      {},
    ]);
    expect(await early).toMatchObject([
      { outcome: 'bad', seen: 'the last 1 octets did not arrive' },
      { what: '7E1 at 300 Bd, 8N1 at 9600 Bd', outcome: 'bad' },
      {},
      {},
      { outcome: 'bad', seen: '0 good; 3 times: of requests the last 1 octets did not arrive' },
      {},
    ]);
  });
  test('one that strips bit 7, as if it made parity itself', async () => {
    const stripped = await tried(desk({ there: (octets) => octets.map((octet) => octet & 0x7f) }));
    expect(stripped.text).toMatch(/7E1 at 300 Bd, 8N1 at 9600 Bd +BAD +octets arrived changed/);
  });
  test('one that hears itself is fit', async () => {
    const { code, text } = await tried(desk({ echo: true }));
    expect(text).toMatch(/echo +it hears itself/);
    expect(code).toBe(0);
  });
  test('nothing between them: one row, and not ten time-outs', async () => {
    const [a, b] = [openPty(), openPty()];
    closing.push(
      () => a.close(),
      () => b.close(),
    );
    const rows = await rowsOf([a, b]);
    expect(rows).toMatchObject([{ what: 'anything at all', outcome: 'bad', seen: 'nothing arrived' }]);
  });
});

test('with a known meter, by the command: JSON', async () => {
  const bench = await startBench({ bus: { kind: 'pty', turnaround_ms: 5 }, meters: { count: 1 } });
  closing.push(() => bench.close());
  const args = ['adapter', bench.devices[0] as string, '--server', '1/1001', '--exchanges', '3', '--json'];
  const { code, out, err } = await run(gateway, args);
  expect(`${code} ${err} ${out}`).toMatch(/^0 /);
  expect(JSON.parse(out)).toMatchObject({
    fit: true,
    rows: [{ outcome: 'good' }, { what: 'damaged frames', seen: 'none' }, {}],
  });
});
test('with a known meter that is not there', async () => {
  const pty = openPty();
  closing.push(() => pty.close());
  const lines: string[] = [];
  const code = await acceptAdapter(pty.path, { ...options, server: '1/1001', exchanges: '1' }, systemClock, (line) =>
    lines.push(line),
  );
  expect(`${code} ${lines.join(' ')}`).toMatch(/^3 1 sessions at 9600 Bd +BAD +0 good; the first other one: silent/);
});
test('pulled out and plugged in again', async () => {
  const link = join(folder, 'adapter');
  let pty = openPty(link);
  const open = () => openPort(link, 9600, systemClock);
  const asked: string[] = [];
  const ask = (words: string) => {
    asked.push(words);
    if (words.startsWith('Pull')) pty.close();
    else pty = openPty(link);
  };
  const { row, port } = await replugged(await open(), { device: link, open, clock: systemClock, ask, limitMs: 20_000 });
  expect(row).toMatchObject({ outcome: 'good' });
  expect(asked.length).toBe(2);
  await port?.close();
  pty.close();
});
