/** A forwarder on a store that is only to be delivered: nobody reads meters behind it. */
import { silentLog } from '../../src/base/log.ts';
import { iso } from '../../src/base/time.ts';
import { Forwarder } from '../../src/forward/forwarder.ts';
import { contractVersion, topics } from '../../src/forward/payload.ts';
import { systemClock } from '../../src/line/system-clock.ts';
import type { Store } from '../../src/store/store.ts';

export function forwarderOf(of: {
  readonly store: Store;
  readonly url: string;
  readonly tenant: string;
  readonly gateway: string;
  readonly window: number;
  readonly rateLimit?: number;
  readonly protocol?: 4 | 5;
}): Forwarder {
  const { store, url, tenant, gateway, window, rateLimit, protocol = 5 } = of;
  return new Forwarder({
    store,
    clock: systemClock,
    log: silentLog,
    gateway,
    boot: 'b',
    topics: topics(tenant, gateway),
    broker: { url, protocol, clientId: `${tenant}-${gateway}`, keepaliveS: 60, window },
    rateLimit,
    birth: () => ({
      v: contractVersion,
      gateway,
      version: '0',
      boot: 'b',
      epoch: store.epoch,
      acknowledged: store.acknowledged,
      clockTrust: 'kernel',
      configHash: '0',
      capabilities: [],
      meters: [],
      at: iso(systemClock.wall()),
    }),
    health: () => Promise.reject(new Error('not asked')),
    random: () => 0,
  });
}
