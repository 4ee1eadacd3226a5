/** What persons of the utility do: judge, estimate, bill, correct, and send on. */
import { Failure } from '../base/errors.ts';
import { type Bill, recompute } from '../billing/bill.ts';
import { meterReadingsXml } from '../billing/cim.ts';
import { type FeedValue, feedChanges, feedKey, portalCsv } from '../billing/datahub.ts';
import { daysDue } from '../billing/deadlines.ts';
import { billDocument, documentHtml, statementDocument } from '../billing/document.ts';
import { isUtcInstant } from '../billing/instants.ts';
import { addDays, dayOf, localWords } from '../billing/local-time.ts';
import { nextBill } from '../billing/next-bill.ts';
import { type Channel, type Edit, needsSecond, type Point, secondPersonOf } from '../billing/registry.ts';
import { type SeriesInterval, seriesRules } from '../billing/point-series.ts';
import { statementOf } from '../billing/statement.ts';
import { hoursWords, kWh, reasonsWords } from '../billing/texts.ts';
import { rules, validate } from '../billing/validate.ts';
import {
  addEdit,
  addRelease,
  billPath,
  historyOf,
  readBills,
  readEdits,
  readRegistry,
  readReleases,
  readSent,
  writeNew,
  writeOver,
  writeSent,
} from './books.ts';
import { documentPdf } from './document-pdf.ts';
import { contractNow, type Office, pointOf, seriesNow } from './point-now.ts';

export type Print = (line: string) => void;

export function instantOf(text: string, option: string): number {
  if (!isUtcInstant(text))
    throw new Failure('bad-argument', `${option}: ${JSON.stringify(text)} is no instant of UTC`, {
      next: 'Write it as 2026-11-28T12:00:00Z.',
    });
  return Date.parse(text);
}
export function dayArgument(text: string, option: string): string {
  if (!isUtcInstant(`${text}T00:00Z`))
    throw new Failure('bad-argument', `${option}: ${JSON.stringify(text)} is no day`, {
      next: 'Write it as 2026-11-28.',
    });
  return text;
}

function billLines(bill: Bill): string[] {
  const amount = (units: number) => kWh(units, bill.scaler, 'en');
  return [
    `bill ${bill.bill}  ${bill.period.from} to before ${bill.period.to}`,
    ...bill.lines.map((line) => {
      if (line.kind === 'period')
        return `  ${line.direction}  ${amount(line.quantity)}  (${hoursWords(line.hours, 'en')})`;
      if (line.kind === 'carried') return `  since the last reading  ${amount(line.quantity)}`;
      return `  correction of ${line.bill}  ${amount(line.quantity)}  (was ${amount(line.was)}, is ${amount(line.is)}, ${line.intervals} intervals: ${reasonsWords(line, 'en')})`;
    }),
    `  digest ${bill.digest}`,
  ];
}
async function writeDocuments(office: Office, bill: Bill, now: Awaited<ReturnType<typeof contractNow>>): Promise<void> {
  const { books } = office;
  const [paper, beside] = [billDocument(bill), statementDocument(bill, statementOf(bill, now.series, now.point))];
  writeOver(billPath(books, bill, 'html'), documentHtml(paper));
  writeOver(billPath(books, bill, 'statement.html'), documentHtml(beside));
  writeOver(billPath(books, bill, 'pdf'), await documentPdf(paper, bill.madeAt));
  writeOver(billPath(books, bill, 'statement.pdf'), await documentPdf(beside, bill.madeAt));
  // Last: what has a number has its documents.
  writeNew(billPath(books, bill, 'json'), `${JSON.stringify(bill)}\n`);
}
/** Makes what is due of one contract, or of all. Returns how many are held. */
export async function runBill(office: Office, only: string | undefined, write: boolean, print: Print): Promise<number> {
  const contracts = readRegistry(office.books).contracts.map(({ contract }) => contract);
  let heldContracts = 0;
  for (const name of only === undefined ? contracts : [only]) {
    const now = await contractNow(office, name);
    const releases = readReleases(office.books);
    let bills = [...now.bills];
    for (;;) {
      const outcome = nextBill({ ...now, bills, releases });
      if (outcome.kind === 'nothing-due') {
        print(`${name}: nothing is due`);
        break;
      }
      if (outcome.kind === 'held') {
        const open = outcome.findings.find(({ rule }) => rule === 'PERIOD_OPEN');
        if (open) print(`${name}: ${outcome.period.from} to before ${outcome.period.to} is not over: ${open.evidence}`);
        else {
          heldContracts++;
          print(`${name}: the bill ${outcome.period.from} to before ${outcome.period.to} is held`);
          for (const { rule, from, to, evidence } of outcome.findings)
            print(
              `  ${rule}: ${rules[rule][2]}: ${evidence}; ${localWords(from, now.point.zone)} to ${localWords(to, now.point.zone)}`,
            );
        }
        break;
      }
      if (write) await writeDocuments(office, outcome.bill, now);
      for (const line of billLines(outcome.bill)) print(line);
      bills = [...bills, outcome.bill];
    }
  }
  return heldContracts;
}
/** A bill by its name, CONTRACT/NUMBER. */
function billNamed(books: string, name: string): { readonly bill: Bill; readonly before: readonly Bill[] } {
  const [, contract = '', number = ''] = /^([A-Za-z0-9_-]+)\/(\d+)$/.exec(name) ?? [];
  const bills = readBills(books, contract);
  const bill = bills[Number(number) - 1];
  if (!bill) throw new Failure('bad-argument', `there is no bill ${JSON.stringify(name)} in ${books}`);
  return { bill, before: bills.slice(0, Number(number) - 1) };
}
export async function runStatement(
  office: Office,
  name: string,
  look: { readonly at: number; readonly kWh: number } | undefined,
  print: Print,
): Promise<void> {
  const { bill } = billNamed(office.books, name);
  const { series, point } = await contractNow(office, bill.contract);
  const { title, head, rows, foot } = statementDocument(bill, statementOf(bill, series, point, look));
  print(title);
  for (const { name: what, value, notes } of [...head, ...rows]) {
    print(`  ${what}${value === '' ? '' : `: ${value}`}`);
    for (const note of notes) print(`    ${note}`);
  }
  for (const line of foot) print(line);
}
/** Every bill of a contract, or of all, made anew of what it froze. Returns how many are not what they were. */
export function runRecompute(books: string, only: string | undefined, print: Print): number {
  const contracts = readRegistry(books).contracts.map(({ contract }) => contract);
  let wrong = 0;
  for (const name of only === undefined ? contracts : [only]) {
    const bills = readBills(books, name);
    for (const [i, bill] of bills.entries()) {
      const again = recompute(bill, bills.slice(0, i));
      if (!again.good) wrong++;
      print(`${bill.bill}  ${bill.digest}  ${again.good ? 'the same' : again.why}`);
    }
  }
  return wrong;
}

interface Days {
  readonly from: string;
  readonly to: string;
}
const defaultDays = (office: Office, point: Point): Days => {
  const today = dayOf(office.at, point.zone);
  return { from: addDays(today, -31), to: addDays(today, 1) };
};
/** What is not simply measured, with where it comes from; and what a person should look at. */
export async function runEstimate(office: Office, name: string, days: Partial<Days>, print: Print): Promise<void> {
  const point = pointOf(office, name);
  const { from, to } = { ...defaultDays(office, point), ...days };
  const series = await seriesNow(office, point, from, to);
  for (const [channel, intervals] of Object.entries(series.channels)) {
    const counts = new Map<string, number>();
    for (const { standing } of intervals) counts.set(standing, (counts.get(standing) ?? 0) + 1);
    print(
      `${name} ${channel}, ${from} to before ${to}: ${[...counts].map(([what, count]) => `${count} ${what}`).join(', ')}`,
    );
    for (const one of intervals) if (one.standing !== 'measured') print(`  ${intervalWords(one, point)}`);
  }
  for (const { rule, severity, consequence, evidence, from: begin, to: end } of validate(series, point))
    if (rule !== 'ESTIMATED')
      print(
        `  ${severity} ${rule} (${consequence}): ${evidence}; ${localWords(begin, point.zone)} to ${localWords(end, point.zone)}`,
      );
  for (const { day, state, missing, temporary } of daysDue(series, point.zone))
    if (state === 'late' || state === 'overdue')
      print(`  ${day}: ${state}, ${missing} missing, ${temporary} temporary`);
  const history = historyOf(office.books, point);
  for (const { line, what } of history?.problems ?? []) print(`  history line ${line}: ${what}`);
}
function intervalWords({ start, energy, standing, source, origin, reasons }: SeriesInterval, point: Point): string {
  const value = energy === null ? '-' : kWh(energy, point.scaler, 'en');
  const of = origin ? `; days ${origin.days.join(' ') || '-'}; register advanced ${origin.total ?? 'not known'}` : '';
  return `${localWords(start, point.zone)}  ${value}  ${standing}  ${source}  ${reasons.join(',')}${of}`;
}

export type Form = 'csv' | 'cim' | 'feed';
export async function runValues(office: Office, name: string, form: Form, days: Partial<Days>): Promise<string> {
  const point = pointOf(office, name);
  const { from, to } = { ...defaultDays(office, point), ...days };
  const series = await seriesNow(office, point, from, to);
  const entries = Object.entries(series.channels) as [Channel, readonly SeriesInterval[]][];
  if (form === 'cim') return meterReadingsXml(point, series.channels);
  if (form === 'csv') {
    const [first, ...others] = entries.map(([channel, intervals]) => portalCsv(point, channel, intervals));
    return [first ?? '', ...others.map((text) => text.slice(text.indexOf('\n') + 1))].join('');
  }
  const lines: string[] = [];
  for (const [channel, intervals] of entries) {
    const sent = new Map(readSent(office.books, name, channel));
    const changes = feedChanges(
      intervals.filter(({ end }) => end <= office.at),
      sent,
    );
    for (const change of changes) {
      sent.set(feedKey(change), change);
      lines.push(feedLine(point, channel, change));
    }
    writeSent(office.books, name, channel, sent);
  }
  return lines.map((line) => `${line}\n`).join('');
}
const feedLine = ({ point, scaler }: Point, channel: Channel, { start, end, energy, status }: FeedValue): string =>
  JSON.stringify({
    point,
    channel,
    start: new Date(start).toISOString(),
    periodS: (end - start) / 1000,
    kWh: energy === null ? null : kWh(energy, scaler, 'en').replace(' kWh', ''),
    status,
  });

export interface EditOptions {
  readonly point: string;
  readonly channel: Channel;
  readonly start: number;
  readonly value: number | null;
  readonly who: string;
  readonly why: string;
}
export async function runEdit(office: Office, options: EditOptions, print: Print): Promise<void> {
  const { start, who, why, value, channel } = options;
  if (who.trim() === '' || why.trim() === '')
    throw new Failure('bad-argument', '--who and --why: a person and a reason');
  const point = pointOf(office, options.point);
  const day = dayOf(start, point.zone);
  const series = await seriesNow(office, point, addDays(day, -2), addDays(day, 2));
  const one = series.channels[channel]?.[series.grid.indexOf.get(start) ?? -1];
  if (!one)
    throw new Failure(
      'bad-argument',
      `no ${channel} interval of ${point.point} begins at ${localWords(start, point.zone)}`,
    );
  const edit: Edit = {
    edit: `${point.point}-${readEdits(office.books).length + 1}`,
    point: point.point,
    channel,
    start,
    end: one.end,
    value,
    who,
    why,
    at: office.at,
    before: { value: one.energy, standing: one.standing },
  };
  addEdit(office.books, edit);
  print(
    `edit ${edit.edit}: ${one.energy === null ? '-' : kWh(one.energy, point.scaler, 'en')} (${one.standing}) becomes ${value === null ? 'what it was without an edit' : kWh(value, point.scaler, 'en')}`,
  );
  if (needsSecond(edit, seriesRules.editLimit))
    print(`It is large: it stands when a second person agrees (meter-central edit --agree ${edit.edit} --who NAME).`);
  if (one.standing === 'measured') print('A measured value stands above it: the edit will not be billed.');
}
export function runAgree(office: Pick<Office, 'books' | 'at'>, name: string, who: string, print: Print): void {
  const edit = readEdits(office.books).find((one) => one.edit === name);
  if (!edit) throw new Failure('bad-argument', `there is no edit ${JSON.stringify(name)}`);
  const agreed: Edit = { ...edit, second: { who, at: office.at } };
  if (secondPersonOf(agreed) === undefined)
    throw new Failure('bad-argument', `${who} made the edit: the second person is another one`);
  addEdit(office.books, agreed);
  print(`edit ${name}: ${who} agreed`);
}
export function runRelease(
  office: Pick<Office, 'books' | 'at'>,
  release: { point: string; rule: string; from: number; to: number; who: string; why: string },
  print: Print,
): void {
  if (!Object.hasOwn(rules, release.rule))
    throw new Failure(
      'bad-argument',
      `--rule: ${JSON.stringify(release.rule)} is none of ${Object.keys(rules).join(', ')}`,
    );
  if (release.who.trim() === '' || release.why.trim() === '')
    throw new Failure('bad-argument', '--who and --why: a person and a reason');
  pointOf(office, release.point);
  addRelease(office.books, { ...release, at: office.at });
  print(`${release.rule} of ${release.point} no longer holds its bill`);
}
