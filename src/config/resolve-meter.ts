/** What is to be known of one meter before it can be polled. Whatever is wrong with it stops this meter alone. */
import { createHash, createPublicKey, X509Certificate } from 'node:crypto';
import { type ErrorCode, Failure } from '../base/errors.ts';
import { fromHex } from '../base/hex.ts';
import { Secret } from '../base/secret.ts';
import { dayMs, type Millis, millis } from '../base/time.ts';
import type { Path } from '../base/toml.ts';
import { obis, parseLogicalName } from '../dlms/cosem/logical-name.ts';
import { parseCertificate, parseSigningKey, signingOf } from '../dlms/security/certificate.ts';
import { parseListenSelector } from '../line/open-port.ts';
import { genericModel, type MeterModel, physicalAddressOf } from '../meter/model.ts';
import { sessionLimitMs } from '../schedule/turn-time.ts';
import type { MeterAccess } from '../meter/access.ts';
import type { Origin } from '../reading/facts.ts';
import type { MeterSecurity, PolledMeter } from '../schedule/meter-state.ts';
import type { ConfiguredProfile } from '../schedule/polled-series.ts';
import { nearest } from '../base/nearest.ts';
import type { Findings, Sources } from './findings.ts';
import { datesOf } from './resolve-broker.ts';
import type { Config } from './schema.ts';

type ConfiguredPort = Config['port'][number];
type ConfiguredMeter = ConfiguredPort['meter'][number];

export interface MeterPlan {
  readonly origin: Origin;
  /** Without the challenge, which is fresh for each session. */
  readonly access: MeterAccess;
  readonly challengeOctets: number;
  readonly security: Omit<MeterSecurity, 'freshKey'> | undefined;
  /** With the keys that an order may give it. */
  readonly nextSecurity: Omit<MeterSecurity, 'freshKey'> | undefined;
  /** Octets of the key that is made for each association; 0 where the meter has none. */
  readonly dedicatedKeyOctets: number;
  readonly detectFrom: readonly MeterModel[] | undefined;
  readonly swap: PolledMeter['swap'];
  readonly powerLimitW: number | undefined;
  readonly profiles: readonly ConfiguredProfile[];
  readonly since: Millis | undefined;
  /** Where its unprotected pushes come from. */
  readonly pushAddress: string | undefined;
  /** Why it cannot be polled. */
  readonly unusable: Failure | undefined;
  /** Changes with everything that is configured of it and of its port, its model and its secrets. */
  readonly fingerprint: string;
}
export interface MeterContext {
  readonly port: ConfiguredPort;
  readonly meter: ConfiguredMeter;
  readonly path: Path;
  readonly models: ReadonlyMap<string, MeterModel>;
  /** Ours in ciphered associations, the one under which counters are kept, and whether the configuration pins it. */
  readonly systemTitle: Uint8Array;
  readonly countedAs: Uint8Array;
  readonly titlePinned: boolean;
  readonly sources: Sources;
  readonly findings: Findings;
}

/** Registers by the one spelling of their OBIS code. */
const keyed = (registers: Readonly<Record<string, number | string>>): Record<string, number | string> =>
  Object.fromEntries(Object.entries(registers).map(([code, value]) => [obis(parseLogicalName(code)), value]));

/** A key in hex or raw. The failure repeats nothing of it. */
function keyOf(octets: Uint8Array, reference: string, suite: number): Secret {
  const length = suite === 2 ? 32 : 16;
  const text = Buffer.from(octets).toString('latin1').trim();
  const digits = /^[0-9a-f]+$/i.test(text);
  // Taken as octets these characters would be a key that nobody has, and each try with it counts towards the lock of the meter.
  if (digits && text.length !== length * 2)
    throw new Failure(
      'key-unfit',
      `${reference}: ${text.length} hex digits, a key of suite ${suite} has ${length * 2}`,
      {
        next: `Write all ${length * 2} of them, or the suite that the key is for; where the key is these signs themselves, write them in hex.`,
      },
    );
  const key = digits ? fromHex(text) : Uint8Array.from(octets);
  octets.fill(0);
  if (key.length !== length)
    throw new Failure('key-unfit', `${reference}: a key of suite ${suite} has ${length} octets, in hex or raw`);
  return asSecret(key);
}

/** What a source gave is overwritten as soon as the secret has it. */
function asSecret(octets: Uint8Array): Secret {
  const secret = new Secret(octets);
  octets.fill(0);
  return secret;
}

/** Codes whose next step says more than to correct the file. */
const tells: ReadonlySet<ErrorCode> = new Set(['secret-missing', 'key-unfit']);

/** Runs a step of a meter's plan; what fails is a finding, and the first one stops the meter. */
function stepsOf({ findings, path }: MeterContext) {
  let unusable: Failure | undefined;
  const step = <T>(key: string, source: () => T): T | undefined =>
    findings.attempt('meter', [...path, key], () => {
      try {
        return source();
      } catch (error) {
        if (!(error instanceof Failure) || error.detail['unjudged'] === true) throw error;
        const failure = new Failure(tells.has(error.code) ? error.code : 'config-invalid', error.message, error.detail);
        unusable ??= failure;
        throw failure;
      }
    });
  return { step, unusable: () => unusable };
}
type Step = ReturnType<typeof stepsOf>['step'];

const keysAreTwo =
  'The two keys are two: name the authentication key there. A wrong key counts towards the lock of the meter.';

function securityPlan(context: MeterContext, step: Step, of: 'present' | 'next'): MeterPlan['security'] {
  const { meter, systemTitle, countedAs, titlePinned, sources } = context;
  const { suite, next_encryption_key, next_authentication_key } = meter;
  // What changes of the two may be one of them.
  const isNext = (key: string | undefined) => of === 'next' && key !== undefined;
  const [encryptionKey, authenticationKey] = [
    isNext(next_encryption_key) ? 'next_encryption_key' : 'encryption_key',
    isNext(next_authentication_key) ? 'next_authentication_key' : 'authentication_key',
  ] as const;
  const { [encryptionKey]: encryption_key, [authenticationKey]: authentication_key } = meter;
  if (encryption_key === undefined || authentication_key === undefined) return undefined;
  const encryption = step(encryptionKey, () => keyOf(sources.secret(encryption_key), encryption_key, suite));
  const authentication = step(authenticationKey, () =>
    keyOf(sources.secret(authentication_key), authentication_key, suite),
  );
  if (!encryption || !authentication) return undefined;
  // Octets, not references: a copied file is the same mistake.
  const distinct = step(authenticationKey, () => {
    // That both name one reference is a finding of the file itself.
    if (encryption_key !== authentication_key && encryption.key.equals(authentication.key))
      throw new Failure('config-invalid', `${authentication_key} holds the encryption key`, {
        next: keysAreTwo,
      });
    return true;
  });
  if (distinct === undefined) return undefined;
  // Whoever configures the same key again goes on where its counter stood.
  const counterName = createHash('sha256')
    .update('counter')
    .update(encryption.reveal())
    .update(countedAs)
    .digest('hex')
    .slice(0, 24);
  return {
    counterName,
    titlePinned,
    counterObject: parseLogicalName(meter.counter_object),
    settings: {
      suite,
      ownTitle: systemTitle,
      ...(meter.meter_title !== undefined && { peerTitle: fromHex(meter.meter_title) }),
      keys: { encryption, authentication },
      policy: meter.policy,
      wrapping: meter.wrapping,
    },
  };
}

/** undefined where none are configured, or they are the present ones: somebody left them there after the change. */
function nextSecurityPlan(context: MeterContext, step: Step, security: MeterPlan['security']): MeterPlan['security'] {
  const { next_encryption_key, next_authentication_key } = context.meter;
  if (!security || (next_encryption_key === undefined && next_authentication_key === undefined)) return undefined;
  const next = securityPlan(context, step, 'next');
  const { keys } = security.settings;
  const same =
    next?.settings.keys.encryption.key.equals(keys.encryption.key) &&
    next.settings.keys.authentication.key.equals(keys.authentication.key);
  return same === true ? undefined : next;
}

/** The certificate of the meter. Its dates are a warning only. */
function certificateOf({ sources, findings, path }: MeterContext, file: string): Uint8Array {
  const octets = sources.file(file);
  parseCertificate(octets);
  const dated = datesOf(new X509Certificate(octets), sources.now());
  if (dated !== undefined)
    findings.add('warning', [...path, 'meter_certificate'], `${file} ${dated}`, {
      next: 'Read the present one from the meter; is the clock of this machine right (timedatectl)?',
    });
  return octets;
}

function accessPlan(context: MeterContext, model: MeterModel, step: Step): MeterAccess {
  const { port, meter, systemTitle, sources } = context;
  const { secret, signing_key, meter_certificate } = meter;
  const signed = meter.auth === 'hls-ecdsa' && signing_key !== undefined && meter_certificate !== undefined;
  const key = signed ? step('signing_key', () => asSecret(sources.secret(signing_key))) : undefined;
  const certificate = signed ? step('meter_certificate', () => certificateOf(context, meter_certificate)) : undefined;
  const own = key && step('signing_key', () => parseSigningKey(key));
  const signing = key && own && certificate ? step('signing_key', () => signingOf(key, certificate)) : undefined;
  const password = secret === undefined ? undefined : step('secret', () => asSecret(sources.secret(secret)));
  const speed = { baud: port.baud, timed: parseListenSelector(port.device).kind === 'serial' };
  return {
    link: port.link,
    modeE: port.mode_e,
    signOnAddress: port.meter.length > 1 ? meter.serial : '',
    client: meter.client,
    logical: meter.server,
    // Several meters on one line differ by their physical address, which most makers form from the serial.
    physical:
      meter.physical ??
      (port.link === 'hdlc' && port.meter.length > 1 ? physicalAddressOf(model, meter.serial) : undefined),
    auth: meter.auth,
    systemTitle,
    ...(signing && { signing }),
    secret: password,
    model,
    ...speed,
    sessionMs: sessionLimitMs(speed),
    answerTimeoutMs: port.answer_timeout_ms,
    retries: port.retries,
    guardMs: port.guard_ms,
  };
}

function fingerprintOf(
  { port, meter, models }: MeterContext,
  access: MeterAccess,
  security: MeterPlan['security'],
  next: MeterPlan['security'],
) {
  const { meter: _, ...line } = port;
  const hash = createHash('sha256').update(JSON.stringify([line, meter, port.meter.length, access.model]));
  if (meter.model === 'auto') hash.update(JSON.stringify([...models.values()]));
  const keys = [security, next].flatMap((one) => [one?.settings.keys.encryption, one?.settings.keys.authentication]);
  for (const secret of [access.secret, ...keys]) hash.update(secret?.reveal() ?? 'none').update('/');
  for (const key of Object.values(access.signing?.keys ?? {}))
    hash.update(JSON.stringify((key.type === 'private' ? createPublicKey(key) : key).export({ format: 'jwk' })));
  return hash.digest('hex');
}

/** A slip of the year would be a meter of which nothing is ever missing. */
function judgeTimes({ meter, path, findings, sources }: MeterContext): void {
  const now = sources.now();
  // A machine that does not know the time says nothing of it.
  if (now < clockBegan) return;
  const judge = (key: Path, at: string | undefined, message: string) => {
    if (at !== undefined && Date.parse(at) > now + dayMs)
      findings.add('warning', [...path, ...key], `${at} is still to come: ${message}`, { next: 'Is the year right?' });
  };
  judge(['since'], meter.since, 'nothing is read before it, and nothing is called missing');
  judge(['swap', 'at'], meter.swap?.at, 'a meter is swapped when it hangs');
}
const clockBegan = Date.UTC(2025, 0, 1);

export function meterPlan(context: MeterContext): MeterPlan {
  const { meter, models } = context;
  judgeTimes(context);
  const { step, unusable } = stepsOf(context);
  const detected = meter.model === 'auto';
  const model = step('model', () => {
    const found = models.get(detected ? genericModel.name : meter.model);
    if (found) return found;
    const meant = nearest(meter.model, ['auto', ...models.keys()]);
    const hint = meant === undefined ? '' : `; did you mean '${meant}'?`;
    throw new Failure('config-invalid', `no model '${meter.model}'${hint}`, {
      next: `Write one of auto, ${[...models.keys()].join(', ')}; config check says what a model of your own lacks.`,
    });
  });
  const access = accessPlan(context, model ?? genericModel, step);
  const security = securityPlan(context, step, 'present');
  const nextSecurity = nextSecurityPlan(context, step, security);
  if (meter.dedicated_key && access.model.initiate_protection === 'authenticated')
    step('dedicated_key', () => {
      throw new Failure(
        'config-invalid',
        `the key of the association would go out in the clear: model '${access.model.name}' has initiate_protection = "authenticated"`,
      );
    });
  return {
    origin: { meter: meter.id, point: meter.point, serial: meter.serial },
    access,
    // 16 octets, 32 where they are signed (Green Book 9.2.7.4).
    challengeOctets: meter.auth === 'hls-ecdsa' ? 32 : 16,
    security,
    nextSecurity,
    dedicatedKeyOctets: security && meter.dedicated_key ? security.settings.keys.encryption.length : 0,
    detectFrom: detected ? [...models.values()] : undefined,
    swap: meter.swap && {
      from: meter.swap.from,
      at: Date.parse(meter.swap.at),
      final: keyed(meter.swap.final),
      first: keyed(meter.swap.first),
    },
    powerLimitW: meter.fuse_a === undefined ? undefined : meter.fuse_a * meter.phases * 230,
    profiles: meter.profiles.map(({ obis: code, period_s, until }) => ({
      profile: parseLogicalName(code),
      periodS: period_s,
      until: until === undefined ? undefined : millis(Date.parse(until)),
    })),
    since: meter.since === undefined ? undefined : millis(Date.parse(meter.since)),
    pushAddress: meter.push_address,
    unusable: unusable(),
    fingerprint: fingerprintOf(context, access, security, nextSecurity),
  };
}
