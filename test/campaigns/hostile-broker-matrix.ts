/** The matrix of the hostile broker: what it does (act) with which packet, from which step on. It is generated, and no pair is skipped. */
export const steps = ['connect', 'subscribe', 'again', 'birth', 'row', 'flow', 'ping', 'reconnect'] as const;
export type Step = (typeof steps)[number];
export const packetTypes = [
  'connect',
  'connack',
  'publish',
  'puback',
  'pubrec',
  'pubrel',
  'pubcomp',
  'subscribe',
  'suback',
  'unsubscribe',
  'unsuback',
  'pingreq',
  'pingresp',
  'disconnect',
  'auth',
] as const;
export type PacketType = (typeof packetTypes)[number];
export const acts = ['refuse', 'delay', 'drop', 'repeat', 'enlarge', 'garble', 'flood'] as const;
export type Act = (typeof acts)[number];
/** What a broker may say of itself in CONNACK. */
export const terms = [
  { receiveMaximum: 0 },
  { receiveMaximum: 1 },
  { maximumPacketSize: 0 },
  { maximumPacketSize: 40 },
  { maximumPacketSize: 700 },
  { maximumPacketSize: 1500 },
  { maximumQoS: 0 },
  { retainAvailable: false },
  { serverKeepAlive: 0 },
  { serverKeepAlive: 65_535 },
  { serverKeepAlive: 1 },
  { topicAliasMaximum: 65_535 },
  { sessionExpiryInterval: 0 },
  { assignedClientIdentifier: 'another' },
  { reasonString: 'x'.repeat(60_000) },
] as const;

export interface Harm {
  readonly protocol: 4 | 5;
  readonly step: Step;
  readonly packet: PacketType;
  readonly act: Act;
  readonly terms?: Readonly<Record<string, unknown>>;
}
export const nameOf = ({ protocol, step, packet, act, terms: own }: Harm): string =>
  `MQTT ${protocol === 5 ? '5' : '3.1.1'}: ${own ? `CONNACK ${JSON.stringify(own).slice(0, 60)}` : `${act} ${packet} from ${step} on`}`;
/** Every triple in both versions, and every term. */
export function matrix(): Harm[] {
  const all: Harm[] = [];
  for (const protocol of [5, 4] as const)
    for (const step of steps)
      for (const packet of packetTypes) for (const act of acts) all.push({ protocol, step, packet, act });
  for (const own of terms) all.push({ protocol: 5, step: 'connect', packet: 'connack', act: 'refuse', terms: own });
  return all;
}
