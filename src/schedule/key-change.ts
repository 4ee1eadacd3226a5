/**
 * Keys of a meter that an order changes. The next ones lie on the gateway beside the present ones, and the central system sends
 * them to the meter wrapped with the meter's master key, which the gateway has not. Until the meter showed which it has, both are
 * tried in turn, as slowly as after any refusal.
 */
import { concat } from '../base/cursor.ts';
import { fromHex } from '../base/hex.ts';
import { Secret } from '../base/secret.ts';
import { keyPrint } from '../meter/invocation-counter.ts';
import { type KeyId, transferWrappedKeys } from '../meter/security-setup.ts';
import { refusedBy, type Session } from '../meter/session.ts';
import { ofThisMeter, remember } from './meter-memory.ts';
import type { MeterSecurity, MeterState, PortContext } from './meter-state.ts';
import type { WrappedKeys } from './open-session.ts';

const names = { encryption: 'global-unicast-encryption', authentication: 'authentication' } as const satisfies Record<
  keyof WrappedKeys,
  KeyId
>;
const kinds = ['encryption', 'authentication'] as const;

/** Names both keys, and tells neither. */
const nameOf = ({ settings: { keys } }: MeterSecurity): string =>
  keyPrint(new Secret(concat([keys.encryption.reveal(), keys.authentication.reveal()])));

/** The keys with which the meter is entered now. */
export function securityInUse(state: MeterState): MeterSecurity | undefined {
  const { security, nextSecurity: next } = state.polled;
  if (!next) return security;
  const { keyInUse, keyChange, refusal } = ofThisMeter(state);
  if (keyInUse === undefined && keyChange === undefined) return security;
  const name = nameOf(next);
  if (keyInUse === name) return next;
  if (keyChange !== name) return security;
  const tries = (refusal?.count ?? 0) + (refusal?.silent ?? 0);
  return tries % 2 === 1 ? next : security;
}

/** Nobody knew which keys the meter has, and it let us in with these. */
export async function settleKeys(port: PortContext, state: MeterState, used: MeterSecurity): Promise<void> {
  const { keyChange } = ofThisMeter(state);
  if (keyChange === undefined) return;
  const keyInUse = nameOf(used) === keyChange ? keyChange : undefined;
  port.log.info(
    { meter: state.polled.origin.meter, changed: keyInUse !== undefined },
    'keys of the meter are known again',
  );
  await remember(port, state, { keyChange: undefined, keyInUse });
}

/** Gives the meter its next keys; `begin` is called right before. Or why it is left. */
export async function changeKeys(
  port: PortContext,
  state: MeterState,
  session: Session,
  keys: WrappedKeys,
  begin: () => Promise<void>,
): Promise<{ readonly left: string } | undefined> {
  const { nextSecurity: next } = state.polled;
  const used = securityInUse(state);
  if (!next || !used) return { left: 'the configuration has no next key for this meter' };
  if (used === next) return { left: 'the meter has its next keys already' };
  for (const kind of kinds) {
    const [key, present] = [next.settings.keys[kind], used.settings.keys[kind]];
    const given = keys[kind];
    const differs = !key.key.equals(present.key);
    if (differs !== (given !== undefined)) return { left: `the ${kind} key changes only on one side` };
    if (given && given.print !== keyPrint(key))
      return { left: `the next ${kind} key of the gateway has another print` };
  }
  const wrapped = new Map(
    kinds.flatMap((kind) => (keys[kind] ? [[names[kind], fromHex(keys[kind].wrapped)] as const] : [])),
  );
  await begin();
  const name = nameOf(next);
  await remember(port, state, { keyChange: name });
  try {
    await transferWrappedKeys(session, wrapped);
  } catch (error) {
    // It said no: it has the keys that it had.
    if (refusedBy(error) !== undefined) await remember(port, state, { keyChange: undefined });
    throw error;
  }
  await remember(port, state, { keyChange: undefined, keyInUse: name });
  port.log.info({ meter: state.polled.origin.meter }, 'keys of the meter changed');
  return undefined;
}
