/** What a proof that this state fell back leads to: a new epoch begins, but not again and again. */
import type { Log } from '../base/log.ts';
import { type Clock, later, longAgo, type Millis } from '../base/time.ts';
import { hasSuccessor } from '../store/epoch.ts';
import type { Store } from '../store/store.ts';
import { provesFallBack } from './acknowledgement.ts';

/** A state that falls back again and again is somebody's mischief: the pause between two doubles. */
const fellBackPauseMs = 10 * 60_000;
export const fellBackAgain =
  'the head-end says again that this state fell back: not believed so soon after the last time (head-end)';

export interface FallBack {
  /** What the head-end proved, as long as nothing came of it yet. */
  proof: { readonly epoch: number; readonly upTo: number } | undefined;
  /** The time from which on the next proof is believed. */
  from: Millis;
  times: number;
  /** The last proof came too soon. */
  ignored: boolean;
}
export const newFallBack = (): FallBack => ({ proof: undefined, from: longAgo, times: 0, ignored: false });

export interface FallBackSettings {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  /** What else the head-end counts is in doubt, before another epoch begins. */
  readonly onFellBack?: () => Promise<void>;
}
/** The head-end has numbers or an epoch that this state never gave: a new epoch begins where that may be believed. */
export async function fallBackWhereProven(
  state: FallBack,
  { clock, store, log, onFellBack }: FallBackSettings,
): Promise<void> {
  const { proof } = state;
  if (!proof) return;
  const { epoch, nextSequence } = store;
  if (!hasSuccessor(proof.epoch))
    log.warn({ ...proof }, 'acknowledgement ignored (head-end): it tells an epoch that no gateway can have begun');
  else if (clock.now() < state.from) {
    if (!state.ignored) log.warn({ ...proof }, fellBackAgain);
    state.ignored = true;
  } else {
    state.ignored = false;
    if (provesFallBack({ ...proof, nack: [] }, store)) {
      log.error(
        { ...proof, own: epoch, nextSequence },
        'the head-end holds more than this state ever numbered: it fell back (a copied or restored card?); a new epoch begins',
      );
      await onFellBack?.();
      await store.fellBack(proof);
      state.from = later(clock.now(), fellBackPauseMs * 2 ** Math.min(state.times++, 8));
    }
  }
  state.proof = undefined;
}
