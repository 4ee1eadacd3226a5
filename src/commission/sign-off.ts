/** Signs a site off: the report of all that was commissioned, signed by the key of the gateway, kept in the folder of the site. */
import { join } from 'node:path';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { Failure } from '../base/errors.ts';
import { type Signed, signed, signingKey } from './canonical.ts';
import { siteFolder, writeWhole } from './site-folder.ts';
import { reportOf, type Running, type SiteReport } from './site-report.ts';

export interface SignOffWish {
  readonly who: string | null;
  readonly note: string | null;
}
export interface SignOffContext {
  /** Of the site. */
  readonly folder: string;
  readonly gateway: SiteReport['gateway'];
  readonly running: Running | undefined;
  readonly at: string;
}

/** `20261128T125827Z`, for the name of a file. */
export const stampOf = (at: string): string => at.replace(/\.\d+Z$/, 'Z').replaceAll(/[^0-9TZ]/g, '');
/** Beside the records; the mode is for its user alone. */
const keyFile = 'signing-key.pem';

/**
 * Resolves when report and signature are on the disk. Failure `file-unusable` where there is no room: the records and the
 * reports before it are as they were. Attachments go once the report is final; their digests stay in it.
 */
export function signOff(
  { who, note }: SignOffWish,
  { folder, gateway, running, at }: SignOffContext,
): Signed<SiteReport> {
  const site = siteFolder(folder);
  const records = site.all();
  if (records.length === 0)
    throw new Failure('bad-argument', `${folder} has no record of a meter: meter-gateway commission comes first`);
  const key = signingKey(join(folder, keyFile));
  const result = signed(reportOf(records, running, { gateway, madeAt: at, who, note }), key);
  const reports = join(folder, 'reports');
  mkdirSync(reports, { recursive: true, mode: 0o700 });
  const name = `${stampOf(at)}-${result.report.state}.json`;
  writeWhole(join(reports, name), `${JSON.stringify(result, null, 2)}\n`);
  if (result.report.state === 'final') site.dropAttachments();
  return result;
}

/** Who signed last, where that report is pending still: it becomes final when the central system has the first day of each meter. */
export function pendingSignOff(folder: string): SignOffWish | undefined {
  const reports = join(folder, 'reports');
  let names: string[];
  try {
    names = readdirSync(reports);
  } catch {
    return undefined;
  }
  const newest = names
    .filter((name) => /^\d{8}T\d{6}Z-(pending|final)\.json$/.test(name))
    .toSorted()
    .at(-1);
  if (newest === undefined || newest.endsWith('-final.json')) return undefined;
  const { report } = JSON.parse(readFileSync(join(reports, newest), 'utf8')) as Signed<SiteReport>;
  return { who: report.who, note: report.note };
}

/** Whether the report would be final now; nothing is written. */
export const wouldBeFinal = (wish: SignOffWish, { folder, gateway, running, at }: SignOffContext): boolean =>
  reportOf(siteFolder(folder).all(), running, { gateway, madeAt: at, ...wish }).state === 'final';
