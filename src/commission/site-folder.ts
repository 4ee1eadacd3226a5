/** The folder of the site: a record for each meter, what was attached, and the reports. A file is there whole or as it was before. */
import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import * as v from 'valibot';
import { Failure, messageOf } from '../base/errors.ts';
import { putWhole } from '../disk/put-whole.ts';
import { obis, parseLogicalName } from '../dlms/cosem/logical-name.ts';
import type { Commissioned } from '../schedule/commissioned-with.ts';
import type { Attachment, MeterRecord } from './meter-record.ts';

/** What a telephone makes of a photo; a site of 31 meters stays below what a card has free. */
const maxAttachmentBytes = 8 << 20;
const maxSiteBytes = 256 << 20;
const maxNote = 2000;
const maxRecordBytes = 1 << 20;

const nullable = <T extends v.GenericSchema>(schema: T) => v.nullable(schema);
/** Enough to know a record for one, and to print it; its steps are ours. */
const recordSchema = v.looseObject({
  format: v.literal(1),
  meter: v.string(),
  point: v.string(),
  serial: v.string(),
  port: v.string(),
  address: v.string(),
  periodS: v.number(),
  began: v.string(),
  finished: nullable(v.string()),
  result: v.picklist(['begun', 'good', 'failed']),
  steps: v.looseObject({}),
  findings: v.array(v.looseObject({ kind: v.string(), severity: v.string(), what: v.string(), next: v.string() })),
  displays: v.array(v.looseObject({ at: v.string(), shown: v.string(), agrees: v.boolean(), words: v.string() })),
  attachments: v.array(v.looseObject({ at: v.string(), bytes: v.number() })),
});

/** A name of a file that no name of a meter can lead out of the folder with. */
const fileOf = (meter: string): string => `${encodeURIComponent(meter).replaceAll('.', '%2E')}.json`;

/** Failure `file-unusable` with what to do; what was there before is there still. */
function unusable(path: string, error: unknown): Failure {
  if (error instanceof Failure) return error;
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'EACCES' || code === 'EPERM')
    return new Failure('not-permitted', `${path}: ${messageOf(error)}; nothing was changed`);
  const full = code === 'ENOSPC' || code === 'EDQUOT';
  return new Failure(
    'file-unusable',
    `${path}: ${full ? `no room on the disk (${messageOf(error)})` : messageOf(error)}; what stood there before is unchanged`,
  );
}

export function writeWhole(path: string, content: string | Uint8Array, mode = 0o600): void {
  try {
    putWhole(path, content, mode);
  } catch (error) {
    throw unusable(path, error);
  }
}

export interface SiteFolder {
  readonly path: string;
  read(meter: string): MeterRecord | undefined;
  write(record: MeterRecord): void;
  all(): MeterRecord[];
  /** Puts a copy of a file, or a note alone, beside the record. */
  attach(meter: string, file: string | GivenFile | undefined, note: string | undefined, at: string): Attachment;
  /** The meters have been signed off and the central system has what it needs: files may go, their digests stay. */
  dropAttachments(): number;
}

function readRecord(path: string): MeterRecord | undefined {
  if (!existsSync(path)) return undefined;
  try {
    if (statSync(path).size > maxRecordBytes) throw new Error('it is too large for a record');
    const value: unknown = JSON.parse(readFileSync(path, 'utf8'));
    const parsed = v.safeParse(recordSchema, value);
    if (!parsed.success) throw new Error('it is no record of a meter of this version');
    return value as MeterRecord;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EACCES' || code === 'EPERM') throw unusable(path, error);
    throw new Failure('input-unreadable', `${path}: ${messageOf(error)}; move it away to commission this meter anew`);
  }
}

/** A file that comes without a place of its own. */
export interface GivenFile {
  readonly name: string;
  readonly octets: Uint8Array;
}
function fileAt(given: string): GivenFile {
  const file = openSync(given, 'r');
  try {
    const stats = fstatSync(file);
    if (!stats.isFile()) throw new Failure('input-unreadable', `${given} is no regular file`);
    if (stats.size > maxAttachmentBytes)
      throw new Failure(
        'bad-argument',
        `${given} has ${stats.size} octets, and an attachment at most ${maxAttachmentBytes}: make the photo smaller`,
      );
    return { name: basename(given), octets: readFileSync(file) };
  } finally {
    closeSync(file);
  }
}
function attachmentOf(folder: string, given: string | GivenFile): GivenFile {
  const { name, octets } = typeof given === 'string' ? fileAt(given) : given;
  if (octets.length > maxAttachmentBytes)
    throw new Failure('bad-argument', `an attachment has at most ${maxAttachmentBytes} octets: make the photo smaller`);
  const there = readdirSync(folder);
  const used = there.reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
  if (used + octets.length > maxSiteBytes)
    throw new Failure('bad-argument', `the attachments of this site have ${used} octets already: sign it off first`);
  const safe = basename(name)
    .replaceAll(/[^A-Za-z0-9._-]/g, '_')
    .slice(-80);
  return { name: `${String(there.length + 1).padStart(4, '0')}-${safe}`, octets };
}

export function siteFolder(path: string): SiteFolder {
  const [records, attachments] = [join(path, 'meters'), join(path, 'attachments')];
  try {
    for (const folder of [path, records, attachments]) mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw unusable(path, error);
  }
  const at = (meter: string) => join(records, fileOf(meter));
  const site: SiteFolder = {
    path,
    read: (meter) => readRecord(at(meter)),
    write: (record) => writeWhole(at(record.meter), `${JSON.stringify(record, null, 2)}\n`),
    all: () =>
      readdirSync(records)
        .filter((name) => name.endsWith('.json'))
        .toSorted()
        .flatMap((name) => readRecord(join(records, name)) ?? []),
    attach(meter, file, note, when) {
      const record = site.read(meter);
      if (!record) throw new Failure('unknown-meter', `${meter} has no record in ${path}: commission it first`);
      if (file === undefined && (note === undefined || note.trim() === ''))
        throw new Failure('bad-argument', 'nothing to attach: name a file, or --note TEXT');
      if (note !== undefined && note.length > maxNote)
        throw new Failure('bad-argument', `a note has at most ${maxNote} letters`);
      let one: Attachment = { at: when, note: note ?? null, file: null, bytes: 0, sha256: null };
      try {
        if (file !== undefined) {
          const { name, octets } = attachmentOf(attachments, file);
          writeWhole(join(attachments, name), octets);
          one = { ...one, file: name, bytes: octets.length, sha256: createHash('sha256').update(octets).digest('hex') };
        }
      } catch (error) {
        throw unusable(typeof file === 'string' ? file : path, error);
      }
      site.write({ ...record, attachments: [...record.attachments, one] });
      return one;
    },
    dropAttachments() {
      const names = readdirSync(attachments);
      for (const name of names) rmSync(join(attachments, name), { force: true });
      return names.length;
    },
  };
  return site;
}

/** What a meter was commissioned with, where it was found good; whoever polls it holds the meter against that (R13). */
export function commissionedOf(folder: string, meter: string): Commissioned | undefined {
  const record = readRecord(join(folder, 'meters', fileOf(meter)));
  const { profile, registers } = record?.steps ?? {};
  if (record?.result !== 'good' || !profile) return undefined;
  const ratio = (of: { readonly numerator: string; readonly denominator: string } | null | undefined) =>
    of ? `${of.numerator}/${of.denominator}` : null;
  return {
    serial: record.serial,
    profile: obis(parseLogicalName(profile.obis)),
    periodS: profile.periodS,
    fingerprint: profile.fingerprint,
    currentTransformer: ratio(registers?.currentTransformer),
    voltageTransformer: ratio(registers?.voltageTransformer),
  };
}
