/** Signatures are verified by threads of the real machine: virtual time stands still meanwhile. */
import { orderKeyOf } from '../../src/command/keys.ts';
import { verifyOrder } from '../../src/command/verify.ts';
import { centralKey, publicOf, signed } from './signed-order.ts';
import type { VirtualClock } from './virtual-clock.ts';

/** From now on; returns how it ends. What verifies is loaded before: that takes real time too. */
export async function holdCrypto(clock: VirtualClock): Promise<() => void> {
  const { kid, key } = orderKeyOf(Buffer.from(JSON.stringify(publicOf(centralKey))), 'a key');
  await verifyOrder(Buffer.from(signed({})), new Map([[kid, key]]));
  const { subtle } = globalThis.crypto;
  const own = subtle.verify.bind(subtle);
  const verify: typeof subtle.verify = (...all) => clock.hold(own(...all));
  Object.defineProperty(subtle, 'verify', { value: verify, configurable: true, writable: true });
  return () => void Reflect.deleteProperty(subtle, 'verify');
}
