/** How the central system stands: whom it hears, what is missing, what is proven. */
import type { BirthPayload, HealthPayload } from '../contract/payloads.ts';
import { iso, millis } from '../base/time.ts';
import { durationWords } from '../base/words.ts';
import { newestVersions } from './intervals.ts';
import { type Verdict, verdictWords } from '../reading/verdict.ts';
import { ackOf, type GatewayNumbers } from './numbering.ts';
import { type Ranges, sizeOf } from './ranges.ts';
import { gatewayNumbers, intervalFacts, type StoredSeries, storedSeries } from './read-store.ts';
import type { Engine, Row } from './sql.ts';

export interface GatewayStatus {
  readonly gateway: string;
  /** silent: the broker says that it is gone, or its health is older than five minutes. */
  readonly standing: 'online' | 'silent' | 'unknown';
  readonly heardS: number | null;
  readonly healthS: number | null;
  readonly epoch: number | null;
  readonly upTo: number;
  /** Numbers that are missing before others that are here. */
  readonly holes: number;
  /** Messages that wait on the gateway, as its last health had it. */
  readonly pending: number | null;
  readonly unfit: number;
  readonly repeated: number;
  readonly conflicts: number;
  /** Meters that are not as they should be, as their gateway judges them while it is heard. */
  readonly meters: readonly { readonly meter: string; readonly verdict: string }[];
  /** So many were not asked yet since it started. */
  readonly metersNotAsked: number;
}
export interface LossStatus {
  readonly gateway: string;
  readonly epoch: number;
  readonly ranges: Ranges;
  readonly foundAt: string;
  readonly wholeAt: string | null;
  readonly requests: number;
  readonly open: number;
  /** What the meters have no more, and is not here either. */
  readonly gone: readonly {
    readonly meter: string;
    readonly series: string;
    readonly from: string;
    readonly to: string;
  }[];
}
export interface CentralStatus {
  readonly gateways: readonly GatewayStatus[];
  readonly losses: readonly LossStatus[];
  readonly accounts: {
    readonly verified: number;
    readonly different: number;
    /** Everything of them is here, and they count it otherwise: the gateway's own fault. */
    readonly miscounted: number;
    readonly waiting: number;
  };
  readonly requests: { readonly open: number; readonly done: number };
  readonly quarantined: number;
}
/** Health comes each minute and expires after five. */
const silentAfterMs = 300_000;

/** Nothing is said of a meter that nobody asked yet; one whose own switch is open answers. */
const unremarkable: ReadonlySet<string> = new Set<Verdict>(['REACHABLE', 'SUPPLY_OFF_BY_METER_SWITCH', 'UNKNOWN']);
/** In whose words the gateway judges; a later version may have others. */
const wordsOf = (verdict: string): string =>
  Object.hasOwn(verdictWords, verdict) ? verdictWords[verdict as Verdict] : 'see the gateway';

function gatewayStatus(numbers: GatewayNumbers, standing: Row | undefined, now: number): GatewayStatus {
  const ack = ackOf(numbers);
  const newest = numbers.epochs.at(-1);
  const age = (at: unknown) => (typeof at === 'number' ? Math.round((now - at) / 1000) : null);
  const health =
    typeof standing?.['health'] === 'string' ? (JSON.parse(standing['health']) as HealthPayload) : undefined;
  const healthAt = (standing?.['health_ms'] as number | null | undefined) ?? (standing?.['birth_ms'] as number | null);
  const gone = standing?.['online'] === 0;
  const fresh = typeof healthAt === 'number' && now - healthAt < silentAfterMs;
  // Of a gateway that is gone nobody knows how its meters are.
  const heard = gone ? [] : (health?.meters ?? []);
  return {
    gateway: numbers.gateway,
    standing: gone ? 'silent' : fresh ? 'online' : typeof healthAt === 'number' ? 'silent' : 'unknown',
    heardS: age(Math.max(numbers.heardAt ?? 0, healthAt ?? 0) || undefined),
    healthS: age(standing?.['health_ms']),
    epoch: newest?.epoch ?? null,
    upTo: ack?.upTo ?? 0,
    holes: newest ? (newest.held.at(-1)?.[1] ?? 0) - sizeOf(newest.held) : 0,
    pending: health?.pending ?? null,
    unfit: numbers.unfit,
    repeated: numbers.repeated,
    conflicts: numbers.conflicts,
    meters: heard.filter(({ verdict }) => !unremarkable.has(verdict)).map(({ meter, verdict }) => ({ meter, verdict })),
    metersNotAsked: heard.filter(({ verdict }) => verdict === 'UNKNOWN').length,
  };
}
/** Of what was asked for, intervals that were answered by a gap, and of which no row is here either. OUTAGE is a value. */
async function goneOf(engine: Pick<Engine, 'all'>, requests: readonly Row[]): Promise<LossStatus['gone']> {
  const utc = (at: number) => iso(millis(at));
  const gone: { meter: string; series: string; from: string; to: string }[] = [];
  for (const one of requests) {
    const [gateway, meter, series] = [one['gateway'], one['meter'], one['series']] as [string, string, string];
    const [from, to, made] = [one['from_ms'], one['to_ms'], one['made_ms']] as [number, number, number];
    const all = await intervalFacts(engine, { gateway, meter, series }, { from, to });
    if (!all.some(({ message, receivedAt }) => receivedAt >= made && message.kind === 'gap')) continue;
    for (const version of newestVersions(all, (one['period_s'] as number) * 1000, { from, to }).values()) {
      if (version.kind === 'row' || version.cause === 'OUTAGE' || version.receivedAt < made) continue;
      if (version.start < from || version.end > to) continue;
      const last = gone.at(-1);
      if (last?.meter === meter && last.series === series && last.to === utc(version.start)) last.to = utc(version.end);
      else gone.push({ meter, series, from: utc(version.start), to: utc(version.end) });
    }
  }
  return gone;
}
async function lossStatus(engine: Pick<Engine, 'all'>, loss: Row): Promise<LossStatus> {
  const requests = await engine.all('SELECT * FROM request WHERE cause = ?', `loss|${loss['id'] as string}`);
  const instant = (at: unknown) => (typeof at === 'number' ? new Date(at).toISOString() : null);
  return {
    gateway: loss['gateway'] as string,
    epoch: loss['epoch'] as number,
    ranges: JSON.parse(loss['ranges'] as string) as Ranges,
    foundAt: instant(loss['found_ms']) as string,
    wholeAt: instant(loss['whole_ms']),
    requests: requests.length,
    open: requests.filter((one) => one['done_ms'] === null).length,
    gone: await goneOf(engine, requests),
  };
}
export async function centralStatus(engine: Pick<Engine, 'all'>, now: number): Promise<CentralStatus> {
  const standing = new Map((await engine.all('SELECT * FROM standing')).map((row) => [row['gateway'], row]));
  const count = async (query: string) =>
    new Map((await engine.all(query)).map((row) => [row['name'] as string, Number(row['n'])]));
  const verdicts = await count('SELECT verdict AS name, count(*) AS n FROM account GROUP BY verdict');
  const requests = await count(
    "SELECT CASE WHEN done_ms IS NULL THEN 'open' ELSE 'done' END AS name, count(*) AS n FROM request GROUP BY 1",
  );
  const [raw] = await engine.all('SELECT count(*) AS n FROM quarantine');
  const losses: LossStatus[] = [];
  for (const loss of await engine.all('SELECT * FROM loss ORDER BY found_ms, id'))
    losses.push(await lossStatus(engine, loss));
  return {
    gateways: (await gatewayNumbers(engine)).map((one) => gatewayStatus(one, standing.get(one.gateway), now)),
    losses,
    accounts: {
      verified: verdicts.get('verified') ?? 0,
      different: verdicts.get('different') ?? 0,
      miscounted: verdicts.get('miscounted') ?? 0,
      waiting: verdicts.get('waiting') ?? 0,
    },
    requests: { open: requests.get('open') ?? 0, done: requests.get('done') ?? 0 },
    quarantined: Number(raw?.['n'] ?? 0),
  };
}

const age = (seconds: number | null): string => (seconds === null ? 'never' : `${durationWords(seconds)} ago`);
const rangeWords = (ranges: Ranges): string =>
  `${ranges
    .slice(0, 5)
    .map(([from, to]) => (from === to ? `${from}` : `${from}–${to}`))
    .join(', ')}${ranges.length > 5 ? ', …' : ''}`;
/** The same for people. */
export function statusLines(status: CentralStatus): string[] {
  const lines: string[] = [];
  for (const one of status.gateways) {
    const silent = one.standing === 'silent' ? ': the gateway or its link, not its meters' : '';
    lines.push(
      `${one.gateway}  ${one.standing}${silent}, heard ${age(one.heardS)}, acknowledged up to ${one.upTo}, ${one.holes} missing before it, ${one.pending ?? '?'} wait there`,
    );
    for (const { meter, verdict } of one.meters) lines.push(`  ${meter}  ${verdict}: ${wordsOf(verdict)}`);
    if (one.metersNotAsked > 0) lines.push(`  ${one.metersNotAsked} meters: ${verdictWords.UNKNOWN}`);
    if (one.unfit + one.conflicts > 0)
      lines.push(
        `  ${one.unfit} messages did not fit the contract, ${one.conflicts} numbers had two contents (gateway); next: meter-central quarantine`,
      );
  }
  for (const { gateway, epoch, ranges, foundAt, wholeAt, requests, open, gone } of status.losses) {
    lines.push(
      `CENTRAL_LOST  ${gateway}: numbers ${rangeWords(ranges)} of epoch ${epoch}, found ${foundAt}: ${wholeAt === null ? `${open} of ${requests} requests open` : `whole again ${wholeAt}`}; events and readings of these numbers do not come again`,
    );
    for (const { meter, series, from, to } of gone)
      lines.push(`  ${meter} ${series}: the meter no longer has ${from} to ${to}`);
  }
  const { accounts, requests, quarantined } = status;
  lines.push(
    `accounts of days: ${accounts.verified} verified, ${accounts.different} different, ${accounts.miscounted === 0 ? '' : `${accounts.miscounted} miscounted (gateway), `}${accounts.waiting} waiting; requests: ${requests.open} open, ${requests.done} answered; ${quarantined} messages in quarantine`,
  );
  return lines;
}

/** One line a series: hours by what they are. */
export interface SeriesLine extends StoredSeries {
  readonly counts: Readonly<Record<string, number>>;
}
export async function seriesLines(engine: Pick<Engine, 'all'>): Promise<SeriesLine[]> {
  const periods = new Map<string, number>();
  for (const { birth } of await engine.all('SELECT birth FROM standing WHERE birth IS NOT NULL'))
    for (const { meter, series } of (JSON.parse(birth as string) as BirthPayload).meters)
      for (const { profile, periodS } of series) periods.set(`${meter}|${profile}`, periodS);
  const lines: SeriesLine[] = [];
  for (const one of await storedSeries(engine)) {
    const { gateway, meter, series, from, to } = one;
    const periodMs = (periods.get(`${meter}|${series}`) ?? 3600) * 1000;
    const counts: Record<string, number> = {};
    const messages = await intervalFacts(engine, { gateway, meter, series }, { from, to });
    for (const version of newestVersions(messages, periodMs).values()) {
      const what = version.kind === 'row' ? version.quality : version.cause;
      counts[what] = (counts[what] ?? 0) + 1;
    }
    lines.push({ ...one, counts });
  }
  return lines;
}
