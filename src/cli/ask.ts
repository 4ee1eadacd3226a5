/** Where the running gateway is asked. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Failure } from '../base/errors.ts';
import { loadConfig } from '../config/judge.ts';
import type { Snapshot } from '../status/snapshot.ts';

export interface AskOptions {
  readonly socket?: string;
  readonly config?: string;
  readonly json?: boolean;
}
/** Where the unit has it: RuntimeDirectory=meter-gateway. */
export const serviceSocket = '/run/meter-gateway/status.sock';

/**
 * The socket that was named, or that of the configuration. A configuration that names none leaves the state directory,
 * where the gateway was started by hand, or /run, where systemd started it.
 */
export function socketOf({ socket, config: file }: AskOptions): string {
  if (socket !== undefined) return socket;
  if (file === undefined) return serviceSocket;
  const { gateway } = loadConfig(file).config;
  const byHand = join(gateway.state_directory, 'status.sock');
  return gateway.status_socket ?? (!existsSync(byHand) && existsSync(serviceSocket) ? serviceSocket : byHand);
}

export function requireMeter({ ports }: Pick<Snapshot, 'ports'>, meter: string): void {
  const known = ports.flatMap(({ meters }) => meters.map((one) => one.meter));
  if (!known.includes(meter)) throw new Failure('unknown-meter', `no meter '${meter}'; there are ${known.join(', ')}`);
}

export function requirePort({ ports }: Pick<Snapshot, 'ports'>, port: string): void {
  const known = ports.map(({ name }) => name);
  if (!known.includes(port)) throw new Failure('unknown-port', `no port '${port}'; there are ${known.join(', ')}`);
}
