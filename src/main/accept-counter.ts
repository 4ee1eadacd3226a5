/** `meter-gateway meter counter accept`: through the running gateway, or on its counters while it is stopped. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Failure } from '../base/errors.ts';
import type { Config } from '../config/schema.ts';
import { acceptCounter, type CounterAccepted } from '../schedule/counter-accept.ts';
import { askCounterAccept } from '../status/local-client.ts';
import { Counters } from '../store/counters.ts';
import { stateFolder } from './state-folder.ts';

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
  const directory = config.gateway.state_directory;
  if (!existsSync(join(directory, 'counters')))
    throw new Failure('bad-argument', `no gateway runs, and ${directory} holds no counters`);
  if (!config.port.some((port) => port.meter.some(({ id }) => id === meter)))
    throw new Failure('bad-argument', `no meter '${meter}' in the configuration`);
  // That it was opened here is no unclean end of the gateway, and takes none away.
  const unclean = join(directory, 'unclean');
  const before = existsSync(unclean) ? readFileSync(unclean) : undefined;
  const folder = await stateFolder(directory, Date.now());
  const counters = await Counters.open(folder.counters);
  try {
    return (await acceptCounter(counters, meter)).told;
  } finally {
    await counters.close();
    if (before) writeFileSync(unclean, before);
    else folder.settled();
  }
}
