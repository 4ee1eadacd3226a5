/** Wiring of the orders of the central system: what they are judged by, and what the house does for them. */
import { Failure } from './base/errors.ts';
import { cut } from './base/log.ts';
import { type Clock, iso, later } from './base/time.ts';
import type { Detail } from './command/execute.ts';
import { type OrderRoom, orderRoom } from './command/orders.ts';
import type { GatewayPlan } from './config/resolve.ts';
import type { World } from './house.ts';
import { type runnersOf, tracedLines } from './lines.ts';
import { traceOf } from './status/line-trace.ts';
import type { Reported, ReportedPort } from './status/reports.ts';

/** Of a trace, in one result: so many frames from its beginning, and so many characters of them. */
const maxFrames = 60;
const maxText = 16 * 1024;
const maxFrameText = 1900;

async function traced(ports: readonly ReportedPort[], meter: string, forMs: number, clock: Clock): Promise<Detail> {
  const end = new AbortController();
  void clock.sleepUntil(later(clock.now(), forMs), end.signal).then(() => end.abort());
  const lines: Record<string, string> = {};
  let [frames, text, lost] = [0, 0, 0];
  for await (const event of traceOf(tracedLines(ports), { meter }, clock, end.signal)) {
    if ('lost' in event) {
      lost += event.lost;
      continue;
    }
    const { at, direction, octets } = event;
    const line = cut(`${at} ${direction} ${octets}`, maxFrameText);
    frames++;
    text += line.length;
    if (frames <= maxFrames && text <= maxText) lines[`frame${String(frames).padStart(2, '0')}`] = line;
  }
  return { frames, leftOut: frames - Object.keys(lines).length + lost, ...lines };
}

/** undefined where the configuration takes none. */
export function ordersOf(
  { orders, config, hash }: GatewayPlan,
  world: World,
  runner: ReturnType<typeof runnersOf>,
  { ports, clockTrust, upSince }: Reported,
): OrderRoom | undefined {
  if (!orders) return undefined;
  const { clock, version, boot } = world;
  const { enabled, keys, imageDirectory } = orders;
  const since = iso(clock.wall());
  return orderRoom({
    ...world,
    gateway: config.gateway.id,
    keys,
    enabled,
    meterOf: (id) => ports.flatMap(({ meters }) => meters).find(({ origin }) => origin.meter === id)?.origin,
    trusted: () => clockTrust() !== 'untrusted',
    tools: {
      clock,
      readNow: async (meter) => runner.ofMeter(meter).readNow(meter),
      inSession: async (meter, work) => runner.ofMeter(meter).inSession(meter, work),
      sayAgain: async (meter, ...more) => runner.whoHas(meter).sayAgain(meter, ...more),
      trace: (meter, forMs) => traced(runner.ports, meter, forMs, clock),
      version: () => ({
        version,
        boot,
        configHash: hash,
        since,
        upS: Math.round((clock.now() - upSince) / 1000),
        actions: [...enabled].join(' '),
      }),
      image: async (digest) => {
        if (imageDirectory === undefined) throw new Failure('file-unusable', 'no image_directory is configured');
        return world.image(imageDirectory, digest);
      },
    },
  });
}
