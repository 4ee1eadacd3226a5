/** The report as a page that prints on A4: no address, script or file outside of it; every text of a meter or a person is escaped. Pure. */
import { deviationWords } from '../base/words.ts';
import type { Signed } from './canonical.ts';
import { keyName } from './canonical.ts';
import { shownAs } from './display.ts';
import type { MeterRecord } from './meter-record.ts';
import type { ReportedMeter, SiteReport } from './site-report.ts';

export const escaped = (text: string): string =>
  text.replaceAll(/[&<>"'\p{Cc}]/gu, (sign) => `&#${sign.codePointAt(0) === 0 ? 0xfffd : sign.codePointAt(0)};`);

const style = `@page{size:A4;margin:15mm}
body{font:10pt/1.35 "DejaVu Sans",Arial,sans-serif;color:#111;max-width:180mm;margin:0 auto}
h1{font-size:16pt;margin:0 0 2mm}h2{font-size:12pt;margin:6mm 0 2mm}
table{border-collapse:collapse;width:100%;margin:1mm 0}
th,td{text-align:left;vertical-align:top;border-bottom:.2mm solid #bbb;padding:.6mm 2mm .6mm 0}
th{font-weight:normal;color:#555;width:38mm}
section{break-inside:avoid;margin-bottom:4mm}
.fault{font-weight:bold}.mono{font-family:"DejaVu Sans Mono",monospace;font-size:8pt;word-break:break-all}
.state{border:.4mm solid #111;padding:1mm 3mm;display:inline-block;font-weight:bold}`;

const row = (name: string, value: string): string => `<tr><th>${escaped(name)}</th><td>${value}</td></tr>`;
const list = (items: readonly string[]): string => items.map(escaped).join('<br>');

export type ReportRow = readonly [name: string, values: readonly string[]];
const switchStates = ['open', 'closed', 'open, ready to be closed'] as const;

function identityRows({ steps }: MeterRecord): ReportRow[] {
  const { identity } = steps;
  if (!identity) return [];
  const { logicalDeviceName, detected, firmware, deviationS, at, gatewayClock, switchState } = identity;
  const doubt = gatewayClock === 'untrusted' ? '; the clock of the gateway was not proven right' : '';
  const version = firmware === null ? '' : `, firmware ${firmware}`;
  return [
    ['name, model', [`${logicalDeviceName ?? '-'}, ${detected ?? 'not known'}${version}`]],
    ['clock', [`${deviationWords(deviationS)} at ${at}${doubt}`]],
    ['switch', [switchState === null ? 'none' : (switchStates[switchState] ?? String(switchState))]],
  ];
}
function registerRows({ steps, displays }: MeterRecord): ReportRow[] {
  const { registers } = steps;
  const { currentTransformer: ct = null, voltageTransformer: vt = null } = registers ?? {};
  const ratios = [
    ...(ct ? [`CT ${ct.numerator}/${ct.denominator}`] : []),
    ...(vt ? [`VT ${vt.numerator}/${vt.denominator}`] : []),
  ];
  return [
    ...(registers
      ? ([
          ['ratios', [ratios.join(', ') || 'none']],
          ['registers', registers.registers.map((one) => `${one.obis} ${shownAs(one)}`)],
          ['voltages', [registers.voltages?.map((one) => `${one} V`).join(', ') ?? 'the meter does not tell them']],
        ] as const)
      : []),
    [
      'display',
      displays.length === 0 ? ['not compared'] : displays.map(({ obis, words, at }) => `${obis}: ${words} (${at})`),
    ],
  ];
}
const sumWords = (agrees: boolean | null): string =>
  agrees === null ? 'cannot be compared' : agrees ? 'agree' : 'DO NOT AGREE';
function profileRows({ steps: { profile, day, line } }: MeterRecord): ReportRow[] {
  const rows: ReportRow[] = [];
  if (profile) {
    const { obis, periodS, depthDays, columns } = profile;
    rows.push(['load profile', [`${obis}, ${periodS / 60} min, ${depthDays ?? '?'} days deep`, columns.join(' ')]]);
  }
  if (day) {
    const sums = day.sums.map(
      ({ column, sum, advance, agrees }) => `${column}: sum ${sum}, register ${advance ?? '-'}: ${sumWords(agrees)}`,
    );
    rows.push(['24 hours', [`${day.rows} of ${day.expected} rows, ${day.from} to ${day.to}`, ...sums]]);
  }
  if (line) {
    const { exchanges, medianMs, damaged, repeated } = line;
    const median = Math.round(medianMs ?? 0);
    rows.push(['line', [`${exchanges} exchanges, median ${median} ms, ${damaged} damaged, ${repeated} repeated`]]);
  }
  return rows;
}
/** What somebody signs for, name by value. */
export function meterRows({ record, delivery, gaps }: ReportedMeter): ReportRow[] {
  const { findings, attachments, point, port, address, client, auth, ciphered, finished, who } = record;
  const shownGaps = (gaps ?? []).slice(-10).map((gap) => `${gap.from} to ${gap.to}: ${gap.intervals} ${gap.state}`);
  const found = findings.map(
    ({ severity, kind, what }) => `${severity === 'fault' ? 'FAULT' : 'note'} ${kind}: ${what}`,
  );
  return [
    ['point', [point]],
    ['port, address', [`${port}, ${address}, client ${client}, ${auth}${ciphered ? ', ciphered' : ''}`]],
    ...identityRows(record),
    ...registerRows(record),
    ...profileRows(record),
    ['central system', [delivery.words]],
    ...(shownGaps.length > 0 ? [['gaps', shownGaps] as const] : []),
    ...(found.length > 0 ? [['found', found] as const] : []),
    ...attachments.map(({ at, note, file, sha256, bytes }): ReportRow => {
      const attached = file === null ? [] : [`${file}, ${bytes} octets, SHA-256 ${sha256}`];
      return ['attached', [[at, ...(note === null ? [] : [note]), ...attached].join('; ')]];
    }),
    ['commissioned', [`${finished ?? 'not to its end'}${who === null ? '' : ` by ${who}`}`]],
  ];
}
export const meterTitle = ({ record }: ReportedMeter): string =>
  `${record.serial}${record.place === null || record.place === '' ? '' : `, ${record.place}`}: ${record.result === 'good' ? 'good' : 'NOT GOOD'}`;

export function reportHtml({ report, digest, signature, publicKey }: Signed<SiteReport>): string {
  const { gateway, state, open, ports, meters, madeAt, who, note } = report;
  const good = meters.filter(({ record }) => record.result === 'good').length;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escaped(`Sign-off ${gateway.tenant}/${gateway.id} ${madeAt}`)}</title>
<style>${style}</style></head><body>
<h1>Sign-off of ${escaped(`${gateway.tenant}/${gateway.id}`)}</h1>
<p class="state">${state === 'final' ? 'FINAL' : 'PENDING'}</p>
<table>
${row('made', escaped(madeAt))}
${row('by', escaped(who ?? '-'))}
${note === null ? '' : row('note', escaped(note))}
${row('gateway', escaped(`meter-gateway ${gateway.version}`))}
${row('lines', list(ports.map(({ name, device, baud }) => `${name}: ${device}, ${baud} Bd`)))}
${row('meters', `${good} of ${meters.length} good`)}
${open.length === 0 ? '' : row('open', list(open))}
</table>
${meters
  .map(
    (
      meter,
    ) => `<section><h2${meter.record.result === 'good' ? '' : ' class="fault"'}>${escaped(meterTitle(meter))}</h2><table>
${meterRows(meter)
  .map(([name, values]) => row(name, list(values)))
  .join('\n')}
</table></section>`,
  )
  .join('\n')}
<section><h2>Proof</h2><table>
${row('SHA-256', `<span class="mono">${escaped(digest)}</span>`)}
${row('Ed25519', `<span class="mono">${escaped(signature)}</span>`)}
${row('key', `<span class="mono">${escaped(publicKey)}</span><br>named ${escaped(keyName(publicKey))}`)}
</table><p>meter-gateway sign-off verify FILE.json proves that nothing was changed since.</p>
<table>${row('signature', '<br><br>')}</table></section>
</body></html>
`;
}
