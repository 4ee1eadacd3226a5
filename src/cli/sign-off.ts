/** `meter-gateway sign-off`: the signed report of the site, as JSON, as a page that prints, and as PDF. */
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Failure } from '../base/errors.ts';
import { iso, type Millis } from '../base/time.ts';
import { keyName, readSigned, type Signed, verified } from '../commission/canonical.ts';
import { reportHtml } from '../commission/report-html.ts';
import { reportPdf } from '../commission/report-pdf.ts';
import { signOff, stampOf } from '../commission/sign-off.ts';
import { writeWhole } from '../commission/site-folder.ts';
import type { SiteReport } from '../commission/site-report.ts';
import { readToml } from '../base/toml.ts';
import { askSignOff } from '../desk/client.ts';
import { placesOf, type SiteOptions, socketFor, textOf } from './site-options.ts';
import { note as tell, screenWidth } from './terminal.ts';
import { indented } from '../status/layout.ts';

export interface SignOffOptions extends SiteOptions {
  readonly socket?: string;
  readonly who?: string;
  readonly note?: string;
  readonly out: string;
  readonly json?: boolean;
}

const text = (value: unknown, otherwise: string): string => (typeof value === 'string' ? value : otherwise);

function withoutGateway(options: SignOffOptions, now: Millis, version: string): Signed<SiteReport> {
  const { file, site } = placesOf(options);
  const gateway = (readToml(textOf(file)).value['gateway'] ?? {}) as Readonly<Record<string, unknown>>;
  return signOff(
    { who: options.who ?? null, note: options.note ?? null },
    {
      folder: site,
      gateway: { id: text(gateway['id'], 'draft'), tenant: text(gateway['tenant'], 'draft'), version },
      running: undefined,
      at: iso(now),
    },
  );
}

/** The running gateway signs with its own key, and knows what was delivered; without one the site is pending. */
async function signedReport(options: SignOffOptions, now: Millis, version: string): Promise<Signed<SiteReport>> {
  const { config, site, who, note } = options;
  if (site !== undefined) return withoutGateway(options, now, version);
  const at = socketFor(options);
  try {
    return await askSignOff(at, { ...(who !== undefined && { who }), ...(note !== undefined && { note }) });
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== 'no-gateway' || config === undefined) throw error;
    tell(`no gateway answers at ${at}: signed without it, so the report is pending`);
    return withoutGateway(options, now, version);
  }
}

export async function signOffSite(
  options: SignOffOptions,
  { now, version }: { readonly now: Millis; readonly version: string },
  print: (line: string) => void,
): Promise<number> {
  const result = await signedReport(options, now, version);
  const { report, digest, publicKey } = result;
  const { gateway, madeAt, state, open, meters } = report;
  const out = resolve(options.out);
  mkdirSync(out, { recursive: true });
  const name = join(out, `sign-off-${gateway.id}-${stampOf(madeAt)}`);
  writeWhole(`${name}.json`, `${JSON.stringify(result, null, 2)}\n`);
  writeWhole(`${name}.html`, reportHtml(result));
  writeWhole(`${name}.pdf`, await reportPdf(result));
  if (options.json) print(JSON.stringify(result));
  else {
    const good = meters.filter(({ record }) => record.result === 'good').length;
    print(`${gateway.tenant}/${gateway.id}: ${state.toUpperCase()}, ${good} of ${meters.length} meters good`);
    for (const one of open) for (const fits of indented(`    open: ${one}`, screenWidth())) print(fits);
    print(`SHA-256 ${digest}`);
    print(`signed by the key ${keyName(publicKey)}`);
    print(`${name}.json, .html, .pdf`);
    if (state === 'pending')
      print('next: the running gateway signs the final report when nothing is open; sign-off once more fetches it');
  }
  return 0;
}

export function verifyReport(file: string, print: (line: string) => void): number {
  const read = readSigned(file);
  const result = verified(read);
  if (!result.good) throw new Failure('report-unproven', `${file}: ${result.why}`);
  print(`${file} is as it was signed, by the key ${result.key}: compare it with the one that the gateway shows`);
  return 0;
}
