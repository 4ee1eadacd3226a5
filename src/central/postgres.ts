/** The store in PostgreSQL ≥ 15: several workers, and a standby. Facts have a partition for each month. */
import type { ClientBase } from 'pg';
import { Failure, messageOf } from '../base/errors.ts';
import { type Servers, serversOf } from './postgres-hosts.ts';
import { type Cell, type Engine, indexes, monthOf, replacing, type Row, type Sql, type Table, tables } from './sql.ts';

const types = { text: 'text', integer: 'bigint', octets: 'bytea' } as const;
/** One after the other, of all workers: tables and partitions are made under it. */
const makingLock = 7_203_017;

async function areAllThere(client: ClientBase, names: readonly string[]): Promise<boolean> {
  const { rows } = await client.query<{ missing: number }>(
    'SELECT count(*)::int AS missing FROM unnest($1::text[]) AS name WHERE to_regclass(name) IS NULL',
    [names],
  );
  return rows[0]?.missing === 0;
}
/** Under the lock, in one transaction. */
async function making(client: ClientBase, statements: readonly string[]): Promise<void> {
  try {
    await client.query('BEGIN');
    await client.query('SELECT pg_advisory_xact_lock($1)', [makingLock]);
    for (const statement of statements) await client.query(statement);
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => {});
    throw error;
  }
}
const tableStatements = (): string[] => [
  ...Object.entries(tables).map(([name, { columns, key }]) => {
    const cells = Object.entries(columns).map(([column, type]) => `${column} ${types[type]}`);
    const parted = name === 'fact' ? ' PARTITION BY RANGE (month)' : '';
    return `CREATE TABLE IF NOT EXISTS ${name} (${cells.join(', ')}, PRIMARY KEY (${key.join(', ')}))${parted}`;
  }),
  // Months that are too far away to be true have one for all of them: nobody makes us make thousands.
  'CREATE TABLE IF NOT EXISTS fact_other PARTITION OF fact DEFAULT',
];
const notPermitted = '42501';
async function makeTables(client: ClientBase): Promise<void> {
  // Whoever only reads need not be allowed to make any.
  if (!(await areAllThere(client, Object.keys(tables)))) await making(client, tableStatements());
  const names = indexes.map(({ name }) => name);
  if (await areAllThere(client, names)) return;
  const statements = indexes.map(({ create }) => create);
  await making(client, statements).catch((error: unknown) => {
    if ((error as { code?: unknown }).code !== notPermitted) throw error;
  });
}

const monthsBack = 40;
const isPlausible = (month: number, now: number): boolean => {
  const months = (of: number) => Math.floor(of / 100) * 12 + (of % 100);
  const ahead = months(month) - months(monthOf(now));
  return ahead <= 1 && ahead >= -monthsBack;
};
const nextMonth = (month: number): number => (month % 100 === 12 ? month + 89 : month + 1);
/** Outside of the transaction that needs it: it locks the whole table for a moment. */
async function makeMonth(servers: Servers, month: number): Promise<void> {
  const client = await servers.connect();
  try {
    await making(client, [
      `CREATE TABLE IF NOT EXISTS fact_${month} PARTITION OF fact FOR VALUES FROM (${month}) TO (${nextMonth(month)})`,
    ]);
  } catch (error) {
    // The default partition has rows of it already: they were too far away then. It takes the others as well.
    if ((error as { code?: unknown }).code !== '23514') throw error;
  } finally {
    client.release();
  }
}

/** A URL with a password in it would stand in the list of processes. */
function judgeUrl(url: string): void {
  if (/^postgres(?:ql)?:\/\/[^/@]*:[^/@]+@/i.test(url) || /[?&]password=/i.test(url))
    throw new Failure(
      'bad-argument',
      '--store: a password stands in the URL, where everybody on this machine can see it',
      {
        next: 'Leave it out, and name a file by PGPASSFILE (mode 0600), or set PGPASSWORD in the environment of the service.',
      },
    );
}
async function connected(url: string): Promise<Servers> {
  judgeUrl(url);
  let servers: Servers | undefined;
  try {
    servers = serversOf(url);
    const client = await servers.connect();
    try {
      await makeTables(client);
    } finally {
      client.release();
    }
    return servers;
  } catch (error) {
    await servers?.end();
    throw new Failure('store-failed', `PostgreSQL: ${messageOf(error)}`, {
      next: 'Is the server up, and may this user enter and create tables? psql with the same URL says more.',
    });
  }
}

/** A statement that comes again and again has a name: each connection has it planned once. */
interface Statement {
  readonly text: string;
  readonly name?: string;
}
const statements = new Map<string, Statement>();
/** Longer ones have lists of any length, and each length would be another statement. */
const namedCells = 12;
/** `?` becomes `$1`, `$2` … */
function statementOf(query: string): Statement {
  const known = statements.get(query);
  if (known) return known;
  let n = 0;
  const text = query.replaceAll('?', () => `$${++n}`);
  const named = n <= namedCells && statements.size < 200;
  const made = named ? { text, name: `central-${statements.size}` } : { text };
  if (named) statements.set(query, made);
  return made;
}
const ask = async (client: ClientBase, query: string, cells: readonly Cell[]): Promise<readonly Row[]> =>
  (await client.query<Row>({ ...statementOf(query), values: cells.map(storable) })).rows;
/** Text of PostgreSQL has no NUL. */
const storable = (cell: Cell): Cell | Buffer => {
  if (typeof cell === 'string') return cell.includes('\0') ? cell.replaceAll('\0', '\u{fffd}') : cell;
  return cell instanceof Uint8Array ? Buffer.from(cell) : cell;
};

/** One statement for all rows: each column is an array. */
async function writeAll(client: ClientBase, table: Table, rows: readonly Row[], how: 'insert' | 'put'): Promise<void> {
  if (rows.length === 0) return;
  const columns = Object.entries(tables[table].columns);
  const names = columns.map(([column]) => column).join(', ');
  const arrays = columns.map(([, type], i) => `$${i + 1}::${types[type]}[]`).join(', ');
  await client.query({
    name: `${how}-${table}`,
    text: `INSERT INTO ${table} (${names}) SELECT * FROM unnest(${arrays}) ${how === 'put' ? replacing(table) : ''}`,
    values: columns.map(([column]) => rows.map((row) => storable(row[column] ?? null))),
  });
}

async function transact<T>(servers: Servers, work: (sql: Sql) => Promise<T>): Promise<T> {
  const client = await servers.connect();
  let broken = false;
  try {
    await client.query('BEGIN');
    const result = await work({
      all: (query, ...cells) => ask(client, query, cells),
      insert: (table, rows) => writeAll(client, table, rows, 'insert'),
      put: (table, rows) => writeAll(client, table, rows, 'put'),
    });
    await client.query('COMMIT');
    return result;
  } catch (error) {
    await client.query('ROLLBACK').catch(() => {
      broken = true;
    });
    throw error;
  } finally {
    client.release(broken);
  }
}

export async function openPostgres(url: string): Promise<Engine> {
  const servers = await connected(url);
  const months = new Set<number>();
  return {
    kind: 'postgres',
    all: async (query, ...cells) => {
      const client = await servers.connect();
      let broken: Error | undefined;
      try {
        return await ask(client, query, cells);
      } catch (error) {
        broken = error as Error;
        throw error;
      } finally {
        client.release(broken);
      }
    },
    transaction: async (work, needed = new Set()) => {
      for (const month of needed) {
        if (months.has(month) || !isPlausible(month, Date.now())) continue;
        await makeMonth(servers, month);
        months.add(month);
      }
      return transact(servers, work);
    },
    forUpdate: ' FOR UPDATE',
    close: () => servers.end(),
  };
}
