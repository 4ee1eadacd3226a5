/** Questions to the store. Everything comes in one order, so that two stores with the same facts give the same octets. */
import { millis } from '../base/time.ts';
import type { Message, UpPayload } from '../contract/payloads.ts';
import type { Delivered, DeliveredInterval } from './facts.ts';
import type { GatewayNumbers } from './numbering.ts';
import type { Engine, Row } from './sql.ts';

/** The body passed the schema before it was stored. */
function deliveredOf<K extends UpPayload['kind']>(row: Row): Delivered<K> {
  return {
    gateway: row['gateway'] as string,
    epoch: row['epoch'] as number,
    seq: row['seq'] as number,
    receivedAt: millis(row['received_ms'] as number),
    message: JSON.parse(row['body'] as string) as Message<K>,
  };
}
const factColumns = 'gateway, epoch, seq, received_ms, body';

/** A series: by its point, or by the meter that a gateway knows it under. */
export type SeriesName =
  | { readonly point: string; readonly series: string }
  | { readonly gateway: string; readonly meter: string; readonly series: string };
export interface SeriesSpan {
  readonly from: number;
  readonly to: number;
  /** Only what was committed at or after this time. */
  readonly since?: number;
}
/** All that was said of the intervals of a series that touch [from, to): blocks and gaps. */
export async function intervalFacts(
  engine: Pick<Engine, 'all'>,
  name: SeriesName,
  { from, to, since }: SeriesSpan,
): Promise<DeliveredInterval[]> {
  const [where, cells] =
    'point' in name
      ? ['point = ? AND series = ?', [name.point, name.series]]
      : ['gateway = ? AND meter = ? AND series = ?', [name.gateway, name.meter, name.series]];
  const rows = await engine.all(
    `SELECT ${factColumns} FROM fact WHERE ${where} AND start_ms < ? AND end_ms > ? AND kind IN ('profile', 'gap')${
      since === undefined ? '' : ' AND received_ms >= ?'
    } ORDER BY gateway, epoch, seq`,
    ...cells,
    Math.min(to, Number.MAX_SAFE_INTEGER),
    Math.max(from, 0),
    ...(since === undefined ? [] : [since]),
  );
  return rows.map((row) => deliveredOf<'profile' | 'gap'>(row)) as DeliveredInterval[];
}
/** Every event of a point. */
export async function eventFacts(engine: Pick<Engine, 'all'>, point: string): Promise<Delivered<'event'>[]> {
  const rows = await engine.all(
    `SELECT ${factColumns} FROM fact WHERE kind = 'event' AND point = ? ORDER BY gateway, epoch, seq`,
    point,
  );
  return rows.map((row) => deliveredOf<'event'>(row));
}
/** One series that the store has something of. */
export interface StoredSeries {
  readonly gateway: string;
  readonly meter: string;
  readonly point: string;
  readonly series: string;
  /** Of its first and last interval, ms. */
  readonly from: number;
  readonly to: number;
  readonly messages: number;
}
/** Of all gateways, or of one. */
export async function storedSeries(engine: Pick<Engine, 'all'>, gateway?: string): Promise<StoredSeries[]> {
  const rows = await engine.all(
    `SELECT gateway, meter, point, series, min(start_ms) AS first_ms, max(end_ms) AS last_ms, count(*) AS n
     FROM fact WHERE kind IN ('profile', 'gap') ${gateway === undefined ? '' : 'AND gateway = ?'}
     GROUP BY gateway, meter, point, series ORDER BY gateway, meter, point, series`,
    ...(gateway === undefined ? [] : [gateway]),
  );
  return rows.map((row) => ({
    gateway: row['gateway'] as string,
    meter: row['meter'] as string,
    point: row['point'] as string,
    series: row['series'] as string,
    from: row['first_ms'] as number,
    to: row['last_ms'] as number,
    messages: Number(row['n']),
  }));
}
export async function gatewayNumbers(engine: Pick<Engine, 'all'>): Promise<GatewayNumbers[]> {
  const rows = await engine.all('SELECT numbers FROM gateway ORDER BY gateway');
  return rows.map(({ numbers }) => JSON.parse(numbers as string) as GatewayNumbers);
}

/** Everything that was delivered, a line a message, by gateway, epoch and number: what two stores are compared by. */
export async function* exportLines(engine: Pick<Engine, 'all'>): AsyncGenerator<string> {
  for (const { gateway } of await gatewayNumbers(engine))
    for (let after: readonly [epoch: number, seq: number] = [-1, 0]; ; ) {
      const rows = await engine.all(
        'SELECT epoch, seq, body FROM fact WHERE gateway = ? AND (epoch, seq) > (?, ?) ORDER BY epoch, seq LIMIT 500',
        gateway,
        ...after,
      );
      for (const { body } of rows) yield body as string;
      const last = rows.at(-1);
      if (!last) break;
      after = [last['epoch'] as number, last['seq'] as number];
    }
}
