/**
 * Octets in a line of a log: `TX: 7E A0 …`, `0x7e, 0xa0`, `\x7e\xa0`, `[7E][A0]`, `7E:A0`, `7ea0…`, with words, times and columns
 * around them. The words in front tell the direction, or those behind.
 */
import type { RecordedLine } from '../../base/exchange-file.ts';

type Direction = RecordedLine['direction'];
interface Word {
  readonly at: number;
  readonly end: number;
  /** Hex digits of whole octets; nothing where the word is none. */
  readonly digits?: string;
  /** With 0x, \x, $ or h: nobody writes a number of the log so. */
  readonly decorated: boolean;
  readonly text: string;
}
export interface OctetRun {
  readonly octets: Uint8Array;
  readonly direction: Direction;
  /** Nothing else stands in the line. */
  readonly single: boolean;
}
export interface BadRun {
  readonly offset: number;
  readonly problem: string;
}

const words = /[^\s,;:.|<>[\](){}"'=_/-]+/g;
const single = /^(0[xX]|\\x|\$|&[hH]|#)?([0-9a-fA-F]+)([hH]?)$/;
const escaped = /^(?:\\x[0-9a-fA-F]{2}){2,}$/;
/** Identifiers that are made of hex digits. */
const identifiers = /\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b|\b\d{1,3}(?:\.\d{1,3}){3}\b/gi;

function wordOf(text: string, at: number): Word {
  const end = at + text.length;
  const none = { at, end, decorated: false, text };
  if (escaped.test(text)) return { ...none, digits: text.replaceAll('\\x', ''), decorated: true };
  const found = single.exec(text);
  if (!found) return none;
  const [, before, hex = '', after] = found;
  const digits = before !== undefined && hex.length === 1 ? `0${hex}` : hex;
  if (digits.length % 2 !== 0 || (after !== '' && digits.length !== 2)) return none;
  return { ...none, digits, decorated: before !== undefined || after !== '' };
}

/** One run of words, from and to by number. */
interface Span {
  readonly first: number;
  last: number;
  octets: number;
  separator: string | undefined;
}
const bare = (separator: string): string => separator.replaceAll(/\s+/g, '');
/** What stands between two octets is the same all along; a second blank only where a group of four or eight ends. */
function fits(span: Span, separator: string): boolean {
  const { separator: usual } = span;
  if (separator.length > 4) return false;
  if (usual === undefined || separator === usual) return true;
  if (bare(separator) !== bare(usual)) return false;
  if (bare(usual) !== '') return true;
  return separator.length === usual.length + 1 && span.octets % 4 === 0;
}

function spansOf(line: string, all: readonly Word[]): Span[] {
  const spans: Span[] = [];
  let open: Span | undefined;
  for (const [i, word] of all.entries()) {
    const { digits } = word;
    if (digits === undefined) {
      open = undefined;
      continue;
    }
    const before = all[i - 1];
    const separator = before ? line.slice(before.end, word.at) : '';
    const sameLength =
      open !== undefined &&
      before?.decorated === word.decorated &&
      (before.digits?.length === digits.length ||
        (digits.length < (before.digits?.length ?? 0) && digits.length > 0)) &&
      // Only the last word may be shorter.
      all[open.first]?.digits?.length === before.digits?.length;
    if (open && sameLength && fits(open, separator)) {
      open.separator ??= separator;
      open.last = i;
      open.octets += digits.length / 2;
    } else {
      // `Length 60: 00 01 …`: what stood behind the colon begins the run.
      const isBorrowed = open !== undefined && sameLength && open.last === open.first + 1 && open.last === i - 1;
      if (open && isBorrowed) {
        open.last--;
        open.octets -= digits.length / 2;
      }
      const first = isBorrowed ? i - 1 : i;
      const octets = (digits.length / 2) * (i - first + 1);
      spans.push((open = { first, last: i, octets, separator: isBorrowed ? separator : undefined }));
    }
  }
  return spans;
}

const roles = String.raw`(?:client|host|master|pc|hes|dcu|collector|gateway)`;
const meters = String.raw`(?:server|meter|slave|device|dlms|e-?meter)`;
const arrows = String.raw`\s*(?:-+>|=+>|→|>+|\bto\b)\s*`;
/** By rank: what stands first is believed first. */
const tellers: readonly (readonly [Direction, RegExp])[] = [
  ['to-meter', new RegExp(`\\b${roles}${arrows}${meters}\\b|\\bC\\s*->\\s*S\\b`, 'i')],
  ['from-meter', new RegExp(`\\b${meters}${arrows}${roles}\\b|\\bS\\s*->\\s*C\\b`, 'i')],
  ['to-meter', /(?:^|[^A-Za-z])(?:TXD?|Tx[Dd]?|tx|IRP_MJ_WRITE)(?![A-Za-z])/],
  ['from-meter', /(?:^|[^A-Za-z])(?:RXD?|Rx[Dd]?|rx|IRP_MJ_READ)(?![A-Za-z])/],
  [
    'to-meter',
    /(?:^|[^a-z])(?:send(?:ing|s)?|sent|writ(?:e|es|ing|ten)|wrote|transmit\w*|out(?:put|going)?|requests?|req|command)(?![a-z])/i,
  ],
  [
    'from-meter',
    /(?:^|[^a-z])(?:recv|rcvd?|receiv\w*|reads?|reading|in(?:put|coming|bound)?|responses?|resp|rsp|repl(?:y|ies)|answers?)(?![a-z])/i,
  ],
  ['to-meter', /-+>|=>|>>+|→|(?:^|[\s\])])>(?=[\s:]|$)/],
  ['from-meter', /<-+|<=|<<+|←|(?:^|[\s\])])<(?=[\s:]|$)/],
  ['to-meter', /(?:^|[\s[(|,;"])[STWO](?=[\s\])>:|,;"]|$)/],
  ['from-meter', /(?:^|[\s[(|,;"])[RI](?=[\s\])<:|,;"]|$)/],
];
export function directionIn(text: string): Direction {
  for (let rank = 0; rank < tellers.length; rank += 2) {
    const found = [rank, rank + 1].flatMap((i) => {
      const [direction, pattern] = tellers[i] as (typeof tellers)[number];
      const match = pattern.exec(text);
      return match ? [{ direction, at: match.index }] : [];
    });
    // Where both stand, the one nearer to the octets.
    const [nearest] = found.toSorted((a, b) => b.at - a.at);
    if (nearest) return nearest.direction;
  }
  return 'unknown';
}

const numeric = /^\d+$/;
const looksFramed = /^(?:7e|0001|68(..)\1 ?68|e6e[67]00|[cd][0-9a-f]0[1-4]|db08|0f00)/i;
/** Whether these digits are octets of the line, and no number, name or checksum of the log. */
function isData(run: string, { count, decorated, isDirected, ends, begins }: Shape): boolean {
  if (decorated && count > 1) return true;
  if (isDirected) return count === 1 ? begins && ends : !(numeric.test(run) && count < 5 && !(begins && ends));
  return looksFramed.test(run) ? count > 2 : count >= 8;
}
interface Shape {
  readonly count: number;
  readonly decorated: boolean;
  /** The line tells a direction. */
  readonly isDirected: boolean;
  /** Nothing stands behind the run, or in front of it but the direction. */
  readonly ends: boolean;
  readonly begins: boolean;
}

/** A word between octets that is none: the line is damaged there. */
function damageOf(line: string, all: readonly Word[], { first, last, octets, separator }: Span): BadRun | undefined {
  const beside = (word: Word | undefined, gap: string): boolean =>
    word !== undefined &&
    word.digits === undefined &&
    word.text.length <= 3 &&
    separator !== undefined &&
    gap === separator;
  const after = all[last + 1];
  const end = all[last] as Word;
  const isNone = (word: Word): BadRun => ({
    offset: word.at,
    problem: `'${word.text.slice(0, 8)}' is not an octet in hex`,
  });
  if (octets < 2 || after === undefined || !beside(after, line.slice(end.end, after.at))) return undefined;
  const further = all[last + 2];
  if (further?.digits !== undefined && line.slice(after.end, further.at) === separator) return isNone(after);
  return further === undefined && first === 0 ? isNone(after) : undefined;
}
/** One long word that would be octets but for a digit. */
function damagedWord(all: readonly Word[], isDirected: boolean): BadRun | undefined {
  const word = all.find(
    ({ text, digits }) =>
      digits === undefined && text.length >= 6 && text.replaceAll(/[^0-9a-fA-F]/g, '').length >= text.length * 0.8,
  );
  if (!word || (!isDirected && all.length > 1)) return undefined;
  const bad = word.text.search(/[^0-9a-fA-F]/);
  if (bad < 0) return { offset: word.end, problem: 'odd number of hex digits' };
  return { offset: word.at + bad, problem: `'${word.text.charAt(bad)}' is not a hex digit` };
}

/** `rest`: the line without its time stamps. */
export function octetRun(rest: string): OctetRun | BadRun | undefined {
  const line = rest.replace(identifiers, (found) => '~'.repeat(found.length));
  const all = [...line.matchAll(words)].map((match) => wordOf(match[0], match.index));
  const spans = spansOf(line, all);
  const isDirected = directionIn(line.replaceAll(/<\w+>/g, ' ')) !== 'unknown';
  const [longest] = spans.toSorted((a, b) => b.octets - a.octets);
  if (!longest) return damagedWord(all, isDirected);
  const damage = damageOf(line, all, longest);
  if (damage) return damage;
  const run = all.slice(longest.first, longest.last + 1);
  let digits = run.map((word) => word.digits).join('');
  const start = (run[0] as Word).at;
  // A bracket around the first octet and the last belongs to them, and is no arrow.
  const before = line.slice(0, start).replace(/[<[({]$/, '');
  const after = line.slice((run.at(-1) as Word).end).replace(/^[>\])}]/, '');
  // A count in front of the octets, written like one of them.
  const counted = run[0]?.digits ?? '';
  const isCount = counted.length === 2 && numeric.test(counted) && Number(counted) === longest.octets - 1;
  if (isCount && longest.first > 0 && looksFramed.test(digits.slice(2))) digits = digits.slice(2);
  const isSingle = spans.length === 1 && run.length === all.length && !/[<>]/.test(before + after);
  const direction = [directionIn(before), directionIn(after)].find((one) => one !== 'unknown') ?? 'unknown';
  const shape = {
    count: digits.length / 2,
    decorated: (run[0] as Word).decorated,
    isDirected: direction !== 'unknown',
    ends: /^[\s"'\]});,>]*$/.test(after),
    begins: all.slice(0, longest.first).length <= 2,
  };
  if (!isSingle && !isData(digits, shape)) return damagedWord(all, isDirected);
  return { octets: new Uint8Array(Buffer.from(digits, 'hex')), direction, single: isSingle };
}
