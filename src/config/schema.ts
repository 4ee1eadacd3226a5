/** The configuration file: one strict schema is type, validation, defaults and documentation. */
import * as v from 'valibot';
import { says, saysRestart } from '../base/says.ts';
import { topicPart, wordLimit } from '../contract/words.ts';
import { directions } from '../line/direction.ts';
import { parseListenSelector, parseSelector } from '../line/open-port.ts';
import { parseLogicalName } from '../dlms/cosem/logical-name.ts';

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
const absolute = v.pipe(text, v.startsWith('/', 'an absolute path'));
const systemTitle = v.pipe(text, v.regex(/^[0-9a-fA-F]{16}$/, '8 octets in hex'));
/** What the contract with the head-end takes for a name. */
const word = v.pipe(
  text,
  v.maxLength(wordLimit, `at most ${wordLimit} letters`),
  v.regex(/^[^\p{Cc}]*$/u, 'no control characters'),
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

/** The day that is written, whatever the offset behind it. */
const dayExists = (given: string): boolean => {
  const day = given.slice(0, 10);
  const at = Date.parse(`${day}T00:00:00Z`);
  return !Number.isNaN(Date.parse(given)) && !Number.isNaN(at) && new Date(at).toISOString().startsWith(day);
};
/** An ISO 8601 instant that exists, of a time in which meters of this kind hang: 1800 is a slip of the pen. */
const instant = (hint: string) =>
  v.pipe(
    text,
    v.isoTimestamp(hint),
    v.check((given) => dayExists(given), 'this day does not exist'),
    v.check((given) => given >= '2000' && given < '2100', 'not before the year 2000, and before 2100'),
  );

const group = v.pipe(text, v.regex(/^([A-Za-z_][A-Za-z0-9_.-]*|\d+)$/, 'the name or number of a group'));
const yesOrNo = v.boolean('true or false');

const profile = v.strictObject({
  obis: says('logical name of the profile', obisCode),
  period_s: v.optional(
    says(
      'seconds between two rows',
      v.picklist([300, 600, 900, 1800, 3600, 86_400], '300, 600, 900, 1800, 3600 or 86400'),
    ),
    3600,
  ),
  until: v.optional(
    says(
      'the gateway sets another capture period at this local midnight, after its profile was read; the same profile stands once more with the new period',
      instant('a local midnight, in UTC, e.g. 2026-12-01T22:00:00Z'),
    ),
  ),
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
const swap = v.strictObject({
  from: says('serial number of the meter that was taken down', word),
  at: says('when it was replaced', instant('UTC, e.g. 2026-11-24T10:37:00Z')),
  final: v.optional(says('registers of the old meter when it was taken down', registers), {}),
  first: v.optional(says('registers of the new meter when it began', registers), {}),
});
const meter = v.strictObject({
  id: says('one level of the MQTT topics, and the name in commands', topicPart),
  point: says('metering point: the series belongs to it, whichever meter hangs there', word),
  serial: says('the meter must tell this serial number, or its rows are not taken', word),
  swap: v.optional(says('the meter replaced another one; `meter-gateway meter swap` writes this', swap)),
  model: v.optional(
    says("a name of hardware/meters, or auto: found out by the meter's logical device name", text),
    'generic',
  ),
  client: v.optional(says('client SAP', whole(1, 127)), 1),
  server: v.optional(says('logical device', whole(0, 16_383)), 1),
  physical: v.optional(
    says(
      "HDLC physical address; left out: from the serial number by the model's formula, or one-octet addressing where the meter is alone on its line",
      whole(0, 16_383),
    ),
  ),
  auth: v.optional(says('authentication mechanism', v.picklist(mechanisms, mechanisms.join(', '))), 'none'),
  secret: v.optional(says('password of lls and of hls by password', reference)),
  encryption_key: v.optional(says('global unicast encryption key, in hex', reference)),
  authentication_key: v.optional(says('authentication key, in hex', reference)),
  next_encryption_key: v.optional(
    says('the encryption key that an order gives the meter; in use when the meter has it', reference),
  ),
  next_authentication_key: v.optional(
    says('the authentication key that an order gives the meter; in use when the meter has it', reference),
  ),
  signing_key: v.optional(says('hls-ecdsa: our private key in PEM', reference)),
  meter_certificate: v.optional(says('hls-ecdsa: the file of the certificate of the meter', absolute)),
  meter_title: v.optional(
    says(
      "the meter's system title, 8 octets in hex, where its AARE carries none; once it was met it is remembered",
      systemTitle,
    ),
  ),
  dedicated_key: v.optional(
    says('a key of its own for each association, made fresh and sent under the global key', yesOrNo),
    false,
  ),
  suite: v.optional(says('security suite', v.picklist([0, 1, 2], '0, 1 or 2')), 0),
  policy: v.optional(
    says('protection of ciphered associations, at least', v.picklist(policies, policies.join(', '))),
    'authenticated-encrypted',
  ),
  wrapping: v.optional(
    says(
      'ciphered APDUs for each service, general, or by general-ciphering',
      v.picklist(['service', 'general', 'general-ciphering'], 'service, general or general-ciphering'),
    ),
    'service',
  ),
  counter_object: v.optional(
    says('where the meter keeps the invocation counter that it heard last', obisCode),
    '0-0:43.1.0*255',
  ),
  profiles: v.optional(
    says('load profiles to read', v.pipe(v.array(profile), v.minLength(1, 'at least one profile'))),
    [{ obis: '1-0:99.1.0*255', period_s: 3600 }],
  ),
  fuse_a: v.optional(
    says(
      'main fuses in ampere: an interval with more than 1.2 times the energy they let through is flagged IMPOSSIBLE',
      whole(1, 10_000),
    ),
  ),
  phases: v.optional(says('phases behind fuse_a', v.picklist([1, 3], '1 or 3')), 3),
  push_address: v.optional(
    says(
      'the HDLC address, wPort or M-Bus address that its pushes come from, where they are not ciphered and do not name the meter',
      word,
    ),
  ),
  since: v.optional(
    says(
      'first interval of the series; left out: back_fill_days before the first start',
      instant('UTC, e.g. 2026-10-01T00:00:00Z'),
    ),
  ),
});
export const meterSchema = meter;
/** Of a meter that only pushes: nothing of it is about asking. */
const listened = v.strictObject({
  id: meter.entries.id,
  point: meter.entries.point,
  serial: meter.entries.serial,
  swap: meter.entries.swap,
  model: v.optional(says('a name of hardware/meters', text), 'generic'),
  meter_title: v.optional(says('its system title, 8 octets in hex: who pushes ciphered is known by it', systemTitle)),
  encryption_key: meter.entries.encryption_key,
  authentication_key: meter.entries.authentication_key,
  suite: meter.entries.suite,
  policy: v.optional(
    says('protection of its pushes, at least', v.picklist(policies, policies.join(', '))),
    'authenticated-encrypted',
  ),
  profiles: meter.entries.profiles,
  fuse_a: meter.entries.fuse_a,
  phases: meter.entries.phases,
  push_address: meter.entries.push_address,
  since: v.optional(
    says(
      'first interval of the series; left out: the first one that it pushes',
      instant('UTC, e.g. 2026-10-01T00:00:00Z'),
    ),
  ),
});
const listen = v.strictObject({
  name: says('name of the listener in status, log and health', topicPart),
  device: says(
    'where meters push: a TCP or UDP port of this machine, or a serial line that nobody polls',
    v.pipe(
      text,
      v.check(
        checkable((text) => parseListenSelector(text)),
        'tcp://0.0.0.0:4059, udp://0.0.0.0:4059 or serial:/dev/serial/by-id/…',
      ),
    ),
  ),
  link: v.optional(
    says(
      'how they frame what they push; p1: telegrams of a P1 port, plain or ciphered',
      v.picklist(['hdlc', 'wrapper', 'p1'], 'hdlc, wrapper or p1'),
    ),
    'wrapper',
  ),
  baud: v.optional(says('speed of a serial line; 8N1', whole(300, 921_600)), 9600),
  per_minute: v.optional(says('messages of one peer in a minute; who sends more is cut off', whole(1, 100_000)), 600),
  meter: v.optional(says('meters that only push; those of a [[port]] may push here as well', v.array(listened)), []),
});
const port = v.strictObject({
  name: says('name of the port in status, log and health', topicPart),
  device: says(
    'the line, by a name that stays',
    v.pipe(
      text,
      v.check(
        checkable((text) => parseSelector(text)),
        'serial:/dev/serial/by-id/…, a device path, or tcp://host:port',
      ),
    ),
  ),
  link: v.optional(says('wrapper: DLMS over TCP', v.picklist(['hdlc', 'wrapper'], 'hdlc or wrapper')), 'hdlc'),
  mode_e: v.optional(says('IEC 62056-21 sign-on at 300 Bd first (optical head)', yesOrNo), false),
  baud: v.optional(says('speed of the serial line; 8N1', whole(300, 921_600)), 9600),
  direction: v.optional(
    says(
      'who switches the RS-485 driver of a serial line between sending and listening: the adapter itself (auto), the kernel (TIOCSRS485), or the gateway by RTS, on or off while it sends',
      v.picklist(directions, directions.join(', ')),
    ),
    'auto',
  ),
  guard_ms: v.optional(says("silence between the meter's answer and our next frame", whole(0, 5000)), 0),
  answer_timeout_ms: v.optional(says('time for an answer to begin', whole(100, 60_000)), 1500),
  retries: v.optional(says('how often a frame is sent again', whole(0, 10)), 2),
  meter: v.optional(says('the meters of this line', v.array(meter)), []),
});

export const configSchema = v.strictObject({
  gateway: v.strictObject({
    id: says('name of this gateway: one level of the MQTT topics', topicPart),
    tenant: says('whose gateway it is: one level of the MQTT topics', topicPart),
    state_directory: v.optional(saysRestart('where the store lies', absolute), '/var/lib/meter-gateway'),
    poll_offset_s: v.optional(says('wait after the end of an interval before it is asked for', whole(0, 1800)), 60),
    back_fill_days: v.optional(
      says('how far back a new series begins, where the meter has no `since`', whole(0, 400)),
      40,
    ),
    set_clocks: v.optional(
      says("meters' clocks are corrected within the limits of R30; false: a deviation is only reported", yesOrNo),
      true,
    ),
    set_large_deviations: v.optional(says('also where they are off by more than a minute', yesOrNo), false),
    clock_trust: v.optional(
      says(
        'kernel: the time is trusted when the kernel says that it is synchronised; assume: always',
        v.picklist(['kernel', 'assume'], 'kernel or assume'),
      ),
      'kernel',
    ),
    time_zone: v.optional(
      says(
        'of the days of the utility, by its name in the IANA database: capture periods change at its midnight',
        v.pipe(
          text,
          v.check(
            checkable((zone) => new Intl.DateTimeFormat('en-GB', { timeZone: zone })),
            'a time zone such as Europe/Helsinki',
          ),
        ),
      ),
      'UTC',
    ),
    check_point_ids: v.optional(
      says('a GSRN with a wrong check digit (R34)', v.picklist(['refuse', 'warn'], 'refuse or warn')),
      'refuse',
    ),
    system_title: v.optional(
      says(
        'our system title in ciphered associations; left out: a fresh one for each life of the process',
        systemTitle,
      ),
    ),
    status_socket: v.optional(
      says('the local door; left out: in /run under systemd, else in the state directory', absolute),
    ),
    status_group: v.optional(
      says('the group whose members may use the status socket; left out: the service only', group),
    ),
    technician_group: v.optional(
      says(
        'the group whose members may act: scan, commission, poll, reload, at desk.sock beside the status socket, which then only looks; left out: whoever may use the status socket may act',
        group,
      ),
    ),
  }),
  mqtt: v.strictObject({
    url: says(
      'the broker',
      v.pipe(text, v.regex(/^(mqtts?|wss?):\/\/[^\s]+$/, 'mqtt://host:1883 or mqtts://host:8883')),
    ),
    protocol: v.optional(says('version of MQTT', v.picklist(['5', '3.1.1'], '"5" or "3.1.1"')), '5'),
    username: v.optional(says('name of this client', text)),
    password: v.optional(says('its password', reference)),
    ca_file: v.optional(says('certificates that the broker is checked against, PEM', absolute)),
    cert_file: v.optional(says('certificate of this client, PEM', absolute)),
    key: v.optional(says('private key of cert_file, PEM', reference)),
    keepalive_s: v.optional(says('keep-alive towards the broker', whole(5, 1200)), 30),
    window: v.optional(
      says("messages on the way to the broker at most; the broker's receive maximum lowers it", whole(1, 1000)),
      16,
    ),
    rate_limit: v.optional(
      says(
        'messages a second at most; left out: none',
        v.pipe(v.number('a number is expected'), v.minValue(0.01, 'at least 0.01')),
      ),
    ),
  }),
  page: v.optional(
    v.strictObject({
      listen: v.optional(
        says(
          'where the page is served: address and port, or off; beyond the loopback with TLS and a login',
          v.pipe(
            text,
            v.regex(
              /^(off|(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+):\d{1,5})$/,
              '127.0.0.1:8080, 0.0.0.0:8443, [::]:8443 or off',
            ),
          ),
        ),
        '127.0.0.1:8080',
      ),
      certificate: v.optional(
        says(
          'its certificate, PEM; left out beyond the loopback: the gateway makes one, and shows its digest',
          absolute,
        ),
      ),
      key: v.optional(says('private key of the certificate, PEM', reference)),
      password: v.optional(
        says('who knows it may act; left out: only links of `meter-gateway page` log in', reference),
      ),
      hosts: v.optional(
        says(
          'further names under which browsers reach this machine',
          v.array(v.pipe(text, v.regex(/^[A-Za-z0-9.-]{1,253}$/, 'a host name'))),
        ),
        [],
      ),
    }),
    {},
  ),
  orders: v.optional(
    v.strictObject({
      keys: says(
        'files with the public Ed25519 keys of the central system, JWK or PEM; two while it changes its key',
        v.pipe(
          v.array(absolute),
          v.minLength(1, 'at least one key'),
          v.maxLength(2, 'at most two keys: the old one and the new one'),
        ),
      ),
      enable_disconnect: v.optional(
        says('the central system may disconnect and reconnect supplies by signed orders (R28)', yesOrNo),
        false,
      ),
      enable_firmware: v.optional(says('it may order firmware of meters to be changed', yesOrNo), false),
      enable_key_change: v.optional(
        says('it may order meters to be given the next keys that are configured for them', yesOrNo),
        false,
      ),
      image_directory: v.optional(
        says('where firmware images lie, each as its SHA-256 in hex with .bin behind', absolute),
      ),
    }),
  ),
  log: v.optional(
    v.strictObject({
      level: v.optional(
        says(
          'least level that is logged',
          v.picklist(['debug', 'info', 'warn', 'error'], 'debug, info, warn or error'),
        ),
        'info',
      ),
    }),
    {},
  ),
  port: v.optional(v.array(port), []),
  listen: v.optional(v.array(listen), []),
});
export type Config = v.InferOutput<typeof configSchema>;
