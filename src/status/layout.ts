/** Text for a screen of a certain width: nothing is wider, and nothing is left out. */
import { visible } from '../base/visible.ts';

/** Two columns in a terminal: East Asian wide and fullwidth characters, and pictographs. Some of them may take only one. */
const wide =
  /[\p{Extended_Pictographic}\u1100-\u115f\u2329\u232a\u2630-\u2637\u268a-\u268f\u2e80-\ua4cf\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\ufe10-\ufe19\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{16fe0}-\u{1b2ff}\u{1d300}-\u{1d37f}\u{1f000}-\u{1faff}\u{20000}-\u{3fffd}]/u;
/** None: they stand on the character before. */
const onTheOneBefore = /[\p{Mn}\p{Me}]/u;
const widthOfOne = (character: string): number => {
  if (character >= ' ' && character <= '~') return 1;
  return onTheOneBefore.test(character) ? 0 : wide.test(character) ? 2 : 1;
};

/** Columns that a text takes at most, as `visible` shows it. */
export const widthOf = (text: string): number => Array.from(text, widthOfOne).reduce((sum, one) => sum + one, 0);

const padded = (text: string, width: number, right = false): string => {
  const blanks = ' '.repeat(Math.max(0, width - widthOf(text)));
  return right ? blanks + text : text + blanks;
};

/** The longest beginning that fits, at least one character, and the rest. */
function cutAt(text: string, width: number): [head: string, rest: string] {
  let used = 0;
  let at = 0;
  for (const character of text) {
    used += widthOfOne(character);
    if (used > width && at > 0) break;
    at += character.length;
  }
  return [text.slice(0, at), text.slice(at)];
}

/** Parts beside each other, `between` them, on as many lines as it takes. A part that is too long for one is broken. */
function filled(parts: readonly string[], width: number, between: string): string[] {
  const lines: string[] = [];
  let line = '';
  for (const part of parts) {
    const joined = line === '' ? part : line + between + part;
    if (widthOf(joined) <= width) {
      line = joined;
      continue;
    }
    if (line !== '') lines.push(line);
    line = part;
    while (widthOf(line) > width) {
      const [head, rest] = cutAt(line, width);
      lines.push(head);
      line = rest;
    }
  }
  return line === '' && lines.length > 0 ? lines : [...lines, line];
}

/** The indent of what stands under a head that is too long to stand beside it. */
const deeper = '    ';
/** `head` before the first line, and as many blanks before the others. */
function under(head: string, parts: readonly string[], width: number, between: string): string[] {
  const shown = visible(head);
  const long = widthOf(shown) > width / 2;
  const own = long ? filled([shown.trimEnd()], width, '') : [];
  const beside = long ? deeper : ' '.repeat(widthOf(shown));
  const lines = filled(parts, width - beside.length, between);
  return [...own, ...lines.map((line, i) => `${i === 0 && !long ? shown : beside}${line}`.trimEnd())];
}

/** A sentence under a head, broken between words. */
export const sentence = (head: string, text: string, width: number): string[] =>
  under(
    head,
    visible(text)
      .split(' ')
      .filter((word) => word !== ''),
    width,
    ' ',
  );

/** Short statements beside each other under a head. */
export const statements = (head: string, parts: readonly string[], width: number): string[] =>
  under(head, parts.filter((part) => part !== '').map(visible), width, '  ');

export interface Column {
  readonly heading: string;
  readonly right?: boolean;
}
const gap = 2;
/** The first column may shrink to this width before the others go to a second line. */
const minFirst = 10;

/** Which columns stand beside each other. */
function groupsOf(widths: readonly number[], width: number): number[][] {
  const groups: number[][] = [];
  let used = width;
  widths.forEach((one, i) => {
    const last = groups.at(-1);
    if (last && used + gap + one <= width) {
      last.push(i);
      used += gap + one;
    } else {
      groups.push([i]);
      used = one + (groups.length > 1 ? deeper.length : 0);
    }
  });
  return groups;
}

/**
 * A table as wide as its cells. A first cell that is too long has a line of its own; where even so the columns do not
 * fit, those on the right go to a second line.
 */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[], width: number): string[][] {
  const all = [columns.map(({ heading }) => heading), ...rows.map((row) => row.map(visible))];
  const widest = columns.map((_, i) => Math.max(...all.map((row) => widthOf(row[i] ?? ''))));
  const others = widest.slice(1).reduce((sum, one) => sum + gap + one, 0);
  const least = Math.min(widest[0] ?? 0, Math.max(minFirst, width - others));
  const groups = groupsOf([least, ...widest.slice(1)], width);
  const [, ...beside] = groups[0] ?? [];
  const room = beside.reduce((left, i) => left - gap - (widest[i] ?? 0), width);
  const first = Math.max(least, Math.min(widest[0] ?? 0, room));
  const widths = [first, ...widest.slice(1)];
  return all.map((row) =>
    groups.flatMap((group, n) => {
      const indent = n === 0 ? '' : deeper;
      const cells = group.map((i) => padded(row[i] ?? '', widths[i] ?? 0, columns[i]?.right));
      const [head = '', ...rest] = cells;
      const own = widthOf(head) > (widths[group[0] ?? 0] ?? 0) && rest.length > 0;
      const lines = own ? [head, [' '.repeat(first), ...rest].join(' '.repeat(gap))] : [cells.join(' '.repeat(gap))];
      return lines.flatMap((line) => filled([line.trimEnd()], width - indent.length, '').map((one) => indent + one));
    }),
  );
}

/** A line that begins with blanks, on as many lines as it takes: each begins with those blanks. */
export function indented(line: string, width: number): string[] {
  const [blanks = ''] = /^ */.exec(line) ?? [];
  return sentence(blanks, line.slice(blanks.length), width);
}
