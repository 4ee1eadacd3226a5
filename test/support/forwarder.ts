/** A forwarder on a store that is only to be delivered: nobody reads meters behind it. */
import { silentLog } from '../../src/base/log.ts';
import { iso } from '../../src/base/time.ts';
import { Forwarder, type ForwarderSettings } from '../../src/forward/forwarder.ts';
import { contractVersion } from '../../src/contract/payloads.ts';
import { topics } from '../../src/contract/topics.ts';
import { systemClock } from '../../src/line/system-clock.ts';
import type { Store } from '../../src/store/store.ts';

/** What it is given differs, and the rest is what a gateway without meters says. */
export function forwarderSettings(
  given: Pick<ForwarderSettings, 'store' | 'topics' | 'broker'> & Partial<ForwarderSettings>,
): ForwarderSettings {
  const { store, clock = systemClock, gateway = 'g', boot = 'b' } = given;
  return {
    clock,
    log: silentLog,
    gateway,
    boot,
    rateLimit: undefined,
    birth: () => ({
      v: contractVersion,
      gateway,
      version: '0',
      boot,
      epoch: store.epoch,
      acknowledged: store.acknowledged,
      clockTrust: 'kernel',
      configHash: '0',
      capabilities: [],
      meters: [],
      at: iso(clock.wall()),
    }),
    health: () => Promise.reject(new Error('not asked')),
    random: () => 0,
    ...given,
  };
}

export function forwarderOf(of: {
  readonly store: Store;
  readonly url: string;
  readonly tenant: string;
  readonly gateway: string;
  readonly window: number;
  readonly rateLimit?: number;
  readonly protocol?: 4 | 5;
  readonly command?: ForwarderSettings['command'];
}): Forwarder {
  const { store, url, tenant, gateway, window, rateLimit, protocol = 5, command } = of;
  return new Forwarder(
    forwarderSettings({
      store,
      gateway,
      topics: topics(tenant, gateway),
      broker: { url, protocol, clientId: `${tenant}-${gateway}`, keepaliveS: 60, window },
      rateLimit,
      ...(command && { command }),
    }),
  );
}
