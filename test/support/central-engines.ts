/** The engines of the central store, each fresh: the contract suite runs on both. */
import { chmodSync, copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { type PrivatePostgres, startPostgres } from '../../scripts/private-postgres.ts';
import { openPostgres } from '../../src/central/postgres.ts';
import type { Engine } from '../../src/central/sql.ts';
import { openSqlite } from '../../src/central/sqlite.ts';

export interface Engines {
  readonly kind: 'sqlite' | 'postgres';
  /** An empty one; `again` opens the same a second time. Closed, it can be kept as a backup, and put back. */
  fresh(): Promise<{
    readonly engine: Engine;
    readonly again: () => Promise<Engine>;
    readonly keep: () => Promise<void>;
    readonly putBack: () => Promise<void>;
    /** For `--store`: of SQLite the path. */
    readonly url: string;
  }>;
  close(): Promise<void>;
}
export async function engines(kind: 'sqlite' | 'postgres'): Promise<Engines> {
  const folder = mkdtempSync(join(tmpdir(), 'central-store-'));
  // Another user than root works in it.
  chmodSync(folder, 0o711);
  const remove = () => rmSync(folder, { recursive: true, force: true });
  let made = 0;
  const open: Engine[] = [];
  const noted = (engine: Engine): Engine => {
    open.push(engine);
    return engine;
  };
  const closeAll = () => Promise.all(open.map((engine) => engine.close().catch(() => {})));
  if (kind === 'sqlite')
    return {
      kind,
      fresh: () => {
        const path = join(folder, `${made++}.db`);
        const again = async () => noted(openSqlite(path));
        const keep = () => Promise.resolve(copyFileSync(path, `${path}.backup`));
        const putBack = () => {
          for (const end of ['', '-wal', '-shm']) rmSync(`${path}${end}`, { force: true });
          copyFileSync(`${path}.backup`, path);
          return Promise.resolve();
        };
        return Promise.resolve({ engine: noted(openSqlite(path)), again, keep, putBack, url: path });
      },
      close: async () => {
        await closeAll();
        remove();
      },
    };
  const server: PrivatePostgres = await startPostgres(join(folder, 'postgres'));
  const administer = async (...statements: string[]): Promise<void> => {
    const client = new Client({ connectionString: server.url });
    await client.connect();
    for (const statement of statements) await client.query(statement);
    await client.end();
  };
  return {
    kind,
    fresh: async () => {
      const name = `t${made++}`;
      await administer(`CREATE DATABASE ${name}`);
      const url = server.url.replace('///postgres', `///${name}`);
      const again = async () => noted(await openPostgres(url));
      const keep = () => administer(`CREATE DATABASE ${name}_backup TEMPLATE ${name}`);
      const putBack = () =>
        administer(`DROP DATABASE ${name} WITH (FORCE)`, `CREATE DATABASE ${name} TEMPLATE ${name}_backup`);
      return { engine: await again(), again, keep, putBack, url };
    },
    close: async () => {
      await closeAll();
      await server.stop();
      remove();
    },
  };
}
