/** What stands on a bill and on the statement beside it, line by line: HTML and PDF write the same. */
import type { Bill } from './bill.ts';
import { localWords } from './local-time.ts';
import { escaped } from './markup.ts';
import type { Statement } from './statement.ts';
import {
  differenceSentence,
  hoursWords,
  kWh,
  type Language,
  lookSentence,
  periodWords,
  reasonsWords,
  words,
} from './texts.ts';

export interface DocumentRow {
  readonly name: string;
  readonly value: string;
  /** Smaller, below. */
  readonly notes: readonly string[];
}
export interface PrintedDocument {
  readonly language: Language;
  readonly title: string;
  readonly head: readonly DocumentRow[];
  readonly rows: readonly DocumentRow[];
  readonly totals: readonly DocumentRow[];
  readonly foot: readonly string[];
}
const row = (name: string, value: string, ...notes: string[]): DocumentRow => ({ name, value, notes });

/** Consumption only: registers stand on the statement. */
export function billDocument(bill: Bill, language: Language = bill.language): PrintedDocument {
  const text = words[language];
  const amount = (units: number) => kWh(units, bill.scaler, language);
  const rows = bill.lines.map((line, i): DocumentRow => {
    if (line.kind === 'carried') return row(text.carried, amount(line.quantity));
    if (line.kind === 'period')
      return row(
        line.direction === 'consumption' ? text.use : text.production,
        amount(line.quantity),
        hoursWords(line.hours, language),
      );
    const corrections = bill.lines.slice(0, i + 1).filter(({ kind }) => kind === 'correction').length;
    const correction = bill.corrections[corrections - 1];
    return row(
      `${text.correction(line.bill, correction ? periodWords(correction.period, language) : '')}${line.direction === 'production' ? `, ${text.production}` : ''}`,
      amount(line.quantity),
      `${text.was} ${amount(line.was)}, ${text.is} ${amount(line.is)}`,
      reasonsWords(line, language),
      ...(correction?.hours ?? []).map(
        (hour) =>
          `${localWords(hour.start, bill.zone)}: ${text.was} ${amount(hour.was)}, ${text.is} ${amount(hour.is)} (${text.reasons[hour.reason]})`,
      ),
    );
  });
  const { consumption, production } = bill.total;
  const estimates = bill.lines.some(
    ({ kind, ...line }) => kind === 'period' && 'hours' in line && 'estimated' in line.hours,
  );
  return {
    language,
    title: `${text.bill} ${bill.bill}`,
    head: [
      row(text.customer, bill.customer.name, ...bill.customer.address),
      row(text.contract, bill.contract),
      row(text.point, bill.point),
      row(text.period, periodWords(bill.period, language)),
      row(text.made, localWords(bill.madeAt, bill.zone)),
    ],
    rows,
    totals: [
      ...(consumption === undefined ? [] : [row(text.total, amount(consumption))]),
      ...(production === undefined ? [] : [row(text.totalFed, amount(production))]),
    ],
    foot: [text.series, ...(estimates ? [text.estimates] : []), `${text.digest}: ${bill.digest}`],
  };
}
export function statementDocument(
  bill: Bill,
  statement: Statement,
  language: Language = bill.language,
): PrintedDocument {
  const text = words[language];
  const amount = (units: number | null) => (units === null ? text.unknown : kWh(units, bill.scaler, language));
  const { meters, hours, consumption, advance, parts, look } = statement;
  return {
    language,
    title: `${text.statement} ${bill.bill}`,
    head: [
      row(text.customer, bill.customer.name),
      row(text.point, bill.point),
      row(text.period, periodWords(bill.period, language)),
    ],
    rows: [
      ...meters.map(({ serial, from, to, first, last }) =>
        row(
          `${text.meter} ${serial}`,
          '',
          `${localWords(from, bill.zone)}: ${text.first} ${amount(first)}`,
          `${localWords(to, bill.zone)}: ${text.last} ${amount(last)}`,
        ),
      ),
      row(text.hours, hoursWords(hours, language)),
      row(text.seriesSum, amount(consumption)),
      row(text.advance, amount(advance)),
    ],
    totals: [],
    foot: [
      ...(parts ? [differenceSentence(parts, bill.scaler, language)] : []),
      ...(look ? [lookSentence(look, bill.scaler, bill.zone, language)] : []),
      text.series,
      `${text.digest}: ${bill.digest}`,
    ],
  };
}

const css = `body{font:11pt/1.4 sans-serif;max-width:46em;margin:2em auto;padding:0 1em;color:#111;background:#fff}
h1{font-size:16pt}table{width:100%;border-collapse:collapse;margin:1em 0}
th{text-align:left;font-weight:normal;vertical-align:top;padding:.2em 1em .2em 0}
td{text-align:right;vertical-align:top;white-space:nowrap}small{display:block;color:#444}
.totals{border-top:2px solid #111;font-weight:bold}.foot{font-size:9pt;color:#444;overflow-wrap:anywhere}
tr{break-inside:avoid}@page{size:A4;margin:18mm}@media print{body{margin:0;max-width:none}}`;
const table = (rows: readonly DocumentRow[], name: string): string =>
  `<table class="${name}">${rows
    .map(
      ({ name: what, value, notes }) =>
        `<tr><th scope="row">${escaped(what)}${notes.map((note) => `<small>${escaped(note)}</small>`).join('')}</th><td>${escaped(value)}</td></tr>`,
    )
    .join('\n')}</table>`;
/** One page that needs nothing else, and prints on A4. */
export const documentHtml = ({ language, title, head, rows, totals, foot }: PrintedDocument): string =>
  `<!doctype html>
<html lang="${language}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escaped(title)}</title>
<style>${css}</style></head><body>
<h1>${escaped(title)}</h1>
${table(head, 'head')}
${table(rows, 'rows')}
${totals.length === 0 ? '' : table(totals, 'totals')}
<div class="foot">${foot.map((line) => `<p>${escaped(line)}</p>`).join('\n')}</div>
</body></html>
`;
