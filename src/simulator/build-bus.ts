/** The bus and the virtual meters of a scenario. */
import { readFileSync } from 'node:fs';
import { Failure, messageOf } from '../base/errors.ts';
import { Secret } from '../base/secret.ts';
import { dayMs, later, type Millis, millis } from '../base/time.ts';
import { parseSnapshot, type Snapshot } from '../dlms/cosem/snapshot.ts';
import { type LineFault, SimulatedBus } from './bus.ts';
import type { Dark } from './load-curve.ts';
import type { Quirk } from './quirk.ts';
import { type QuirkName, quirkOf } from './quirks.ts';
import { inFull, type Scenario } from './scenario.ts';
import { VirtualMeter } from './virtual-meter.ts';

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
    throw new Failure('input-unreadable', messageOf(error));
  }
};
const loadSnapshot = (path: string): Snapshot => {
  try {
    return parseSnapshot(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new Failure('input-unreadable', `${path}: ${messageOf(error)}`);
  }
};

const always = millis(Number.MAX_SAFE_INTEGER);
const at = (start: Millis, s: number | undefined, fallback: Millis): Millis =>
  s === undefined ? fallback : later(start, s * 1000);
/** On a connection 9600, which is the default, means 0: octets take no time. */
const baudOf = ({ bus }: Scenario): number => (bus.kind !== 'pty' && bus.baud === 9600 ? 0 : bus.baud);

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

function buildMeter(
  scenario: Scenario,
  index: number,
  start: Millis,
  snapshotOf: (path: string) => Snapshot,
): VirtualMeter {
  const { bus, meters, seed } = scenario;
  const baud = baudOf(scenario);
  const own = inFull({ ...meters, ...scenario.meter.find((meter) => meter.index === index) });
  const { dark, drift } = mainsAndDrift(scenario, index, start, own.drift_ppm);
  const serial = meters.first_serial + index;
  const odd: readonly QuirkName[] = own.quirks;
  const forced = odd.reduce<NonNullable<Quirk['meter']>>((all, name) => ({ ...all, ...quirkOf(name).meter }), {});
  return new VirtualMeter({
    seed,
    serial,
    // Behind the wrapper the meters of one listener are told apart by their wPort.
    logical: bus.link === 'wrapper' ? meters.logical + index : meters.logical,
    physical: own.physical ?? physicalAddress(serial),
    alone: meters.count === 1,
    link: bus.link,
    modeE: own.mode_e,
    baud,
    pushS: own.push_s,
    pushCiphered: own.push_ciphered,
    periodS: own.period_s,
    depthDays: own.depth_days,
    installed: millis(Math.floor((start - own.history_days * dayMs) / dayMs) * dayMs),
    deviationMin: own.deviation_min ?? (own.dst ? -120 : 0),
    dst: own.dst,
    password: own.password,
    encryptionKey: own.encryption_key,
    authenticationKey: own.authentication_key,
    securityPolicy: own.security_policy,
    masterKey: own.master_key,
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
    octetMs: baud === 0 ? 0 : 10_000 / baud,
    inactivityMs: bus.inactivity_s * 1000,
    dark,
    clockOffsetMs: own.clock_offset_s * 1000,
    driftPpm: drift,
    capturesEnergies: own.captures_energies,
    ...(own.register_wrap_s !== undefined && { registerWrapsAt: later(start, own.register_wrap_s * 1000) }),
    start,
    quirks: odd,
    ...(own.signing_key !== undefined &&
      own.client_certificate !== undefined && {
        signing: { key: new Secret(octetsOf(own.signing_key)), clientCertificate: octetsOf(own.client_certificate) },
      }),
    referencing: own.referencing,
    ...(own.device_name !== undefined && { deviceName: own.device_name }),
    ...(own.snapshot !== undefined && { snapshot: snapshotOf(own.snapshot) }),
  });
}

function lineFaults(scenario: Scenario, start: Millis): LineFault[] {
  const faults: LineFault[] = [];
  for (const fault of scenario.fault) {
    if (fault.kind === 'power-cut' || fault.kind === 'drift') continue;
    const during = { from: at(start, fault.from_s, millis(0)), to: at(start, fault.to_s, always) };
    if (fault.kind === 'echo') faults.push({ kind: 'echo', meter: undefined, rate: fault.rate, ...during });
    else if (fault.kind === 'stray') {
      // Never before the bus is there.
      const begins = { from: millis(Math.max(during.from, start)), to: during.to };
      faults.push({ kind: 'stray', meter: undefined, everyMs: fault.every_s * 1000, ...begins });
    } else if (fault.kind === 'silence') faults.push({ kind: 'silence', meter: fault.meter, ...during });
    else faults.push({ kind: fault.kind, meter: fault.meter, rate: fault.rate, ...during });
  }
  return faults;
}

export function buildBus(scenario: Scenario, start: Millis, snapshotOf = loadSnapshot): SimulatedHouse {
  const { bus, seed } = scenario;
  const meters = Array.from({ length: scenario.meters.count }, (_, index) =>
    buildMeter(scenario, index, start, snapshotOf),
  );
  return {
    meters,
    bus: new SimulatedBus({
      meters,
      baud: baudOf(scenario),
      overTcp: bus.kind !== 'pty',
      turnaroundMs: bus.turnaround_ms,
      faults: lineFaults(scenario, start),
      seed,
    }),
  };
}
