/** A trace file, as `decode` reads it: written as things happen, readable by its owner alone, without the secrets. */
import { closeSync, constants, fchmodSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import { Failure, messageOf } from '../base/errors.ts';
import { toHex } from '../base/hex.ts';
import type { Secret } from '../base/secret.ts';
import { type Clock, iso } from '../base/time.ts';
import type { Trace } from '../line/port.ts';
import { StrikeOut } from '../line/strike-out.ts';

interface Line {
  readonly from: number;
  readonly to: number;
  readonly head: string;
  text: string;
  readonly position: number;
}

function openTrace(file: string): { readonly descriptor: number; readonly regular: boolean } {
  try {
    const descriptor = openSync(file, constants.O_RDWR | constants.O_CREAT | constants.O_APPEND, 0o600);
    const before = fstatSync(descriptor);
    const regular = before.isFile();
    // A file that was there before: what comes now is for its owner alone.
    if (regular && (before.mode & 0o077) !== 0) fchmodSync(descriptor, 0o600);
    return { descriptor, regular };
  } catch (error) {
    throw new Failure('file-unusable', `${file}: ${messageOf(error)}`);
  }
}

/** Appends text to a trace file, as it comes. */
export function appendTo(file: string): (text: string | Uint8Array) => void {
  const { descriptor } = openTrace(file);
  return (text) => void (typeof text === 'string' ? writeSync(descriptor, text) : writeSync(descriptor, text));
}

/**
 * What goes over the line, copied. A secret of which only a part has come yet is struck out as well; where what follows
 * shows that it was none, the octets are put in their place again, and the other way round.
 */
export function traceTo(
  file: string | undefined,
  device: string,
  clock: Clock,
  secrets: readonly (Secret | undefined)[] = [],
): Trace | undefined {
  if (file === undefined) return undefined;
  const started = clock.now();
  const { descriptor, regular } = openTrace(file);
  const append = (text: string): number => {
    writeSync(descriptor, text);
    return regular ? fstatSync(descriptor).size - text.length : -1;
  };
  append(`# connect ${device} ${iso(clock.wall())}\n`);

  /** In its place and only there: another program may have appended meanwhile. */
  const rewrite = (line: Line, text: string): void => {
    if (line.position < 0) return;
    const again = openSync(file, 'r+');
    try {
      const there = Buffer.alloc(line.text.length);
      readSync(again, there, 0, there.length, line.position);
      if (there.toString('latin1') !== line.text) return;
      writeSync(again, text, line.position);
      line.text = text;
    } finally {
      closeSync(again);
    }
  };

  const known = secrets.filter((secret) => secret !== undefined);
  const directions = {
    '->': { strikeOut: new StrikeOut(known), lines: [] as Line[] },
    '<-': { strikeOut: new StrikeOut(known), lines: [] as Line[] },
  };
  return (direction, octets) => {
    const head = `${((clock.now() - started) / 1000).toFixed(4)} ${direction} ${octets.length} `;
    if (known.length === 0) {
      append(`${head}${toHex(octets, ' ')}\n`);
      return;
    }
    const { strikeOut, lines } = directions[direction];
    const { from, to } = strikeOut.add(octets);
    while (lines[0] && lines[0].from < strikeOut.base) lines.shift();
    const textOf = (head: string, first: number, end: number): string =>
      `${head}${toHex(strikeOut.show(first, end), ' ')}\n`;
    for (const line of lines) {
      const text = textOf(line.head, line.from, line.to);
      if (text !== line.text) rewrite(line, text);
    }
    const text = textOf(head, from, to);
    lines.push({ from, to, head, text, position: append(text) });
  };
}
