import { describe, expect, test } from 'vitest';
import { Failure } from '../../src/base/errors.ts';
import { later, type Millis, millis } from '../../src/base/time.ts';
import { encodeFrame, type LinkParameters, negotiate, parseControl, serverAddress } from '../../src/dlms/hdlc/frame.ts';
import { HdlcLink } from '../../src/dlms/hdlc/link.ts';
import type { LinkEvent, LinkSettings } from '../../src/dlms/hdlc/link-settings.ts';
import { linkInputs, linkStates, linkTable } from '../../src/dlms/hdlc/link-states.ts';
import { seeded } from '../../src/simulator/random.ts';

const client = { logical: 17, size: 1 } as const;
const server = serverAddress(1, 4456);
const parameters = (maxInfo: number, window: number): LinkParameters => ({
  maxInfoTransmit: maxInfo,
  maxInfoReceive: maxInfo,
  windowTransmit: window,
  windowReceive: window,
});
const settings = (role: 'client' | 'server', own: LinkParameters): LinkSettings => ({
  role,
  own: role === 'client' ? client : server,
  ...(role === 'client' && { peer: server }),
  parameters: own,
  answerTimeoutMs: 1000,
  quietMs: 100,
  retries: 3,
  octetMs: 1,
  inactivityMs: 120_000,
  reassemblyLimit: 100_000,
});

/** Client and server in virtual time. The server answers each information with `answer`. `meddle` may change or drop. */
function world(options: {
  clientParameters?: LinkParameters;
  serverParameters?: LinkParameters;
  answer?: (information: Uint8Array) => Uint8Array | undefined;
  meddle?: (octets: Uint8Array, index: number, from: 'client' | 'server') => Uint8Array | undefined;
}) {
  let now: Millis = millis(0);
  const a = new HdlcLink(settings('client', options.clientParameters ?? parameters(128, 1)));
  const b = new HdlcLink(settings('server', options.serverParameters ?? parameters(128, 1)));
  const events: LinkEvent[] = [];
  const serverEvents: LinkEvent[] = [];
  let index = 0;
  const wire: { from: 'client' | 'server'; octets: Uint8Array }[] = [];
  const carry = () => {
    for (let moved = true; moved; ) {
      moved = false;
      for (const [from, to, link] of [
        ['client', b, a],
        ['server', a, b],
      ] as const) {
        for (let octets = link.pollTransmit(); octets; octets = link.pollTransmit()) {
          moved = true;
          wire.push({ from, octets });
          const passed = options.meddle ? options.meddle(octets, index, from) : octets;
          index++;
          now = later(now, octets.length);
          if (passed) to.receive(passed, now);
        }
      }
      for (let event = b.pollEvent(); event; event = b.pollEvent()) {
        moved = true;
        serverEvents.push(event);
        if (event.kind !== 'information') continue;
        const answer = options.answer ? options.answer(event.information) : event.information;
        if (answer) b.request({ kind: 'send', information: answer }, now);
      }
      for (let event = a.pollEvent(); event; event = a.pollEvent()) {
        moved = true;
        events.push(event);
      }
      const due = b.deadline();
      if (!moved && due !== undefined && due <= now) {
        b.wake(now);
        moved = true;
      }
    }
  };
  const until = (kind: LinkEvent['kind']): LinkEvent => {
    for (let steps = 0; steps < 500; steps++) {
      carry();
      const found = events.findIndex((event) => event.kind === kind || event.kind === 'failed');
      if (found >= 0) return events.splice(found, 1)[0] as LinkEvent;
      const deadlines = [a.deadline(), b.deadline()].filter((at): at is Millis => at !== undefined);
      expect(deadlines.length, `waiting for ${kind} with no deadline`).toBeGreaterThan(0);
      now = millis(Math.max(now + 1, Math.min(...deadlines)));
      a.wake(now);
      b.wake(now);
    }
    throw new Error(`no ${kind}`);
  };
  return {
    a,
    b,
    wire,
    serverEvents,
    get now() {
      return now;
    },
    connect() {
      a.request({ kind: 'connect' }, now);
      return until('connected');
    },
    send(information: Uint8Array) {
      a.request({ kind: 'send', information }, now);
      return until('information');
    },
    disconnect() {
      a.request({ kind: 'disconnect' }, now);
      return until('disconnected');
    },
  };
}
const pattern = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 8)) & 0xff);

test('the table has an action for every state and input', () => {
  for (const state of linkStates)
    for (const input of linkInputs) expect(linkTable[state][input], `${state}/${input}`).toBeTypeOf('string');
  expect(Object.keys(linkTable)).toEqual([...linkStates]);
  for (const state of linkStates) expect(Object.keys(linkTable[state])).toEqual([...linkInputs]);
});

test('every frame kind in every state leaves client and server alive', () => {
  const kinds = ['SNRM', 'DISC', 'UA', 'DM', 'FRMR', 'UI', 'RR', 'RNR', 'I', 'unknown'] as const;
  for (const kind of kinds) {
    const octet = {
      SNRM: 0x93,
      DISC: 0x53,
      UA: 0x73,
      DM: 0x1f,
      FRMR: 0x97,
      UI: 0x13,
      RR: 0x11,
      RNR: 0x15,
      I: 0x10,
      unknown: 0xff,
    }[kind];
    for (const connected of [false, true]) {
      const it = world({});
      if (connected) it.connect();
      const frame = (toServer: boolean) =>
        encodeFrame({
          destination: toServer ? server : client,
          source: toServer ? client : server,
          control: parseControl(octet),
          segmented: false,
          information: new Uint8Array(0),
        });
      it.b.receive(frame(true), it.now);
      it.b.wake(it.now);
      it.a.receive(frame(false), it.now);
      expect(linkStates).toContain(it.a.state);
    }
  }
});

test.each(['connect', 'disconnect'] as const)(
  '%s of a server that no client has called is refused, and changes nothing',
  (kind) => {
    const link = new HdlcLink(settings('server', parameters(128, 1)));
    expect(() => link.request({ kind }, millis(0))).toThrow('no client has called yet');
    expect([link.state, link.deadline(), link.pollTransmit()]).toEqual(['disconnected', undefined, undefined]);
  },
);

test('a UA with parameters that cannot be read limits nothing beyond the defaults', () => {
  const own = parameters(512, 3);
  expect(negotiate(own, Uint8Array.of(0x80))).toEqual(parameters(128, 1));
  expect(negotiate(own, Uint8Array.of(0x81, 0x80, 0x14, 0x05))).toEqual(parameters(128, 1));
});

describe('negotiation: the peer’s transmit limit is our receive limit', () => {
  test.each([
    [parameters(128, 1), parameters(2030, 7), parameters(128, 1)],
    [parameters(2030, 7), parameters(512, 3), parameters(512, 3)],
    [
      { maxInfoTransmit: 200, maxInfoReceive: 1000, windowTransmit: 2, windowReceive: 5 },
      { maxInfoTransmit: 600, maxInfoReceive: 150, windowTransmit: 3, windowReceive: 1 },
      { maxInfoTransmit: 150, maxInfoReceive: 600, windowTransmit: 1, windowReceive: 3 },
    ],
  ])('%j with %j', (ours, theirs, agreed) => {
    const it = world({ clientParameters: ours, serverParameters: theirs });
    expect(it.connect()).toMatchObject({ kind: 'connected', parameters: agreed });
    expect(it.b.parameters).toEqual({
      maxInfoTransmit: agreed.maxInfoReceive,
      maxInfoReceive: agreed.maxInfoTransmit,
      windowTransmit: agreed.windowReceive,
      windowReceive: agreed.windowTransmit,
    });
  });
});

describe('segmentation both ways', () => {
  for (const size of [32, 128, 512, 2030]) {
    for (const window of [1, 2, 7]) {
      test(`${size} octets, window ${window}: 5 000 octets there and back, twice`, () => {
        const it = world({ clientParameters: parameters(size, window), serverParameters: parameters(size, window) });
        it.connect();
        for (const length of [5000, 1, 4999]) {
          const sent = pattern(length);
          const got = it.send(sent);
          expect(got.kind === 'information' && Buffer.compare(got.information, sent)).toBe(0);
        }
        expect(it.disconnect().kind).toBe('disconnected');
      });
    }
  }
});

describe('retransmission', () => {
  for (const window of [1, 3]) {
    test(`any one frame of a session lost or damaged, window ${window}: the answer is whole, once`, () => {
      const run = (meddle?: (octets: Uint8Array, index: number) => Uint8Array | undefined) => {
        const it = world({
          clientParameters: parameters(64, window),
          serverParameters: parameters(64, window),
          ...(meddle && { meddle }),
        });
        expect(it.connect().kind).toBe('connected');
        for (const length of [150, 400]) {
          const sent = pattern(length);
          const got = it.send(sent);
          expect(got.kind).toBe('information');
          expect(got.kind === 'information' && Buffer.compare(got.information, sent)).toBe(0);
        }
        expect(it.serverEvents.filter(({ kind }) => kind === 'information')).toHaveLength(2);
        it.disconnect();
        return it.wire.length;
      };
      const frames = run();
      for (let victim = 0; victim < frames; victim++) {
        run((octets, index) => (index === victim ? undefined : octets));
        run((octets, index) =>
          index === victim ? octets.map((octet, i) => (i === octets.length >> 1 ? octet ^ 0x10 : octet)) : octets,
        );
        run((octets, index) => (index === victim ? octets.subarray(0, octets.length - 3) : octets));
        // A repeated frame must not count twice.
        run((octets, index) => (index === victim ? Buffer.concat([octets, octets]) : octets));
      }
    });
  }

  test('random loss of a tenth of the frames: whole answers or an honest failure', () => {
    let whole = 0;
    for (let seed = 0; seed < 60; seed++) {
      const random = seeded(seed);
      const it = world({
        clientParameters: parameters(64, 3),
        serverParameters: parameters(64, 3),
        meddle: (octets) => (random() < 0.1 ? undefined : octets),
      });
      if (it.connect().kind === 'failed') continue;
      const sent = pattern(700);
      const got = it.send(sent);
      if (got.kind === 'failed') expect(got.error.code).toMatch(/no-answer|damaged-answer/);
      else {
        expect(got.kind === 'information' && Buffer.compare(got.information, sent)).toBe(0);
        whole++;
      }
    }
    expect(whole).toBeGreaterThan(50);
  });
});

test('a dead meter: asked 1 + retries times, then no-answer, and it took 1 + retries time-outs', () => {
  const it = world({ meddle: () => undefined });
  const failed = it.connect();
  expect(failed.kind === 'failed' && failed.error.code).toBe('no-answer');
  expect(it.wire).toHaveLength(4);
  expect(it.now).toBeGreaterThanOrEqual(4000);
  expect(it.now).toBeLessThan(4200);
});

test('DISC into silence is disconnected all the same (meter-quirks 23)', () => {
  let mute = false;
  const it = world({ meddle: (octets) => (mute ? undefined : octets) });
  it.connect();
  mute = true;
  expect(it.disconnect().kind).toBe('disconnected');
});

test('only damaged answers: damaged-answer, sooner than the time-outs', () => {
  const it = world({
    meddle: (octets, _, from) => (from === 'server' ? octets.map((octet, i) => (i === 6 ? octet ^ 1 : octet)) : octets),
  });
  const failed = it.connect();
  expect(failed.kind === 'failed' && failed.error.code).toBe('damaged-answer');
  expect(it.now).toBeLessThan(2000);
});

describe('a frame that stands still', () => {
  /** A client that has asked, and the frame of 200 octets that answers it. */
  const asked = () => {
    const link = new HdlcLink(settings('client', parameters(256, 1)));
    link.request({ kind: 'connect' }, millis(0));
    link.pollTransmit();
    const ua = { destination: client, source: server, segmented: false } as const;
    link.receive(
      encodeFrame({ ...ua, control: { kind: 'UA', pollFinal: true }, information: new Uint8Array(0) }),
      millis(50),
    );
    link.pollEvent();
    link.request({ kind: 'send', information: Uint8Array.of(1) }, millis(60));
    link.pollTransmit();
    const control = { kind: 'I', ns: 0, nr: 1, pollFinal: true } as const;
    return { link, frame: encodeFrame({ ...ua, control, information: new Uint8Array(128).fill(7) }) };
  };
  test('incident: a frame whose octets came late, from a converter or on a busy machine, was called damaged', () => {
    const { link, frame } = asked();
    link.receive(frame.subarray(0, 60), millis(100));
    for (const at of [200, 300, 400]) link.wake(millis(at));
    expect(link.damaged).toBe(0);
    link.receive(frame.subarray(60), millis(450));
    expect(link.damaged).toBe(0);
    expect(link.pollEvent()).toMatchObject({ kind: 'information' });
    expect(link.pollTransmit()).toBeUndefined();
  });
  test('a frame is held up once: an octet a second is not waited for without an end', () => {
    const { link, frame } = asked();
    let at = 100;
    for (let i = 0; i < 60; i++) link.receive(frame.subarray(i, i + 1), millis(at));
    for (let i = 60; i < 64 && link.damaged === 0; i++) {
      at += 300;
      link.wake(millis(at));
      link.receive(frame.subarray(i, i + 1), millis(at));
    }
    expect(link.damaged).toBe(1);
    expect(at).toBe(700);
  });
  test('one that lacks no more than damage takes is not waited for, and one that never goes on is given up', () => {
    const short = asked();
    short.link.receive(short.frame.subarray(3), millis(90));
    short.link.receive(short.frame.subarray(0, short.frame.length - 5), millis(100));
    expect(short.link.deadline()).toBe(200);
    const cut = asked();
    cut.link.receive(cut.frame.subarray(0, 60), millis(100));
    expect(cut.link.deadline()).toBe(500);
    cut.link.wake(millis(500));
    expect(cut.link.damaged).toBe(1);
    expect(cut.link.pollTransmit()).toBeDefined();
  });
});

test('misuse is a Failure and changes nothing', () => {
  const it = world({});
  expect(() => it.a.request({ kind: 'send', information: pattern(3) }, it.now)).toThrow(Failure);
  expect(it.a.state).toBe('disconnected');
  it.connect();
  expect(() => it.a.request({ kind: 'connect' }, it.now)).toThrow(Failure);
  expect(it.a.state).toBe('connected');
});

test('an old session in the meter: a new SNRM begins anew, with numbers at zero', () => {
  const it = world({});
  it.connect();
  it.send(pattern(10));
  const restarted = new HdlcLink(settings('client', parameters(128, 1)));
  restarted.request({ kind: 'connect' }, it.now);
  it.b.receive(restarted.pollTransmit() as Uint8Array, it.now);
  restarted.receive(it.b.pollTransmit() as Uint8Array, it.now);
  expect(restarted.pollEvent()).toMatchObject({ kind: 'connected' });
});

test('inactivity: the server forgets the connection and answers DM', () => {
  const it = world({});
  it.connect();
  it.b.wake(later(it.now, 121_000));
  expect(it.b.state).toBe('disconnected');
  const got = it.send(pattern(3));
  expect(got.kind === 'failed' && got.error.code).toBe('link-disconnected');
});

test('an unknown control octet is answered by FRMR, and the client says so', () => {
  const it = world({
    meddle: (octets, index, from) =>
      from === 'client' && index === 2
        ? encodeFrame({
            destination: server,
            source: client,
            control: { kind: 'unknown', octet: 0xff, pollFinal: true },
            segmented: false,
            information: new Uint8Array(0),
          })
        : octets,
  });
  it.connect();
  const got = it.send(pattern(3));
  expect(got.kind === 'failed' && got.error.code).toBe('frame-rejected');
});

test('frames of other meters and our own echo are ignored (meter-quirks 5, 10)', () => {
  const it = world({});
  it.connect();
  const foreign = encodeFrame({
    destination: client,
    source: serverAddress(1, 9999),
    control: { kind: 'I', ns: 0, nr: 1, pollFinal: true },
    segmented: false,
    information: pattern(5),
  });
  it.a.request({ kind: 'send', information: pattern(20) }, it.now);
  const own = it.a.pollTransmit() as Uint8Array;
  it.a.receive(own, it.now);
  it.a.receive(foreign, it.now);
  expect(it.a.pollEvent()).toBeUndefined();
  it.b.receive(own, it.now);
  expect(it.b.pollEvent()?.kind).toBe('information');
});

test('an endless segmented answer is stopped at the limit', () => {
  const it = world({
    clientParameters: parameters(2030, 7),
    serverParameters: parameters(2030, 7),
    answer: () => pattern(200_000),
  });
  it.connect();
  const got = it.send(pattern(3));
  expect(got.kind === 'failed' && got.error.code).toBe('answer-too-long');
});

describe('90: I-frames without information, and what else a client lets a server do', () => {
  /** A client that stands in a connection, and a server that says what the test says. */
  const standing = (own = parameters(128, 1), ua: Uint8Array = new Uint8Array(0)) => {
    const link = new HdlcLink(settings('client', own));
    let now = millis(0);
    const says = (
      control: Parameters<typeof encodeFrame>[0]['control'],
      information: Uint8Array = new Uint8Array(0),
      more = false,
    ) => {
      now = later(now, 10);
      link.receive(encodeFrame({ destination: client, source: server, control, segmented: more, information }), now);
    };
    const sent = () => {
      const all = [];
      for (let octets = link.pollTransmit(); octets; octets = link.pollTransmit())
        all.push(parseControl(octets[8] as number));
      return all;
    };
    const events = () => {
      const all: LinkEvent[] = [];
      for (let event = link.pollEvent(); event; event = link.pollEvent()) all.push(event);
      return all;
    };
    const wake = () => {
      now = millis(Math.max(now + 1, link.deadline() ?? 0));
      link.wake(now);
    };
    link.request({ kind: 'connect' }, now);
    sent();
    says({ kind: 'UA', pollFinal: true }, ua);
    const connected = events();
    link.request({ kind: 'send', information: Uint8Array.of(1, 2, 3) }, now);
    sent();
    return { link, says, sent, events, wake, connected };
  };
  const I = (ns: number, nr = 1, pollFinal = true) => ({ kind: 'I', ns, nr, pollFinal }) as const;
  test.each([
    ['has a number of its own', 1],
    ['lends its number to the answer', 0],
  ])('an empty frame that %s: the answer is whole, once, and the next one too', (_, ns) => {
    const it = standing();
    it.says(I(0));
    expect(it.events()).toEqual([]);
    it.wake();
    expect(it.sent()).toEqual([{ kind: 'RR', nr: 1, pollFinal: true }]);
    it.says(I(ns), pattern(20));
    expect(it.events()).toEqual([{ kind: 'information', information: pattern(20) }]);
    // The same frame once more is a repeated one.
    it.says(I(ns), pattern(20));
    expect(it.events()).toEqual([]);
    it.link.request({ kind: 'send', information: Uint8Array.of(4) }, millis(1000));
    expect(it.sent()).toEqual([{ kind: 'I', ns: 1, nr: (ns + 1) & 7, pollFinal: true }]);
    it.says(I((ns + 1) & 7, 2), pattern(5));
    expect(it.events()).toEqual([{ kind: 'information', information: pattern(5) }]);
  });
  test('a frame that held something lends its number to nobody', () => {
    const it = standing();
    it.says(I(0), pattern(20));
    it.events();
    it.link.request({ kind: 'send', information: Uint8Array.of(4) }, millis(1000));
    it.says(I(0, 2), pattern(9));
    expect(it.events()).toEqual([]);
  });
  test('nothing but empty frames: named, after pauses', () => {
    const it = standing();
    const events: LinkEvent[] = [];
    for (let ns = 0; events.length === 0 && ns < 100; ns++) {
      it.says(I(ns & 7));
      it.wake();
      it.sent();
      events.push(...it.events());
    }
    expect(events).toMatchObject([{ kind: 'failed', error: { code: 'answer-stalled' } }]);
    expect((events[0] as { error: Failure }).error.message).toContain('I-frames without information');
  });
  test('no final bit where only one frame may come: the next is asked for at once', () => {
    const it = standing();
    it.says(I(0, 1, false), pattern(8), true);
    expect(it.sent()).toEqual([{ kind: 'RR', nr: 1, pollFinal: true }]);
    it.says(I(1, 1, false), pattern(4));
    expect(it.events()).toHaveLength(1);
  });
  test.each(['818014', '8180125501', '80', 'ff00ff', '81800405018006'])(
    'a UA whose parameters cannot be read (%s): the defaults, which every station takes',
    (hex) => {
      const it = standing(parameters(1024, 7), Uint8Array.from(Buffer.from(hex, 'hex')));
      expect(it.connected).toMatchObject([{ kind: 'connected', parameters: parameters(128, 1) }]);
    },
  );
});

test.each([
  ['another address answers', client, serverAddress(1, 17), 'what came is of 1/17'],
  [
    'ours answers another client',
    { logical: 16, size: 1 } as const,
    server,
    'what came is for client 16, and we are 17',
  ],
])('%s: the silence of the one that was called says so', (_, destination, source, message) => {
  const link = new HdlcLink(settings('client', parameters(128, 1)));
  let now = millis(0);
  link.request({ kind: 'connect' }, now);
  const events: LinkEvent[] = [];
  for (let step = 0; step < 10 && events.length === 0; step++) {
    while (link.pollTransmit());
    const ua = { control: { kind: 'UA', pollFinal: true }, segmented: false, information: new Uint8Array(0) } as const;
    link.receive(encodeFrame({ destination, source, ...ua }), now);
    now = link.deadline() as Millis;
    link.wake(now);
    for (let event = link.pollEvent(); event; event = link.pollEvent()) events.push(event);
  }
  expect(events).toMatchObject([{ kind: 'failed', error: { code: 'no-answer' } }]);
  expect((events[0] as { error: Failure }).error.message).toBe(`no answer to SNRM, asked 4 times; ${message}`);
});
