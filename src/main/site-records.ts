/** What the desk answers of the folder of the site: records, displays, attachments, reports. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Failure } from '../base/errors.ts';
import { iso } from '../base/time.ts';
import { readSigned, type Signed } from '../commission/canonical.ts';
import { compareDisplay, usedMeanwhile } from '../commission/display.ts';
import type { DisplayReading, MeterRecord } from '../commission/meter-record.ts';
import { displayFindings } from '../commission/meter-verdict.ts';
import { reportHtml } from '../commission/report-html.ts';
import { reportPdf } from '../commission/report-pdf.ts';
import type { SiteFolder } from '../commission/site-folder.ts';
import type { SiteReport } from '../commission/site-report.ts';
import type { LocalAnswers } from '../desk/routes.ts';
import type { DisplayWishes, ReportEntry, ReportForm } from '../desk/site-wishes.ts';
import { systemClock } from '../line/system-clock.ts';

function recordOf(site: SiteFolder, meter: string): MeterRecord {
  const record = site.read(meter);
  if (record) return record;
  throw new Failure('unknown-meter', `${meter} was not commissioned here`, { next: 'Commission it first.' });
}

/** A display that shows something else is a fault of the record; once it shows the same, it is one no more. */
function compared(site: SiteFolder, { meter, obis, shown }: DisplayWishes): DisplayReading {
  const record = recordOf(site, meter);
  const { registers } = record.steps;
  const register = registers?.registers.find((one) => one.obis === obis);
  if (!register)
    throw new Failure('bad-argument', `register ${obis} of ${meter} was not read when it was commissioned`);
  const used = usedMeanwhile(record, obis);
  const result = compareDisplay(shown, register, registers?.currentTransformer ?? null, used);
  if (!result)
    throw new Failure('bad-argument', 'this is no number', {
      next: 'Write the digits of the display, with a comma or a point: 12345,6',
    });
  const reading = { at: iso(systemClock.wall()), obis, shown, ...result };
  const displays = [...record.displays, reading];
  const findings = [...record.findings.filter(({ kind }) => kind !== 'display'), ...displayFindings(displays)];
  const failed = findings.some(({ severity }) => severity === 'fault');
  const ended = record.result === 'begun' ? 'begun' : failed ? 'failed' : 'good';
  site.write({ ...record, displays, findings, result: ended });
  return reading;
}

const isReport = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z-(pending|final)\.json$/;
const reportsOf = ({ path }: SiteFolder): string => join(path, 'reports');
/** Only the newest are listed: a site is signed off a few times. */
const maxReports = 50;

/** The newest first. */
function namesOf(site: SiteFolder): string[] {
  let names: string[];
  try {
    names = readdirSync(reportsOf(site));
  } catch {
    return [];
  }
  const newest = names
    .filter((name) => isReport.test(name))
    .toSorted()
    .toReversed();
  return newest.slice(0, maxReports);
}
const signedAs = (site: SiteFolder, name: string): Signed<SiteReport> =>
  readSigned(join(reportsOf(site), name)) as Signed<SiteReport>;
const listed = (site: SiteFolder): ReportEntry[] =>
  namesOf(site).map((name) => {
    const { report } = signedAs(site, name);
    return { name, at: report.madeAt, state: report.state, who: report.who };
  });

async function* reportOf(site: SiteFolder, name: string, as: ReportForm): AsyncGenerator<Uint8Array, void> {
  const signed = signedAs(site, name);
  if (as === 'pdf') yield await reportPdf(signed);
  else yield Buffer.from(as === 'html' ? reportHtml(signed) : `${JSON.stringify(signed, null, 2)}\n`);
}

export const recordAnswers = (
  site: () => SiteFolder,
): Pick<LocalAnswers, 'siteRecords' | 'compareDisplay' | 'attach' | 'reports' | 'report'> => ({
  siteRecords: () => ({ records: site().all() }),
  compareDisplay: (wishes) => compared(site(), wishes),
  attach({ meter, note, name = 'photo', octets }) {
    const file = octets === undefined ? undefined : { name, octets: Buffer.from(octets, 'base64') };
    return site().attach(meter, file, note, iso(systemClock.wall()));
  },
  reports: () => ({ reports: listed(site()) }),
  report(name, as) {
    // A name leads nowhere else, and a wrong one is refused before the first octet.
    if (!namesOf(site()).includes(name))
      throw new Failure('bad-argument', 'there is no such report', { next: 'GET /v1/reports lists them.' });
    return reportOf(site(), name, as);
  },
});
