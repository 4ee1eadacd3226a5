/** From an outage of a link to a correction on a bill, step by step in virtual time: what one hour and the bills of a point go through. */
import { type Bill, type Line, recompute } from '../../src/billing/bill.ts';
import { addDays, localWords, midnight } from '../../src/billing/local-time.ts';
import { type BillOutcome, nextBill } from '../../src/billing/next-bill.ts';
import type { PointSeries, SeriesInterval } from '../../src/billing/point-series.ts';
import { seriesOf } from '../../src/billing/series.ts';
import { dayAt, type Story, type Truth, truthOf, zone } from './billing-truth.ts';

const hourMs = 3_600_000;
const at = (day: string, hour: number): number => midnight(day, zone) + hour * hourMs;
const cut = { from: at('2026-09-24', 15.5), to: at('2026-10-02', 9.2) };
const story: Story = {
  seed: 17,
  name: '17-1',
  firstDay: '2026-08-01',
  days: 92,
  periods: [{ from: '2026-08-01', periodS: 3600 }],
  solar: false,
  netting: false,
  scale: 120,
  outages: [],
  switchedOff: [],
  links: [cut],
  swap: undefined,
  move: undefined,
};
const hour = at('2026-09-26', 19);

export interface Step {
  readonly at: number;
  readonly says: readonly string[];
}
function seriesAt(truth: Truth, when: number): PointSeries {
  return seriesOf({
    point: truth.pointAt(when),
    facts: truth.facts.filter(({ receivedAt }) => receivedAt <= when),
    events: [],
    edits: [],
    from: story.firstDay,
    to: addDays(dayAt(when), 1),
    at: when,
  });
}
const kWh = (units: number): string => `${(units / 1000).toFixed(3)} kWh`;
function hourWords({ energy, standing, source, origin }: SeriesInterval): string {
  if (energy === null) return standing;
  const from = origin
    ? origin.total === null
      ? `, from ${origin.days.length} like days`
      : `, scaled: the register advanced ${kWh(origin.total)}`
    : '';
  return `${kWh(energy)}, ${standing} (${source}${from})`;
}
function lineWords(line: Line): string {
  if (line.kind === 'correction')
    return `correction of bill ${line.bill}: was ${kWh(line.was)}, is ${kWh(line.is)}, ${kWh(line.quantity)}; ${line.intervals} hours, ${Object.entries(
      line.reasons,
    )
      .map(([reason, count]) => `${count} ${reason}`)
      .join(', ')}`;
  if (line.kind === 'carried') return `from the last reading: ${kWh(line.quantity)}`;
  const hours = Object.entries(line.hours).map(([standing, count]) => `${count} h ${standing}`);
  return `use of the period: ${kWh(line.quantity)}; ${hours.join(', ')}`;
}
function billWords(outcome: BillOutcome, bills: readonly Bill[]): string[] {
  if (outcome.kind !== 'bill') return [outcome.kind];
  const { bill } = outcome;
  const again = recompute(JSON.parse(JSON.stringify(bill)) as Bill, bills);
  return [
    `bill ${bill.bill}, ${bill.period.from} to before ${bill.period.to}:`,
    ...bill.lines.map((line) => `  ${lineWords(line)}`),
    `  to pay: ${kWh(bill.total.consumption ?? 0)}; digest ${bill.digest.slice(0, 16)}…, recomputed: ${again.good ? 'the same' : again.why}`,
  ];
}

export function outageStory(): {
  readonly steps: readonly Step[];
  readonly bills: readonly Bill[];
  readonly truth: Truth;
} {
  const truth = truthOf(story);
  const [contract] = truth.contractsAt(0);
  if (!contract) throw new Error('the story has a contract');
  const bills: Bill[] = [];
  const steps: Step[] = [];
  const hourAt = (when: number): string => {
    const series = seriesAt(truth, when);
    const one = series.channels.import?.[series.grid.indexOf.get(hour) ?? -1];
    return `the hour: ${one ? hourWords(one) : 'not there yet'}`;
  };
  const bill = (when: number): string[] => {
    const outcome = nextBill({
      point: truth.pointAt(when),
      contract,
      bills,
      series: seriesAt(truth, when),
      releases: [],
    });
    const words = billWords(outcome, bills);
    if (outcome.kind === 'bill') bills.push(outcome.bill);
    return words;
  };
  const step = (when: number, ...says: string[]) => steps.push({ at: when, says });
  const arrivals = truth.facts.filter(({ receivedAt }) => receivedAt > cut.to).map(({ receivedAt }) => receivedAt);
  const firstRow = Math.min(...arrivals);
  const backFilled = Math.max(
    ...truth.facts.filter(({ message }) => Date.parse(message.start) < cut.to).map(({ receivedAt }) => receivedAt),
  );
  step(at('2026-09-01', 9), 'the month before is billed', ...bill(at('2026-09-01', 9)));
  step(cut.from, 'the link is cut');
  step(hour + 4 * hourMs, 'the hour is over and not overdue', hourAt(hour + 4 * hourMs));
  step(hour + 7.1 * hourMs, 'six hours after its end it is estimated', hourAt(hour + 7.1 * hourMs));
  step(at('2026-10-01', 9), 'September is billed, with what is estimated', ...bill(at('2026-10-01', 9)));
  step(cut.to, 'the link returns');
  step(firstRow + 1, 'the newest row comes first: its register is the far edge', hourAt(firstRow + 1));
  step(backFilled + 1, 'the rows of the days before are read', hourAt(backFilled + 1));
  step(at('2026-11-01', 9), 'October is billed, and corrects', ...bill(at('2026-11-01', 9)));
  return { steps, bills, truth };
}
export function storyLines(): string[] {
  const { steps } = outageStory();
  return [
    `One hour: ${localWords(hour, zone)}`,
    ...steps.flatMap(({ at: when, says: [what, ...rest] }) => [
      `${localWords(when, zone)}  ${what}`,
      ...rest.map((line) => `    ${line}`),
    ]),
  ];
}
