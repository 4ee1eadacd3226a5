/**
 * How well the line is used: payload of a profile per second against the bound of a client that takes one block a turn
 * (request, turn-around, answer; 45 octets of frames around the payload), in virtual time at 9600 Bd and on a paced pty in
 * real time; turns and octets of a meter-day beside the recorded clients.
 */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { toHex } from '../../src/base/hex.ts';
import { later, type Millis, millis } from '../../src/base/time.ts';
import { encode } from '../../src/base/codec.ts';
import { dataCodec, type Data } from '../../src/dlms/axdr/data.ts';
import { type CaptureObject, captureObjectData, clockColumn } from '../../src/dlms/cosem/profile-generic.ts';
import { array, octets, structure } from '../../src/dlms/cosem/server-object.ts';
import type { Snapshot } from '../../src/dlms/cosem/snapshot.ts';
import { openPort } from '../../src/line/open-port.ts';
import { systemClock } from '../../src/line/system-clock.ts';
import type { Port } from '../../src/line/port.ts';
import { identify } from '../../src/meter/identity-reading.ts';
import { type ProfileLayout, readLayout } from '../../src/meter/profile-layout.ts';
import { readRange } from '../../src/meter/profile-range.ts';
import { genericModel } from '../../src/meter/model.ts';
import type { MeterAccess } from '../../src/meter/access.ts';
import { Session } from '../../src/meter/session.ts';
import { buildBus } from '../../src/simulator/build-bus.ts';
import { parseScenario } from '../../src/simulator/scenario.ts';
import { servePty } from '../../src/simulator/serve.ts';
import { formulaRow, vectorText } from '../support/recorded.ts';
import { lineAccess } from '../support/meter-world.ts';
import { VirtualClock } from '../support/virtual-clock.ts';
import { virtualPort } from '../support/virtual-port.ts';

const profile = '1.0.99.1.0.255';
const baud = 9600;
const octetsPerSecond = baud / 10;
/** Octets of frames, LLC, APDU headers and the request around the payload of one block. */
const overhead = 45;
const bound = (payload: number, turnaroundMs: number): number =>
  payload / (turnaroundMs / 1000 + (payload + overhead) / octetsPerSecond);
/** Octets of one row of the peers' profile: stamp, status, four registers. */
const rowOctets = 38;

/** The peers' meter: the 744 rows of their benchmark as a profile of six columns. */
function peersMeter(): Snapshot {
  const hex = (data: Data) => toHex(encode(dataCodec, data));
  const columns = [
    clockColumn,
    { classId: 1, logicalName: '0.0.96.10.1.255' as const, attribute: 2, dataIndex: 0 },
    ...[1, 2, 3, 4].map(
      (c): CaptureObject => ({ classId: 3, logicalName: `1.0.${c}.8.0.255`, attribute: 2, dataIndex: 0 }),
    ),
  ];
  const u32 = (value: number): Data => ({ type: 'double-long-unsigned', value });
  const attribute = (id: number, value: string, selectors?: number[]) => ({
    id,
    attribute: '',
    access: 1,
    value,
    ...(selectors && { selectors }),
  });
  const object = (classId: number, name: string, ...attributes: ReturnType<typeof attribute>[]) => ({
    class: classId,
    className: '',
    version: 1,
    name,
    attributes,
    methods: [],
  });
  const text = (value: string) => hex(octets(Buffer.from(value)));
  return {
    snapshot: 1,
    taken: '2026-11-24T00:00:00Z',
    objects: [
      object(15, '0-0:40.0.0*255', attribute(2, '0100')),
      object(1, '0-0:42.0.0*255', attribute(2, text('GRX0000000123456'))),
      object(1, '0-0:96.1.0*255', attribute(2, text('123456'))),
      object(8, '0-0:1.0.0*255', attribute(2, '090c07ea0b1802000000000000000000'.slice(0, 28))),
      ...['1', '2', '3', '4'].map((c) =>
        object(
          3,
          `1-0:${c}.8.0*255`,
          attribute(3, hex(structure({ type: 'integer', value: 0 }, { type: 'enum', value: 30 }))),
        ),
      ),
      object(
        7,
        '1-0:99.1.0*255',
        attribute(2, vectorText('data744.hex').trim(), [1, 2]),
        attribute(3, hex(array(...columns.map(captureObjectData)))),
        attribute(4, hex(u32(3600))),
        attribute(5, hex({ type: 'enum', value: 1 })),
        attribute(7, hex(u32(744))),
      ),
    ],
  };
}
const snapshot = peersMeter();
const firstRow = millis(formulaRow(0).end);
const stamp = (row: number): Millis => later(firstRow, row * 3_600_000);

interface Line {
  readonly turnaroundMs: number;
  readonly maxInfo: number;
  readonly window?: number;
  readonly maxPdu?: number;
}
const scenarioOf = ({ turnaroundMs, maxInfo, window = 1, maxPdu = 65_535 }: Line) =>
  parseScenario({
    bus: { baud, turnaround_ms: turnaroundMs },
    meters: { max_info: maxInfo, window, max_pdu: maxPdu, snapshot: 'memory' },
  });
const accessOf = ({ maxInfo, window = 1 }: Line): MeterAccess =>
  lineAccess({ model: { ...genericModel, max_info: maxInfo, window }, baud, answerTimeoutMs: 3000 });
interface Count {
  turns: number;
  sent: number;
  received: number;
}
function counted(port: Port): { port: Port; count: Count } {
  const count: Count = { turns: 0, sent: 0, received: 0 };
  return {
    count,
    port: {
      ...port,
      device: port.device,
      write: (out) => {
        count.turns++;
        count.sent += out.length;
        return port.write(out);
      },
      read: async (until) => {
        const got = await port.read(until);
        count.received += got?.length ?? 0;
        return got;
      },
    },
  };
}

/** Milliseconds, turns and octets of reading rows, with the layout known; the association stands. */
async function readingOf(line: Line, rows: number): Promise<Count & { ms: number }> {
  const clock = new VirtualClock(Date.UTC(2026, 10, 24));
  const { bus } = buildBus(scenarioOf(line), clock.now(), () => snapshot);
  const { port, count } = counted(virtualPort(bus, clock));
  const session = new Session(port, clock, accessOf(line));
  return clock.complete(
    (async () => {
      await session.connect();
      const layout = await readLayout(session, profile);
      const before = { ...count };
      const start = clock.now();
      const got = await readRange({ session, layout, model: genericModel }, stamp(0), stamp(rows - 1));
      const ms = clock.now() - start;
      if (got.length !== rows) throw new Error(`${got.length} rows instead of ${rows}`);
      const delta = {
        turns: count.turns - before.turns,
        sent: count.sent - before.sent,
        received: count.received - before.received,
      };
      await session.close();
      return { ...delta, ms };
    })(),
  );
}

/** A whole session as the daemon holds it: connect, identify, one day with the layout known, release, disconnect. */
async function dayOf(line: Line, rows: number, layout?: ProfileLayout) {
  const clock = new VirtualClock(Date.UTC(2026, 10, 24));
  const { bus } = buildBus(scenarioOf(line), clock.now(), () => snapshot);
  const { port, count } = counted(virtualPort(bus, clock));
  const session = new Session(port, clock, accessOf(line));
  const start = clock.now();
  const used = await clock.complete(
    (async () => {
      await session.connect();
      await identify(session, clock, genericModel);
      const known = layout ?? (await readLayout(session, profile));
      await readRange({ session, layout: known, model: genericModel }, stamp(0), stamp(rows - 1));
      await session.close();
      return known;
    })(),
  );
  return { layout: used, ...count, ms: clock.now() - start };
}

/** The same reading on a real pty, paced at 9600 Bd, in real time. */
async function pacedOf(line: Line, rows: number): Promise<number> {
  const start = millis(Date.now());
  const { bus } = buildBus(scenarioOf(line), start, () => snapshot);
  const served = servePty(bus, join(tmpdir(), `bench-${process.pid}`));
  const port = await openPort(served.device, baud, systemClock);
  const session = new Session(port, systemClock, accessOf(line));
  try {
    await session.connect();
    const layout = await readLayout(session, profile);
    const before = systemClock.now();
    const got = await readRange({ session, layout, model: genericModel }, stamp(0), stamp(rows - 1));
    if (got.length !== rows) throw new Error(`${got.length} rows instead of ${rows}`);
    return systemClock.now() - before;
  } finally {
    await session.close();
    await port.close();
    await served.close();
  }
}

export interface BusFigure {
  readonly line: 'virtual' | 'pty';
  readonly turnaroundMs: number;
  readonly block: number;
  readonly window: number;
  readonly rows: number;
  readonly payloadPerSecond: number;
  readonly boundPerSecond: number;
  readonly ratio: number;
}
export interface DayFigure {
  readonly what: string;
  readonly turns: number;
  readonly sent: number;
  /** null where only the sum is known: then it stands in `sent`. */
  readonly received: number | null;
  readonly seconds: number | null;
}

function busFigure(kind: BusFigure['line'], line: Line, rows: number, ms: number): BusFigure {
  const { turnaroundMs, maxInfo: block, window = 1 } = line;
  const payloadPerSecond = (rows * rowOctets * 1000) / ms;
  const boundPerSecond = bound(block, turnaroundMs);
  const ratio = payloadPerSecond / boundPerSecond;
  return { line: kind, turnaroundMs, block, window, rows, payloadPerSecond, boundPerSecond, ratio };
}

/** Every turn-around and block size in virtual time. */
export async function virtualFigures(windows: readonly number[], rowCounts: readonly number[]): Promise<BusFigure[]> {
  const figures: BusFigure[] = [];
  for (const window of windows)
    for (const turnaroundMs of [20, 75, 170, 257])
      for (const maxInfo of [124, 240, 480, 1000])
        for (const rows of rowCounts) {
          const line = { turnaroundMs, maxInfo, window };
          figures.push(busFigure('virtual', line, rows, (await readingOf(line, rows)).ms));
        }
  return figures;
}

export async function busFigures(): Promise<BusFigure[]> {
  const figures = await virtualFigures([1, 7], [24, 744]);
  for (const turnaroundMs of [20, 170]) {
    const line = { turnaroundMs, maxInfo: 480 };
    figures.push(busFigure('pty', line, 168, await pacedOf(line, 168)));
  }
  return figures;
}

/** Figures of the recorded clients stand beside ours (README of the bench inputs). */
export async function dayFigures(): Promise<DayFigure[]> {
  const narrow: Line = { turnaroundMs: 0, maxInfo: 128, maxPdu: 512 };
  const wide: Line = { turnaroundMs: 0, maxInfo: 1024 };
  const figure = (what: string, { turns, sent, received, ms }: Count & { ms: number }): DayFigure => ({
    what,
    turns,
    sent,
    received,
    seconds: Math.round(ms / 10) / 100,
  });
  const first = await dayOf(wide, 24);
  return [
    {
      what: 'recorded client, request step, 128-octet frames, PDU 512',
      turns: 8,
      sent: 153,
      received: 1032,
      seconds: null,
    },
    figure('ours, request step, the same meter', await readingOf(narrow, 24)),
    figure('ours, request step, large frames negotiated', await readingOf(wide, 24)),
    { what: 'recorded client, leanest whole session', turns: 13, sent: 1584, received: null, seconds: 1.65 },
    figure('ours, whole session, 128-octet frames', await dayOf(narrow, 24, first.layout)),
    figure('ours, whole session, large frames', await dayOf(wide, 24, first.layout)),
    figure('ours, the first session: layout and scalers are read', first),
  ];
}
