/**
 * Which meter is on turn on each port, in a file of fixed size in the state directory. It is written in place and not
 * synced: it must survive the end of the process, not that of the machine. A record that an earlier boot left is nothing:
 * its time on the monotonic clock lies ahead, or its turn was long ago.
 */
import { existsSync, openSync, readFileSync, renameSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Suspect, TurnRecord } from '../schedule/turn-record.ts';

const slotOctets = 512;
const slots = 64;
const empty = Buffer.alloc(slotOctets, ' ');

interface Turn {
  readonly port: string;
  readonly meter: string;
  /** CLOCK_MONOTONIC, ms. */
  readonly at: number;
}
const isTurn = (value: unknown): value is Turn =>
  typeof value === 'object' && value !== null && 'meter' in value && typeof value.meter === 'string' && 'at' in value;

function openTurns(path: string): readonly Turn[] {
  if (!existsSync(path)) return [];
  const octets = readFileSync(path);
  const found: Turn[] = [];
  for (let at = 0; at < Math.min(octets.length, slots * slotOctets); at += slotOctets) {
    const text = octets
      .subarray(at, at + slotOctets)
      .toString('utf8')
      .trim();
    if (text === '') continue;
    try {
      const turn = JSON.parse(text) as unknown;
      if (isTurn(turn)) found.push(turn);
    } catch {
      // Half written when the process ended: it names nobody.
    }
  }
  return found;
}

function readSuspects(path: string): Map<string, number> {
  if (!existsSync(path)) return new Map();
  // A file that cannot be read is logged by the caller.
  const text = readFileSync(path, 'utf8');
  try {
    const all = Object.entries(JSON.parse(text) as Record<string, unknown>);
    return new Map(all.filter((one): one is [string, number] => Number.isSafeInteger(one[1]) && Number(one[1]) > 0));
  } catch {
    // It was not written whole: who is to blame shows again.
    return new Map();
  }
}

export function turnFile(
  directory: string,
  log: Log,
  monotonicMs: () => number = () => Number(process.hrtime.bigint() / 1_000_000n),
): TurnRecord {
  const path = join(directory, 'on-turn');
  const suspectsPath = join(directory, 'set-aside.json');
  let file: number | undefined;
  const places = new Map<string, number>();
  let troubled = false;
  /** Without the record everything works as well, but for a meter that ends the process. */
  const attempt = (work: () => void): void => {
    try {
      work();
    } catch (error) {
      if (!troubled) log.error({ error: messageOf(error) }, 'turns of meters cannot be noted: none would be set aside');
      troubled = true;
    }
  };
  const suspects = new Map<string, Suspect>();
  const keep = (): void => {
    const counts = Object.fromEntries([...suspects].map(([meter, { ends }]) => [meter, ends]));
    writeFileSync(`${suspectsPath}.new`, JSON.stringify(counts), { mode: 0o640 });
    renameSync(`${suspectsPath}.new`, suspectsPath);
  };
  attempt(() => {
    const before = readSuspects(suspectsPath);
    for (const [meter, ends] of before) suspects.set(meter, { ends, reported: false });
    const open = openTurns(path).filter(({ at }) => at <= monotonicMs());
    for (const { meter } of open) suspects.set(meter, { ends: (before.get(meter) ?? 0) + 1, reported: false });
    if (open.length > 0) keep();
    writeFileSync(path, Buffer.alloc(slots * slotOctets, ' '), { mode: 0o640 });
    file = openSync(path, 'r+');
  });
  const write = (port: string, octets: Buffer): void =>
    attempt(() => {
      const place = places.get(port) ?? places.size;
      places.set(port, place);
      if (file !== undefined && place < slots) writeSync(file, octets, 0, slotOctets, place * slotOctets);
    });
  return {
    suspects,
    begin(port, meter) {
      const text = JSON.stringify({ port, meter, at: monotonicMs() } satisfies Turn);
      const octets = Buffer.from(empty);
      if (octets.write(text) === Buffer.byteLength(text)) write(port, octets);
    },
    end: (port) => write(port, empty),
    behaved(meter) {
      const suspect = suspects.get(meter);
      if (!suspect) return true;
      suspect.ends = Math.floor(suspect.ends / 2);
      if (suspect.ends === 0) suspects.delete(meter);
      attempt(keep);
      return suspect.ends === 0;
    },
  };
}
