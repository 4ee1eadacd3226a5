/** Where the site is: its configuration and its folder, by the options of whoever works there. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Failure, messageOf } from '../base/errors.ts';
import { readToml } from '../base/toml.ts';
import { serviceSocket } from './ask.ts';
import { bad, whole } from './connection.ts';

export interface SiteOptions {
  readonly config?: string;
  readonly site?: string;
}
export interface PortOptions {
  readonly port?: string;
}

/** A configuration to grow in where there is none yet: the site's own, to be completed by the office. */
function draft(file: string, site: string, line: string, baud: string): void {
  writeFileSync(
    file,
    `# A draft of a configuration, by meter-gateway commission: complete gateway and mqtt.
[gateway]
id = "draft"
tenant = "draft"
state_directory = ${JSON.stringify(join(site, 'state'))}

[mqtt]
url = "mqtt://localhost"

[[port]]
name = "bus-1"
device = ${JSON.stringify(line)}
baud = ${whole('--baud', baud, 300, 921_600)}
`,
    { flag: 'wx', mode: 0o600 },
  );
}

/** The configuration that is worked on, and the folder of the site. */
export function placesOf({
  config,
  site,
  line,
  baud = '9600',
}: SiteOptions & { readonly line?: string; readonly baud?: string }): {
  readonly file: string;
  readonly site: string;
} {
  if (config !== undefined) {
    if (line !== undefined) bad('--line goes without --config: the ports stand in the configuration');
    const { value } = readToml(textOf(config));
    const directory = (value['gateway'] as Readonly<Record<string, unknown>> | undefined)?.['state_directory'];
    return {
      file: config,
      site: site ?? join(typeof directory === 'string' ? directory : '/var/lib/meter-gateway', 'site'),
    };
  }
  if (site === undefined) return bad('--config FILE is missing; without a configuration: --site DIR --line DEVICE');
  const folder = resolve(site);
  const file = join(folder, 'gateway.toml');
  if (!existsSync(file)) {
    if (line === undefined) bad(`--line DEVICE is missing: ${file} is not there yet`);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    draft(file, folder, line as string, baud);
  }
  return { file, site: folder };
}
export function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new Failure('input-unreadable', messageOf(error));
  }
}

export function portOf(text: string, { port }: PortOptions): string {
  const ports = (readToml(text).value['port'] ?? []) as readonly { readonly name?: unknown }[];
  const names = ports.map(({ name }) => String(name));
  if (port !== undefined) return port;
  const [only, ...others] = names;
  if (only === undefined || others.length > 0) return bad(`--port says which line: ${names.join(', ')}`);
  return only;
}

/**
 * Where a running gateway is asked. A file that names no meter yet is no configuration for the gateway, and its socket is
 * still where it says.
 */
export function socketFor({ config, socket }: { readonly config?: string; readonly socket?: string }): string {
  if (socket !== undefined) return socket;
  if (config === undefined) return serviceSocket;
  const gateway = (readToml(textOf(config)).value['gateway'] ?? {}) as Readonly<Record<string, unknown>>;
  const { status_socket: named, state_directory: directory } = gateway;
  if (typeof named === 'string') return named;
  const byHand = join(typeof directory === 'string' ? directory : '/var/lib/meter-gateway', 'status.sock');
  return !existsSync(byHand) && existsSync(serviceSocket) ? serviceSocket : byHand;
}
