/** What a selection takes out of the buffers of a virtual meter (Blue Book 4.3.6.2.3). */
import { type Millis, millis } from '../base/time.ts';
import type { Data } from '../dlms/axdr/data.ts';
import { utcOf } from '../dlms/cosem/date-time.ts';
import { type CaptureObject, captureObjectsOf } from '../dlms/cosem/profile-generic.ts';
import { accessResult, structure } from '../dlms/cosem/server-object.ts';
import type { Selection } from '../dlms/xdlms/apdu.ts';
import type { VirtualRow } from './load-curve.ts';
import { energyColumn, import18, profileColumns } from './objects.ts';
import type { Quirk } from './quirk.ts';
import type { VirtualMeterSettings } from './settings.ts';

const parametersOf = (selection: Selection | undefined): readonly Data[] =>
  selection?.parameters.type === 'structure' ? selection.parameters.value : [];

/** Column selection: of a range by capture objects, of entries by numbers from 1. */
export function projected(buffer: Data, columns: readonly CaptureObject[], selection: Selection | undefined): Data {
  if (buffer.type !== 'array' || !selection) return buffer;
  const [, , third, fourth] = parametersOf(selection);
  let chosen: number[];
  if (selection.selector === 1 && fourth?.type === 'array' && fourth.value.length > 0) {
    const objects = captureObjectsOf(fourth);
    chosen = objects.map((one) => columns.findIndex(({ logicalName }) => logicalName === one.logicalName));
  } else if (selection.selector === 2 && third?.type === 'long-unsigned' && fourth?.type === 'long-unsigned') {
    const last = fourth.value === 0 ? columns.length : fourth.value;
    chosen = columns.map((_, i) => i).filter((i) => i + 1 >= third.value && i + 1 <= last);
  } else return buffer;
  const value = buffer.value.map((row): Data => {
    const cells = row.type === 'structure' ? row.value : [];
    return structure(...chosen.flatMap((i) => cells[i] ?? []));
  });
  return { type: 'array', value };
}

/** The stamps between which a range lies; undefined where it is no range. */
function rangeOf(
  selection: Selection | undefined,
  deviationMin: number,
): { readonly from: Millis; readonly to: Millis } | undefined {
  const [, second, third] = parametersOf(selection);
  const instant = (data: Data | undefined) =>
    data?.type === 'octet-string' ? utcOf(data.value, { deviationMin }) : undefined;
  const from = instant(second);
  const to = instant(third);
  return selection?.selector === 1 && from !== undefined && to !== undefined ? { from, to } : undefined;
}

/** Of so many entries, those by numbers from 1, the last included; 0 as the last: all. Undefined where it names none. */
function numbersOf(selection: Selection, count: number): { readonly first: number; readonly last: number } | undefined {
  const [first, second] = parametersOf(selection);
  if (selection.selector !== 2 || first?.type !== 'double-long-unsigned' || second?.type !== 'double-long-unsigned')
    return undefined;
  return { first: Math.max(0, first.value - 1), last: second.value === 0 ? count : Math.min(second.value, count) };
}
const mismatch = { refused: accessResult['type-unmatched'] };

/** Rows by range of stamps or by numbers; `rows` gives those of a range, oldest first. */
export function selectedRows(
  selection: Selection | undefined,
  deviationMin: number,
  rows: (from: Millis, to: Millis) => VirtualRow[],
): VirtualRow[] | { refused: number } {
  const everything = () => rows(millis(0), millis(Number.MAX_SAFE_INTEGER));
  if (!selection) return everything();
  const range = rangeOf(selection, deviationMin);
  if (range) return rows(range.from, range.to);
  const all = everything();
  const numbers = numbersOf(selection, all.length);
  return numbers ? all.slice(numbers.first, numbers.last) : mismatch;
}

/** Entries of a log, likewise. */
export function selectedEntries<T extends { readonly stamp: Millis }>(
  selection: Selection | undefined,
  entries: readonly T[],
): readonly T[] | { refused: number } {
  if (!selection) return entries;
  const range = rangeOf(selection, 0);
  if (range) return entries.filter(({ stamp }) => stamp >= range.from && stamp <= range.to);
  const numbers = numbersOf(selection, entries.length);
  return numbers ? entries.slice(numbers.first, numbers.last) : mismatch;
}

/** What the load profile captures. */
export function columnsOf(
  { quirks: names, capturesEnergies }: Pick<VirtualMeterSettings, 'quirks' | 'capturesEnergies'>,
  quirks: readonly Quirk[],
  importOnly: boolean,
): readonly CaptureObject[] {
  const whole = names.includes('whole-object-column');
  const registers = importOnly ? profileColumns.slice(0, -1) : profileColumns;
  const captured = (capturesEnergies ? [...registers, energyColumn] : registers).map((column) =>
    whole && column.logicalName === import18 ? { ...column, attribute: 0 } : column,
  );
  return quirks.reduce<readonly CaptureObject[]>((all, { profile }) => profile?.columns(all) ?? all, captured);
}
