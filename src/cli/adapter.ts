/** `meter-gateway adapter`: the acceptance test of an adapter, with a second one on the desk or with a known meter. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../base/time.ts';
import { acceptanceSpeeds, type AcceptanceRow, acceptWithPeer, replugged } from '../commission/adapter-acceptance.ts';
import { acceptWithMeter } from '../commission/adapter-with-meter.ts';
import { meterModels } from '../config/meter-models.ts';
import type { Direction } from '../line/direction.ts';
import { openPort, parseSelector } from '../line/open-port.ts';
import type { Port } from '../line/port.ts';
import { probeLine } from '../line/probe-line.ts';
import { bad, whole } from './connection.ts';
import { note } from './terminal.ts';

export interface AdapterOptions {
  readonly peer?: string;
  readonly server?: string;
  readonly baud: string;
  readonly exchanges: string;
  readonly direction: Direction;
  readonly peerDirection: Direction;
  readonly replug?: boolean;
  readonly json?: boolean;
}
/** As long as somebody looks for a socket behind a cabinet. */
const replugLimitMs = 120_000;
/** udev names the device, and sets its rights, a moment after it is there. */
const settleMs = 500;

const marks = { good: 'good', bad: 'BAD', note: '' } as const;
const textOf = ({ what, outcome, seen, next }: AcceptanceRow): string[] => [
  `${what.padEnd(32)}${marks[outcome].padEnd(6)}${seen}`,
  ...(next === undefined ? [] : [`    next: ${next}`]),
];

async function* rowsOf(
  device: string,
  options: AdapterOptions,
  clock: Clock,
  opened: Port[],
): AsyncGenerator<AcceptanceRow, void> {
  const baud = whole('--baud', options.baud, 300, 921_600);
  const count = whole('--exchanges', options.exchanges, 1, 1_000_000);
  const open = async (line: string, direction: Direction): Promise<Port> => {
    const port = await openPort(line, baud, clock, direction);
    opened.push(port);
    return port;
  };
  const { remarks } = await probeLine({ device, baud, direction: options.direction }, clock, true);
  for (const { message, next } of remarks) yield { what: 'adapter', outcome: 'bad', seen: message, next };
  const adapter = await open(device, options.direction);
  if (options.peer !== undefined) {
    const peer = await open(options.peer, options.peerDirection);
    yield* acceptWithPeer({ adapter, peer, clock, exchanges: count, baud, speeds: acceptanceSpeeds });
  } else {
    const [logical = '', physical] = (options.server ?? '').split('/');
    yield* acceptWithMeter({
      port: adapter,
      clock,
      models: meterModels(),
      logical: whole('--server', logical, 0, 16_383),
      physical: physical === undefined ? undefined : whole('--server physical', physical, 0, 16_383),
      baud,
      sessions: count,
    });
  }
  if (!options.replug) return;
  const again = async (): Promise<Port> => {
    const port = await open(device, options.direction);
    await sleep(settleMs);
    return port;
  };
  yield (await replugged(adapter, { device, open: again, clock, ask: note, limitMs: replugLimitMs })).row;
}

/** Exit code 3 where a row is bad. */
export async function acceptAdapter(
  device: string,
  options: AdapterOptions,
  clock: Clock,
  print: (line: string) => void,
): Promise<number> {
  if ((options.peer === undefined) === (options.server === undefined))
    bad('name what it talks to: --peer DEVICE, a second adapter, or --server N/PHYSICAL, a known meter');
  for (const line of [device, options.peer])
    if (line !== undefined && parseSelector(line).kind !== 'serial') bad(`'${line}' is no serial device`);
  const rows: AcceptanceRow[] = [];
  const opened: Port[] = [];
  try {
    for await (const row of rowsOf(device, options, clock, opened)) {
      rows.push(row);
      if (options.json !== true) for (const line of textOf(row)) print(line);
    }
  } finally {
    for (const port of opened) await port.close();
  }
  const fit = rows.every(({ outcome }) => outcome !== 'bad');
  if (options.json === true) print(JSON.stringify({ device, at: new Date(clock.wall()).toISOString(), fit, rows }));
  else print(fit ? 'It is fit for meters.' : 'It is NOT fit for meters as it is.');
  return fit ? 0 : 3;
}
