/** The store in one file: nothing to set up. Every commit is synced; one process writes, others may read. */
import { existsSync } from 'node:fs';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { Failure, messageOf } from '../base/errors.ts';
import { type Cell, type Engine, indexes, replacing, type Row, type Sql, type Table, tables } from './sql.ts';

const types = { text: 'TEXT', integer: 'INTEGER', octets: 'BLOB' } as const;

/** Rows of a kilobyte do not belong into the tree of their key. */
const large: readonly string[] = ['fact', 'quarantine'] satisfies Table[];
function createTables(database: DatabaseSync): void {
  for (const [name, { columns, key }] of Object.entries(tables)) {
    const cells = Object.entries(columns).map(([column, type]) => `${column} ${types[type]}`);
    const kind = large.includes(name) ? 'STRICT' : 'STRICT, WITHOUT ROWID';
    database.exec(`CREATE TABLE IF NOT EXISTS ${name} (${cells.join(', ')}, PRIMARY KEY (${key.join(', ')})) ${kind}`);
  }
  for (const { create } of indexes) database.exec(create);
}
/** Held as long as this process lives, however it ends: the kernel lets go of it. */
function lockOf(path: string): DatabaseSync {
  let lock: DatabaseSync;
  try {
    lock = new DatabaseSync(`${path}.lock`);
  } catch (error) {
    throw new Failure('store-failed', `${path}.lock: ${messageOf(error)}`);
  }
  try {
    lock.exec('PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE');
    return lock;
  } catch (error) {
    lock.close();
    throw new Failure('store-locked', `another process works with ${path}: ${messageOf(error)}`, {
      next: 'Stop the other meter-central first; several workers need PostgreSQL (--store postgres://…).',
    });
  }
}

/**
 * ingest: takes messages, alone, and makes the file where there is none. office: adds what persons decide and bills, beside
 * it; SQLite lets one write after the other. read: changes nothing.
 */
export type StoreUse = 'ingest' | 'office' | 'read';
function openDatabase(path: string, use: StoreUse): { readonly database: DatabaseSync; readonly lock?: DatabaseSync } {
  const readOnly = use === 'read';
  if (use !== 'ingest' && !existsSync(path))
    throw new Failure('store-failed', `${path}: there is no such store`, {
      next: 'Name the file that meter-central ingest writes to (--store).',
    });
  const lock = use === 'ingest' ? lockOf(path) : undefined;
  try {
    const database = new DatabaseSync(path, { readOnly, timeout: 10_000 });
    if (!readOnly) {
      database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 2000');
      createTables(database);
    }
    return { database, ...(lock && { lock }) };
  } catch (error) {
    lock?.close();
    throw new Failure('store-failed', `${path}: ${messageOf(error)}`);
  }
}
export function openSqlite(path: string, use: StoreUse = 'ingest'): Engine {
  const { database, lock } = openDatabase(path, use);
  const statements = new Map<string, StatementSync>();
  const prepared = (query: string): StatementSync => {
    const known = statements.get(query);
    if (known) return known;
    const statement = database.prepare(query);
    if (statements.size < 200) statements.set(query, statement);
    return statement;
  };
  const all = (query: string, ...cells: readonly Cell[]): Promise<readonly Row[]> =>
    Promise.resolve(prepared(query).all(...cells) as unknown as readonly Row[]);
  const write = (table: Table, rows: readonly Row[], otherwise: string): Promise<void> => {
    const columns = Object.keys(tables[table].columns);
    const statement = prepared(
      `INSERT INTO ${table} (${columns.join(', ')}) VALUES (${columns.map(() => '?').join(', ')}) ${otherwise}`,
    );
    for (const row of rows) statement.run(...columns.map((column) => row[column] ?? null));
    return Promise.resolve();
  };
  const sql: Sql = {
    all,
    insert: (table, rows) => write(table, rows, ''),
    put: (table, rows) => write(table, rows, replacing(table)),
  };
  // One connection: one transaction after the other.
  let last: Promise<unknown> = Promise.resolve();
  const transaction = <T>(work: (sql: Sql) => Promise<T>): Promise<T> => {
    const mine = last.then(async () => {
      database.exec('BEGIN IMMEDIATE');
      try {
        const result = await work(sql);
        database.exec('COMMIT');
        return result;
      } catch (error) {
        if (database.isTransaction) database.exec('ROLLBACK');
        throw error;
      }
    });
    last = mine.catch(() => {});
    return mine;
  };
  return {
    kind: 'sqlite',
    all,
    transaction,
    forUpdate: '',
    close: async () => {
      await last;
      statements.clear();
      database.close();
      lock?.close();
    },
  };
}
