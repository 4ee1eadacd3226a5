/** An order by a real broker to the real daemon, its store on a disk: done once, and remembered through a SIGKILL. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connectAsync } from 'mqtt';
import { expect, test } from 'vitest';
import { newIngest } from '../support/memory-central.ts';
import { subscribe } from '../support/memory-subscriber.ts';
import { topics } from '../../src/contract/topics.ts';
import { realBroker, until } from '../support/broker.ts';
import { configuration, lls, meterOf } from '../support/configuration.ts';
import { children, folder, gateway, node, simulate } from '../support/programs.ts';
import { centralKey, foreignKey, order, publicOf, signed } from '../support/signed-order.ts';

test('switched off and on by order, forged ones left, and the repeat after a kill answered by the first result', async () => {
  const own = mkdtempSync(join(folder, 'orders-'));
  const broker = await realBroker();
  const simulated = await simulate(['--pty', join(own, 'tty'), '--password', 'meter', '--meters', '1']);
  const path = join(own, 'gateway.toml');
  mkdirSync(join(own, 'state'), { recursive: true });
  writeFileSync(join(own, 'central.jwk'), JSON.stringify(publicOf(centralKey)));
  writeFileSync(join(own, 'secret'), 'meter', { mode: 0o600 });
  writeFileSync(
    path,
    configuration({
      gateway: {
        id: 'g1',
        tenant: 't1',
        state_directory: join(own, 'state'),
        clock_trust: 'assume',
        back_fill_days: 1,
      },
      mqtt: { url: broker.url },
      orders: { keys: [join(own, 'central.jwk')], enable_disconnect: true },
      port: [
        {
          device: `serial:${simulated.device}`,
          meter: [meterOf(60_120_001, { physical: 1001, ...lls, secret: `file:${join(own, 'secret')}` })],
        },
      ],
    }),
  );
  const start = (): ChildProcess => {
    const child = spawn(node, [gateway, 'run', '--config', path], {
      stdio: 'ignore',
      env: { ...process.env, UV_THREADPOOL_SIZE: '16' },
    });
    children.push(child);
    return child;
  };
  const ingest = newIngest();
  const central = await subscribe(broker.url, 't1', ingest);
  const client = await connectAsync(broker.url, { protocolVersion: 5 });
  const send = (jws: string) => client.publishAsync(topics('t1', 'g1').command, jws, { qos: 1 });
  const resultOf = (id: string) => ingest.results.get(`g1|${id}`);
  try {
    let daemon = start();
    // Rows have come: it is subscribed, and its orders are remembered from before now on.
    await until(() => ingest.values.size > 0, 'rows arrive');
    const read = order(Date.now(), 'read');
    await send(signed(read));
    await until(() => resultOf(read.id) !== undefined, 'the read is answered');
    expect(resultOf(read.id)).toMatchObject({ outcome: 'done' });
    const forged = order(Date.now(), 'disconnect');
    await send(signed(forged, foreignKey));
    const off = order(Date.now(), 'disconnect');
    await send(signed(off));
    await until(() => resultOf(off.id) !== undefined, 'the order is answered');
    expect(resultOf(off.id)).toMatchObject({
      outcome: 'done',
      detail: { beforeControlState: 1, afterControlState: 0 },
    });
    expect(resultOf(forged.id)).toBeUndefined();
    const on = order(Date.now(), 'reconnect');
    await send(signed(on));
    await until(() => resultOf(on.id) !== undefined, 'the second order is answered');
    expect(resultOf(on.id)).toMatchObject({ outcome: 'done', detail: { beforeControlState: 0, afterOutput: true } });
    daemon.kill('SIGKILL');
    const first = resultOf(off.id);
    ingest.results.clear();
    daemon = start();
    // A life that answered nothing yet answers a repeat at once.
    await until(async () => {
      await send(signed(off));
      return resultOf(off.id) !== undefined;
    }, 'the repeat is answered');
    expect({ ...resultOf(off.id), seq: 0 }).toEqual({ ...first, seq: 0 });
    const state = order(Date.now(), 'reconnect');
    await send(signed(state));
    await until(() => resultOf(state.id) !== undefined, 'the last order is answered');
    // It was on already: the repeat did not switch it off.
    expect(resultOf(state.id)?.detail).toMatchObject({ beforeControlState: 1 });
    daemon.kill('SIGTERM');
  } finally {
    await client.endAsync(true);
    await central.close();
    await broker.remove();
  }
});
