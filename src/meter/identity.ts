/** Whether the meter that answers is the one that is configured: its serial number, exactly (R32). */
import { Failure } from '../base/errors.ts';
import type { EventFact } from '../reading/facts.ts';
import { isAbsent } from './asked-again.ts';
import type { Identity } from './identity-reading.ts';
import type { MeterAccess } from './access.ts';
import { refusalCode } from './session.ts';
import { genericModel, type MeterModel } from './model.ts';

/**
 * A serial number as it is compared: without what pads it, and without the zeros before a number. Letters count as they
 * stand, and nothing is no number.
 */
export function normalSerial(text: string): string | undefined {
  // oxlint-disable-next-line no-control-regex -- meters fill up with NUL
  const bare = text.replaceAll(/^[\s\0]+|[\s\0]+$/g, '');
  if (bare === '') return undefined;
  return /^\d+$/.test(bare) ? bare.replace(/^0+(?=\d)/, '') : bare;
}
export function sameSerial(a: string, b: string): boolean {
  const one = normalSerial(a);
  return one !== undefined && one === normalSerial(b);
}

/** The serial number inside of a logical device name, where the model says that it stands there. */
export const serialInName = (name: string, model: MeterModel): string | undefined =>
  RegExp(model.name_serial).exec(name)?.[1];

/** Throws `identity-mismatch` where another meter answers than the configured one, `identity-unknown` where it does not say which it is. */
export function requireIdentity(
  identity: Identity,
  serial: string,
  model: MeterModel = genericModel,
  address = '',
): void {
  const { logicalDeviceName: name, serial: answered } = identity;
  const answers = [answered, name, name === undefined ? undefined : serialInName(name, model)].filter(
    (one) => one !== undefined && normalSerial(one) !== undefined,
  ) as string[];
  if (answers.length === 0) {
    // What is refused for now, or is no text, is another meter's name no more than this one's.
    const given = identity.unreadable.filter((one) => one.object !== 'clock' && !isAbsent(one));
    const denied = given.some(({ refused }) => refused !== undefined && refusalCode(refused) === 'access-refused');
    if (given.length > 0)
      throw new Failure(
        denied ? 'identity-unknown' : 'value-unavailable',
        `which meter it is could not be read: ${given.map(({ object, why }) => `${object} ${why}`).join(', ')}; expected ${serial}`,
      );
    throw new Failure(
      'identity-unknown',
      `the meter tells neither serial number nor logical device name; expected ${serial}`,
    );
  }
  if (!answers.some((one) => sameSerial(one, serial))) throw mismatch(identity, serial, address);
}

/** Who answered instead of whom: the words and the fields of the event say the same. */
function mismatch({ logicalDeviceName, serial }: Identity, expected: string, address: string): Failure {
  const who = [
    normalSerial(serial ?? '') === undefined ? 'that tells no serial number' : serial,
    normalSerial(logicalDeviceName ?? '') === undefined ? '' : `(logical device name ${logicalDeviceName})`,
    'answers',
    address === '' ? '' : `at server address ${address}`,
  ].filter((part) => part !== '');
  return new Failure('identity-mismatch', `meter ${who.join(' ')} where ${expected} is configured`, {
    expected,
    answeredSerial: serial ?? null,
    answeredName: logicalDeviceName ?? null,
    address: address === '' ? null : address,
  });
}
/** The server address as --server and the configuration spell it: logical device, and the HDLC physical address. */
export const serverText = ({ logical, physical }: Pick<MeterAccess, 'logical' | 'physical'>): string =>
  physical === undefined ? String(logical) : `${logical}/${physical}`;
/** The fields of a mismatch, for its event. */
export const mismatchDetail = (failure: Failure | undefined): NonNullable<EventFact['detail']> =>
  failure?.code === 'identity-mismatch' ? (failure.detail as NonNullable<EventFact['detail']>) : {};
