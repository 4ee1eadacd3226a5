/**
 * Judges a configuration whole before anything is started or stopped for it: (config, models, sources) → plan, findings.
 * Pure but for the sources handed in. What concerns one meter stops that meter, by name; what concerns the gateway leaves
 * no plan. `config check`, the start and a reload all stand on this.
 */
import { createHash } from 'node:crypto';
import { dirname } from 'node:path';
import { Failure } from '../base/errors.ts';
import { fromHex } from '../base/hex.ts';
import { parseSelector } from '../line/open-port.ts';
import type { MeterModel } from '../meter/model.ts';
import { type Finding, Findings, type Sources } from './findings.ts';
import { type BrokerPlan, brokerPlan } from './resolve-broker.ts';
import { type MeterPlan, meterPlan } from './resolve-meter.ts';
import type { Config } from './schema.ts';

export interface PortPlan {
  readonly name: string;
  readonly device: string;
  /** With which the line is opened. */
  readonly baud: number;
  readonly meters: readonly MeterPlan[];
}
/** Everything that a house is built from; nothing in it can be missing any more. */
export interface GatewayPlan {
  readonly config: Config;
  /** Of the configuration as it stands in the file. */
  readonly hash: string;
  readonly ports: readonly PortPlan[];
  readonly broker: BrokerPlan;
  readonly statusSocket: string;
  readonly findings: readonly Finding[];
}
export interface Resolution {
  readonly plan: GatewayPlan | undefined;
  readonly findings: readonly Finding[];
}

/** Linux keeps 108 octets for the path of a socket, with its end. */
const socketPathMost = 107;
/** Under which counters are kept where no title is pinned: 'MGW' and five octets that only this gateway has. */
const defaultSystemTitle = (tenant: string, gateway: string): Uint8Array =>
  Buffer.concat([Buffer.from('MGW'), createHash('sha256').update(`${tenant}/${gateway}`).digest().subarray(0, 5)]);

/** Two ports may name one adapter in two ways. */
function judgeDevices(config: Config, sources: Sources, findings: Findings): void {
  const seen = new Map<string, string>();
  config.port.forEach(({ device }, i) => {
    const selector = parseSelector(device);
    const real =
      selector.kind === 'tcp' ? `tcp://${selector.host.toLowerCase()}:${selector.port}` : sources.device(selector.path);
    const path = `port[${i}].device`;
    const first = seen.get(real);
    if (first !== undefined) findings.add('error', path, `${device} is ${real}, which is already used at ${first}`);
    else seen.set(real, path);
  });
}

/** A series belongs to a point: two meters there are a check meter, or a mistake. */
function judgePoints(config: Config, findings: Findings): void {
  const seen = new Map<string, string>();
  config.port.forEach((port, i) =>
    port.meter.forEach(({ point }, j) => {
      const path = `port[${i}].meter[${j}].point`;
      const first = seen.get(point);
      if (first === undefined) seen.set(point, path);
      else findings.add('warning', path, `point ${point} is already used at ${first}: is one of them a check meter?`);
    }),
  );
}

export function resolve(
  config: Config,
  models: ReadonlyMap<string, MeterModel>,
  sources: Sources,
  statusSocketByDefault = `${config.gateway.state_directory}/status.sock`,
): Resolution {
  const findings = new Findings();
  const { gateway } = config;
  const statusSocket = gateway.status_socket ?? statusSocketByDefault;
  if (Buffer.byteLength(statusSocket) > socketPathMost)
    findings.add(
      'error',
      'gateway.status_socket',
      `${statusSocket}: a socket's path has at most ${socketPathMost} octets`,
    );
  else
    findings.attempt('error', 'gateway.status_socket', () =>
      sources.socket(statusSocket, dirname(statusSocket) === gateway.state_directory),
    );
  const { status_group } = gateway;
  if (status_group !== undefined) findings.attempt('error', 'gateway.status_group', () => sources.group(status_group));
  judgeDevices(config, sources, findings);
  judgePoints(config, findings);
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
      meters: port.meter.map((meter, j) => meterPlan({ ...shared, port, meter, path: `port[${i}].meter[${j}]` })),
    }),
  );
  const broker = brokerPlan(config, sources, findings);
  const hash = createHash('sha256').update(JSON.stringify(config)).digest('hex').slice(0, 16);
  const sound = broker !== undefined && findings.all.every(({ severity }) => severity !== 'error');
  return {
    plan: sound ? { config, hash, ports, broker, statusSocket, findings: findings.all } : undefined,
    findings: findings.all,
  };
}

const severities = {
  error: '',
  meter: 'this meter is not polled: ',
  warning: 'warning: ',
  unjudged: 'not judged here: ',
} as const;
export const findingText = ({ severity, path, message }: Finding): string =>
  `${path}: ${severities[severity]}${message}`;

/** The plan, or a Failure `config-invalid` that names everything that stands in its way. */
export function requirePlan({ plan, findings }: Resolution, name: string): GatewayPlan {
  if (plan) return plan;
  const errors = findings.filter(({ severity }) => severity === 'error' || severity === 'meter');
  throw new Failure('config-invalid', [`${name}:`, ...errors.map((one) => `  ${findingText(one)}`)].join('\n'));
}
