/** Signatures are verified by threads of the real machine: virtual time stands still meanwhile. */
import type { VirtualClock } from './virtual-clock.ts';

/** From now on; returns how it ends. */
export function holdCrypto(clock: VirtualClock): () => void {
  const { subtle } = globalThis.crypto;
  const own = subtle.verify.bind(subtle);
  const verify: typeof subtle.verify = (...all) => clock.hold(own(...all));
  Object.defineProperty(subtle, 'verify', { value: verify, configurable: true, writable: true });
  return () => void Reflect.deleteProperty(subtle, 'verify');
}
