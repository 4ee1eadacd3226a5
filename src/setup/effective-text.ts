/**
 * The configuration that a first run makes: the example of the package with what was entered in force, and everything else of it
 * as a comment. So the file explains itself to whoever opens it next.
 */
import { proposalsOf } from '../commission/candidates.ts';
import { configExample } from '../config/example.ts';
import type { MeterModel } from '../meter/model.ts';
import type { Draft, DraftLine } from './draft.ts';

export interface TextWorld {
  /** What the configuration writes for a secret of this name: credential:NAME, or file:/…/NAME. */
  readonly reference: (name: string) => string;
  /** Where certificates go. */
  readonly folder: string;
  readonly models: ReadonlyMap<string, MeterModel>;
  readonly stateDirectory: string | undefined;
  /** The group whose members may act, where there is one. */
  readonly technicians: string | undefined;
  readonly listen: string;
  readonly day: string;
}
type Values = Readonly<Record<string, unknown>>;

const tables = configExample.split(/^(?=\[)/m);
const headOf = (table: string): string => /^\[+[a-z.]+\]+/.exec(table)?.[0] ?? '';
const exampleOf = (head: string): string[] =>
  (tables.find((one) => headOf(one) === head) ?? head).trimEnd().split('\n');

const bareKey = (key: string): string => (/^[A-Za-z0-9_-]+$/.test(key) ? key : JSON.stringify(key));
/** A TOML basic string is a JSON string but for DEL, which no name has. */
function valueText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(valueText).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const pairs = Object.entries(value).map(([key, one]) => `${bareKey(key)} = ${valueText(one)}`);
  return `{ ${pairs.join(', ')} }`;
}

const keyLine = /^(# )?([a-z_0-9]+) = (.*?)(\s+# .*)?$/;
/** A table of the example with these values; `all`: also what it has beside them, as comments. */
function tableText(head: string, values: Values, all: boolean): string[] {
  const left = new Map(Object.entries(values).filter(([, value]) => value !== undefined));
  const lines = [head];
  for (const line of exampleOf(head).slice(1)) {
    const found = keyLine.exec(line);
    const [, comment, key = '', , remark = ''] = found ?? [];
    if (found && left.has(key)) {
      const own = `${bareKey(key)} = ${valueText(left.get(key))}`;
      lines.push(all ? `${own.padEnd(30)} ${remark.trim()}`.trimEnd() : own);
      left.delete(key);
    } else if (all) lines.push(found && comment === undefined ? `# ${line}` : line);
  }
  for (const [key, value] of left) lines.push(`${bareKey(key)} = ${valueText(value)}`);
  return lines;
}
const commented = (head: string): string[] =>
  exampleOf(head).map((line) => (line === '' || line.startsWith('#') ? line : `# ${line}`));

/** Names of the secrets by which the meters of a line are entered; `{serial}` is filled in for each. */
function entryOf({ name, entry }: DraftLine, reference: TextWorld['reference']) {
  const of = (what: string) => reference(entry.shared ? `${name}-${what}` : `m-{serial}-${what}`);
  const { auth, client } = entry;
  const password = auth !== 'none' && auth !== 'hls-gmac' && auth !== 'hls-ecdsa';
  return {
    client,
    auth,
    ...(password && { secret: of('password') }),
    ...(auth === 'hls-gmac' && { encryption_key: of('ek'), authentication_key: of('ak') }),
  };
}

function metersOf(line: DraftLine, world: TextWorld): Values[] {
  const { name, entries, places, periodS } = line;
  const modelOf = (serial: string) => places.find((place) => place.serial === serial)?.model;
  const bare = `[[port]]\nname = ${JSON.stringify(name)}\n`;
  return proposalsOf(
    bare,
    name,
    entries.map((entry) => ({ ...entry, model: entry.model ?? modelOf(entry.serial) })),
    {
      entry: entryOf(line, world.reference),
      places: places.flatMap(({ serial, server, physical }) =>
        entries.filter((entry) => entry.serial === serial).map((entry) => ({ entry, server, physical })),
      ),
      periodS,
      models: world.models,
    },
  ).map(({ keys }) => keys);
}

function lineText(line: DraftLine, world: TextWorld, all: boolean): string[] {
  const { name, device, baud, link, direction } = line;
  const isTcp = device.startsWith('tcp://');
  const port = {
    name,
    device,
    ...(link === 'wrapper' && { link }),
    ...(link === 'mode-e' && { mode_e: true }),
    ...(!isTcp && link !== 'mode-e' && { baud }),
    ...(direction !== 'auto' && { direction }),
  };
  const meters = metersOf(line, world);
  return [
    ...tableText('[[port]]', port, all),
    '',
    ...meters.flatMap((keys, i) => {
      const place = line.entries[i]?.place ?? '';
      const remark = place === '' ? [] : [`# ${place.replaceAll(/[\p{Cc}]/gu, ' ')}`];
      return [...remark, ...tableText('[[port.meter]]', keys, all && i === 0), ''];
    }),
  ];
}

export const caName = 'ca.pem';
export const certificateName = 'client.pem';
export const brokerPassword = 'mqtt-password';
export const brokerKey = 'mqtt-key';

export function effectiveText({ site, broker, lines, own }: Draft, world: TextWorld): string {
  if (own !== null) return own;
  const { reference, folder, stateDirectory, technicians, listen, day } = world;
  const gateway = {
    id: site.id,
    tenant: site.tenant,
    ...(stateDirectory !== undefined && { state_directory: stateDirectory }),
    ...(technicians !== undefined && { technician_group: technicians }),
    time_zone: site.timeZone,
  };
  const mqtt = {
    url: broker.url,
    ...(broker.protocol !== '5' && { protocol: broker.protocol }),
    ...(broker.username !== '' && { username: broker.username }),
    ...(broker.password && { password: reference(brokerPassword) }),
    ...(broker.ca !== null && { ca_file: `${folder}/${caName}` }),
    ...(broker.certificate !== null && { cert_file: `${folder}/${certificateName}`, key: reference(brokerKey) }),
  };
  const page = [...tableText('[page]', { listen }, true), ''];
  return [
    `# Written by the first run of this gateway on ${day}. After a change: systemctl reload meter-gateway.`,
    (tables[0] ?? '').trimEnd(),
    '',
    ...tableText('[gateway]', gateway, true),
    '',
    ...tableText('[mqtt]', mqtt, true),
    '',
    ...page,
    ...commented('[orders]'),
    '',
    ...commented('[log]'),
    '',
    ...lines.flatMap((line, i) => lineText(line, world, i === 0)),
  ]
    .join('\n')
    .replaceAll(/\n{3,}/g, '\n\n')
    .trimEnd()
    .concat('\n');
}
