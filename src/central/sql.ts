/**
 * The little of SQL that the store needs, the same of both engines: placeholders are `?`, integers are numbers (no number of
 * ours is beyond 2^53), octets are Uint8Array. What differs is inside of the engines.
 */
export type Cell = string | number | Uint8Array | null;
export type Row = Readonly<Record<string, Cell>>;

export interface Sql {
  all(query: string, ...cells: readonly Cell[]): Promise<readonly Row[]>;
  /** Rows of one table at once, in the fastest way that the engine has. */
  insert(table: Table, rows: readonly Row[]): Promise<void>;
  /** The same; what has the same key is replaced. No key may stand there twice. */
  put(table: Table, rows: readonly Row[]): Promise<void>;
}
export interface Engine {
  readonly kind: 'sqlite' | 'postgres';
  /** Outside of transactions. */
  all(query: string, ...cells: readonly Cell[]): Promise<readonly Row[]>;
  /**
   * All or nothing, and on disk when it resolves. Not again by itself: whoever asked decides what a failure means. Months are
   * those that facts of it belong to (`monthOf`).
   */
  transaction<T>(work: (sql: Sql) => Promise<T>, months?: ReadonlySet<number>): Promise<T>;
  /** Put behind a SELECT, it holds the rows until the end of the transaction. */
  readonly forUpdate: string;
  close(): Promise<void>;
}

/** Columns and their types. `key`: what is unique. */
export const tables = {
  meta: { columns: { key: 'text', value: 'text' }, key: ['key'] },
  gateway: { columns: { gateway: 'text', numbers: 'text' }, key: ['gateway'] },
  /** What a gateway says of itself; not needed to acknowledge. */
  standing: {
    columns: {
      gateway: 'text',
      birth: 'text',
      birth_ms: 'integer',
      health: 'text',
      health_ms: 'integer',
      online: 'integer',
      online_ms: 'integer',
      heard_ms: 'integer',
    },
    key: ['gateway'],
  },
  fact: {
    columns: {
      gateway: 'text',
      epoch: 'integer',
      seq: 'integer',
      month: 'integer',
      kind: 'text',
      meter: 'text',
      point: 'text',
      series: 'text',
      start_ms: 'integer',
      end_ms: 'integer',
      received_ms: 'integer',
      body: 'text',
    },
    key: ['gateway', 'epoch', 'seq', 'month'],
  },
  quarantine: {
    columns: {
      id: 'text',
      gateway: 'text',
      topic: 'text',
      why: 'text',
      epoch: 'integer',
      seq: 'integer',
      received_ms: 'integer',
      raw: 'octets',
    },
    key: ['id'],
  },
  /** Numbers that were acknowledged and are not here. */
  loss: {
    columns: {
      id: 'text',
      gateway: 'text',
      epoch: 'integer',
      ranges: 'text',
      found_ms: 'integer',
      asked: 'integer',
      whole_ms: 'integer',
    },
    key: ['id'],
  },
  /** What is asked for again by `down/again`. */
  request: {
    columns: {
      id: 'text',
      gateway: 'text',
      meter: 'text',
      series: 'text',
      period_s: 'integer',
      from_ms: 'integer',
      to_ms: 'integer',
      /** The loss or account that it is for: `loss|…`, `account|…`. */
      cause: 'text',
      made_ms: 'integer',
      sent_ms: 'integer',
      times: 'integer',
      done_ms: 'integer',
    },
    key: ['id'],
  },
  /** A series of a day as its manifest has it, and whether it is the same here. */
  account: {
    columns: {
      id: 'text',
      gateway: 'text',
      day: 'text',
      meter: 'text',
      series: 'text',
      epoch: 'integer',
      seq: 'integer',
      /** The row of the manifest, JSON. */
      row: 'text',
      /** waiting · verified · different · miscounted */
      verdict: 'text',
      checked_ms: 'integer',
    },
    key: ['id'],
  },
  /** What persons decided, only ever added to. A second person's word is another part of the same edit. */
  edit: {
    columns: { edit: 'text', part: 'integer', point: 'text', made_ms: 'integer', body: 'text' },
    key: ['edit', 'part'],
  },
  release: { columns: { id: 'text', point: 'text', made_ms: 'integer', body: 'text' }, key: ['id'] },
  /** No bill is ever written over. */
  bill: {
    columns: { contract: 'text', number: 'integer', digest: 'text', made_ms: 'integer', body: 'text' },
    key: ['contract', 'number'],
  },
  /** The value of each interval as it was sent on last. */
  sent: {
    columns: {
      point: 'text',
      channel: 'text',
      start_ms: 'integer',
      end_ms: 'integer',
      energy: 'integer',
      status: 'text',
      sent_ms: 'integer',
    },
    key: ['point', 'channel', 'start_ms', 'end_ms'],
  },
} as const satisfies Record<
  string,
  { columns: Readonly<Record<string, 'text' | 'integer' | 'octets'>>; key: readonly string[] }
>;
export type Table = keyof typeof tables;
/** `ON CONFLICT …` by which a row replaces the one of the same key; both engines spell it so. */
export function replacing(table: Table): string {
  const { columns, key } = tables[table] as { columns: Readonly<Record<string, string>>; key: readonly string[] };
  const others = Object.keys(columns).filter((column) => !key.includes(column));
  return `ON CONFLICT (${key.join(', ')}) DO UPDATE SET ${others.map((column) => `${column} = excluded.${column}`).join(', ')}`;
}
const indexed: readonly (readonly [Table, columns: string])[] = [
  ['fact', 'point, series, start_ms'],
  ['fact', 'gateway, meter, series, start_ms'],
  ['fact', 'kind, received_ms'],
  ['quarantine', 'gateway, received_ms'],
  ['account', 'gateway, epoch, seq'],
  ['account', 'verdict, gateway, epoch, seq'],
  ['request', 'cause, meter, series'],
  ['request', 'done_ms, gateway'],
  ['edit', 'point, made_ms'],
  ['release', 'point, made_ms'],
];
/** A store of a version before gets those that it has not. */
export const indexes = indexed.map(([table, columns]) => {
  const name = `${table}_${columns.replaceAll(/\W+/g, '_')}`;
  return { name, create: `CREATE INDEX IF NOT EXISTS ${name} ON ${table} (${columns})` };
});
/** Of the tables above; raised where an older program would harm them. Another table harms nobody. */
export const storeFormat = 1;

/** Of `fact.month`: by it PostgreSQL has partitions. */
export function monthOf(atMs: number): number {
  const at = new Date(atMs);
  return at.getUTCFullYear() * 100 + at.getUTCMonth() + 1;
}
