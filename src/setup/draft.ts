/** What was entered in a first run, as far as it got: on disk, so that neither a page that is loaded anew nor a power cut loses it. */
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { entrySchema } from '../commission/work-list.ts';
import { putWhole } from '../disk/put-whole.ts';
import { draftName } from './standing.ts';

const text = (most: number) => v.pipe(v.string(), v.maxLength(most));
const short = text(200);
const whole = (low: number, high: number) => v.pipe(v.number(), v.integer(), v.minValue(low), v.maxValue(high));
const pem = v.nullable(text(60_000));

/** The judge of the configuration says what is wrong with a value; here it only must fit. */
const line = v.strictObject({
  name: short,
  device: text(300),
  baud: whole(300, 921_600),
  link: v.picklist(['hdlc', 'wrapper', 'mode-e']),
  direction: short,
  entries: v.pipe(v.array(entrySchema), v.maxLength(500)),
  /** Where a scan found them. */
  places: v.pipe(
    v.array(
      v.strictObject({
        serial: short,
        server: v.optional(whole(0, 16_383)),
        physical: v.optional(whole(0, 16_383)),
        model: v.optional(short),
      }),
    ),
    v.maxLength(500),
  ),
  entry: v.strictObject({
    client: whole(1, 127),
    auth: short,
    /** All meters of the line have one password; false: each has its own. */
    shared: v.boolean(),
  }),
  periodS: whole(60, 86_400),
});
const parts = {
  site: v.strictObject({ id: short, tenant: short, timeZone: short }),
  broker: v.strictObject({
    url: text(300),
    protocol: v.picklist(['5', '3.1.1']),
    username: short,
    /** It has one, which is given apart. */
    password: v.boolean(),
    ca: pem,
    certificate: pem,
  }),
  lines: v.pipe(v.array(line), v.maxLength(16)),
  /** A file that somebody brought, instead of everything else. */
  own: v.nullable(text(400_000)),
};
const draftSchema = v.strictObject(parts);
export const partSchema = v.strictObject({
  site: v.optional(parts.site),
  broker: v.optional(parts.broker),
  lines: v.optional(parts.lines),
  own: v.optional(parts.own),
});
export type Draft = v.InferOutput<typeof draftSchema>;
export type DraftPart = v.InferOutput<typeof partSchema>;
export type DraftLine = v.InferOutput<typeof line>;

export const emptyDraft: Draft = {
  site: { id: '', tenant: '', timeZone: 'UTC' },
  broker: { url: '', protocol: '5', username: '', password: false, ca: null, certificate: null },
  lines: [],
  own: null,
};

export interface HeldDraft {
  read(): Draft;
  enter(part: DraftPart): void;
  forget(): void;
}
/** `trouble`: where the disk takes nothing, what was entered is held in memory only. */
export function heldDraft(holding: string, trouble: (error: unknown) => void): HeldDraft {
  const path = join(holding, draftName);
  let draft = emptyDraft;
  try {
    draft = v.parse(draftSchema, JSON.parse(readFileSync(path, 'utf8')));
  } catch {
    // None, or of another version: it begins anew.
  }
  return {
    read: () => draft,
    enter(part) {
      const given = Object.entries(part).filter(([, value]) => value !== undefined);
      draft = { ...draft, ...(Object.fromEntries(given) as Partial<Draft>) };
      try {
        putWhole(path, JSON.stringify(draft), 0o600);
      } catch (error) {
        trouble(error);
      }
    },
    forget() {
      draft = emptyDraft;
      rmSync(path, { force: true });
    },
  };
}
