/** Wiring of the orders of the central system: what they are judged by, and what the house does for them. */
import { Failure } from './base/errors.ts';
import { iso } from './base/time.ts';
import { type OrderRoom, orderRoom } from './command/orders.ts';
import type { GatewayPlan } from './config/resolve.ts';
import type { World } from './house.ts';
import type { runnersOf } from './lines.ts';
import type { Reported } from './status/reports.ts';

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
      sayAgain: async (meter, ...more) => runner.ofMeter(meter).sayAgain(meter, ...more),
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
