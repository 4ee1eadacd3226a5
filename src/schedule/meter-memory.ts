/** What is remembered of each meter from one start to the next, in the database of the counters. */
import { messageOf } from '../base/errors.ts';
import { fromHex, toHex } from '../base/hex.ts';
import type { PeerMemory } from '../dlms/association/ciphering.ts';
import { sameSerial } from '../meter/identity.ts';
import type { MeterMemory } from '../store/counters.ts';
import type { MeterSecurity, MeterState, PortContext } from './meter-state.ts';

/** Who the meter is and what it was heard to count belongs to its serial number: a swap is the operator's word for another. */
export function ofThisMeter(state: MeterState): MeterMemory {
  const { serial } = state.polled.origin;
  const { memory } = state;
  return memory && sameSerial(memory.serial, serial)
    ? memory
    : { serial, ...(memory?.refusal && { refusal: memory.refusal }) };
}

/** Changes what is remembered, durably. */
export async function remember(
  settings: Pick<PortContext, 'counters'>,
  state: MeterState,
  change: Partial<{ [K in keyof MeterMemory]: MeterMemory[K] | undefined }>,
): Promise<void> {
  const next = Object.fromEntries(
    Object.entries({ ...ofThisMeter(state), ...change }).filter(([, value]) => value !== undefined),
  ) as unknown as MeterMemory;
  await settings.counters.remember(state.polled.origin.meter, next);
  state.memory = next;
}

/** What the next association must fit to. The counter belongs to the key: with another key it begins anew. */
export function peerOf(state: MeterState, security: MeterSecurity): PeerMemory {
  const { title, heard = -1, keyName } = ofThisMeter(state);
  const { counter_restarts, one_sided_proof } = state.model;
  return {
    title: title === undefined ? undefined : fromHex(title),
    heard: keyName === security.counterName && !counter_restarts ? heard : -1,
    challenged: state.polled.access.auth.startsWith('hls') && !one_sided_proof,
  };
}
export const wasMet = (state: MeterState): boolean => ofThisMeter(state).title !== undefined;
export const acceptedOf = (state: MeterState): number | undefined => ofThisMeter(state).accepted;

/** Stores after a session what the meter authenticated of itself. */
export async function rememberPeer(
  settings: PortContext,
  state: MeterState,
  security: MeterSecurity,
  peer: PeerMemory,
): Promise<void> {
  if (!peer.title) return;
  const before = ofThisMeter(state);
  const title = toHex(peer.title);
  const keyName = security.counterName;
  if (before.title === title && before.heard === peer.heard && before.keyName === keyName) return;
  const { meter } = state.polled.origin;
  if (peer.restarted && !state.restartLogged) {
    settings.log.warn({ meter }, 'the counter of the meter began anew; its proof shows that it is no recording');
    state.restartLogged = true;
  }
  try {
    const settled = { claimed: undefined, accepted: undefined, strange: undefined };
    await remember(settings, state, { title, heard: peer.heard, keyName, ...settled });
  } catch (error) {
    // It is heard again in the next session.
    settings.log.warn({ meter, error: messageOf(error) }, 'counter of the meter not stored');
  }
}
