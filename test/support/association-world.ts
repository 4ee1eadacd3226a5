/** A client stack and a server stack, octets carried between them in virtual time, with everything that may be meddled with. */
import { createPublicKey } from 'node:crypto';
import { expect } from 'vitest';
import { Secret } from '../../src/base/secret.ts';
import { later, type Millis, millis } from '../../src/base/time.ts';
import type { CipheringSettings, PeerMemory, Protection, PublicKeys } from '../../src/dlms/association/ciphering.ts';
import {
  type AssociationSettings,
  proposedByDefault,
  proposedWithShortNames,
} from '../../src/dlms/association/client-entry.ts';
import { serverConformance, shortNameServerConformance } from '../../src/dlms/association/server-conformance.ts';
import type { ServerClient } from '../../src/dlms/association/server-entry.ts';
import type { Data } from '../../src/dlms/axdr/data.ts';
import { array, octets, readable, type ServerObject } from '../../src/dlms/cosem/server-object.ts';
import { serverAddress } from '../../src/dlms/hdlc/frame.ts';
import { newKeyPair } from '../../src/dlms/security/keys.ts';
import { ClientStack, type StackEvent, type StackRequest } from '../../src/dlms/stack/client.ts';
import { ServerStack } from '../../src/dlms/stack/server.ts';
import { conformance } from '../../src/dlms/xdlms/conformance.ts';
import type { LogicalName } from '../../src/dlms/cosem/logical-name.ts';

const clientTitle = Buffer.from('MMM\u0000\u0000\u0000\u0000\u0001', 'latin1');
export const serverTitle = Buffer.from('ABCDEFGH');
export const key = (length: number, first: number) => new Secret(Uint8Array.from({ length }, (_, i) => first + i));
const objects: ServerObject[] = [
  { classId: 15, version: 1, logicalName: '0.0.40.0.0.255' as const, attributes: [readable(2, array())] },
  {
    classId: 1,
    version: 0,
    logicalName: '0.0.42.0.0.255' as const,
    attributes: [readable(2, octets(Buffer.from('SIM0000000000001')))],
  },
  {
    classId: 1,
    version: 0,
    logicalName: '0.0.96.1.0.255' as const,
    attributes: [readable(2, octets(new Uint8Array(3000).fill(7)))],
  },
];
/** What was written and invoked, newest last. */
export const written: Data[] = [];
export const invoked: (Data | undefined)[] = [];
objects.push({
  classId: 18,
  version: 0,
  logicalName: '0.0.44.0.0.255' as const,
  attributes: [
    {
      id: 2,
      access: 3,
      set: (value) => {
        written.push(value);
        return 0;
      },
    },
  ],
  methods: [
    {
      id: 2,
      act: (parameters) => {
        invoked.push(parameters);
        return { result: 0 };
      },
    },
    {
      id: 3,
      // Gives back what it was given: long answers to ACTION.
      act: (parameters) => ({ result: 0, ...(parameters && { returned: { data: parameters } }) }),
    },
  ],
});
export interface Options {
  link?: 'hdlc' | 'wrapper';
  mechanism?: AssociationSettings['mechanism'];
  serverMechanism?: ServerClient['mechanism'];
  suite?: 0 | 1 | 2;
  ciphered?: boolean;
  policy?: Protection;
  /** How InitiateRequest and InitiateResponse are protected, on both sides. */
  initiate?: Protection;
  wrapping?: CipheringSettings['wrapping'];
  dedicated?: boolean;
  secret?: string;
  /** wPort of the client; over HDLC it is 1. */
  client?: number;
  clientKeys?: { ek: Secret; ak: Secret };
  clientCounter?: { value: number };
  meddle?: (octets: Uint8Array, index: number, from: 'client' | 'server') => Uint8Array;
  server?: ServerStack;
  serverConformance?: number;
  /** general block transfer, with this window on both sides. */
  transferWindow?: number;
  shortNames?: boolean;
  access?: boolean;
  keyInfo?: CipheringSettings['keyInfo'];
  signed?: boolean;
  /** The meter's, as it is configured. */
  peerTitle?: Uint8Array;
  /** What the client knows of the meter from one association to the next. */
  peer?: PeerMemory;
  association?: Partial<AssociationSettings>;
}
/** Signing and agreement keys of both sides, for suites 1 and 2. */
const pairs = ([1, 2] as const).map((suite) => ({
  client: { signing: newKeyPair(suite), agreement: newKeyPair(suite) },
  server: { signing: newKeyPair(suite), agreement: newKeyPair(suite) },
}));
function publicKeys(suite: 1 | 2, own: 'client' | 'server'): Required<PublicKeys> {
  const both = pairs[suite - 1] as (typeof pairs)[0];
  const [mine, theirs] = own === 'client' ? [both.client, both.server] : [both.server, both.client];
  return {
    signing: { own: mine.signing.privateKey, peer: createPublicKey(theirs.signing.privateKey) },
    agreement: { own: mine.agreement.privateKey, peer: createPublicKey(theirs.agreement.privateKey) },
    ephemeral: () => newKeyPair(suite),
  };
}
const shortNames = new Map<LogicalName, number>([
  ['0.0.40.0.0.255', 0xfa00],
  ['0.0.42.0.0.255', 0x100],
  ['0.0.96.1.0.255', 0x200],
  ['0.0.44.0.0.255', 0x300],
]);

export function world(options: Options) {
  const {
    link = 'wrapper',
    mechanism = 'none',
    suite = 0,
    ciphered = false,
    policy = 'authenticated-encrypted',
    wrapping = 'service',
  } = options;
  const length = suite === 2 ? 32 : 16;
  const keys = { encryption: key(length, 0), authentication: key(length, 0xd0) };
  const clientCounter = options.clientCounter ?? { value: 100 };
  const serverCounter = { value: 5000 };
  const common = {
    suite,
    policy,
    wrapping,
    ...(options.keyInfo && { keyInfo: options.keyInfo }),
    ...(options.signed && { signed: true }),
    ...(options.initiate && { initiate: options.initiate }),
    master: key(length, 0x70),
    freshKey: () => key(length, Math.floor(clientCounter.value * 7) & 0x7f),
  } as const;
  const curve = suite === 0 ? 1 : suite;
  const extra =
    (options.transferWindow === undefined ? 0 : conformance('general-block-transfer')) |
    (options.access ? conformance('access') : 0);
  const secured = ciphered || mechanism === 'hls-gmac';
  const client: ServerClient = {
    mechanism: options.serverMechanism ?? mechanism,
    secret: new Secret(Buffer.from('Gurux')),
    ...(secured && {
      ciphering: {
        ...common,
        keys,
        publicKeys: publicKeys(curve, 'server'),
        nextCounter: () => serverCounter.value++,
      },
    }),
    signing: { suite: curve, keys: publicKeys(curve, 'server').signing },
  };
  const size = { maxInfoTransmit: 128, maxInfoReceive: 128, windowTransmit: 1, windowReceive: 1 };
  const timing = {
    answerTimeoutMs: 1000,
    quietMs: 100,
    retries: 3,
    octetMs: 0,
    inactivityMs: 60_000,
    reassemblyLimit: 65_536,
  };
  const server =
    options.server ??
    new ServerStack({
      link:
        link === 'wrapper'
          ? { kind: 'wrapper', server: 1 }
          : { kind: 'hdlc', settings: { role: 'server', own: serverAddress(1), parameters: size, ...timing } },
      server: {
        clients: new Map([[options.client ?? 1, client]]),
        objects,
        conformance: options.serverConformance ?? (options.shortNames ? shortNameServerConformance : serverConformance),
        transferWindow: options.transferWindow ?? 1,
        ...(options.shortNames && { shortNames }),
        maxPdu: 400,
        systemTitle: serverTitle,
        challenge: () => Buffer.from('server-challenge'),
      },
    });
  const stack = new ClientStack({
    link:
      link === 'wrapper'
        ? { kind: 'wrapper', client: options.client ?? 1, server: 1 }
        : {
            kind: 'hdlc',
            settings: {
              role: 'client',
              own: { logical: 1, size: 1 },
              peer: serverAddress(1),
              parameters: size,
              ...timing,
            },
          },
    association: {
      mechanism,
      secret: new Secret(Buffer.from(options.secret ?? 'Gurux')),
      challenge: Buffer.from('client-challenge'),
      systemTitle: clientTitle,
      ...(secured && {
        ciphering: {
          ...common,
          ownTitle: clientTitle,
          keys: options.clientKeys
            ? { encryption: options.clientKeys.ek, authentication: options.clientKeys.ak }
            : keys,
          nextCounter: () => clientCounter.value++,
          publicKeys: publicKeys(curve, 'client'),
          ...(options.peer && { peer: options.peer }),
          ...(options.peerTitle && { peerTitle: options.peerTitle }),
          ...(options.dedicated && { dedicated: () => key(length, 0x40) }),
        },
      }),
      signing: { suite: curve, keys: publicKeys(curve, 'client').signing },
      proposed: (options.shortNames ? proposedWithShortNames : proposedByDefault) | extra,
      transferWindow: options.transferWindow ?? 1,
      ...(options.shortNames && { shortNames }),
      maxPdu: 400,
      answerTimeoutMs: 5000,
      valueLimit: 1 << 20,
      ...options.association,
    },
    patience: { stepMs: 60_000, octetMs: 50 },
    release: true,
  });
  let now: Millis = millis(0);
  let index = 0;
  const wire: { from: 'client' | 'server'; octets: Uint8Array }[] = [];
  const events: StackEvent[] = [];
  const until = (...kinds: StackEvent['kind'][]): StackEvent => {
    for (let steps = 0; steps < 5000; steps++) {
      const waiting = events.findIndex(({ kind }) => kinds.includes(kind) || kind === 'failed');
      if (waiting >= 0) return events.splice(0, waiting + 1).at(-1) as StackEvent;
      let moved = false;
      for (let sent = stack.pollTransmit(); sent; sent = stack.pollTransmit()) {
        moved = true;
        const passed = options.meddle ? options.meddle(sent, index++, 'client') : sent;
        if (passed.length === 0) continue;
        wire.push({ from: 'client', octets: passed });
        server.receive(passed, now);
      }
      for (let sent = server.pollTransmit(); sent; sent = server.pollTransmit()) {
        moved = true;
        const passed = options.meddle ? options.meddle(sent, index++, 'server') : sent;
        if (passed.length === 0) continue;
        wire.push({ from: 'server', octets: passed });
        stack.receive(passed, now);
      }
      for (let event = stack.pollEvent(); event; event = stack.pollEvent()) events.push(event);
      if (moved || events.some(({ kind }) => kinds.includes(kind) || kind === 'failed')) continue;
      const deadline = stack.deadline();
      expect(deadline, `waiting for ${kinds.join()}`).toBeDefined();
      now = later(deadline as Millis, 0);
      stack.wake(now);
      server.wake(now);
    }
    throw new Error('no end');
  };
  return {
    stack,
    server,
    wire,
    clientCounter,
    more: (...kinds: StackEvent['kind'][]) => until(...kinds),
    ask: (request: StackRequest, ...kinds: StackEvent['kind'][]) => {
      events.length = 0;
      stack.request(request, now);
      return until(...kinds);
    },
  };
}
