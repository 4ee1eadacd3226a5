/**
 * Who pushed: the meter whose system title the APDU carries and whose key it was made with, or, of what is not ciphered, the
 * one whose serial number stands in the list, or whose address is configured. Whoever is none of them is a stranger.
 */
import { type ErrorCode, Failure } from '../base/errors.ts';
import { toHex } from '../base/hex.ts';
import type { CipheringSettings } from '../dlms/association/ciphering.ts';
import type { NotificationEvent } from '../dlms/stack/notification.ts';
import { normalSerial, sameSerial, serialInName } from '../meter/identity.ts';
import type { MeterModel } from '../meter/model.ts';
import { stampReading } from '../meter/stamp-reading.ts';
import type { KnownScalers, PushedList } from '../reading/pushed-list.ts';
import { heardList } from '../reading/p1-list.ts';
import type { PushedMeaning } from '../reading/pushed-meaning.ts';
import type { PushMark } from '../store/records.ts';
import type { MeterState } from '../schedule/meter-state.ts';

/** A meter whose pushes are taken. */
export interface Sender {
  readonly state: MeterState;
  /** System title in hex; undefined where it is not known, or the meter does not cipher. */
  readonly title: () => string | undefined;
  /** HDLC address, wPort or address of the M-Bus that it sends with. */
  readonly from: string | undefined;
  /** How it ciphers; undefined where it does not. */
  readonly security: () =>
    | { readonly settings: Omit<CipheringSettings, 'nextCounter'>; readonly counterName: string }
    | undefined;
  /** Scalers that were read from it. */
  readonly scalers: () => KnownScalers;
  /**
   * Takes what it said; resolves when that is stored, or will be read by a poll all the same. `proven`: a tag shows that it is
   * the meter's.
   */
  take(meaning: PushedMeaning, pushed: PushMark | undefined, proven: boolean): Promise<void>;
}
export type Notified = Exclude<NotificationEvent, { kind: 'unreadable' }>;
export interface Understood {
  readonly sender: Sender;
  readonly list: PushedList;
}

const modelOf = ({ state }: Sender): MeterModel => state.model;
const listOf = (event: Notified, sender: Sender): PushedList => {
  const model = modelOf(sender);
  return heardList(event, stampReading(model), model.push_lists, sender.scalers());
};

const refuse = (code: ErrorCode, message: string, detail: Failure['detail'] = {}): never => {
  throw new Failure(code, message, detail);
};

/** Whether a list names this meter, another one, or nobody. */
function named({ identities }: Pick<PushedList, 'identities'>, sender: Sender): 'this' | 'another' | 'nobody' {
  const { serial } = sender.state.polled.origin;
  const names = identities.filter((one) => normalSerial(one) !== undefined);
  if (names.length === 0) return 'nobody';
  const is = (one: string | undefined) => one !== undefined && sameSerial(one, serial);
  return names.some((one) => is(one) || is(serialInName(one, modelOf(sender)))) ? 'this' : 'another';
}

/** Throws Failure `push-stranger`, `protection-weaker` or `identity-mismatch`. */
export function understand(event: Notified, senders: readonly Sender[]): Understood {
  const { systemTitle, from } = event;
  if (systemTitle) {
    const title = toHex(systemTitle);
    const sender = senders.find((one) => one.title() === title);
    if (!sender) return refuse('push-stranger', `system title ${title} is no configured meter's`);
    const list = listOf(event, sender);
    if (named(list, sender) === 'another')
      refuse(
        'identity-mismatch',
        `${list.identities.join(', ')} pushes with the system title of ${sender.state.polled.origin.meter}`,
      );
    return { sender, list };
  }
  const byAddress = senders.filter((one) => one.from === from);
  // Whom it names is read by the model alone: once for each, however many meters are configured.
  const lists = new Map<MeterModel, PushedList>();
  const listBy = (sender: Sender): PushedList => {
    const known = lists.get(modelOf(sender));
    if (known) return known;
    const list = listOf(event, sender);
    lists.set(modelOf(sender), list);
    return list;
  };
  const found = [...byAddress, ...senders].find((sender) => {
    const names = named(listBy(sender), sender);
    return names === 'this' || (names === 'nobody' && byAddress.includes(sender));
  });
  if (!found) {
    const [first] = senders;
    const names = first ? listBy(first).identities : [];
    return refuse(
      'push-stranger',
      names.length > 0
        ? `${names.join(', ')} is no configured meter's serial number`
        : `a list that is not ciphered and names no meter came from address ${from}`,
      names[0] === undefined ? {} : { serial: names[0] },
    );
  }
  const { meter } = found.state.polled.origin;
  if (found.security()) refuse('protection-weaker', `${meter} has keys, and pushed without protection`, { meter });
  return { sender: found, list: listOf(event, found) };
}
