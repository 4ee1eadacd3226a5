/** A session with one meter from the command line: options in, a session that stands out. Shared by `read` and `browse`. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Failure, messageOf } from '../base/errors.ts';
import { fromHex } from '../base/hex.ts';
import { Secret } from '../base/secret.ts';
import { type Clock, type Millis, millis } from '../base/time.ts';
import { secretFromFile } from '../config/secrets.ts';
import { meterModels } from '../config/meter-models.ts';
import type { CipheringSettings } from '../dlms/association/ciphering.ts';
import { parseLogicalName } from '../dlms/cosem/logical-name.ts';
import { signingOf } from '../dlms/security/certificate.ts';
import type { Suite } from '../dlms/security/protection.ts';
import type { Direction } from '../line/direction.ts';
import { openPort, parseSelector } from '../line/open-port.ts';
import { askCounter } from '../meter/invocation-counter.ts';
import { genericModel, type MeterModel } from '../meter/model.ts';
import type { MeterAccess } from '../meter/access.ts';
import { Session } from '../meter/session.ts';
import { sessionCounters, stateDirectory } from './nonces.ts';
import type { DecodeKeys } from '../recording/explained.ts';
import { entryCount } from './refused-entries.ts';
import { askSecret, decodeKeys } from './secret.ts';
import { note } from './terminal.ts';
import { traceTo } from './trace-file.ts';

export interface ConnectionOptions {
  readonly link: string;
  readonly model?: string;
  readonly modeE?: boolean;
  readonly client: string;
  readonly server: string;
  readonly addressSize?: string;
  readonly auth: string;
  readonly security?: string;
  readonly suite: string;
  readonly wrapping: string;
  readonly keys?: string;
  readonly dedicated?: boolean;
  readonly signingKey?: string;
  readonly meterCertificate?: string;
  readonly systemTitle?: string;
  readonly meterTitle?: string;
  readonly initiate?: string;
  readonly socket: string;
  readonly force?: boolean;
  readonly counterObject: string;
  readonly invocationCounter?: string;
  readonly secretFile?: string;
  readonly baud: string;
  readonly direction: Direction;
  readonly maxInfo: string;
  readonly window: string;
  readonly timeout: string;
  readonly retries: string;
  readonly standardOffset?: string;
  readonly trace?: string;
}

/** A technician's session may bring an image over a slow line; it does not outlive the day. */
const sessionLimitMs = 24 * 3_600_000;
/** As the option says in main.ts. */
const defaultMaxInfo = '1024';
export const bad = (message: string): never => {
  throw new Failure('bad-argument', message);
};
export function whole(name: string, text: string, low: number, high: number): number {
  const value = Number(text);
  return /^-?\d+$/.test(text) && value >= low && value <= high
    ? value
    : bad(`${name} takes a whole number from ${low} to ${high}, not '${text}'`);
}
/** A model by name; the generic one where none is given. */
export function modelNamed(name: string | undefined): MeterModel {
  const models = meterModels();
  return (
    (name === undefined ? genericModel : models.get(name)) ??
    bad(`no model '${name}'; there are ${[...models.keys()].join(', ')}`)
  );
}
/** `--standard-offset`: minutes from UTC to standard time; a stamp has them from local time to UTC. */
export const stampDeviation = (text: string): number => -whole('--standard-offset', text, -840, 840);
function accessOf(device: string, options: ConnectionOptions): MeterAccess {
  const [logical = '', physical, ...more] = options.server.split('/');
  if (more.length > 0) bad(`--server takes N or N/PHYSICAL, not '${options.server}'`);
  if (options.link !== 'hdlc' && options.link !== 'wrapper') bad(`--link takes hdlc or wrapper, not '${options.link}'`);
  const size = options.addressSize;
  if (size !== undefined && size !== '1' && size !== '2' && size !== '4')
    bad(`--address-size takes 1, 2 or 4, not '${size}'`);
  const given = options.model === undefined ? undefined : meterModels().get(options.model);
  if (options.model !== undefined && !given) bad(`no model '${options.model}' in hardware/meters`);
  const model: MeterModel = {
    // An unknown meter: one attribute at a time always works.
    ...(given ?? { ...genericModel, multiple_references: false }),
    ...((!given || options.maxInfo !== defaultMaxInfo) && { max_info: whole('--max-info', options.maxInfo, 32, 2030) }),
    ...((!given || options.window !== '1') && { window: whole('--window', options.window, 1, 7) }),
    ...(size && { address_size: Number(size) as 1 | 2 | 4 }),
    ...(options.initiate !== undefined && {
      initiate_protection: options.initiate as NonNullable<MeterModel['initiate_protection']>,
    }),
    ...(options.standardOffset !== undefined && {
      stamp_deviation_min: stampDeviation(options.standardOffset),
    }),
  };
  return {
    link: options.link as 'hdlc' | 'wrapper',
    modeE: options.modeE ?? model.mode_e,
    signOnAddress: '',
    client: whole('--client', options.client, 1, 127),
    logical: whole('--server', logical, 0, 16383),
    physical: physical === undefined ? undefined : whole('--server physical', physical, 0, 16383),
    auth: options.auth as MeterAccess['auth'],
    secret: undefined,
    model,
    baud: whole('--baud', options.baud, 300, 921600),
    timed: parseSelector(device).kind === 'serial',
    answerTimeoutMs: whole('--timeout', options.timeout, 50, 120_000),
    retries: whole('--retries', options.retries, 0, 20),
    guardMs: 0,
    sessionMs: sessionLimitMs,
  };
}

function titleOf(name: string, given: string | undefined): Uint8Array | undefined {
  if (given === undefined) return undefined;
  return /^[0-9a-f]{16}$/i.test(given) ? fromHex(given) : bad(`${name} takes 8 octets in hex, not '${given}'`);
}

/** Everything that can be wrong with the options is said here, before the line is touched. */
function checkedOptions(device: string, options: ConnectionOptions) {
  const access = accessOf(device, options);
  const ciphered = options.auth === 'hls-gmac' || options.security !== undefined;
  const systemTitle = titleOf('--system-title', options.systemTitle);
  const meterTitle = titleOf('--meter-title', options.meterTitle);
  if (options.dedicated === true && access.model.initiate_protection === 'authenticated')
    bad('--dedicated sends its key in InitiateRequest, which is not encrypted with --initiate authenticated');
  const suite = whole('--suite', options.suite, 0, 2) as Suite;
  const counterObject = parseLogicalName(options.counterObject);
  const given =
    options.invocationCounter === undefined
      ? undefined
      : whole('--invocation-counter', options.invocationCounter, 0, 0xffff_ffff);
  return { access, ciphered, systemTitle, meterTitle, suite, counterObject, given };
}

type Checked = ReturnType<typeof checkedOptions>;

function signingFrom({ signingKey, meterCertificate }: ConnectionOptions) {
  if (signingKey === undefined || meterCertificate === undefined)
    return bad('--auth hls-ecdsa needs --signing-key and --meter-certificate');
  let certificate: Uint8Array;
  try {
    certificate = readFileSync(meterCertificate);
  } catch (error) {
    return bad(messageOf(error));
  }
  return signingOf(new Secret(secretFromFile(signingKey)), certificate);
}

/** Keys out of the environment or a file; none, where nothing is ciphered. */
function keysFor({ ciphered }: Checked, options: ConnectionOptions): DecodeKeys {
  const keys = ciphered ? decodeKeys(options.keys, process.env) : {};
  if (ciphered && (!keys.encryption || !keys.authentication)) {
    throw new Failure('secret-missing', 'ciphering needs METER_EK and METER_AK, or --keys FILE');
  }
  return keys;
}

/** With what the client proves itself by; nothing is ciphered yet. */
async function withProof(
  { access, systemTitle }: Checked,
  options: ConnectionOptions,
  keys: DecodeKeys,
): Promise<MeterAccess> {
  const byEcdsa = access.auth === 'hls-ecdsa';
  const password = access.auth !== 'none' && access.auth !== 'hls-gmac' && !byEcdsa;
  return {
    ...access,
    secret: password ? (keys.secret ?? new Secret(await askSecret(options.secretFile))) : undefined,
    // A signature over a challenge wants 32 octets of it (Green Book 9.2.7.4).
    challenge: () => randomBytes(byEcdsa ? 32 : 16),
    // Without keys a title is only a name: HLS by SHA-256 and by ECDSA hash it.
    systemTitle: systemTitle ?? Buffer.from('MGW\0\0\0\0\x01', 'latin1'),
    ...(byEcdsa && { signing: signingFrom(options) }),
  };
}

/** Ciphered, under the title and the invocation counter that may be used next with the key. */
async function ciphering(
  plain: MeterAccess,
  { systemTitle, meterTitle, suite, given }: Checked,
  options: ConnectionOptions,
  keys: DecodeKeys,
  ask: () => Promise<number>,
): Promise<MeterAccess> {
  const { title, next } = await sessionCounters({
    key: keys.encryption as Secret,
    pinned: systemTitle,
    given,
    ask,
    socket: options.socket,
    directory: stateDirectory(process.env),
    note,
  });
  return {
    ...plain,
    systemTitle: title,
    ciphering: {
      suite,
      ownTitle: title,
      ...(meterTitle && { peerTitle: meterTitle }),
      keys: { encryption: keys.encryption as Secret, authentication: keys.authentication as Secret },
      policy: (options.security ?? 'authenticated-encrypted') as CipheringSettings['policy'],
      wrapping: options.wrapping as CipheringSettings['wrapping'],
      nextCounter: next,
      ...(options.dedicated && { dedicated: () => new Secret(randomBytes(suite === 2 ? 32 : 16)) }),
    },
  };
}

/** Opens line and association, works, and closes both whatever happened. */
export async function withSession(
  device: string,
  options: ConnectionOptions,
  clock: Clock,
  work: (session: Session, access: MeterAccess) => Promise<void>,
): Promise<void> {
  const checked = checkedOptions(device, options);
  const { ciphered, counterObject } = checked;
  const keys = keysFor(checked, options);
  const plain = await withProof(checked, options, keys);
  const progress = process.stderr.isTTY ? (octets: number) => process.stderr.write(`\r${octets} octets`) : undefined;
  // The password of low level security goes over the line, not into the file; a key has no business there either.
  const trace = traceTo(options.trace, device, clock, [plain.secret, ...Object.values(keys)]);
  const state = stateDirectory(process.env);
  const who = [device, options.client, options.server, options.auth];
  const proves = ciphered || plain.auth !== 'none';
  const entries = proves ? entryCount(state, who, () => clock.wall(), note) : undefined;
  entries?.check(options.force === true);
  const port = await openPort(device, plain.baud, clock, options.direction);
  try {
    const ask = () => askCounter(port, clock, plain, counterObject, trace);
    const access = ciphered ? await ciphering(plain, checked, options, keys, ask) : plain;
    const session = new Session(port, clock, access, { trace, onBlock: progress });
    try {
      await session.connect();
      entries?.entered();
      await work(session, access);
    } catch (error) {
      if (!session.entered && session.stack.asked) entries?.failed(error);
      throw error;
    } finally {
      if (progress) process.stderr.write('\r\x1b[K');
      await session.close();
      for (const text of session.fallbacks.tolerated) note(`the meter is odd: it ${text}`);
    }
  } finally {
    await port.close();
  }
}

/** An instant of an option, ISO 8601. */
export function instant(name: string, text: string): Millis {
  const value = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d)?(\.\d+)?(Z|[+-]\d\d:\d\d))?$/.test(text)
    ? Date.parse(text)
    : Number.NaN;
  return Number.isNaN(value) ? bad(`${name} takes UTC, e.g. 2026-10-10T00:00Z, not '${text}'`) : millis(value);
}
