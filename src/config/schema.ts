/** The configuration file: one strict schema is type, validation, defaults and documentation. */
import * as v from 'valibot';
import { topicPart } from '../forward/payload.ts';
import { parseSelector } from '../line/open-port.ts';
import { parseLogicalName } from '../dlms/cosem/logical-name.ts';
import { normalSerial, sameSerial } from '../meter/identity.ts';
import { genericModel, type MeterModel, physicalAddressOf } from '../meter/model.ts';
import { expectedTrouble } from '../schedule/line-load.ts';
import { dayMs, isMidnight, millis } from '../base/time.ts';

const whole = (low: number, high: number) =>
  v.pipe(
    v.number('a number is expected'),
    v.integer('a whole number is expected'),
    v.minValue(low, `at least ${low}`),
    v.maxValue(high, `at most ${high}`),
  );
const checkable = (check: (text: string) => unknown) => (text: string) => {
  try {
    check(text);
    return true;
  } catch {
    return false;
  }
};
const text = v.pipe(v.string('a text in quotes is expected'), v.minLength(1, 'must not be empty'));
/** `file:/path` (mode 0600) or `credential:name` (systemd). Never the secret itself. */
const reference = v.pipe(
  text,
  v.regex(
    /^(file:\/.+|credential:[A-Za-z0-9_.-]+)$/,
    'write file:/path/to/file or credential:name; secrets never stand in this file',
  ),
);
const obisCode = v.pipe(text, v.check(checkable(parseLogicalName), 'no OBIS code; write 1-0:99.1.0*255'));

/** GS1 check digit of an 18-digit GSRN: weights 3,1 from the right (R34). */
export function gsrnIsValid(digits: string): boolean {
  let sum = 0;
  for (let i = 0; i < 17; i++) sum += Number(digits[i]) * (i % 2 === 0 ? 3 : 1);
  return (10 - (sum % 10)) % 10 === Number(digits[17]);
}

const mechanisms = [
  'none',
  'lls',
  'hls-manufacturer',
  'hls-md5',
  'hls-sha1',
  'hls-gmac',
  'hls-sha256',
  'hls-ecdsa',
] as const;
const policies = ['authenticated', 'encrypted', 'authenticated-encrypted'] as const;

const dayExists = (given: string): boolean => {
  const at = Date.parse(given);
  return !Number.isNaN(at) && new Date(at).toISOString().startsWith(given.slice(0, 10));
};
/** An ISO 8601 instant that exists, of a time in which meters of this kind hang: 1800 is a slip of the pen. */
const instant = (hint: string) =>
  v.pipe(
    text,
    v.isoTimestamp(hint),
    v.check((given) => dayExists(given), 'this day does not exist'),
    v.check((given) => given >= '2000' && given < '2100', 'not before the year 2000, and before 2100'),
  );

const profile = v.strictObject({
  obis: obisCode,
  period_s: v.optional(v.picklist([300, 600, 900, 1800, 3600, 86_400], '300, 600, 900, 1800, 3600 or 86400'), 3600),
  /**
   * The meter is told another capture period at this local midnight, after its profile was read: the same profile stands
   * once more with the new period.
   */
  until: v.optional(instant('a local midnight, in UTC, e.g. 2026-12-01T22:00:00Z')),
});
const registers = v.record(
  obisCode,
  v.union(
    [
      v.pipe(v.number(), v.integer('a whole number'), v.minValue(0, 'a register is not negative')),
      v.pipe(v.string(), v.regex(/^\d{1,20}$/, 'a whole number')),
    ],
    'a whole number, in the unit of the register',
  ),
);
/** The meter replaced another one: `meter-gateway meter swap` writes this. */
const swap = v.strictObject({
  from: text,
  at: instant('UTC, e.g. 2026-11-24T10:37:00Z'),
  final: v.optional(registers, {}),
  first: v.optional(registers, {}),
});
const meter = v.strictObject({
  id: topicPart,
  point: text,
  serial: text,
  /** A name of hardware/meters, or auto: found out by the meter's logical device name. */
  swap: v.optional(swap),
  model: v.optional(text, 'generic'),
  client: v.optional(whole(1, 127), 1),
  server: v.optional(whole(0, 16_383), 1),
  physical: v.optional(whole(0, 16_383)),
  auth: v.optional(v.picklist(mechanisms, mechanisms.join(', ')), 'none'),
  secret: v.optional(reference),
  encryption_key: v.optional(reference),
  authentication_key: v.optional(reference),
  /** hls-ecdsa: our private key in PEM, and the file of the meter's certificate. */
  signing_key: v.optional(reference),
  meter_certificate: v.optional(text),
  /** A key of its own for each association, made fresh and sent under the global key. */
  dedicated_key: v.optional(v.boolean('true or false'), false),
  suite: v.optional(v.picklist([0, 1, 2], '0, 1 or 2'), 0),
  policy: v.optional(v.picklist(policies, policies.join(', ')), 'authenticated-encrypted'),
  wrapping: v.optional(
    v.picklist(['service', 'general', 'general-ciphering'], 'service, general or general-ciphering'),
    'service',
  ),
  counter_object: v.optional(obisCode, '0-0:43.1.0*255'),
  profiles: v.optional(v.pipe(v.array(profile), v.minLength(1, 'at least one profile')), [
    { obis: '1-0:99.1.0*255', period_s: 3600 },
  ]),
  /** Main fuses, A, and phases: more energy than they let through is flagged (R12). */
  fuse_a: v.optional(whole(1, 10_000)),
  phases: v.optional(v.picklist([1, 3], '1 or 3'), 3),
  since: v.optional(instant('UTC, e.g. 2026-10-01T00:00:00Z')),
});
const port = v.strictObject({
  name: topicPart,
  device: v.pipe(
    text,
    v.check(
      checkable((text) => parseSelector(text)),
      'serial:/dev/serial/by-id/…, a device path, or tcp://host:port',
    ),
  ),
  link: v.optional(v.picklist(['hdlc', 'wrapper'], 'hdlc or wrapper'), 'hdlc'),
  mode_e: v.optional(v.boolean('true or false'), false),
  baud: v.optional(whole(300, 921_600), 9600),
  guard_ms: v.optional(whole(0, 5000), 0),
  answer_timeout_ms: v.optional(whole(100, 60_000), 1500),
  retries: v.optional(whole(0, 10), 2),
  meter: v.pipe(v.array(meter), v.minLength(1, 'at least one [[port.meter]]')),
});

export const configSchema = v.strictObject({
  gateway: v.strictObject({
    id: topicPart,
    tenant: topicPart,
    state_directory: v.optional(v.pipe(text, v.startsWith('/', 'an absolute path')), '/var/lib/meter-gateway'),
    poll_offset_s: v.optional(whole(0, 1800), 60),
    back_fill_days: v.optional(whole(0, 400), 40),
    /** Meters' clocks are corrected within the limits of R30; deviations above a minute only with the second. */
    set_clocks: v.optional(v.boolean('true or false'), true),
    set_large_deviations: v.optional(v.boolean('true or false'), false),
    /** kernel: the time is trusted when the kernel says it is synchronised; assume: always. */
    clock_trust: v.optional(v.picklist(['kernel', 'assume'], 'kernel or assume'), 'kernel'),
    /** Of the days of the utility, by its name in the IANA database. */
    time_zone: v.optional(
      v.pipe(
        text,
        v.check(
          checkable((zone) => new Intl.DateTimeFormat('en-GB', { timeZone: zone })),
          'a time zone such as Europe/Helsinki',
        ),
      ),
      'UTC',
    ),
    check_point_ids: v.optional(v.picklist(['refuse', 'warn'], 'refuse or warn'), 'refuse'),
    system_title: v.optional(v.pipe(text, v.regex(/^[0-9a-fA-F]{16}$/, '8 octets in hex'))),
    status_socket: v.optional(v.pipe(text, v.startsWith('/', 'an absolute path'))),
    /** The group whose members may use the status socket: a name of /etc/group, or a number. */
    status_group: v.optional(
      v.pipe(text, v.regex(/^([A-Za-z_][A-Za-z0-9_.-]*|\d+)$/, 'the name or number of a group')),
    ),
  }),
  mqtt: v.strictObject({
    url: v.pipe(text, v.regex(/^(mqtts?|wss?):\/\/[^\s]+$/, 'mqtt://host:1883 or mqtts://host:8883')),
    protocol: v.optional(v.picklist(['5', '3.1.1'], '"5" or "3.1.1"'), '5'),
    username: v.optional(text),
    password: v.optional(reference),
    ca_file: v.optional(text),
    cert_file: v.optional(text),
    key: v.optional(reference),
    keepalive_s: v.optional(whole(5, 1200), 30),
    window: v.optional(whole(1, 1000), 16),
    rate_limit: v.optional(v.pipe(v.number('a number is expected'), v.minValue(0.01, 'at least 0.01'))),
  }),
  log: v.optional(
    v.strictObject({
      level: v.optional(v.picklist(['debug', 'info', 'warn', 'error'], 'debug, info, warn or error'), 'info'),
    }),
    {},
  ),
  port: v.pipe(v.array(port), v.minLength(1, 'at least one [[port]]')),
});
export type Config = v.InferOutput<typeof configSchema>;

/** Not followed by the same profile with another period. */
const isLast = ({ until }: { readonly until?: string | undefined }): boolean => until === undefined;

interface Problem {
  readonly path: string;
  readonly message: string;
}
/** What one key alone cannot show: duplicates and things that exclude each other. */
/** `models`: their address formulas. */
export function crossCheck(
  config: Config,
  models: ReadonlyMap<string, MeterModel>,
): { errors: Problem[]; warnings: Problem[] } {
  const errors: Problem[] = [];
  const warnings: Problem[] = [];
  const seen = new Map<string, string>();
  const unique = (what: string, value: string, path: string) => {
    const first = seen.get(`${what} ${value}`);
    if (first) errors.push({ path, message: `${what} ${value} is already used at ${first}` });
    else seen.set(`${what} ${value}`, path);
  };
  config.port.forEach((aPort, i) => {
    const at = `port[${i}]`;
    unique('port name', aPort.name, `${at}.name`);
    unique('device', aPort.device.replace(/^serial:/, ''), `${at}.device`);
    if (aPort.mode_e && aPort.link === 'wrapper')
      errors.push({ path: `${at}.mode_e`, message: 'mode E leads to HDLC, not to the wrapper' });
    if (aPort.mode_e && aPort.meter.length > 1)
      warnings.push({
        path: `${at}.mode_e`,
        message: 'an optical head sees one meter; several need their device addresses',
      });
    const speed = { baud: aPort.baud, timed: parseSelector(aPort.device).kind === 'serial' };
    const periods = aPort.meter.map(({ profiles }) => profiles.filter(isLast).map(({ period_s }) => period_s * 1000));
    const trouble = expectedTrouble(speed, periods);
    if (trouble !== undefined)
      warnings.push({ path: `${at}.baud`, message: `${aPort.name} at ${aPort.baud} Bd: ${trouble}` });
    aPort.meter.forEach((aMeter, j) => {
      const here = `${at}.meter[${j}]`;
      unique('meter id', aMeter.id, `${here}.id`);
      if (normalSerial(aMeter.serial) === undefined)
        errors.push({ path: `${here}.serial`, message: 'is no serial number' });
      unique('serial', normalSerial(aMeter.serial) ?? '', `${here}.serial`);
      // Left out, the physical address is formed from the serial number, by the model's formula.
      const byFormula =
        aPort.link === 'hdlc' && aPort.meter.length > 1
          ? physicalAddressOf(models.get(aMeter.model) ?? genericModel, aMeter.serial)
          : undefined;
      const address = aMeter.physical ?? byFormula ?? '-';
      unique(`address on ${aPort.name}`, `${aMeter.server}/${address}`, `${here}.server`);
      if (aMeter.swap && sameSerial(aMeter.swap.from, aMeter.serial))
        errors.push({ path: `${here}.swap.from`, message: `a meter is not its own successor (${aMeter.serial})` });
      if (aMeter.id === '_')
        errors.push({ path: `${here}.id`, message: "'_' stands for the gateway itself in topics" });
      const byEcdsa = aMeter.auth === 'hls-ecdsa';
      const wantsSecret = aMeter.auth !== 'none' && aMeter.auth !== 'hls-gmac' && !byEcdsa;
      for (const key of ['signing_key', 'meter_certificate'] as const) {
        if (byEcdsa && aMeter[key] === undefined)
          errors.push({
            path: `${here}.${key}`,
            message: 'auth = "hls-ecdsa" needs signing_key and meter_certificate',
          });
        if (!byEcdsa && aMeter[key] !== undefined)
          warnings.push({ path: `${here}.${key}`, message: `not used with auth = "${aMeter.auth}"` });
      }
      if (wantsSecret && !aMeter.secret)
        errors.push({ path: `${here}.secret`, message: `auth = "${aMeter.auth}" needs a secret` });
      if (!wantsSecret && aMeter.secret)
        warnings.push({ path: `${here}.secret`, message: `not used with auth = "${aMeter.auth}"` });
      const someKey =
        aMeter.encryption_key !== undefined || aMeter.authentication_key !== undefined || aMeter.dedicated_key;
      for (const key of ['encryption_key', 'authentication_key'] as const) {
        if ((someKey || aMeter.auth === 'hls-gmac') && aMeter[key] === undefined) {
          errors.push({ path: `${here}.${key}`, message: 'ciphering needs both keys' });
        }
      }
      if (aPort.link === 'wrapper' && aMeter.physical !== undefined)
        warnings.push({ path: `${here}.physical`, message: 'not used with link = "wrapper"' });
      if (/^\d{18}$/.test(aMeter.point) && !gsrnIsValid(aMeter.point)) {
        const problem = { path: `${here}.point`, message: `${aMeter.point} has a wrong GS1 check digit` };
        (config.gateway.check_point_ids === 'refuse' ? errors : warnings).push(problem);
      }
      aMeter.profiles.forEach(({ obis, period_s, until }, k) => {
        const name = parseLogicalName(obis);
        const before = aMeter.profiles.slice(0, k).findLast((one) => parseLogicalName(one.obis) === name);
        const problem = (key: string, message: string) =>
          errors.push({ path: `${here}.profiles[${k}].${key}`, message });
        if (before && before.until === undefined) problem('obis', `${obis} stands twice`);
        else if (before?.period_s === period_s) problem('period_s', 'the same period as before the change');
        if (until === undefined) return;
        if (before?.until !== undefined && Date.parse(until) <= Date.parse(before.until))
          problem('until', 'not after the change before it');
        if (!isMidnight(millis(Date.parse(until)), config.gateway.time_zone))
          problem('until', `a period changes at midnight of ${config.gateway.time_zone} (gateway.time_zone)`);
        if (!aMeter.profiles.slice(k + 1).some((one) => parseLogicalName(one.obis) === name))
          problem('until', 'name the profile once more, with the period that it has from then on');
      });
      if (aMeter.since !== undefined && Date.parse(aMeter.since) % dayMs !== 0) {
        errors.push({ path: `${here}.since`, message: 'must be midnight UTC: series begin with a day' });
      }
    });
  });
  return { errors, warnings };
}
