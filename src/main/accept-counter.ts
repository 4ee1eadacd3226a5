/** `meter-gateway meter counter accept`: through the running gateway, or on its counters while it is stopped. */
import { Failure } from '../base/errors.ts';
import type { Config } from '../config/schema.ts';
import { acceptCounter, type CounterAccepted } from '../schedule/counter-accept.ts';
import { askCounterAccept } from '../desk/client.ts';
import { Counters } from '../store/counters.ts';
import { withStoppedState } from './stopped-state.ts';

export async function acceptMeterCounter(
  meter: string,
  socket: string,
  config: Config | undefined,
): Promise<CounterAccepted> {
  try {
    return await askCounterAccept(socket, meter);
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== 'no-gateway' || !config) throw error;
  }
  if (!config.port.some((port) => port.meter.some(({ id }) => id === meter)))
    throw new Failure('unknown-meter', `no meter '${meter}' in the configuration`);
  return withStoppedState(config.gateway.state_directory, async (folder) => {
    const counters = await Counters.open(folder.counters);
    try {
      return (await acceptCounter(counters, meter)).outcome;
    } finally {
      await counters.close();
    }
  });
}
