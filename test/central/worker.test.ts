/** A worker at a real mosquitto, with its store away for a while. */
import mqtt from 'mqtt';
import { expect, test } from 'vitest';
import { openSqlite } from '../../src/central/sqlite.ts';
import type { Engine } from '../../src/central/sql.ts';
import { startWorker } from '../../src/central/worker.ts';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { realBroker, until } from '../support/broker.ts';
import { block } from '../support/central-messages.ts';

test('incident: what waited for the store had the time before it, and whoever looked for what is new did not see it', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'central-worker-'));
  const broker = await realBroker();
  const engine = openSqlite(join(folder, 'central.db'));
  let [refused, away, now] = [0, true, 1_800_000_000_000];
  const store: Engine = {
    ...engine,
    transaction: (work, months) => {
      if (!away) return engine.transaction(work, months);
      refused++;
      return Promise.reject(Object.assign(new Error('no server'), { code: 'ECONNREFUSED' }));
    },
  };
  const worker = startWorker(store, {
    broker: { url: broker.url, tenant: 't' },
    log: () => {},
    auditEveryMs: 3_600_000,
    now: () => now,
  });
  const gateway = await mqtt.connectAsync(broker.url);
  try {
    await until(() => worker.client.connected(), 'the worker is connected');
    const acknowledged: string[] = [];
    gateway.on('message', (_topic, payload) => acknowledged.push(payload.toString()));
    await gateway.subscribeAsync('amr/v1/t/g/down/ack');
    // Until the worker has subscribed nobody holds it.
    await until(async () => {
      await gateway.publishAsync('amr/v1/t/g/up/m1/profile', JSON.stringify(block(1)), { qos: 1 });
      return refused > 0;
    }, 'the store is asked');
    now += 20 * 60_000;
    away = false;
    await until(() => acknowledged.length > 0, 'it is acknowledged');
    expect(await engine.all('SELECT DISTINCT received_ms FROM fact')).toEqual([{ received_ms: now }]);
  } finally {
    await gateway.endAsync();
    await worker.close();
    await engine.close();
    await broker.remove();
    rmSync(folder, { recursive: true, force: true });
  }
}, 60_000);
