/** The scenario file (TOML): bus, meters, faults. Times are seconds from the start; negative = before it. */
import * as v from 'valibot';
import { Failure } from '../base/errors.ts';
import { says } from '../base/says.ts';
import { readToml } from '../base/toml.ts';
import { loadProfileName } from './objects.ts';
import { quirkNames } from './quirks.ts';
import { judged } from './scenario-findings.ts';

const seconds = v.number();
const whole = (low: number, high: number) => v.pipe(v.number(), v.integer(), v.minValue(low), v.maxValue(high));
const keyHex = v.pipe(v.string(), v.regex(/^([0-9a-f]{32}|[0-9a-f]{64})$/i, '16 or 32 octets in hex'));
const ratio = v.pipe(v.string(), v.regex(/^[1-9]\d{0,4}\/[1-9]\d{0,4}$/, 'a ratio such as 200/5'));
const meterFields = {
  period_s: says('seconds between two rows of the load profile', v.picklist([300, 600, 900, 1800, 3600, 86400])),
  depth_days: says('days that the buffer of the profile holds', whole(1, 400)),
  history_days: says('days before the start since when the meter counts', whole(0, 400)),
  deviation_min: says('deviation of its stamps: minutes from local time to UTC', whole(-840, 840)),
  dst: says('European summer time; the deviation is then -120 where none is given', v.boolean()),
  dst_status: says(
    'clock status and row status say summer time all year; deviation and time stay as they are',
    v.boolean(),
  ),
  password: says('password of the clients by LLS and by HLS with a password; not a secret', v.string()),
  encryption_key: says('encryption key of clients 5 and 8', keyHex),
  authentication_key: says('authentication key of clients 5 and 8', keyHex),
  security_policy: says(
    'what APDUs of clients 5 and 8, and ciphered pushes, carry and must carry: a tag, ciphered content, or both',
    v.picklist(['authenticated', 'encrypted', 'authenticated-encrypted']),
  ),
  master_key: says('key under which new keys are sent', keyHex),
  signing_key: says(
    'file of the private key of the meter, PEM; with client_certificate client 7 is there (HLS-ECDSA)',
    v.string(),
  ),
  client_certificate: says('file of the certificate of the client', v.string()),
  image_block: says('octets of a block of the firmware image', whole(16, 4096)),
  image_loses: says('blocks of the firmware image that are acknowledged and lost once', v.array(whole(0, 65_535))),
  max_info: says('octets of an HDLC information field', whole(32, 2030)),
  window: says('HDLC window', whole(1, 7)),
  max_pdu: says('octets of an APDU that the meter takes', whole(64, 65535)),
  mode_e: says('the meter wants the IEC 62056-21 sign-on first', v.boolean()),
  mode_e_baud: says('speed that it offers in its sign-on', v.picklist([300, 600, 1200, 2400, 4800, 9600, 19_200])),
  baud: says('speed of this meter; left out: that of the bus', whole(300, 921_600)),
  turnaround_ms: says(
    'pause of this meter before it answers; left out: that of the bus',
    v.pipe(v.number(), v.minValue(0)),
  ),
  push_s: says('the meter sends a list of its values unasked so often, seconds', whole(1, 86_400)),
  push_rows: says(
    'so many of the newest rows of the load profile stand in each list, with the serial number; it is sent shortly after each multiple of push_s',
    whole(0, 200),
  ),
  push_ciphered: says('pushed lists are ciphered with the keys above (general-glo-ciphering)', v.boolean()),
  referencing: says('how its objects are addressed', v.picklist(['logical-name', 'short-name'])),
  device_name: says(
    'logical device name, for the detection of models; its first three letters are the maker in the sign-on. `{serial}` stands for the serial number, with as many zeros before it as fill up the 16 characters',
    v.pipe(
      v.string(),
      v.regex(
        /^([\x20-\x7e]{16}|(?!.*\{serial\}.*\{serial\})[\x20-\x7e]{0,6}\{serial\}[\x20-\x7e]{0,3})$/,
        '16 characters, or up to 6 with {serial}',
      ),
    ),
  ),
  load_profile: says(
    'logical name of its load profile',
    v.pipe(v.string(), v.regex(/^1\.\d{1,3}\.99\.\d{1,3}\.\d{1,3}\.255$/, 'a name such as 1.0.99.1.0.255')),
  ),
  current_transformer: says(
    'ratio that the meter tells (1-0:0.4.2 and 0.4.5); left out: a direct meter, without the objects',
    ratio,
  ),
  voltage_transformer: says('ratio that the meter tells (1-0:0.4.3 and 0.4.6); left out: without the objects', ratio),
  snapshot: says(
    'a file of `meter-gateway browse --save`: the meter has those objects, and their values stand still',
    v.string(),
  ),
  replay: says(
    'a recording (--trace of meter-gateway): the meter has its address, and answers as it did when it is asked the same',
    v.string(),
  ),
  physical: says('HDLC physical address; left out: serial mod 10000 + 1000, as on many meters', whole(1, 16383)),
  address_reversed: says(
    'physical address in the upper half of the HDLC address, logical device in the lower',
    v.boolean(),
  ),
  quirks: says('what the meter does against the rules, by the names of QUIRKS.md', v.array(v.picklist(quirkNames))),
  clock_offset_s: says('seconds that its clock is ahead', seconds),
  drift_ppm: says('drift of its clock', v.number()),
  register_wrap_s: says('the import register begins anew about so many seconds after the start', seconds),
  captures_energies: says('energies of the intervals in units of 10 Wh are captured as well', v.boolean()),
};
/** What a meter is where the scenario does not say. Passwords and keys are no secrets: these meters are virtual. */
export const meterDefaults = {
  period_s: 3600,
  depth_days: 60,
  history_days: 60,
  dst: false,
  dst_status: false,
  password: 'meter',
  encryption_key: '000102030405060708090a0b0c0d0e0f',
  authentication_key: 'd0d1d2d3d4d5d6d7d8d9dadbdcdddedf',
  security_policy: 'authenticated-encrypted',
  master_key: '0f0e0d0c0b0a09080706050403020100',
  image_block: 128,
  image_loses: [],
  max_info: 1024,
  window: 1,
  max_pdu: 1024,
  mode_e: false,
  mode_e_baud: 9600,
  push_s: 0,
  push_rows: 0,
  push_ciphered: false,
  referencing: 'logical-name',
  load_profile: loadProfileName,
  address_reversed: false,
  quirks: [],
  clock_offset_s: 0,
  drift_ppm: 0,
  captures_energies: false,
} as const satisfies { [K in keyof typeof meterFields]?: v.InferInput<(typeof meterFields)[K]> | 0 };
type MeterFields = { [K in keyof typeof meterFields]?: v.InferOutput<(typeof meterFields)[K]> | undefined };
export type MeterInFull = MeterFields & { [K in keyof typeof meterDefaults]: NonNullable<MeterFields[K]> };
/** With what the meter is where neither table says. */
export const inFull = (given: MeterFields): MeterInFull => ({
  ...meterDefaults,
  ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
});
const ownFields = v.partial(v.strictObject(meterFields)).entries as {
  [K in keyof typeof meterFields]: v.OptionalSchema<(typeof meterFields)[K], undefined>;
};
const ownKeys = {
  serial: v.optional(says('serial number; left out: it follows from first_serial', whole(1, 2 ** 31 - 1))),
  logical: v.optional(says('logical device; left out: as [meters] says', whole(1, 16383))),
  ...ownFields,
};
const maxMeters = 1000;
const index = says('which meter, from 0', whole(0, maxMeters - 1));
const anyMeter = v.optional(says('which meter, from 0; left out: the whole bus', whole(0, maxMeters - 1)));
const from = says('begins so many seconds after the start; negative = before it', seconds);
const to = says('ends so many seconds after the start', seconds);
const share = v.pipe(v.number(), v.minValue(0), v.maxValue(1));
/** Of a line: they can be switched while it runs. */
const lineFaultSchemas = [
  v.strictObject({ kind: v.literal('silence'), meter: anyMeter, from_s: v.optional(from), to_s: v.optional(to) }),
  v.strictObject({
    kind: v.picklist(['drop', 'flip']),
    meter: anyMeter,
    rate: says('probability for each octet that it is lost, or that one of its bits flips', share),
    from_s: v.optional(from),
    to_s: v.optional(to),
  }),
  v.strictObject({
    kind: v.literal('echo'),
    rate: v.optional(says('our own octets come back; probability that one of them is damaged', share), 0),
    from_s: v.optional(from),
    to_s: v.optional(to),
  }),
  v.strictObject({
    kind: v.literal('polarity'),
    meter: v.optional(
      says('whose A and B are exchanged, from 0; left out: those of the adapter', whole(0, maxMeters - 1)),
    ),
    from_s: v.optional(from),
    to_s: v.optional(to),
  }),
  v.strictObject({ kind: v.literal('floating'), from_s: v.optional(from), to_s: v.optional(to) }),
  v.strictObject({
    kind: v.picklist(['late-release', 'early-release']),
    octets: v.optional(
      says('octets that are lost, of each answer (late) or of each request (early)', whole(1, 1000)),
      2,
    ),
    from_s: v.optional(from),
    to_s: v.optional(to),
  }),
  v.strictObject({
    kind: v.literal('stray'),
    every_s: says('an octet that nobody sent comes so often', v.pipe(v.number(), v.minValue(0.05))),
    from_s: v.optional(from),
    to_s: v.optional(to),
  }),
] as const;
export const faultSchemas = [
  ...lineFaultSchemas,
  v.strictObject({ kind: v.literal('power-cut'), meter: index, from_s: from, to_s: v.optional(to) }),
  v.strictObject({ kind: v.literal('drift'), meter: index, ppm: says('drift of its clock', v.number()) }),
] as const;
export const scenarioSchema = v.strictObject({
  seed: v.optional(says('of consumption and faults: the same seed, the same octets', whole(0, 2 ** 31 - 1)), 1),
  bus: v.optional(
    v.strictObject({
      kind: v.optional(
        says(
          'a pseudo-terminal, a TCP listener, or meters that connect to a listener',
          v.picklist(['pty', 'tcp', 'push']),
        ),
        'pty',
      ),
      path: v.optional(says('pty: a symbolic link to make', v.string())),
      port: v.optional(
        says('tcp: the port to listen on (0 = any); push: the port of the listener to connect to', whole(0, 65535)),
        0,
      ),
      bind: v.optional(
        says(
          'tcp: the address of this machine to listen on; another one than loopback opens the meters to the network',
          v.pipe(v.string(), v.ip('an IP address')),
        ),
        '127.0.0.1',
      ),
      port_per_meter: v.optional(
        says('tcp: each meter alone on a port of its own, from `port` upwards', v.boolean()),
        false,
      ),
      link: v.optional(says('link layer', v.picklist(['hdlc', 'wrapper'])), 'hdlc'),
      baud: v.optional(
        says('speed of the line; 0: octets take no time. On tcp and push 9600 means 0', whole(0, 921600)),
        9600,
      ),
      turnaround_ms: v.optional(says('pause of a meter before it answers', v.pipe(v.number(), v.minValue(0))), 20),
      inactivity_s: v.optional(says('a meter leaves the link after so long a silence', whole(1, 3600)), 120),
    }),
    {},
  ),
  meters: v.optional(
    v.strictObject({
      count: v.optional(says('number of meters', whole(1, maxMeters)), 1),
      first_serial: v.optional(says('serial number of the first; the others follow', whole(1, 2 ** 31 - 1)), 60120001),
      logical: v.optional(
        says('logical device; behind the wrapper of the first, and the others follow', whole(1, 16383)),
        1,
      ),
      ...ownFields,
    }),
    {},
  ),
  meter: v.optional(v.array(v.strictObject({ index, ...ownKeys })), []),
  fault: v.optional(v.array(v.variant('kind', faultSchemas)), []),
});
export type Scenario = v.InferOutput<typeof scenarioSchema>;
export type LineFaultInput = v.InferInput<typeof lineFaultSchema>;
export type ScenarioInput = v.InferInput<typeof scenarioSchema>;

/** Keys of `[[meter]]` for one that is hung in the place of another. */
export const swapSchema = v.strictObject({ ...ownKeys, serial: ownKeys.serial.wrapped });
export const lineFaultSchema = v.variant('kind', lineFaultSchemas);

export const parseScenario = (input: unknown): Scenario => judged('scenario', scenarioSchema, input);
export const parseLineFault = (input: unknown): v.InferOutput<typeof lineFaultSchema> =>
  judged('fault', lineFaultSchema, input);
export const parseSwap = (input: unknown): v.InferOutput<typeof swapSchema> => judged('swap', swapSchema, input);

/** Of a file: everything that is wrong is said at once, with its line. */
export function readScenario(text: string, file = 'scenario'): Scenario {
  const { value, problems, place } = readToml(text);
  if (problems.length > 0) {
    const lines = problems.map(({ line, column, message }) => `${file}:${line}:${column}: is no TOML: ${message}`);
    throw new Failure('input-unreadable', lines.join('\n'));
  }
  return judged(file, scenarioSchema, value, { file, place });
}
