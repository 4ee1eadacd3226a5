/** The engines of the central store, each fresh: the contract suite runs on both. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { type PrivatePostgres, startPostgres } from '../../scripts/private-postgres.ts';
import { openPostgres } from '../../src/central/postgres.ts';
import type { Engine } from '../../src/central/sql.ts';
import { openSqlite } from '../../src/central/sqlite.ts';

export interface Engines {
  readonly kind: 'sqlite' | 'postgres';
  /** An empty one; `again` opens the same a second time. */
  fresh(): Promise<{ readonly engine: Engine; readonly again: () => Promise<Engine> }>;
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
        const again = () => Promise.resolve(noted(openSqlite(path)));
        return Promise.resolve({ engine: noted(openSqlite(path)), again });
      },
      close: async () => {
        await closeAll();
        remove();
      },
    };
  const server: PrivatePostgres = await startPostgres(join(folder, 'postgres'));
  return {
    kind,
    fresh: async () => {
      const name = `t${made++}`;
      const client = new Client({ connectionString: server.url });
      await client.connect();
      await client.query(`CREATE DATABASE ${name}`);
      await client.end();
      const again = async () => noted(await openPostgres(server.url.replace('///postgres', `///${name}`)));
      return { engine: await again(), again };
    },
    close: async () => {
      await closeAll();
      await server.stop();
      remove();
    },
  };
}
