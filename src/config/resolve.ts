/**
 * What a configuration refers to: (config, models, sources) → plan, and findings on the way. Pure but for the sources
 * handed in. What concerns one meter stops that meter, by name; what concerns the gateway leaves no plan.
 */
import { createHash } from 'node:crypto';
import { dirname, posix } from 'node:path';
import { fromHex } from '../base/hex.ts';
import type { Direction } from '../line/direction.ts';
import type { MeterModel } from '../meter/model.ts';
import { type Finding, Findings, type Sources } from './findings.ts';
import { type BrokerPlan, brokerPlan } from './resolve-broker.ts';
import { type OrdersPlan, ordersPlan } from './resolve-orders.ts';
import { type PagePlan, pagePlan } from './resolve-page.ts';
import { type MeterPlan, meterPlan } from './resolve-meter.ts';
import { listenedPort } from './listened.ts';
import type { Config } from './schema.ts';
import { unfitForState } from './state-place.ts';

export interface PortPlan {
  readonly name: string;
  readonly device: string;
  /** With which the line is opened. */
  readonly baud: number;
  readonly direction: Direction;
  readonly meters: readonly MeterPlan[];
}
/** A line, or a port of this machine, on which meters push. */
export interface ListenPlan {
  readonly name: string;
  readonly device: string;
  readonly link: 'hdlc' | 'wrapper' | 'p1';
  readonly baud: number;
  readonly perMinute: number;
  /** Those that only push. */
  readonly meters: readonly MeterPlan[];
}
/** Everything that a house is built from; nothing in it can be missing any more. */
export interface GatewayPlan {
  readonly config: Config;
  /** The digest of the configuration as it stands in the file. */
  readonly hash: string;
  readonly ports: readonly PortPlan[];
  readonly listeners: readonly ListenPlan[];
  readonly broker: BrokerPlan;
  /** Left out: no orders of the central system are taken. */
  readonly orders?: OrdersPlan;
  readonly statusSocket: string;
  /** Left out: there is no page. */
  readonly page?: PagePlan;
  readonly findings: readonly Finding[];
}

/** Linux keeps 108 octets for the path of a socket, with its end. */
const maxSocketPath = 107;
/** Under which counters are kept where no title is pinned: 'MGW' and five octets that only this gateway has. */
const defaultSystemTitle = (tenant: string, gateway: string): Uint8Array =>
  Buffer.concat([Buffer.from('MGW'), createHash('sha256').update(`${tenant}/${gateway}`).digest().subarray(0, 5)]);

/** Files of the state directory, of which a socket can be none. */
const stateNames = /^(store|counters|checkpoint|ballast|provisioned\.json|on-turn|set-aside\.json|unclean)/;

interface ResolveContext {
  readonly models: ReadonlyMap<string, MeterModel>;
  readonly sources: Sources;
  readonly findings: Findings;
  /** Where the status socket is when the file names none. */
  readonly door?: string | undefined;
}

function judgeSocket(statusSocket: string, config: Config, { sources, findings }: ResolveContext): void {
  const path = ['gateway', 'status_socket'];
  const directory = posix.resolve(config.gateway.state_directory);
  const next =
    'Write a path such as /run/meter-gateway/status.sock, in a folder that is there, or leave status_socket out.';
  const restsOn = [['gateway', 'state_directory']];
  const inState = dirname(posix.resolve(statusSocket)) === directory;
  if (Buffer.byteLength(statusSocket) > maxSocketPath)
    findings.add('error', path, `${statusSocket}: a socket's path has at most ${maxSocketPath} octets`, {
      next,
      restsOn,
    });
  else if (statusSocket.endsWith('/') || (inState && stateNames.test(posix.basename(statusSocket))))
    findings.add('error', path, `${statusSocket} names a folder, or a file of the state`, { next, restsOn });
  else findings.attempt('error', path, () => sources.socket(statusSocket, inState), { next, restsOn });
}

function judgeState({ gateway }: Config, { sources, findings }: ResolveContext): void {
  const path = ['gateway', 'state_directory'];
  const directory = posix.resolve(gateway.state_directory);
  const next = 'Name a folder that is for this gateway alone, on a disk: /var/lib/meter-gateway.';
  const unfit = unfitForState(directory);
  if (unfit !== undefined) findings.add('error', path, unfit, { next });
  else findings.attempt('error', path, () => sources.state(directory), { next });
}

/** undefined where there is no way to the head-end; whether the plan can be used is for the findings to say. */
export function resolve(config: Config, context: ResolveContext): GatewayPlan | undefined {
  const { models, sources, findings, door = `${config.gateway.state_directory}/status.sock` } = context;
  const { gateway } = config;
  const statusSocket = gateway.status_socket ?? door;
  judgeState(config, context);
  judgeSocket(statusSocket, config, context);
  for (const key of ['status_group', 'technician_group'] as const) {
    const group = gateway[key];
    if (group !== undefined) findings.attempt('error', ['gateway', key], () => sources.group(group, key));
  }
  const pinned = gateway.system_title === undefined ? undefined : fromHex(gateway.system_title);
  // Counters go on where they stood, whatever the title of this life is.
  const countedAs = pinned ?? defaultSystemTitle(gateway.tenant, gateway.id);
  const titles = { systemTitle: pinned ?? sources.lifeTitle, countedAs, titlePinned: pinned !== undefined };
  const shared = { models, ...titles, sources, findings };
  const ports = config.port.map(
    (port, i): PortPlan => ({
      name: port.name,
      device: port.device,
      baud: port.mode_e ? 300 : port.baud,
      direction: port.direction,
      meters: port.meter.map((meter, j) => meterPlan({ ...shared, port, meter, path: ['port', i, 'meter', j] })),
    }),
  );
  const listeners = config.listen.map((listen, i): ListenPlan => {
    const port = listenedPort(listen);
    return {
      name: listen.name,
      device: listen.device,
      link: listen.link,
      baud: listen.baud,
      perMinute: listen.per_minute,
      meters: port.meter.map((meter, j) => meterPlan({ ...shared, port, meter, path: ['listen', i, 'meter', j] })),
    };
  });
  const broker = brokerPlan(config, sources, findings);
  const orders = ordersPlan(config, sources, findings);
  const page = pagePlan(config, sources, findings);
  if (!broker) return undefined;
  const hash = createHash('sha256').update(JSON.stringify(config)).digest('hex').slice(0, 16);
  return {
    config,
    hash,
    ports,
    listeners,
    broker,
    ...(orders && { orders }),
    ...(page && { page }),
    statusSocket,
    findings: [],
  };
}
