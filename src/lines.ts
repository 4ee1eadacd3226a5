/** The planned ports with their meters: an owner of each port, and who polls its meters. */
import { Failure } from './base/errors.ts';
import { Secret } from './base/secret.ts';
import { type Clock, dayMs, type Millis, millis } from './base/time.ts';
import type { GatewayPlan } from './config/resolve.ts';
import type { MeterPlan } from './config/resolve-meter.ts';
import type { Known, World } from './house.ts';
import { type LineQuality, lineQuality } from './line/line-quality.ts';
import { PortOwner } from './line/port-owner.ts';
import { type Listener, tapped } from './line/tapped.ts';
import { octetMsOf } from './meter/patience.ts';
import type { TracedLine } from './status/line-trace.ts';
import type { ClockTrust, PolledMeter } from './schedule/meter-state.ts';
import { polledSeries } from './schedule/polled-series.ts';
import { PortRunner } from './schedule/runner.ts';
import type { Listener as PushListener } from './listen/listener.ts';
import type { ReportedLine, ReportedListener, ReportedPort } from './status/reports.ts';

/** Sessions without one octet, after which the port is opened anew: all meters twice, and some. */
const muteLimit = (meters: number): number => Math.max(6, 2 * meters);

const freshOctets = (length: number, random: () => number): Uint8Array =>
  Uint8Array.from({ length }, () => Math.floor(random() * 256));

/** A planned meter as a port polls it: with the series that the store knows, and what is fresh for each session. */
export function polledMeter(plan: MeterPlan, world: World, sinceByDefault: Millis): PolledMeter {
  const { origin, access, challengeOctets, security, nextSecurity, dedicatedKeyOctets } = plan;
  const fresh = dedicatedKeyOctets > 0 && {
    freshKey: () => new Secret(freshOctets(dedicatedKeyOctets, world.random)),
  };
  return {
    origin,
    access: { ...access, challenge: () => freshOctets(challengeOctets, world.random) },
    ...(security && { security: { ...security, ...fresh } }),
    ...(nextSecurity && { nextSecurity: { ...nextSecurity, ...fresh } }),
    ...(plan.detectFrom && { detectFrom: plan.detectFrom }),
    ...(plan.swap && { swap: plan.swap }),
    commissioned: world.commissioned?.(origin.meter),
    ...(plan.powerLimitW !== undefined && { powerLimitW: plan.powerLimitW }),
    series: polledSeries(world.store, origin.meter, plan, sinceByDefault),
    ...(plan.pushAddress !== undefined && { pushAddress: plan.pushAddress }),
    ...(plan.unusable && { unusable: plan.unusable }),
    fingerprint: plan.fingerprint,
  };
}

/** Counts for the meter on turn; what goes over the line between two turns belongs to nobody. */
const measured =
  (quality: LineQuality, clock: Clock, octetMs: number, activity: () => string | undefined): Listener =>
  (direction, octets) => {
    const meter = activity();
    if (meter === undefined) return;
    if (direction === '<-') quality.heard(meter, clock.now(), octets);
    else if (octets) quality.sent(meter, clock.now(), octets, octetMs);
  };

/** Passwords and keys of the meters of a line: nothing that looks on may show them. */
const secretsOf = (meters: readonly PolledMeter[]): Secret[] =>
  meters
    .flatMap(({ access, security, nextSecurity }) => [
      access.secret,
      ...[security, nextSecurity].flatMap((one) => Object.values(one?.settings.keys ?? {})),
    ])
    .filter((secret) => secret instanceof Secret);

export const tracedLines = (ports: readonly ReportedPort[]): TracedLine[] =>
  ports.map(({ port, listeners, meters, runner }) => ({
    name: port.name,
    listeners,
    secrets: secretsOf(meters),
    activity: () => runner.activity,
  }));

interface PortContext {
  readonly clockTrust: () => ClockTrust;
  readonly standstill: () => Failure | undefined;
  /** What the house before this one knew. */
  readonly known: Known | undefined;
}
export function openLines({ config, ports }: GatewayPlan, world: World, context: PortContext): ReportedPort[] {
  const { clock, log, store, counters } = world;
  const { clockTrust, standstill, known } = context;
  const startOfToday = Math.floor(clock.wall() / dayMs) * dayMs;
  const sinceByDefault = millis(startOfToday - config.gateway.back_fill_days * dayMs);
  return ports.map((port) => {
    const lineKnown = known?.lines.get(port.name);
    const line = lineKnown?.device === port.device ? lineKnown : undefined;
    const listeners = new Set<Listener>();
    const owner = new PortOwner({
      device: port.device,
      open: async () => tapped(await world.openPort(port.device, port.baud, port.direction), listeners),
      clock,
      muteLimit: muteLimit(port.meters.length),
      before: line?.owner,
    });
    const meters = port.meters.map((meter) => polledMeter(meter, world, sinceByDefault));
    const runner = new PortRunner({
      name: port.name,
      baud: port.baud,
      owner,
      meters,
      store,
      counters,
      clock,
      log,
      clockTrust,
      clockPolicy: { set: config.gateway.set_clocks, setLarge: config.gateway.set_large_deviations },
      timeZone: config.gateway.time_zone,
      standstill,
      ...(known && { known: known.meters, lineBefore: line?.runner }),
      ...(world.turns && { turns: world.turns }),
      plan: { offsetMs: config.gateway.poll_offset_s * 1000, slicesPerTurn: 3 },
    });
    const quality = lineQuality();
    listeners.add(measured(quality, clock, meters[0] ? octetMsOf(meters[0].access) : 0, () => runner.activity));
    return { port, owner, runner, meters, listeners, quality };
  });
}

const hasMeter =
  (meter: string) =>
  ({ meters }: ReportedLine): boolean =>
    meters.some(({ origin }) => origin.meter === meter);

/** Who polls a meter, and who a line, by the names that stand in the configuration. */
export const runnersOf = (ports: readonly ReportedPort[], listeners: readonly ReportedListener[]) => ({
  ports,
  /** Failure `push-only` where it can be heard and not asked. */
  ofMeter(meter: string): PortRunner {
    const port = ports.find(hasMeter(meter));
    if (port) return port.runner;
    if (listeners.some(hasMeter(meter))) throw new Failure('push-only', `${meter} pushes, and is never asked`);
    throw new Failure('unknown-meter', `no meter '${meter}' in the configuration`);
  },
  whoHas(meter: string): PortRunner | PushListener {
    return listeners.find(hasMeter(meter))?.runner ?? this.ofMeter(meter);
  },
  ofPort(name: string): PortRunner {
    const found = ports.find(({ port }) => port.name === name);
    if (!found) throw new Failure('unknown-port', `no port '${name}' in the configuration`);
    return found.runner;
  },
});
