/** The scenario file (TOML): bus, meters, faults. Times are seconds from the start; negative = before it. */
import { readFileSync } from 'node:fs';
import { parse } from 'smol-toml';
import * as v from 'valibot';
import { Failure, messageOf } from '../base/errors.ts';
import { Secret } from '../base/secret.ts';
import { dayMs, later, type Millis, millis } from '../base/time.ts';
import { parseSnapshot, type Snapshot } from '../dlms/cosem/snapshot.ts';
import { type LineFault, SimulatedBus } from './bus.ts';
import type { Dark } from './load-curve.ts';
import { type Quirk, quirkNames, quirkOf } from './quirks.ts';
import { VirtualMeter } from './virtual-meter.ts';

const seconds = v.number();
const whole = (low: number, high: number) => v.pipe(v.number(), v.integer(), v.minValue(low), v.maxValue(high));
const meterFields = {
  period_s: v.picklist([300, 600, 900, 1800, 3600, 86400]),
  depth_days: whole(1, 400),
  history_days: whole(0, 400),
  deviation_min: whole(-840, 840),
  /** European summer time. */
  dst: v.boolean(),
  password: v.string(),
  /** Keys of the client by HLS-GMAC (address 5), 16 or 32 octets in hex; those of the recorded meter where left out. */
  encryption_key: v.pipe(v.string(), v.regex(/^([0-9a-f]{32}|[0-9a-f]{64})$/i)),
  master_key: v.pipe(v.string(), v.regex(/^([0-9a-f]{32}|[0-9a-f]{64})$/i)),
  /** Files: the meter's private key in PEM and the client's certificate; with them client 7 is there (HLS-ECDSA). */
  signing_key: v.string(),
  client_certificate: v.string(),
  /** Octets of a block of the firmware image, and blocks that are acknowledged and lost once. */
  image_block: whole(16, 4096),
  image_loses: v.array(whole(0, 65_535)),
  authentication_key: v.pipe(v.string(), v.regex(/^([0-9a-f]{32}|[0-9a-f]{64})$/i)),
  max_info: whole(32, 2030),
  window: whole(1, 7),
  max_pdu: whole(64, 65535),
  mode_e: v.boolean(),
  /** The meter sends a list of its values unasked so often. */
  push_s: whole(1, 86_400),
  /** Pushed lists are ciphered with the keys above (general-glo-ciphering). */
  push_ciphered: v.boolean(),
  referencing: v.picklist(['logical-name', 'short-name']),
  /** Logical device name, for the detection of models. */
  device_name: v.pipe(v.string(), v.regex(/^[\x20-\x7e]{16}$/)),
  /** A file of `meter-gateway browse --save`: the meter has those objects, and their values stand still. */
  snapshot: v.string(),
  /** HDLC physical address; left out: serial mod 10000 + 1000, as on many meters. */
  physical: whole(1, 16383),
  /** What the meter does against the rules, by the names of quirks.ts. */
  quirks: v.array(v.picklist(quirkNames)),
  clock_offset_s: seconds,
  drift_ppm: v.number(),
  /** The import register begins anew about then. */
  register_wrap_s: seconds,
  /** Energies of the intervals in units of 10 Wh are captured as well. */
  captures_energies: v.boolean(),
};
export const scenarioSchema = v.strictObject({
  seed: v.optional(whole(0, 2 ** 31 - 1), 1),
  bus: v.optional(
    v.strictObject({
      kind: v.optional(v.picklist(['pty', 'tcp', 'push']), 'pty'),
      /** pty: a symbolic link to make; tcp: the port to listen on (0 = any); push: the listener's port to connect to. */
      path: v.optional(v.string()),
      port: v.optional(whole(0, 65535), 0),
      link: v.optional(v.picklist(['hdlc', 'wrapper']), 'hdlc'),
      baud: v.optional(whole(0, 921600), 9600),
      turnaround_ms: v.optional(v.pipe(v.number(), v.minValue(0)), 20),
      inactivity_s: v.optional(whole(1, 3600), 120),
    }),
    {},
  ),
  meters: v.optional(
    v.strictObject({
      count: v.optional(whole(1, 64), 1),
      first_serial: v.optional(whole(1, 2 ** 31 - 1), 60120001),
      logical: v.optional(whole(1, 16383), 1),
      ...(v.partial(v.strictObject(meterFields)).entries as {
        [K in keyof typeof meterFields]: v.OptionalSchema<(typeof meterFields)[K], undefined>;
      }),
    }),
    {},
  ),
  meter: v.optional(
    v.array(
      v.strictObject({
        index: whole(0, 63),
        ...(v.partial(v.strictObject(meterFields)).entries as {
          [K in keyof typeof meterFields]: v.OptionalSchema<(typeof meterFields)[K], undefined>;
        }),
      }),
    ),
    [],
  ),
  fault: v.optional(
    v.array(
      v.variant('kind', [
        v.strictObject({
          kind: v.literal('silence'),
          meter: v.optional(whole(0, 63)),
          from_s: v.optional(seconds),
          to_s: v.optional(seconds),
        }),
        v.strictObject({
          kind: v.picklist(['drop', 'flip']),
          meter: v.optional(whole(0, 63)),
          rate: v.pipe(v.number(), v.minValue(0), v.maxValue(1)),
          from_s: v.optional(seconds),
          to_s: v.optional(seconds),
        }),
        v.strictObject({
          kind: v.literal('echo'),
          /** Probability that an octet comes back damaged. */
          rate: v.optional(v.pipe(v.number(), v.minValue(0), v.maxValue(1)), 0),
          from_s: v.optional(seconds),
          to_s: v.optional(seconds),
        }),
        v.strictObject({ kind: v.literal('power-cut'), meter: whole(0, 63), from_s: seconds, to_s: seconds }),
        v.strictObject({ kind: v.literal('drift'), meter: whole(0, 63), ppm: v.number() }),
      ]),
    ),
    [],
  ),
});
export type Scenario = v.InferOutput<typeof scenarioSchema>;
export type ScenarioInput = v.InferInput<typeof scenarioSchema>;

export function parseScenario(input: unknown): Scenario {
  const result = v.safeParse(scenarioSchema, input);
  if (result.success) return result.output;
  const issues = result.issues.map((issue) => `${v.getDotPath(issue) ?? '(top)'}: ${issue.message}`);
  throw new Failure('config-invalid', `scenario: ${issues.join('; ')}`);
}

export function readScenario(text: string): Scenario {
  let table: unknown;
  try {
    table = parse(text);
  } catch (error) {
    throw new Failure('config-invalid', `scenario: ${messageOf(error)}`);
  }
  return parseScenario(table);
}

/** HDLC physical address of a virtual meter, by the formula most makers use. */
export const physicalAddress = (serial: number): number => (serial % 10_000) + 1000;

export interface SimulatedHouse {
  readonly meters: readonly VirtualMeter[];
  readonly bus: SimulatedBus;
}

const octetsOf = (path: string): Uint8Array => {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new Failure('config-invalid', messageOf(error));
  }
};
const loadSnapshot = (path: string): Snapshot => {
  try {
    return parseSnapshot(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new Failure('config-invalid', `${path}: ${messageOf(error)}`);
  }
};

export function buildBus(scenario: Scenario, start: Millis, snapshotOf = loadSnapshot): SimulatedHouse {
  const { bus, meters, seed } = scenario;
  const baud = bus.kind !== 'pty' && bus.baud === 9600 ? 0 : bus.baud;
  const at = (s: number | undefined, fallback: Millis): Millis => (s === undefined ? fallback : later(start, s * 1000));
  const always = millis(Number.MAX_SAFE_INTEGER);
  const virtual = Array.from({ length: meters.count }, (_, index) => {
    const own = { ...meters, ...scenario.meter.find((meter) => meter.index === index) };
    const dark: Dark[] = [];
    let drift = own.drift_ppm ?? 0;
    for (const fault of scenario.fault) {
      if (fault.kind === 'power-cut' && fault.meter === index)
        dark.push({ from: at(fault.from_s, start), to: at(fault.to_s, always) });
      if (fault.kind === 'drift' && fault.meter === index) drift = fault.ppm;
    }
    const serial = meters.first_serial + index;
    const odd = own.quirks ?? [];
    const forced = odd.reduce<NonNullable<Quirk['meter']>>((all, name) => ({ ...all, ...quirkOf(name).meter }), {});
    return new VirtualMeter({
      seed,
      serial,
      // Behind the wrapper the meters of one listener are told apart by their wPort.
      logical: bus.link === 'wrapper' ? meters.logical + index : meters.logical,
      physical: own.physical ?? physicalAddress(serial),
      alone: meters.count === 1,
      link: bus.link,
      modeE: own.mode_e ?? false,
      baud,
      pushS: own.push_s ?? 0,
      pushCiphered: own.push_ciphered ?? false,
      periodS: own.period_s ?? 3600,
      depthDays: own.depth_days ?? 60,
      installed: millis(Math.floor((start - (own.history_days ?? 60) * dayMs) / dayMs) * dayMs),
      deviationMin: own.deviation_min ?? (own.dst ? -120 : 0),
      dst: own.dst ?? false,
      password: own.password ?? 'meter',
      encryptionKey: own.encryption_key ?? '000102030405060708090a0b0c0d0e0f',
      authenticationKey: own.authentication_key ?? 'd0d1d2d3d4d5d6d7d8d9dadbdcdddedf',
      masterKey: own.master_key ?? '0f0e0d0c0b0a09080706050403020100',
      image: {
        blockSize: own.image_block ?? 128,
        enabled: true,
        verifyMs: 20_000,
        // The last octet makes the sum of all a multiple of 256: a check that tests can meet.
        verify: (image) => image.reduce((sum, octet) => (sum + octet) & 0xff, 0) === 0,
        loses: new Set(own.image_loses),
      },
      maxInfo: forced.maxInfo ?? own.max_info ?? 1024,
      window: own.window ?? 1,
      maxPdu: forced.maxPdu ?? own.max_pdu ?? 1024,
      octetMs: baud === 0 ? 0 : 10_000 / baud,
      inactivityMs: bus.inactivity_s * 1000,
      dark,
      clockOffsetMs: (own.clock_offset_s ?? 0) * 1000,
      driftPpm: drift,
      capturesEnergies: own.captures_energies ?? false,
      ...(own.register_wrap_s !== undefined && { registerWrapsAt: at(own.register_wrap_s, start) }),
      start,
      quirks: odd,
      ...(own.signing_key !== undefined &&
        own.client_certificate !== undefined && {
          signing: { key: new Secret(octetsOf(own.signing_key)), clientCertificate: octetsOf(own.client_certificate) },
        }),
      ...(own.referencing && { referencing: own.referencing }),
      ...(own.device_name !== undefined && { deviceName: own.device_name }),
      ...(own.snapshot !== undefined && { snapshot: snapshotOf(own.snapshot) }),
    });
  });
  const faults: LineFault[] = [];
  for (const fault of scenario.fault) {
    if (fault.kind === 'power-cut' || fault.kind === 'drift') continue;
    const during = { from: at(fault.from_s, millis(0)), to: at(fault.to_s, always) };
    if (fault.kind === 'echo') faults.push({ kind: 'echo', meter: undefined, rate: fault.rate, ...during });
    else if (fault.kind === 'silence') faults.push({ kind: 'silence', meter: fault.meter, ...during });
    else faults.push({ kind: fault.kind, meter: fault.meter, rate: fault.rate, ...during });
  }
  return {
    meters: virtual,
    bus: new SimulatedBus({ meters: virtual, baud, turnaroundMs: bus.turnaround_ms, faults, seed }),
  };
}
