/** What persons of the utility do: judge, estimate, bill, correct, and send on. */
import { existsSync } from 'node:fs';
import { Failure, messageOf } from '../base/errors.ts';
import { type Bill, recompute } from '../billing/bill.ts';
import { meterReadingsXml } from '../billing/cim.ts';
import { type FeedValue, feedChanges, portalCsv } from '../billing/datahub.ts';
import { daysDue } from '../billing/deadlines.ts';
import { billDocument, documentHtml, statementDocument } from '../billing/document.ts';
import { isUtcInstant, utcText } from '../billing/instants.ts';
import { addDays, dayOf, localWords, midnight } from '../billing/local-time.ts';
import { nextBill } from '../billing/next-bill.ts';
import { type Channel, type Edit, judgeEdits, type Point, secondPersonOf, unitsOfWh } from '../billing/registry.ts';
import { type SeriesInterval, seriesRules } from '../billing/point-series.ts';
import { statementOf } from '../billing/statement.ts';
import { hoursWords, kWh, reasonsWords } from '../billing/texts.ts';
import { type Finding, isReleasable, rules, validate } from '../billing/validate.ts';
import type { Engine } from '../central/sql.ts';
import { addBill, billedContracts, noteSent, readBills, readSent } from './bills.ts';
import { billPath, historyOf, writeDocument } from './books.ts';
import { addAgreement, addEdit, addRelease, readEdit, readEdits, readReleases } from './decisions.ts';
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
type ContractNow = Awaited<ReturnType<typeof contractNow>>;
async function writeDocuments({ books }: Office, bill: Bill, now: ContractNow): Promise<void> {
  const [paper, beside] = [billDocument(bill), statementDocument(bill, statementOf(bill, now.series, now.point))];
  writeDocument(billPath(books, bill, 'html'), documentHtml(paper));
  writeDocument(billPath(books, bill, 'statement.html'), documentHtml(beside));
  writeDocument(billPath(books, bill, 'pdf'), await documentPdf(paper, bill.madeAt));
  writeDocument(billPath(books, bill, 'statement.pdf'), await documentPdf(beside, bill.madeAt));
  writeDocument(billPath(books, bill, 'json'), `${JSON.stringify(bill)}\n`);
}
/** Of bills whose making was cut off, or whose folder was lost. */
async function writeMissing(office: Office, now: ContractNow): Promise<void> {
  for (const bill of now.bills)
    if (!existsSync(billPath(office.books, bill, 'json'))) await writeDocuments(office, bill, now);
}
/** What holds a bill, and by which command a person who has looked lets it go. */
function heldLines(findings: readonly Finding[], { point, zone }: Point): string[] {
  return findings.flatMap(({ rule, from, to, evidence }) => [
    `  ${rule}: ${rules[rule][2]}: ${evidence}; ${localWords(from, zone)} to ${localWords(to, zone)}`,
    ...(isReleasable(rule)
      ? [
          `    next: correct it (meter-central edit), or look and let it go: meter-central release --point ${point} --rule ${rule} --from ${utcText(from)} --to ${utcText(to)} --who NAME --why REASON`,
        ]
      : []),
  ]);
}
/** The same trouble so many times in a row is of no contract: the store is away, or the disk is full. */
const sameTroubleLimit = 3;
/**
 * Of one, or of each in turn: what is wrong with one ends nothing of the others. Returns of how many it was wrong, or `work`
 * was refused, which returns false then.
 */
async function eachOf(
  only: string | undefined,
  names: () => Iterable<string> | Promise<Iterable<string>>,
  print: Print,
  work: (name: string) => Promise<boolean | void>,
): Promise<number> {
  if (only !== undefined) return Number((await work(only)) === false);
  let [refused, same, last] = [0, 0, ''];
  for (const name of await names())
    try {
      if ((await work(name)) === false) refused++;
      last = '';
    } catch (error) {
      const what = messageOf(error);
      same = what === last ? same + 1 : 1;
      last = what;
      if (same === sameTroubleLimit) throw error;
      refused++;
      print(`${name}: not done: ${what}`);
      if (error instanceof Failure) print(`  next: ${error.nextStep}`);
    }
  return refused;
}

/** Makes what is due of a contract. False: a bill of it is held. */
async function billContract(office: Office, name: string, write: boolean, print: Print): Promise<boolean> {
  const now = await contractNow(office, name);
  if (write) await writeMissing(office, now);
  const releases = await readReleases(office.engine, now.point.point);
  for (let bills = [...now.bills]; ; ) {
    const outcome = nextBill({ ...now, bills, releases });
    if (outcome.kind === 'nothing-due') {
      print(`${name}: nothing is due`);
      return true;
    }
    if (outcome.kind === 'held') {
      const open = outcome.findings.find(({ rule }) => rule === 'PERIOD_OPEN');
      if (open) {
        print(`${name}: ${outcome.period.from} to before ${outcome.period.to} is not over: ${open.evidence}`);
        return true;
      }
      print(`${name}: the bill ${outcome.period.from} to before ${outcome.period.to} is held`);
      for (const line of heldLines(outcome.findings, now.point)) print(line);
      return false;
    }
    if (write) {
      await addBill(office.engine, outcome.bill);
      await writeDocuments(office, outcome.bill, now);
    }
    for (const line of billLines(outcome.bill)) print(line);
    bills = [...bills, outcome.bill];
  }
}
/** Makes what is due of one contract, or of all. Returns of how many a bill is held, or could not be made. */
export const runBill = (office: Office, only: string | undefined, write: boolean, print: Print): Promise<number> =>
  eachOf(
    only,
    () => office.registry().contracts.keys(),
    print,
    (name) => billContract(office, name, write, print),
  );
/** A bill by its name, CONTRACT/NUMBER. */
async function billNamed({ engine }: Office, name: string): Promise<Bill> {
  const [, contract = '', number = ''] = /^([A-Za-z0-9_-]+)\/(\d+)$/.exec(name) ?? [];
  const bill = (await readBills(engine, contract))[Number(number) - 1];
  if (!bill) throw new Failure('bad-argument', `there is no bill ${JSON.stringify(name)}`);
  return bill;
}
export async function runStatement(
  office: Office,
  name: string,
  look: { readonly at: number; readonly kWh: number } | undefined,
  print: Print,
): Promise<void> {
  const bill = await billNamed(office, name);
  const { series, point } = await contractNow(office, bill.contract);
  const { title, head, rows, foot } = statementDocument(bill, statementOf(bill, series, point, look));
  print(title);
  for (const { name: what, value, notes } of [...head, ...rows]) {
    print(`  ${what}${value === '' ? '' : `: ${value}`}`);
    for (const note of notes) print(`    ${note}`);
  }
  for (const line of foot) print(line);
}
/** Every bill of a contract, or of all, made anew of what it froze. Returns of how many contracts one is not what it was. */
export const runRecompute = (engine: Pick<Engine, 'all'>, only: string | undefined, print: Print): Promise<number> =>
  eachOf(
    only,
    () => billedContracts(engine),
    print,
    async (name) => {
      let good = true;
      const bills = await readBills(engine, name);
      for (const [i, bill] of bills.entries()) {
        const again = recompute(bill, bills.slice(0, i));
        good &&= again.good;
        print(`${bill.bill}  ${bill.digest}  ${again.good ? 'the same' : again.why}`);
      }
      return good;
    },
  );

interface Days {
  readonly from: string;
  readonly to: string;
}
const defaultDays = (office: Office, point: Point): Days => {
  const today = dayOf(office.at, point.zone);
  return { from: addDays(today, -31), to: addDays(today, 1) };
};
/** What is not simply measured, with where it comes from; and what a person should look at. Of one point, or of all. */
export const runEstimate = (
  office: Office,
  only: string | undefined,
  days: Partial<Days>,
  print: Print,
): Promise<number> =>
  eachOf(
    only,
    () => office.registry().points.keys(),
    print,
    (name) => estimatePoint(office, name, days, print),
  );
async function estimatePoint(office: Office, name: string, days: Partial<Days>, print: Print): Promise<void> {
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
/** Whoever writes resolves when it is out of this process: only then a value counts as sent. */
export type Write = (text: string) => Promise<void>;
/** Of one point, or of all: what is wrong with one goes to `trouble`, and the others are written all the same. */
export const runValues = async (
  office: Office,
  only: string | undefined,
  { form, days }: { readonly form: Form; readonly days: Partial<Days> },
  { write, trouble }: { readonly write: Write; readonly trouble: Print },
): Promise<number> => {
  if (form === 'cim' && only === undefined)
    throw new Failure('bad-argument', '--as cim writes the document of one point: name it by --point');
  let isFirst = true;
  const behind: Write = async (text) => {
    // One table has one head.
    await write(form === 'csv' && !isFirst ? withoutHead(text) : text);
    isFirst = false;
  };
  return eachOf(
    only,
    () => office.registry().points.keys(),
    trouble,
    (name) => writeValues(office, name, form, days, behind),
  );
};
const withoutHead = (csv: string): string => csv.slice(csv.indexOf('\n') + 1);
async function writeValues(office: Office, name: string, form: Form, days: Partial<Days>, write: Write): Promise<void> {
  const point = pointOf(office, name);
  const { from, to } = { ...defaultDays(office, point), ...days };
  const series = await seriesNow(office, point, from, to);
  const entries = Object.entries(series.channels) as [Channel, readonly SeriesInterval[]][];
  if (form === 'cim') return write(meterReadingsXml(point, series.channels));
  if (form === 'csv') {
    const [first, ...others] = entries.map(([channel, intervals]) => portalCsv(point, channel, intervals));
    return write([first ?? '', ...others.map(withoutHead)].join(''));
  }
  const span = [midnight(from, point.zone), midnight(to, point.zone)] as const;
  for (const [channel, intervals] of entries) {
    const sent = await readSent(office.engine, name, channel, span);
    const changes = feedChanges(
      intervals.filter(({ end }) => end <= office.at),
      sent,
    );
    if (changes.length === 0) continue;
    // Cut off between the two it is sent twice, never not at all.
    await write(changes.map((change) => `${feedLine(point, channel, change)}\n`).join(''));
    await noteSent(office.engine, name, channel, changes, office.at);
  }
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

const judgedEdits = async ({ engine }: Office, point: Point) =>
  judgeEdits(await readEdits(engine, point.point), unitsOfWh(seriesRules.editLimitWh, point));

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
  const edit = await addEdit(office.engine, {
    point: point.point,
    channel,
    start,
    end: one.end,
    value,
    who,
    why,
    at: office.at,
    before: { value: one.energy, standing: one.standing },
  });
  print(
    `edit ${edit.edit}: ${one.energy === null ? '-' : kWh(one.energy, point.scaler, 'en')} (${one.standing}) becomes ${value === null ? 'what it was without an edit' : kWh(value, point.scaler, 'en')}`,
  );
  if ((await judgedEdits(office, point)).some((other) => other.edit.edit === edit.edit && !other.stands))
    print(`It is large: it stands when a second person agrees (meter-central edit --agree ${edit.edit} --who NAME).`);
  if (one.standing === 'measured') print('A measured value stands above it: the edit will not be billed.');
}
export async function runAgree(
  { engine, at }: Pick<Office, 'engine' | 'at'>,
  name: string,
  who: string,
  print: Print,
): Promise<void> {
  const edit = await readEdit(engine, name);
  if (!edit) throw new Failure('bad-argument', `there is no edit ${JSON.stringify(name)}`);
  const agreed: Edit = { ...edit, second: { who, at } };
  if (secondPersonOf(agreed) === undefined)
    throw new Failure('bad-argument', `${who} made the edit: the second person is another one`);
  await addAgreement(engine, agreed, at);
  print(`edit ${name}: ${who} agreed`);
}
/** Who put which value in whose place, when and why. */
export async function runEdits(office: Office, name: string, print: Print): Promise<void> {
  const point = pointOf(office, name);
  const amount = (units: number | null) => (units === null ? '-' : kWh(units, point.scaler, 'en'));
  for (const { edit, large } of await judgedEdits(office, point)) {
    const { before, value, who, why, at, second } = edit;
    const after = value === null ? 'taken back' : amount(value);
    const state = large && !second ? '; a second person has not agreed yet' : '';
    print(
      `${edit.edit}  ${edit.channel} ${localWords(edit.start, point.zone)}  ${amount(before.value)} (${before.standing}) → ${after}  ${who} ${localWords(at, point.zone)}: ${why}${second ? `; ${second.who} agreed ${localWords(second.at, point.zone)}` : state}`,
    );
  }
}
export async function runRelease(
  office: Office,
  release: { point: string; rule: string; from: number; to: number; who: string; why: string },
  print: Print,
): Promise<void> {
  if (!Object.hasOwn(rules, release.rule))
    throw new Failure(
      'bad-argument',
      `--rule: ${JSON.stringify(release.rule)} is none of ${Object.keys(rules).join(', ')}`,
    );
  if (release.who.trim() === '' || release.why.trim() === '')
    throw new Failure('bad-argument', '--who and --why: a person and a reason');
  pointOf(office, release.point);
  await addRelease(office.engine, { ...release, at: office.at });
  print(`${release.rule} of ${release.point} no longer holds its bill`);
}
