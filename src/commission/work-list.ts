/**
 * The technician's work list: which meter should hang where. A CSV as offices export it: with BOM or in UTF-16, with commas,
 * semicolons or tabs, after Excel had it. Everything that is wrong with it is said at once, by line.
 */
import { CsvError, parse } from 'csv-parse/sync';
import * as v from 'valibot';
import { Failure } from '../base/errors.ts';
import { nearest } from '../base/nearest.ts';
import { gsrnIsValid } from '../config/schema.ts';
import { wordLimit } from '../contract/words.ts';
import { normalSerial } from '../meter/identity.ts';

const text = v.pipe(v.string(), v.maxLength(200));
const count = (low: number, high: number) =>
  v.optional(v.pipe(v.number(), v.integer(), v.minValue(low), v.maxValue(high)));
const ratio = v.strictObject({
  primary: v.pipe(v.number(), v.minValue(1)),
  secondary: v.pipe(v.number(), v.minValue(1)),
});
export type Ratio = v.InferOutput<typeof ratio>;
/** One meter of the list. */
export const entrySchema = v.strictObject({
  /** In the file, from 1. */
  line: v.pipe(v.number(), v.integer(), v.minValue(1)),
  point: text,
  /** The serial number as the list writes it; `sameSerial` compares it. */
  serial: v.pipe(text, v.minLength(1)),
  place: text,
  /** Main fuse, A. */
  fuseA: count(1, 10_000),
  currentTransformer: v.optional(ratio),
  voltageTransformer: v.optional(ratio),
  /** A name of hardware/meters. */
  model: v.optional(text),
  /** Client SAP by which it will be read. */
  client: count(1, 127),
  /** HDLC physical address, where somebody noted it. */
  physical: count(0, 16_383),
});
export type WorkListEntry = Readonly<v.InferOutput<typeof entrySchema>>;
export interface ListFinding {
  readonly severity: 'error' | 'warning';
  /** undefined: of the file as a whole. */
  readonly line: number | undefined;
  /** The column, as the file calls it. */
  readonly column: string | undefined;
  readonly message: string;
  readonly next: string;
}
export interface WorkList {
  readonly entries: readonly WorkListEntry[];
  readonly findings: readonly ListFinding[];
}

const maxOctets = 1 << 20;
const maxRows = 1000;

/** Also as offices and their programs call them; compared without case, blanks and signs. */
const columnNames = {
  point: ['point', 'metering point', 'point id', 'gsrn', 'käyttöpaikka', 'käyttöpaikkatunnus'],
  serial: ['serial', 'serial number', 'serial no', 'meter', 'meter number', 'mittari', 'mittarinumero'],
  place: ['place', 'location', 'position', 'paikka', 'sijainti'],
  fuse: ['fuse', 'main fuse', 'fuse a', 'sulake', 'pääsulake'],
  ratio: ['transformer ratio', 'ratio', 'ct', 'ct ratio', 'current transformer', 'muuntosuhde'],
  voltageRatio: ['voltage ratio', 'vt', 'vt ratio', 'voltage transformer'],
  model: ['model', 'type', 'meter model'],
  client: ['client', 'client sap'],
  physical: ['physical', 'hdlc address', 'physical address', 'address'],
} as const;
type ColumnName = keyof typeof columnNames;
const required: readonly ColumnName[] = ['point', 'serial'];
/** What commissioning asks for where the list does not have it. */
const expected: readonly ColumnName[] = ['place', 'fuse', 'ratio'];

const bare = (name: string): string => name.toLowerCase().replaceAll(/[^\p{L}\p{N}]+/gu, '');
const meaningOf = new Map<string, ColumnName>(
  Object.entries(columnNames).flatMap(([meaning, names]) =>
    names.map((name): [string, ColumnName] => [bare(name), meaning as ColumnName]),
  ),
);

/** UTF-8 and UTF-16 by their BOM; what is no UTF-8 was written by a program of western Windows. */
function textOf(octets: Uint8Array): { readonly text: string; readonly guessed: boolean } {
  const [first, second] = octets;
  if (first === 0xff && second === 0xfe) return { text: new TextDecoder('utf-16le').decode(octets), guessed: false };
  if (first === 0xfe && second === 0xff) return { text: new TextDecoder('utf-16be').decode(octets), guessed: false };
  try {
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(octets), guessed: false };
  } catch {
    return { text: new TextDecoder('windows-1252').decode(octets), guessed: true };
  }
}

const separators = [';', '\t', ','] as const;
/** The one that stands most often in the head, outside of quotes. */
function separatorOf(head: string): string {
  const plain = head.replaceAll(/"[^"]*"/g, '');
  const count = (sign: string) => plain.split(sign).length - 1;
  return separators.reduce((best, sign) => (count(sign) > count(best) ? sign : best));
}

/** `="60120001"` and `'60120001` keep Excel from taking a number for one. */
const cellOf = (cell: string): string =>
  cell
    .trim()
    .replace(/^="(.*)"$/, '$1')
    .replace(/^'/, '')
    .trim();

interface Row {
  readonly line: number;
  readonly cells: readonly string[];
}
interface CsvRow {
  readonly info: { readonly lines: number };
  readonly record: readonly string[];
}

/** Rows that hold something. Excel's `sep=;` before the head is no row. */
function rowsOf(text: string): readonly Row[] {
  const declared = /^sep=(.)\r?\n/i.exec(text);
  const body = declared ? text.slice(declared[0].length) : text;
  const head = body.split(/\r?\n/).find((line) => line.trim() !== '') ?? '';
  const rows = parse(body, {
    delimiter: declared?.[1] ?? separatorOf(head),
    relax_column_count: true,
    relax_quotes: true,
    skip_empty_lines: true,
    skip_records_with_empty_values: true,
    info: true,
  }) as unknown as readonly CsvRow[];
  return rows.map(({ info, record }) => ({ line: info.lines + (declared ? 1 : 0), cells: record.map(cellOf) }));
}

interface Judging {
  readonly findings: ListFinding[];
  readonly models: ReadonlySet<string>;
  readonly wrongPoints: 'refuse' | 'warn';
}
interface Cell {
  readonly line: number;
  readonly column: string;
  readonly text: string;
}
const note = (
  { findings }: Judging,
  severity: ListFinding['severity'],
  { line, column }: Pick<Cell, 'line' | 'column'>,
  [message, next]: readonly [string, string],
): void => void findings.push({ severity, line, column, message, next });

const asText =
  'In the table program, give the column the format "text", put the numbers in again, and export once more.';
const isScientific = (text: string): boolean => /^\d+([.,]\d+)?e[+-]?\d+$/i.test(text);

function headOf(row: Row, findings: ListFinding[]): ReadonlyMap<ColumnName, { index: number; column: string }> {
  const found = new Map<ColumnName, { index: number; column: string }>();
  const add = (severity: ListFinding['severity'], column: string | undefined, message: string, next: string) =>
    findings.push({ severity, line: row.line, column, message, next });
  row.cells.forEach((column, index) => {
    if (column === '') return;
    const meaning = meaningOf.get(bare(column));
    if (!meaning) {
      const meant = nearest(bare(column), [...meaningOf.keys()]);
      const means = meant === undefined ? undefined : columnNames[meaningOf.get(meant) as ColumnName][0];
      add(
        'warning',
        column,
        `nobody reads this column${means === undefined ? '' : `; did you mean '${means}'?`}`,
        'Leave it, or correct its name.',
      );
    } else if (found.has(meaning))
      add('error', column, `the same column as '${found.get(meaning)?.column}'`, 'Keep one of the two.');
    else found.set(meaning, { index, column });
  });
  for (const meaning of [...required, ...expected]) {
    if (found.has(meaning)) continue;
    const [name] = columnNames[meaning];
    if (required.includes(meaning))
      add(
        'error',
        undefined,
        `there is no column '${name}'`,
        'The first line names the columns: point, serial, place, fuse, transformer ratio.',
      );
    else add('warning', undefined, `there is no column '${name}'`, 'Commissioning will ask for it.');
  }
  return found;
}

function judgePoint(judging: Judging, cell: Cell): void {
  const { text } = cell;
  const wrong = judging.wrongPoints === 'refuse' ? 'error' : 'warning';
  if (text === '') return note(judging, 'error', cell, ['is empty', 'Fill it in: the series belongs to the point.']);
  if (isScientific(text)) return note(judging, 'error', cell, [`${text}: the digits are lost`, asText]);
  if (text.length > wordLimit)
    return note(judging, 'error', cell, [
      `is longer than ${wordLimit} letters`,
      'Look whether two columns became one.',
    ]);
  if (/^\d{18}$/.test(text) && !gsrnIsValid(text))
    return note(judging, wrong, cell, [
      `${text} has a wrong GS1 check digit${text.endsWith('000') ? ' (a table program keeps 15 digits, and writes 0 for the rest)' : ''}`,
      text.endsWith('000') ? asText : 'Compare it digit by digit with the contract.',
    ]);
  if (/^\d{15,20}$/.test(text) && text.length !== 18)
    note(judging, 'warning', cell, [`has ${text.length} digits, and a GSRN has 18`, 'Compare it with the contract.']);
}

function judgeSerial(judging: Judging, cell: Cell): void {
  const { text } = cell;
  if (isScientific(text)) return note(judging, 'error', cell, [`${text}: the digits are lost`, asText]);
  const serial = normalSerial(text);
  if (serial === undefined || /^0+$/.test(serial))
    return note(judging, 'error', cell, [
      text === '' ? 'is empty' : `'${text}' is no serial number`,
      'Write the number on the label of the meter.',
    ]);
  if (text.length > wordLimit)
    note(judging, 'error', cell, [`is longer than ${wordLimit} letters`, 'Look whether two columns became one.']);
  else if (/^\d+[.,]\d+$/.test(text))
    note(judging, 'error', cell, [`'${text}' was taken for a number with a fraction`, asText]);
}

function fuseOf(judging: Judging, cell: Cell): number | undefined {
  if (cell.text === '' || cell.text === '-') return undefined;
  const ampere = Number(/^(?:[13]\s*[x×*]\s*)?(\d{1,5})\s*A?$/i.exec(cell.text)?.[1]);
  if (ampere >= 1 && ampere <= 10_000) return ampere;
  note(judging, 'error', cell, [`'${cell.text}' is no fuse`, 'Write ampere: 63, 63 A or 3x63 A.']);
}

/** Nothing where the meter measures directly. */
function ratioOf(judging: Judging, cell: Cell): Ratio | undefined {
  const { text } = cell;
  if (text === '' || /^(-|1|1\s*[/:]\s*1|direct|none)$/i.test(text)) return undefined;
  const [, primary = '', secondary = ''] = /^(\d{1,6})(?:\s*[AV])?\s*[/:]\s*(\d{1,5})(?:\s*[AV])?$/i.exec(text) ?? [];
  const ratio = { primary: Number(primary), secondary: Number(secondary) };
  if (ratio.primary > 0 && ratio.secondary > 0 && ratio.primary >= ratio.secondary) return ratio;
  note(judging, 'error', cell, [
    `'${text}' is no transformer ratio`,
    'Write primary/secondary as on the plate, 200/5; leave it empty where the meter measures directly. A table program may have made a date of it.',
  ]);
}

function numberOf(judging: Judging, cell: Cell, low: number, high: number): number | undefined {
  if (cell.text === '') return undefined;
  const value = Number(cell.text);
  if (/^\d+$/.test(cell.text) && value >= low && value <= high) return value;
  note(judging, 'error', cell, [
    `'${cell.text}' is no whole number from ${low} to ${high}`,
    'Correct it, or leave it empty.',
  ]);
}
function modelOf(judging: Judging, cell: Cell): string | undefined {
  const { text } = cell;
  if (text === '' || judging.models.has(text)) return text === '' ? undefined : text;
  const meant = nearest(text, [...judging.models]);
  note(judging, 'error', cell, [
    `there is no model '${text}'${meant === undefined ? '' : `; did you mean '${meant}'?`}`,
    `Write one of ${[...judging.models].join(', ')}, or leave it empty: it is found out.`,
  ]);
}

type Head = ReturnType<typeof headOf>;
function entryOf(judging: Judging, row: Row, head: Head): WorkListEntry {
  const cell = (name: ColumnName): Cell => {
    const at = head.get(name);
    return { line: row.line, column: at?.column ?? name, text: at ? (row.cells[at.index] ?? '') : '' };
  };
  // Without the column it was said once.
  if (head.has('point')) judgePoint(judging, cell('point'));
  if (head.has('serial')) judgeSerial(judging, cell('serial'));
  return {
    line: row.line,
    point: cell('point').text,
    serial: cell('serial').text,
    place: cell('place').text,
    fuseA: fuseOf(judging, cell('fuse')),
    currentTransformer: ratioOf(judging, cell('ratio')),
    voltageTransformer: ratioOf(judging, cell('voltageRatio')),
    model: modelOf(judging, cell('model')),
    client: numberOf(judging, cell('client'), 1, 127),
    physical: numberOf(judging, cell('physical'), 0, 16_383),
  };
}

/** A serial number hangs in one place, and a point has one meter. */
function judgeTwice(judging: Judging, entries: readonly WorkListEntry[], head: Head): void {
  const twice = (name: 'serial' | 'point', keyOf: (entry: WorkListEntry) => string | undefined, next: string) => {
    const lines = new Map<string, number>();
    for (const entry of entries) {
      const key = keyOf(entry);
      if (key === undefined || isScientific(entry[name])) continue;
      const before = lines.get(key);
      if (before === undefined) lines.set(key, entry.line);
      else
        note(judging, 'error', { line: entry.line, column: head.get(name)?.column ?? name }, [
          `${entry[name]} stands in line ${before} already`,
          next,
        ]);
    }
  };
  twice('serial', ({ serial }) => normalSerial(serial), 'Two meters never have one number: read both labels.');
  twice(
    'point',
    ({ point }) => (point === '' ? undefined : point),
    'A point has one meter: compare with the contracts.',
  );
}

/**
 * `models`: the names of hardware/meters. `wrongPoints`: what a wrong check digit is (R34). Entries are there also where something
 * is wrong with them.
 */
export function readWorkList(
  octets: Uint8Array,
  { models, wrongPoints }: { readonly models: ReadonlySet<string>; readonly wrongPoints: 'refuse' | 'warn' },
): WorkList {
  const findings: ListFinding[] = [];
  const whole = (severity: ListFinding['severity'], message: string, next: string, line?: number) =>
    void findings.push({ severity, line, column: undefined, message, next });
  if (octets.length > maxOctets) {
    whole('error', `has ${octets.length} octets, and a work list at most ${maxOctets}`, 'Name the right file.');
    return { entries: [], findings };
  }
  const { text, guessed } = textOf(octets);
  if (guessed)
    whole('warning', 'is not UTF-8: read as a file of western Windows', 'Look at the letters beyond a to z.');
  let rows: readonly Row[] = [];
  try {
    rows = rowsOf(text);
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    whole('error', `is no CSV: ${error.message}`, 'Correct the quotes there.', Number(error['lines']) || undefined);
    return { entries: [], findings };
  }
  const [first, ...others] = rows;
  if (!first || others.length > maxRows) {
    const message = first ? `has more than ${maxRows} rows` : 'is empty';
    whole('error', message, 'A list has a line with the names of the columns, and one for each meter.');
    return { entries: [], findings };
  }
  const head = headOf(first, findings);
  const judging: Judging = { findings, models, wrongPoints };
  // Where the head is not understood, each row would only say so once more.
  if (![...head.keys()].some((name) => required.includes(name))) return { entries: [], findings };
  const entries = others.map((row) => {
    const spare = row.cells.slice(first.cells.length).filter((cell) => cell !== '');
    if (spare.length > 0)
      note(judging, 'error', { line: row.line, column: 'row' }, [
        `has more cells than the first line: '${spare[0]}'`,
        'A text with the separator in it stands in quotes.',
      ]);
    return entryOf(judging, row, head);
  });
  judgeTwice(judging, entries, head);
  if (entries.length === 0) whole('error', 'names no meter', 'One line for each meter.');
  return { entries, findings: findings.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0)) };
}

/** `worklist.csv:5: serial: 6.01E+07: the digits are lost`, and the next step. */
export const listLines = (file: string, findings: readonly ListFinding[]): string[] =>
  findings.flatMap(({ severity, line, column, message, next }) => [
    `${[line === undefined ? file : `${file}:${line}`, ...(column === undefined ? [] : [column])].join(': ')}: ${severity === 'warning' ? 'warning: ' : ''}${message}`,
    `    next: ${next}`,
  ]);

/** The entries, where nothing is wrong with the list. Failure `list-unfit` with everything that is. */
export function requireList(file: string, { entries, findings }: WorkList): readonly WorkListEntry[] {
  const errors = findings.filter(({ severity }) => severity === 'error');
  if (errors.length === 0) return entries;
  const count = `${errors.length} fault${errors.length === 1 ? '' : 's'}`;
  throw new Failure('list-unfit', [`${file}: ${count} in the work list`, ...listLines(file, findings)].join('\n'));
}
