/** Which orders are taken, and against which keys they are verified, judged. */
import type { KeyObject } from 'node:crypto';
import { orderKeyOf, type OrderKeys } from '../command/keys.ts';
import type { OrderAction } from '../reading/order-words.ts';
import type { Findings, Sources } from './findings.ts';
import type { Config } from './schema.ts';

export interface OrdersPlan {
  readonly keys: OrderKeys;
  readonly enabled: ReadonlySet<OrderAction>;
  readonly imageDirectory: string | undefined;
}

/** undefined where no orders are taken; whether the plan can be used is for the findings to say. */
export function ordersPlan(
  { orders, gateway }: Config,
  sources: Pick<Sources, 'file'>,
  findings: Findings,
): OrdersPlan | undefined {
  if (!orders) return undefined;
  const keys = new Map<string, KeyObject>();
  orders.keys.forEach((path, i) => {
    const at = ['orders', 'keys', i];
    const found = findings.attempt('error', at, () => orderKeyOf(sources.file(path), path));
    if (!found) return;
    if (keys.has(found.kid))
      findings.add('error', at, `${path} has the same kid as another key`, {
        next: 'Leave one of them out, or give the JWK a kid of its own.',
        other: ['orders', 'keys', 0],
      });
    keys.set(found.kid, found.key);
  });
  const { enable_disconnect, enable_firmware, enable_key_change, image_directory } = orders;
  if (enable_firmware && image_directory === undefined)
    findings.add('error', ['orders', 'enable_firmware'], 'needs image_directory, where the images lie', {
      next: 'Add image_directory = "/var/lib/meter-gateway-images", or leave enable_firmware out.',
    });
  const enabled = new Set<OrderAction>(['read', 'again', 'trace', 'version']);
  if (gateway.set_clocks) enabled.add('set-clock');
  if (enable_disconnect) enabled.add('disconnect').add('reconnect');
  if (enable_firmware) enabled.add('firmware');
  if (enable_key_change) enabled.add('change-keys');
  return { keys, enabled, imageDirectory: image_directory };
}
