/** The store that `--store` names: a file, or a PostgreSQL server. */
import { Failure } from '../base/errors.ts';
import { openPostgres } from './postgres.ts';
import { type Engine, storeFormat } from './sql.ts';
import { openSqlite, type StoreUse } from './sqlite.ts';

/** To take messages of a tenant, whose it is; a store of somebody else is not written to. */
export const openStore = (where: string, tenant: string): Promise<Engine> => openFor(where, 'ingest', tenant);
export const readStore = (where: string): Promise<Engine> => openFor(where, 'read');
/** To add what persons decide, and bills, beside whoever takes messages. */
export const openOffice = (where: string): Promise<Engine> => openFor(where, 'office');

async function openFor(where: string, use: StoreUse, tenant?: string): Promise<Engine> {
  const engine = /^postgres(?:ql)?:/.test(where) ? await openPostgres(where) : openSqlite(where, use);
  try {
    await claim(engine, tenant);
    return engine;
  } catch (error) {
    await engine.close();
    throw error;
  }
}
async function claim(engine: Engine, tenant: string | undefined): Promise<void> {
  const read = async (key: string) =>
    (await engine.all('SELECT value FROM meta WHERE key = ?', key))[0]?.['value'] as string | undefined;
  const format = await read('format');
  if (format !== undefined && Number(format) > storeFormat)
    throw new Failure('store-too-new', `the store has format ${format}, this version knows ${storeFormat}`, {
      next: 'Install the version of meter-central that wrote it, or a later one.',
    });
  if (tenant === undefined) return;
  const write = (key: string, value: string) =>
    engine.transaction((sql) =>
      sql.all('INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO NOTHING', key, value),
    );
  await write('format', String(storeFormat));
  await write('tenant', tenant);
  const owner = await read('tenant');
  if (owner !== tenant)
    throw new Failure('bad-argument', `the store belongs to tenant ${owner}, not ${tenant}`, {
      next: 'Name another store for this tenant: gateways of two tenants may have the same name.',
    });
}
