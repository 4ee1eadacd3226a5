/** A virtual meter of a scenario. */
import { readFileSync } from 'node:fs';
import { Failure, messageOf } from '../base/errors.ts';
import { Secret } from '../base/secret.ts';
import { dayMs, later, type Millis, millis } from '../base/time.ts';
import type { LogicalName } from '../dlms/cosem/logical-name.ts';
import { parseSnapshot, type Snapshot } from '../dlms/cosem/snapshot.ts';
import type { DayTime } from './day-time.ts';
import { always } from './mains.ts';
import type { Dark } from './load-curve.ts';
import type { Quirk } from './quirk.ts';
import { type QuirkName, quirkOf } from './quirks.ts';
import { parseRecording, type Recording } from './recording.ts';
import { inFull, type MeterInFull, type Scenario } from './scenario.ts';
import type { VirtualMeterSettings } from './settings.ts';
import { VirtualMeter } from './virtual-meter.ts';

/** HDLC physical address of a virtual meter, by the formula most makers use. */
export const physicalAddress = (serial: number): number => (serial % 10_000) + 1000;

const octetsOf = (path: string): Uint8Array => {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new Failure('input-unreadable', messageOf(error));
  }
};
export const loadSnapshot = (path: string): Snapshot => {
  try {
    return parseSnapshot(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new Failure('input-unreadable', `${path}: ${messageOf(error)}`);
  }
};

const loadRecording = (path: string): Recording => {
  try {
    return parseRecording(readFileSync(path, 'latin1'));
  } catch (error) {
    throw new Failure('input-unreadable', `${path}: ${messageOf(error)}`);
  }
};
/** The address of the recorded meter, where the scenario names no other. */
function addressOf(scenario: Scenario, index: number, serial: number, recording: Recording | undefined) {
  const { bus, meters } = scenario;
  const named = scenario.meter.find((meter) => meter.index === index);
  // Behind the wrapper the meters of one listener differ in their wPort.
  const following = bus.link === 'wrapper' && !bus.port_per_meter ? meters.logical + index : meters.logical;
  return {
    logical: named?.logical ?? recording?.logical ?? following,
    physical: named?.physical ?? meters.physical ?? recording?.physical ?? physicalAddress(serial),
  };
}

const ratioOf = (text: string): [number, number] => {
  const [primary, secondary] = text.split('/').map(Number);
  return [primary as number, secondary as number];
};
/** `{serial}` takes as many digits as are missing to the 16 octets of a name. */
const deviceNameOf = (pattern: string, serial: number): string =>
  pattern.replace('{serial}', String(serial).padStart(16 - pattern.replace('{serial}', '').length, '0'));

export const at = (start: Millis, s: number | undefined, fallback: Millis): Millis =>
  s === undefined ? fallback : later(start, s * 1000);
/** On a connection 9600, which is the default, means 0: octets take no time. */
export const baudOf = ({ bus }: Scenario): number => (bus.kind !== 'pty' && bus.baud === 9600 ? 0 : bus.baud);

/** What happens to one meter: when it has no mains, and how its clock drifts. */
function mainsAndDrift({ fault: faults }: Scenario, index: number, start: Millis, ownDrift: number) {
  const dark: Dark[] = [];
  let drift = ownDrift;
  for (const fault of faults) {
    if (fault.kind === 'power-cut' && fault.meter === index)
      dark.push({ from: at(start, fault.from_s, start), to: at(start, fault.to_s, always) });
    if (fault.kind === 'drift' && fault.meter === index) drift = fault.ppm;
  }
  return { dark, drift };
}

function securityOf(own: MeterInFull) {
  return {
    password: own.password,
    encryptionKey: own.encryption_key,
    authenticationKey: own.authentication_key,
    securityPolicy: own.security_policy,
    masterKey: own.master_key,
    ...(own.signing_key !== undefined &&
      own.client_certificate !== undefined && {
        signing: { key: new Secret(octetsOf(own.signing_key)), clientCertificate: octetsOf(own.client_certificate) },
      }),
  } satisfies Partial<VirtualMeterSettings>;
}
/** What it says of itself. */
function identityOf(own: MeterInFull, serial: number) {
  return {
    referencing: own.referencing,
    ...(own.device_name !== undefined && { deviceName: deviceNameOf(own.device_name, serial) }),
    loadProfile: own.load_profile as LogicalName,
    transformers: {
      ...(own.current_transformer !== undefined && { current: ratioOf(own.current_transformer) }),
      ...(own.voltage_transformer !== undefined && { voltage: ratioOf(own.voltage_transformer) }),
    },
  } satisfies Partial<VirtualMeterSettings>;
}
/** What it takes at once; a quirk may say otherwise. */
function limitsOf(own: MeterInFull) {
  const odd: readonly QuirkName[] = own.quirks;
  const forced = odd.reduce<NonNullable<Quirk['meter']>>((all, name) => ({ ...all, ...quirkOf(name).meter }), {});
  return {
    image: {
      blockSize: own.image_block,
      enabled: true,
      verifyMs: 20_000,
      // The last octet makes the sum of all a multiple of 256: a check that tests can meet.
      verify: (image) => image.reduce((sum, octet) => (sum + octet) & 0xff, 0) === 0,
      loses: new Set(own.image_loses),
    },
    maxInfo: forced.maxInfo ?? own.max_info,
    window: own.window,
    maxPdu: forced.maxPdu ?? own.max_pdu,
  } satisfies Partial<VirtualMeterSettings>;
}
/** What a meter is built in. */
export interface Surroundings {
  readonly start: Millis;
  readonly day: DayTime;
  readonly snapshotOf: (path: string) => Snapshot;
  /** When it was installed; left out: as long before the start as `history_days` says. */
  readonly installed?: Millis;
}
export function buildMeter(scenario: Scenario, index: number, surroundings: Surroundings): VirtualMeter {
  const { start, day, snapshotOf } = surroundings;
  const { bus, meters, seed } = scenario;
  const named = scenario.meter.find((meter) => meter.index === index);
  const own = inFull({ ...meters, ...named });
  const baud = own.baud ?? baudOf(scenario);
  const { dark, drift } = mainsAndDrift(scenario, index, start, own.drift_ppm);
  const serial = named?.serial ?? meters.first_serial + index;
  const recording = own.replay === undefined ? undefined : loadRecording(own.replay);
  if (recording && recording.link !== bus.link)
    throw new Failure(
      'input-unreadable',
      `${own.replay}: was recorded over ${recording.link}; the bus has ${bus.link}`,
    );
  const settings: VirtualMeterSettings = {
    ...securityOf(own),
    ...identityOf(own, serial),
    ...limitsOf(own),
    seed,
    serial,
    ...addressOf(scenario, index, serial, recording),
    addressReversed: own.address_reversed,
    onlyOne: meters.count === 1 || bus.port_per_meter,
    link: bus.link,
    modeE: own.mode_e,
    modeEBaud: own.mode_e_baud,
    baud,
    turnaroundMs: own.turnaround_ms ?? bus.turnaround_ms,
    pushS: own.push_s,
    pushRows: own.push_rows,
    pushCiphered: own.push_ciphered,
    periodS: own.period_s,
    depthDays: own.depth_days,
    installed: surroundings.installed ?? millis(Math.floor((start - own.history_days * dayMs) / dayMs) * dayMs),
    deviationMin: own.deviation_min ?? (own.dst ? -120 : 0),
    dst: own.dst,
    dstStatus: own.dst_status,
    octetMs: baud === 0 ? 0 : 10_000 / baud,
    inactivityMs: bus.inactivity_s * 1000,
    dark,
    clockOffsetMs: own.clock_offset_s * 1000,
    driftPpm: drift,
    capturesEnergies: own.captures_energies,
    ...(own.register_wrap_s !== undefined && { registerWrapsAt: later(start, own.register_wrap_s * 1000) }),
    start,
    quirks: own.quirks,
    ...(own.snapshot !== undefined && { snapshot: snapshotOf(own.snapshot) }),
    ...(recording && { replay: recording }),
  };
  return new VirtualMeter(settings, day);
}
