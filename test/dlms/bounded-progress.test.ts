/**
 * A property of every machine: between two gains (an octet accepted into the answer, a state advanced) only a bounded
 * number of transmissions, with pauses between repeats; then the right error. The peers here never let anything be gained.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { fromHex } from '../../src/base/hex.ts';
import type { Machine } from '../../src/base/machine.ts';
import { later, type Millis, millis } from '../../src/base/time.ts';
import { ClientAssociation } from '../../src/dlms/association/client.ts';
import { proposedByDefault } from '../../src/dlms/association/client-entry.ts';
import { ServerAssociation } from '../../src/dlms/association/server.ts';
import { serverConformance } from '../../src/dlms/association/server-conformance.ts';
import { encodeAcse } from '../../src/dlms/acse/apdu.ts';
import { type Control, encodeFrame, type Frame, serverAddress, cutFrame } from '../../src/dlms/hdlc/frame.ts';
import { HdlcLink } from '../../src/dlms/hdlc/link.ts';
import type { LinkEvent, LinkRequest } from '../../src/dlms/hdlc/link-settings.ts';
import { SignOn, type SignOnEvent } from '../../src/dlms/iec62056-21/sign-on.ts';
import { ClientStack, type StackEvent, type StackRequest } from '../../src/dlms/stack/client.ts';
import { NotificationReceiver } from '../../src/dlms/stack/notification.ts';
import { encodeWrapper, Unwrapper } from '../../src/dlms/wrapper/wrapper.ts';
import { encodeApdu } from '../../src/dlms/xdlms/apdu.ts';
import { conformance } from '../../src/dlms/xdlms/conformance.ts';
import { acceptingAare } from '../support/accepting-aare.ts';

const own = { logical: 17, size: 1 } as const;
const peer = serverAddress(1);
const answerTimeoutMs = 1500;
const retries = 3;
const none = new Uint8Array(0);

/** What a machine did: its transmissions with their instants, and what it said in the end. */
interface Course<Event> {
  readonly sent: { readonly at: Millis; readonly octets: Uint8Array }[];
  readonly events: Event[];
  readonly ended: boolean;
  readonly now: Millis;
}
/**
 * Runs a machine against a peer that answers each transmission at once. `flood`: and says its last answer again every
 * 20 ms, asked or not. Ends when the machine expects nothing more, or says so.
 */
function drive<Request, Event extends { kind: string }>(
  machine: Machine<Request, Event>,
  start: Millis,
  answer: (sent: Uint8Array, index: number) => readonly Uint8Array[],
  flood: boolean,
  ends: (event: Event) => boolean,
): Course<Event> {
  const limitMs = 300_000;
  let now = start;
  const sent: { at: Millis; octets: Uint8Array }[] = [];
  const events: Event[] = [];
  let again: readonly Uint8Array[] = [];
  let nextFlood = later(now, 20);
  const carry = (): boolean => {
    for (let moved = true; moved; ) {
      moved = false;
      for (let octets = machine.pollTransmit(); octets; octets = machine.pollTransmit()) {
        moved = true;
        sent.push({ at: now, octets });
        // The livelock itself: no need to go on.
        if (sent.length > 2000) return true;
        again = answer(octets, sent.length - 1);
        now = later(now, 1);
        for (const one of again) machine.receive(one, now);
      }
      for (let event = machine.pollEvent(); event; event = machine.pollEvent()) events.push(event);
    }
    return events.some(ends);
  };
  while (!carry()) {
    const deadline = machine.deadline();
    if (deadline === undefined || now - start > limitMs) return { sent, events, ended: false, now };
    if (flood && nextFlood < deadline) {
      now = millis(Math.max(now, nextFlood));
      nextFlood = later(now, 20);
      for (const one of again) machine.receive(one, now);
      continue;
    }
    now = millis(Math.max(now + 1, deadline));
    machine.wake(now);
  }
  return { sent, events, ended: sent.length <= 2000, now };
}

/** No burst without an end: at most so many transmissions within any 90 ms. */
function bursts(course: Course<unknown>): number {
  return Math.max(
    0,
    ...course.sent.map(({ at }) => course.sent.filter((one) => one.at >= at && one.at < at + 90).length),
  );
}

const frame = (control: Control, information: Uint8Array = none, segmented = false): Uint8Array =>
  encodeFrame({ destination: own, source: peer, control, segmented, information });
function parsed(octets: Uint8Array): Frame {
  const cut = cutFrame(octets, 1, octets.length);
  if (cut.is !== 'frame') throw new Error('our own frame is damaged');
  return cut.frame;
}
/** Sequence numbers that the other side of our client would have, as our last frame shows them. */
const numbers = (octets: Uint8Array): { expects: number; next: number } => {
  const { control } = parsed(octets);
  return {
    expects: 'nr' in control ? control.nr : 0,
    next: control.kind === 'I' ? (control.ns + 1) & 7 : 1,
  };
};

const meterFrames: Record<string, (sent: Uint8Array, index: number) => readonly Uint8Array[]> = {
  silence: () => [],
  echo: (sent) => [sent],
  flags: () => [Uint8Array.of(0x7e, 0x7e, 0x7e)],
  'half a frame': () => [frame({ kind: 'RR', nr: 0, pollFinal: true }).subarray(0, 5)],
  damage: () => [frame({ kind: 'RR', nr: 0, pollFinal: true }).map((octet, i) => (i === 5 ? octet ^ 1 : octet))],
  UA: () => [frame({ kind: 'UA', pollFinal: true })],
  DM: () => [frame({ kind: 'DM', pollFinal: true })],
  FRMR: () => [frame({ kind: 'FRMR', pollFinal: true }, Uint8Array.of(0x10, 0, 1))],
  SNRM: () => [frame({ kind: 'SNRM', pollFinal: true })],
  DISC: () => [frame({ kind: 'DISC', pollFinal: true })],
  UI: () => [frame({ kind: 'UI', pollFinal: true }, Uint8Array.of(1, 2, 3))],
  REJ: () => [frame({ kind: 'unknown', octet: 0x19, pollFinal: true })],
  'RR and RNR by turns': (_, i) => [frame({ kind: i % 2 ? 'RR' : 'RNR', nr: 1, pollFinal: true })],
  'empty segments in order': (sent) => {
    const { expects, next } = numbers(sent);
    return [frame({ kind: 'I', ns: expects, nr: next, pollFinal: true }, none, true)];
  },
  'empty segments in order, without F': (sent) => {
    const { expects, next } = numbers(sent);
    return [frame({ kind: 'I', ns: expects, nr: next, pollFinal: false }, none, true)];
  },
  'an empty answer': (sent) => {
    const { expects, next } = numbers(sent);
    return [frame({ kind: 'I', ns: expects, nr: next, pollFinal: true }, none)];
  },
};
for (let nr = 0; nr < 8; nr++) {
  meterFrames[`RR ${nr}`] = () => [frame({ kind: 'RR', nr, pollFinal: true })];
  meterFrames[`RNR ${nr}`] = () => [frame({ kind: 'RNR', nr, pollFinal: true })];
  for (let off = 1; off < 8; off++)
    for (const pollFinal of [true, false]) {
      meterFrames[`I ahead by ${off}, N(R) ${nr}${pollFinal ? '' : ', without F'}`] = (sent) => [
        frame(
          { kind: 'I', ns: (numbers(sent).expects + off) & 7, nr, pollFinal },
          Uint8Array.of(1, 2, 3),
          nr % 2 === 0,
        ),
      ];
    }
}

type Situation = 'connecting' | 'request' | 'long request' | 'part of the answer' | 'disconnecting';
function linkIn(situation: Situation, window: number): { link: HdlcLink; now: Millis } {
  const size = { maxInfoTransmit: 128, maxInfoReceive: 128, windowTransmit: window, windowReceive: window };
  const link = new HdlcLink({
    role: 'client',
    own,
    peer,
    parameters: size,
    answerTimeoutMs,
    quietMs: 100,
    retries,
    octetMs: 0,
    inactivityMs: 0,
    reassemblyLimit: 100_000,
  });
  const now = millis(0);
  const drain = () => {
    while (link.pollTransmit() !== undefined);
    while (link.pollEvent() !== undefined);
  };
  link.request({ kind: 'connect' }, now);
  if (situation === 'connecting') return { link, now };
  const bothWindows = Uint8Array.of(0x81, 0x80, 0x0c, 0x07, 0x04, 0, 0, 0, window, 0x08, 0x04, 0, 0, 0, window);
  link.receive(frame({ kind: 'UA', pollFinal: true }, bothWindows), now);
  drain();
  if (situation === 'disconnecting') {
    link.request({ kind: 'disconnect' }, now);
    return { link, now };
  }
  link.request({ kind: 'send', information: new Uint8Array(situation === 'long request' ? 500 : 10) }, now);
  if (situation === 'part of the answer') {
    drain();
    link.receive(frame({ kind: 'I', ns: 0, nr: 1, pollFinal: true }, new Uint8Array(20), true), now);
  }
  return { link, now };
}

describe.each([1, 7])('HDLC client, window %i', (window) => {
  describe.each<Situation>(['connecting', 'request', 'long request', 'part of the answer', 'disconnecting'])(
    '%s',
    (situation) => {
      test.each(Object.keys(meterFrames).flatMap((name) => [[name, false] as const, [name, true] as const]))(
        '%s for ever (unasked as well: %s)',
        (name, flood) => {
          const { link, now } = linkIn(situation, window);
          const course = drive<LinkRequest, LinkEvent>(
            link,
            now,
            meterFrames[name] as (sent: Uint8Array) => readonly Uint8Array[],
            flood,
            ({ kind }) =>
              kind === 'failed' || kind === 'disconnected' || kind === 'information' || kind === 'connected',
          );
          expect(course.ended, `goes on after ${course.sent.length} transmissions, ${course.now} ms`).toBe(true);
          expect(course.sent.length).toBeLessThan(50);
          expect(bursts(course)).toBeLessThan(window === 7 ? 17 : 8);
          expect(course.now - now).toBeLessThan(30_000);
          const last = course.events.at(-1);
          if (last?.kind !== 'failed') return;
          const answered = /^(RR|RNR|REJ|UA|SNRM|DISC|I ahead|empty|an empty)/.test(name);
          if (answered) expect(last.error.code).toBe('answer-stalled');
          else expect(last.error.code).not.toBe('answer-stalled');
        },
      );
    },
  );
});

describe('HDLC server', () => {
  /** A server answers; what must be bounded is its answers to one frame, and that it says nothing unasked. */
  test.each(Object.keys(meterFrames))('%s: no more than a window in answer to each frame', (name) => {
    const size = { maxInfoTransmit: 128, maxInfoReceive: 128, windowTransmit: 7, windowReceive: 7 };
    const link = new HdlcLink({
      role: 'server',
      own: peer,
      parameters: size,
      answerTimeoutMs,
      quietMs: 100,
      retries,
      octetMs: 0,
      inactivityMs: 60_000,
      reassemblyLimit: 100_000,
    });
    let now = millis(0);
    const turned = (octets: Uint8Array): Uint8Array => {
      const cut = cutFrame(octets, 1, octets.length);
      if (cut.is !== 'frame') return octets;
      return encodeFrame({ ...cut.frame, destination: peer, source: own });
    };
    link.receive(turned(frame({ kind: 'SNRM', pollFinal: true })), now);
    while (link.pollTransmit() !== undefined);
    link.request({ kind: 'send', information: new Uint8Array(2000) }, now);
    let last = frame({ kind: 'RR', nr: 0, pollFinal: true });
    for (let i = 0; i < 200; i++) {
      const frames = (meterFrames[name] as (sent: Uint8Array, i: number) => readonly Uint8Array[])(last, i);
      for (const one of frames) link.receive(turned(one), now);
      now = later(now, 10);
      link.wake(now);
      let answers = 0;
      for (let sent = link.pollTransmit(); sent; sent = link.pollTransmit()) {
        answers++;
        last = sent;
      }
      expect(answers).toBeLessThanOrEqual(7 * Math.max(1, frames.length));
      while (link.pollEvent() !== undefined);
    }
  });
});

/** A client on either link; the meter below the association keeps the rules, the one above does not. */
function stackWith(
  link: 'hdlc' | 'wrapper',
  transferWindow: number,
  answer: (apdu: Uint8Array, i: number) => Uint8Array[],
) {
  const size = { maxInfoTransmit: 128, maxInfoReceive: 128, windowTransmit: 1, windowReceive: 1 };
  const timing = { answerTimeoutMs, quietMs: 100, retries, octetMs: 0, inactivityMs: 60_000, reassemblyLimit: 65_536 };
  const stack = new ClientStack({
    link:
      link === 'wrapper'
        ? { kind: 'wrapper', client: 17, server: 1 }
        : { kind: 'hdlc', settings: { role: 'client', own, peer, parameters: size, ...timing } },
    association: {
      mechanism: 'none',
      proposed: proposedByDefault | (transferWindow > 0 ? conformance('general-block-transfer') : 0),
      ...(transferWindow > 0 && { transferWindow }),
      maxPdu: 400,
      answerTimeoutMs: link === 'wrapper' ? answerTimeoutMs * 5 : answerTimeoutMs * (retries + 2) * 10,
      valueLimit: 1 << 20,
    },
    patience: { stepMs: 3_600_000, octetMs: 100 },
    release: true,
  });
  const server = new HdlcLink({ role: 'server', own: peer, parameters: size, ...timing });
  const unwrapper = new Unwrapper();
  let requests = 0;
  const aare = acceptingAare(200, conformance('general-block-transfer'));
  const answersTo = (apdu: Uint8Array): Uint8Array[] => (apdu[0] === 0x60 ? [aare] : answer(apdu, requests++));
  let now = millis(0);
  const meter = (sent: Uint8Array): readonly Uint8Array[] => {
    if (link === 'wrapper') {
      return unwrapper
        .push(sent)
        .flatMap(({ apdu }) => answersTo(apdu))
        .map((apdu) => encodeWrapper({ source: 1, destination: 17, apdu }));
    }
    now = later(now, 1);
    server.receive(sent, now);
    const out: Uint8Array[] = [];
    for (let moved = true; moved; ) {
      moved = false;
      for (let event = server.pollEvent(); event; event = server.pollEvent()) {
        moved = true;
        // A poll finds it with one more of the same.
        if (event.kind !== 'information' || event.information.length < 4) continue;
        for (const apdu of answersTo(event.information.subarray(3)))
          server.request({ kind: 'send', information: Buffer.concat([Uint8Array.of(0xe6, 0xe7, 0), apdu]) }, now);
      }
      for (let octets = server.pollTransmit(); octets; octets = server.pollTransmit()) {
        moved = true;
        out.push(octets);
      }
      if (!moved && server.deadline() !== undefined && (server.deadline() as Millis) <= now) {
        server.wake(now);
        moved = true;
      }
    }
    return out;
  };
  const connected = drive<StackRequest, StackEvent>(
    (stack.request({ kind: 'connect' }, now), stack),
    now,
    meter,
    false,
    ({ kind }) => kind === 'connected' || kind === 'failed',
  );
  expect(connected.events.at(-1)?.kind).toBe('connected');
  return { stack, meter, now: connected.now };
}

const gbt = (number: number, content: Uint8Array, flags = 0, acknowledged = 0): Uint8Array =>
  encodeApdu({ kind: 'general-block-transfer', control: flags | 1, number, acknowledged, content });
const block = (number: number, raw: Uint8Array, last = false, invokeId = 0xc1): Uint8Array =>
  encodeApdu({ kind: 'get-response-with-datablock', invokeId, last, number, result: { raw } });
const foreign: Uint8Array = encodeApdu({ kind: 'get-response-normal', invokeId: 0xcf, result: { refused: 3 } });
const some = new Uint8Array(30);

/** First answers that bring the exchange under way, then the same without an end. */
const meters: Record<string, (apdu: Uint8Array, i: number) => Uint8Array[]> = {
  'GET: the first block again': () => [block(1, some)],
  'GET: block numbers stand still after two': (_, i) => [block(Math.min(i + 1, 2), some)],
  'GET: block numbers fall back': (_, i) => [block(i < 3 ? i + 1 : 1, some)],
  'GET: empty blocks in order': (_, i) => [block(i + 1, none)],
  'GET: an answer to somebody else': () => [foreign],
  'GET: ten answers to somebody else each time': () => Array.from({ length: 10 }, () => foreign),
  'GET: AARE again': () => [
    encodeAcse({
      kind: 'aare',
      applicationContext: 1,
      result: 0,
      diagnostic: { source: 'acse-service-user', code: 0 },
    }),
  ],
  'GET: notifications': () => [
    encodeApdu({ kind: 'data-notification', longInvokeId: 1, dateTime: none, body: { type: 'null-data' } }),
  ],
  'SET: block 1 acknowledged again': () => [encodeApdu({ kind: 'set-response-datablock', invokeId: 0xc1, number: 1 })],
  'SET: a block that was never sent': () => [encodeApdu({ kind: 'set-response-datablock', invokeId: 0xc1, number: 9 })],
  'ACTION: block 1 asked for again': () => [
    encodeApdu({ kind: 'action-response-next-pblock', invokeId: 0xc1, number: 1 }),
  ],
  'ACTION: the answer’s first block again': () => [
    encodeApdu({ kind: 'action-response-with-pblock', invokeId: 0xc1, block: { last: false, number: 1, raw: some } }),
  ],
  'ACTION: empty blocks in order': (_, i) => [
    encodeApdu({
      kind: 'action-response-with-pblock',
      invokeId: 0xc1,
      block: { last: false, number: i + 1, raw: none },
    }),
  ],
  'blocks: the first again': () => [gbt(1, some)],
  'blocks: the first again, streaming': () => [gbt(1, some, 0x40)],
  'blocks: always number 5': () => [gbt(5, some)],
  'blocks: numbers that jump': (_, i) => [gbt((i * 3 + 2) & 0xffff, some)],
  'blocks: numbers that fall back': (_, i) => [gbt(i < 3 ? i + 1 : 1, some)],
  'blocks: the whole answer to somebody else, again': () => [gbt(1, foreign, 0x80)],
  'blocks: empty, acknowledging nothing': () => [gbt(1, none, 0x80)],
  'blocks: empty, in order': (_, i) => [gbt(i + 1, none)],
  'blocks: empty ones after the first': (_, i) => [i === 0 ? gbt(1, some) : gbt(1 + i, none)],
  'blocks: fifty of the same at a time': () => Array.from({ length: 50 }, () => gbt(1, some)),
  'blocks: an acknowledgement of what was never sent': () => [gbt(1, none, 0x80, 4711)],
};
const longValue = { type: 'octet-string', value: new Uint8Array(3000) } as const;
const requests: Record<string, StackRequest> = {
  GET: { kind: 'get', attributes: [{ classId: 7, logicalName: '1.0.99.1.0.255', attribute: 2 }] },
  SET: {
    kind: 'set',
    assignments: [{ attribute: { classId: 1, logicalName: '0.0.96.1.0.255', attribute: 2 }, value: longValue }],
  },
  ACTION: {
    kind: 'action',
    invocations: [{ classId: 18, logicalName: '0.0.44.0.0.255', method: 2, parameters: longValue }],
  },
};

describe.each(['hdlc', 'wrapper'] as const)('association over %s', (link) => {
  describe.each([0, 1, 5, 63])('general blocks, window %i', (transferWindow) => {
    const names = Object.keys(meters).flatMap((name) =>
      Object.keys(requests)
        .filter((service) => name.startsWith(service) || name.startsWith('blocks'))
        .flatMap((service) => [[name, service, false] as const, [name, service, true] as const]),
    );
    test.each(names)('%s (%s; unasked as well: %s)', (name, service, flood) => {
      const { stack, meter, now } = stackWith(link, transferWindow, meters[name] as (apdu: Uint8Array) => Uint8Array[]);
      stack.request(requests[service] as StackRequest, now);
      const course = drive<StackRequest, StackEvent>(
        stack,
        now,
        meter,
        flood,
        ({ kind }) => kind === 'failed' || kind === 'got' || kind === 'was-set' || kind === 'acted',
      );
      expect(course.ended, `goes on after ${course.sent.length} transmissions, ${course.now - now} ms`).toBe(true);
      // General blocks of 3000 octets in a window of 63, three times; each answer may be polled for.
      expect(course.sent.length).toBeLessThan(transferWindow === 63 ? 900 : 120);
      expect(course.now - now).toBeLessThan(200_000);
      const last = course.events.at(-1);
      if (last?.kind === 'failed') expect(last.error.code).not.toBe('no-answer');
    });
  });
});

test('a server of general blocks does not answer the same wrong block for ever', () => {
  const association = new ServerAssociation({
    clients: new Map([[17, { mechanism: 'none' as const }]]),
    objects: [],
    conformance: serverConformance | conformance('general-block-transfer'),
    maxPdu: 400,
  });
  const aarq = encodeAcse({
    kind: 'aarq',
    applicationContext: 1,
    userInformation: encodeApdu({
      kind: 'initiate-request',
      responseAllowed: true,
      version: 6,
      conformance: serverConformance | conformance('general-block-transfer'),
      maxPdu: 400,
    }),
  });
  const answers = (octets: Uint8Array) => association.answer(octets, 17).length;
  for (const wrong of [gbt(7, some), gbt(2, some), gbt(1, none, 0x80)]) {
    expect(answers(aarq)).toBe(1);
    let answered = 0;
    for (let i = 0; i < 1000; i++) answered += answers(wrong);
    expect(answered).toBeLessThanOrEqual(4);
    // It is not lost: a new exchange begins.
    const [answer] = association.answer(
      gbt(1, encodeApdu({ kind: 'get-request-next', invokeId: 0xc1, number: 1 }), 0x80),
      17,
    );
    expect(answer?.[0]).toBe(0xe0);
  }
});

describe('sign-on', () => {
  const peers: Record<string, (sent: Uint8Array) => readonly Uint8Array[]> = {
    silence: () => [],
    echo: (sent) => [sent],
    'a request of its own': () => [Buffer.from('/?!\r\n')],
    'no end of line': () => [Buffer.from('/ABC5METER')],
    'half an identification': () => [Buffer.from('/ABC')],
    NAK: () => [Buffer.from('\x15')],
  };
  test.each(Object.keys(peers))('%s for ever', (name) => {
    const signOn = new SignOn({ mode: 'E', address: '', maxBaud: 9600, answerTimeoutMs, retries, settleMs: 300 });
    signOn.request({ kind: 'sign-on' }, millis(0));
    const course = drive<{ kind: 'sign-on' }, SignOnEvent>(
      signOn,
      millis(0),
      peers[name] as (sent: Uint8Array) => readonly Uint8Array[],
      false,
      ({ kind }) => kind === 'failed' || kind === 'handed-over',
    );
    expect(course.ended).toBe(true);
    expect(course.sent.length).toBeLessThanOrEqual(retries + 2);
  });
});

test('a sender of nothing but empty parts neither fills the memory of the listener nor renews its patience', () => {
  const receiver = new NotificationReceiver({
    link: 'wrapper',
    quietMs: 100,
    patienceMs: 5000,
    reassemblyLimit: 10_000,
    senderLimit: 4,
  });
  const events: string[] = [];
  let now = millis(0);
  const send = (apdu: Uint8Array) => receiver.receive(encodeWrapper({ source: 1, destination: 17, apdu }), now);
  send(gbt(1, some));
  for (let i = 2; i < 40; i++) {
    now = later(now, 1000);
    receiver.wake(now);
    for (let event = receiver.pollEvent(); event; event = receiver.pollEvent()) events.push(event.kind);
    if (events.length > 0) break;
    send(gbt(i, none));
  }
  expect(events).toEqual(['unreadable']);
  expect(now).toBe(5000);
});

/** The meter's lines of a recorded incident, by what stands before them. */
function incident(name: string): { direction: string; octets: Uint8Array }[] {
  return readFileSync(new URL(`../traces/incidents/${name}.tap`, import.meta.url), 'utf8')
    .split('\n')
    .filter((line) => /^\d/.test(line))
    .map((line) => {
      const [, direction, , ...hex] = line.split(' ');
      return { direction: direction as string, octets: fromHex(hex.join('')) };
    });
}

test('incident x2-c-rr-livelock: each RR was answered by RR at once, 69 207 frames in 20 s', () => {
  const lines = incident('x2-c-rr-livelock');
  const theirs = lines.filter(({ direction }) => direction === '<-').map(({ octets }) => octets);
  const size = { maxInfoTransmit: 64, maxInfoReceive: 64, windowTransmit: 1, windowReceive: 1 };
  const link = new HdlcLink({
    role: 'client',
    own,
    peer,
    parameters: size,
    answerTimeoutMs,
    quietMs: 250,
    retries,
    octetMs: 0,
    inactivityMs: 0,
    reassemblyLimit: 65_536,
  });
  const ours = lines.filter(({ direction }) => direction === '->').map(({ octets }) => parsed(octets).information);
  let now = millis(0);
  link.request({ kind: 'connect' }, now);
  // UA, RR and AARE, then the answer in two segments, whose second jumps ahead by two; then its RR for ever.
  let at = 0;
  const course = drive<LinkRequest, LinkEvent>(
    link,
    now,
    () => [theirs[Math.min(at++, theirs.length - 1)] as Uint8Array],
    false,
    ({ kind }) => kind === 'connected',
  );
  now = course.now;
  link.request({ kind: 'send', information: Buffer.concat([ours[1] as Uint8Array, ours[2] as Uint8Array]) }, now);
  drive<LinkRequest, LinkEvent>(
    link,
    now,
    () => [theirs[at++] as Uint8Array],
    false,
    ({ kind }) => kind === 'information',
  );
  link.request({ kind: 'send', information: ours[3] as Uint8Array }, now);
  const end = drive<LinkRequest, LinkEvent>(
    link,
    now,
    () => [theirs[Math.min(at++, theirs.length - 1)] as Uint8Array],
    false,
    ({ kind }) => kind === 'failed',
  );
  expect(end.events.at(-1)).toMatchObject({ kind: 'failed', error: { code: 'answer-stalled', fault: 'meter' } });
  expect(end.sent.length).toBeLessThan(25);
});

test('incident x2-java-gbt-livelock: each block with an unexpected number was acknowledged, 117 130 in 20 s', () => {
  const theirs = incident('x2-java-gbt-livelock')
    .filter(({ direction }) => direction === '<-')
    .map(({ octets }) => octets);
  const association = new ClientAssociation({
    mechanism: 'none',
    proposed: proposedByDefault | conformance('general-block-transfer'),
    transferWindow: 3,
    maxPdu: 1024,
    answerTimeoutMs: answerTimeoutMs * 5,
    valueLimit: 1 << 20,
  });
  let now = millis(0);
  association.request({ kind: 'associate' }, now);
  while (association.pollTransmit() !== undefined);
  association.receive(acceptingAare(1024, conformance('general-block-transfer')), now);
  while (association.pollEvent() !== undefined);
  association.request(requests['GET'] as StackRequest & { kind: 'get' }, now);
  const unwrapper = new Unwrapper();
  const blocks = theirs.flatMap((octets) => unwrapper.push(octets)).map(({ apdu }) => apdu);
  const flood = blocks.filter((apdu) => apdu[0] === 0xe0);
  expect(flood.length).toBeGreaterThan(500);
  let sent = 0;
  let failed: string | undefined;
  // The recorded flood, 50 times over, in 20 s.
  for (let i = 0; i < 50 && failed === undefined; i++) {
    for (const apdu of flood) {
      association.receive(apdu, now);
      for (; association.pollTransmit() !== undefined; sent++);
    }
    now = later(now, 400);
    association.wake(now);
    for (; association.pollTransmit() !== undefined; sent++);
    for (let event = association.pollEvent(); event; event = association.pollEvent())
      if (event.kind === 'failed') failed = event.error.code;
  }
  expect(failed).toBe('answer-stalled');
  expect(sent).toBeLessThan(12);
});
