/** Orders at a real broker: they arrive as they were published, and what is none is counted. */
import { connectAsync } from 'mqtt';
import { expect, test } from 'vitest';
import { topics } from '../../src/contract/topics.ts';
import { systemClock } from '../../src/line/system-clock.ts';
import { Store } from '../../src/store/store.ts';
import { realBroker, until } from '../support/broker.ts';
import { forwarderOf } from '../support/forwarder.ts';
import { MemoryDatabase } from '../support/memory-database.ts';
import { order, signed } from '../support/signed-order.ts';

test.each([5, 4] as const)('down/cmd at mosquitto, MQTT protocol level %i', async (protocol) => {
  const broker = await realBroker();
  const database = new MemoryDatabase();
  const store = await Store.open({ open: () => Promise.resolve(database), clock: systemClock, newEpoch: () => 1 });
  const came: string[] = [];
  const command = (octets: Uint8Array) => {
    came.push(Buffer.from(octets).toString());
    return Promise.resolve(came.length === 2 ? 'no order: signature' : undefined);
  };
  const forwarder = forwarderOf({ store, url: broker.url, tenant: 't', gateway: 'g', window: 4, protocol, command });
  const stop = new AbortController();
  const running = forwarder.run(stop.signal);
  const central = await connectAsync(broker.url, { protocolVersion: 5 });
  const jws = signed(order(Date.now(), 'read'));
  try {
    // Published again and again: when the subscription stands is for the broker to know.
    await until(async () => {
      await central.publishAsync(topics('t', 'g').command, jws, { qos: 1 });
      return came.length > 2;
    }, 'an order arrives');
    expect(new Set(came)).toEqual(new Set([jws]));
    expect(forwarder.unfit.get('no order: signature')).toBe(1);
    expect(forwarder.trouble).toMatch(/did not fit the contract.*no order: signature/);
  } finally {
    stop.abort();
    await running;
    await central.endAsync(true);
    await broker.remove();
  }
});
