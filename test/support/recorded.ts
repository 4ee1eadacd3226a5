/** The recorded exchanges, split into the frames and APDUs that they hold. */
import { readdirSync, readFileSync } from 'node:fs';
import { parseExchange, type RecordedLine } from '../../src/base/exchange-file.ts';
import { concat } from '../../src/base/cursor.ts';
import { Deframer } from '../../src/dlms/hdlc/deframer.ts';
import type { Frame } from '../../src/dlms/hdlc/frame.ts';

const folder = new URL('../traces/', import.meta.url);
export const traceNames = readdirSync(folder).filter((name) => name.endsWith('.tap') || name.endsWith('.txt'));
export const traceText = (name: string): string => readFileSync(new URL(name, folder), 'latin1');
export const vectorText = (name: string): string =>
  readFileSync(new URL(`../vectors/${name}`, import.meta.url), 'latin1');

export const linesOf = (name: string): RecordedLine[] =>
  parseExchange(traceText(name)).filter((item): item is RecordedLine => 'octets' in item);
export const isHdlc = (name: string): boolean => linesOf(name)[0]?.octets[0] === 0x7e;

export interface RecordedApdu {
  readonly trace: string;
  readonly direction: RecordedLine['direction'];
  readonly octets: Uint8Array;
}
/** All whole APDUs of a trace, reassembled from HDLC segments or wrapper frames. */
export function apdusOf(name: string): RecordedApdu[] {
  const apdus: RecordedApdu[] = [];
  const parts = new Map<string, Uint8Array[]>();
  for (const { octets, direction } of linesOf(name)) {
    if (octets[0] !== 0x7e) {
      apdus.push({ trace: name, direction, octets: octets.subarray(8) });
      continue;
    }
    for (const frame of new Deframer().push(octets)) {
      if (frame.control.kind !== 'I' && frame.control.kind !== 'UI') continue;
      const held = parts.get(direction) ?? [];
      held.push(frame.information);
      parts.set(direction, held);
      if (frame.segmented) continue;
      parts.delete(direction);
      apdus.push({ trace: name, direction, octets: concat(held).subarray(3) });
    }
  }
  return apdus;
}
export function framesOf(name: string): { frame: Frame; octets: Uint8Array }[] {
  return linesOf(name).flatMap(({ octets }) => new Deframer().push(octets).map((frame) => ({ frame, octets })));
}

/** The formula of the bench inputs (test/vectors): row i, hourly from 2026-09-23T00:00Z. */
export function formulaRow(i: number): { end: number; status: number; values: number[] } {
  return {
    end: Date.UTC(2026, 8, 23) + i * 3_600_000,
    status: i % 97 === 0 ? 8 : 0,
    values: [
      1_000_000 + 350 * i + ((37 * i) % 97),
      2_000_000 + 20 * i,
      3_000_000 + 75 * i + ((13 * i) % 31),
      4_000_000 + 5 * i,
    ],
  };
}
export const formulaIndex = (end: number): number => (end - Date.UTC(2026, 8, 23)) / 3_600_000;
