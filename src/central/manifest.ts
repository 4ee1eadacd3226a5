/** Whether the account that a gateway gives of a day is what is held here. Pure. */
import type { Message } from '../contract/payloads.ts';
import { dayDigest, marksOf } from '../reading/interval-hash.ts';
import type { Mark } from '../reading/ledger.ts';
import type { DeliveredInterval } from './facts.ts';

type SeriesAccount = Message<'manifest'>['series'][number];
interface Published extends Mark {
  readonly seq: number;
}

/** The span of a series that an account is about, ms. */
export function accountSpan(day: string, { from, to }: SeriesAccount): readonly [from: number, to: number] {
  const start = Date.parse(`${day}T00:00:00Z`);
  return [from === undefined ? start : Date.parse(from), to === undefined ? start + 86_400_000 : Date.parse(to)];
}

/**
 * `different`: something is missing, or not the same. What was published before the manifest counts; where that does not
 * come out, so does what was published again since, at the same revision. Of an epoch before nothing counts: what is still known
 * of it is published again.
 */
export function judgeAccount(
  manifest: Pick<Message<'manifest'>, 'day' | 'epoch' | 'seq'>,
  account: SeriesAccount,
  messages: readonly DeliveredInterval[],
): 'verified' | 'different' {
  const [from, to] = accountSpan(manifest.day, account);
  const periodMs = account.periodS * 1000;
  const all = new Map<number, Published[]>();
  for (const { epoch, seq, message } of messages) {
    if (epoch !== manifest.epoch) continue;
    for (const mark of marksOf(message, periodMs, [from, to])) {
      if (mark.start < from || mark.start >= to) continue;
      const own = all.get(mark.start) ?? [];
      all.set(mark.start, own);
      own.push({ ...mark, seq });
    }
  }
  const newest = (before: number): string =>
    dayDigest(
      [...all.values()].flatMap((own) => {
        const published = own.filter(({ seq }) => seq < before);
        return published.length === 0
          ? []
          : [published.reduce((a, b) => (b.rev > a.rev || (b.rev === a.rev && b.seq > a.seq) ? b : a))];
      }),
    );
  const { digest } = account;
  return newest(manifest.seq) === digest || newest(Number.POSITIVE_INFINITY) === digest ? 'verified' : 'different';
}
