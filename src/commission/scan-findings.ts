/** What a scan found, for the commissioning behind it: rows of its list with the place where each meter really answers. */
import * as v from 'valibot';
import { Failure, messageOf } from '../base/errors.ts';
import { sameSerial } from '../meter/identity.ts';
import { entrySchema, type WorkListEntry } from './work-list.ts';

const findingSchema = v.looseObject({
  kind: v.literal('finding'),
  entry: v.optional(entrySchema),
  serial: v.optional(v.string()),
  reach: v.optional(
    v.looseObject({
      logical: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(16_383)),
      physical: v.optional(v.nullable(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(16_383)))),
    }),
  ),
});
/** A row of the list, and where its meter answers; undefined where the scan did not find it. */
export interface ScannedEntry {
  readonly entry: WorkListEntry;
  readonly server: number | undefined;
  readonly physical: number | undefined;
}

/** Of what `scan --json` printed. A meter that no list names has no point, and is left out. Failure `input-unreadable`. */
export function scannedEntries(text: string, file: string): ScannedEntry[] {
  const findings = text.split('\n').flatMap((line, i) => {
    if (line.trim() === '') return [];
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch (error) {
      throw new Failure('input-unreadable', `${file}:${i + 1}: ${messageOf(error)}; it takes what scan --json printed`);
    }
    if ((value as { readonly kind?: unknown } | null)?.kind !== 'finding') return [];
    const parsed = v.safeParse(findingSchema, value);
    if (!parsed.success)
      throw new Failure('input-unreadable', `${file}:${i + 1}: no finding of a scan of this version`);
    return [parsed.output];
  });
  return findings.flatMap(({ entry, ...found }) => (entry ? [placeOf({ entry, ...found })] : []));
}

/** What a scan says of a row of its list. */
export interface FoundEntry {
  readonly entry: WorkListEntry;
  readonly serial?: string | undefined;
  readonly reach?: { readonly logical: number; readonly physical?: number | null | undefined } | undefined;
}
export function placeOf({ entry, serial, reach }: FoundEntry): ScannedEntry {
  // Another meter that answers at its place is not it.
  const isThere = reach !== undefined && serial !== undefined && sameSerial(serial, entry.serial);
  return {
    entry,
    server: isThere ? reach.logical : undefined,
    physical: isThere ? (reach.physical ?? undefined) : undefined,
  };
}
