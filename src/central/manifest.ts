/** Whether the account that a gateway gives of a day is what is held here. Pure. */
import type { Message } from '../contract/payloads.ts';
import { dayDigest, marksOf } from '../reading/interval-hash.ts';
import type { Mark } from '../reading/ledger.ts';
import type { DeliveredInterval } from './facts.ts';

type SeriesAccount = Message<'manifest'>['series'][number];
interface Published extends Mark {
  readonly seq: number;
  /** Quality of a row, or cause of a gap. */
  readonly state: string;
  /** It is one interval of the account, and all of it. */
  readonly whole: boolean;
}

/** The span of a series that an account is about, ms. */
export function accountSpan(day: string, { from, to }: SeriesAccount): readonly [from: number, to: number] {
  const start = Date.parse(`${day}T00:00:00Z`);
  return [from === undefined ? start : Date.parse(from), to === undefined ? start + 86_400_000 : Date.parse(to)];
}

type Verdict = 'verified' | 'different' | 'miscounted';
type Counted = 'measured' | 'uncertain' | 'outage' | 'missing' | 'lost';
const countedAs = (state: string): Counted => {
  if (state === 'OUTAGE') return 'outage';
  if (state === 'LOST') return 'lost';
  if (state === 'MISSING' || state === 'STORE_DAMAGED') return 'missing';
  return state === 'MEASURED' ? 'measured' : 'uncertain';
};
/**
 * Whether the numbers of an account are those of what was published. Where something is pending that was published once, or
 * stands in an epoch before, they cannot be counted here; but every interval is counted once in any case.
 */
function isCounted(account: SeriesAccount, published: readonly Published[], span: number): boolean {
  const { expected, pending, measured, uncertain, outage, missing, lost, periodS } = account;
  if (expected !== Math.round(span / (periodS * 1000))) return false;
  if (measured + uncertain + outage + missing + lost + pending !== expected) return false;
  if (published.length !== expected - pending || !published.every(({ whole }) => whole)) return true;
  const counts = { measured: 0, uncertain: 0, outage: 0, missing: 0, lost: 0 };
  for (const { state } of published) counts[countedAs(state)]++;
  return (Object.keys(counts) as Counted[]).every((name) => counts[name] === account[name]);
}

/**
 * `different`: something is missing, or not the same. What was published before the manifest counts; where that does not
 * come out, so does what was published again since, at the same revision. Of an epoch before nothing counts: what is still known
 * of it is published again. `miscounted`: all of it is the same, and the account counts it otherwise.
 */
export function judgeAccount(
  manifest: Pick<Message<'manifest'>, 'day' | 'epoch' | 'seq'>,
  account: SeriesAccount,
  messages: readonly DeliveredInterval[],
): Verdict {
  const [from, to] = accountSpan(manifest.day, account);
  const periodMs = account.periodS * 1000;
  const all = new Map<number, Published[]>();
  for (const { epoch, seq, message } of messages) {
    if (epoch !== manifest.epoch) continue;
    const isGap = message.kind === 'gap';
    const fits = isGap || message.periodS === account.periodS;
    const over = isGap ? Math.min(to, Date.parse(message.end)) : to;
    for (const [i, mark] of marksOf(message, periodMs, [from, to]).entries()) {
      if (mark.start < from || mark.start >= to) continue;
      const own = all.get(mark.start) ?? [];
      all.set(mark.start, own);
      own.push({
        ...mark,
        seq,
        state: isGap ? message.cause : (message.quality[i] ?? ''),
        whole: fits && (mark.start - from) % periodMs === 0 && mark.start + periodMs <= over,
      });
    }
  }
  const newest = (before: number): Published[] =>
    [...all.values()].flatMap((own) => {
      const published = own.filter(({ seq }) => seq < before);
      return published.length === 0
        ? []
        : [published.reduce((a, b) => (b.rev > a.rev || (b.rev === a.rev && b.seq > a.seq) ? b : a))];
    });
  for (const before of [manifest.seq, Number.POSITIVE_INFINITY]) {
    const published = newest(before);
    if (dayDigest(published) === account.digest)
      return isCounted(account, published, to - from) ? 'verified' : 'miscounted';
  }
  return 'different';
}
