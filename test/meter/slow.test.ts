/** Nothing that trickles holds a session for ever: totals besides the idle time-outs, in virtual time. */
import { describe, expect, test } from 'vitest';
import { Failure } from '../../src/base/errors.ts';
import { withEvenParity } from '../../src/dlms/iec62056-21/parity.ts';
import { encodeFrame, cutFrame, serverAddress, encodeParameters } from '../../src/dlms/hdlc/frame.ts';
import { encodeWrapper } from '../../src/dlms/wrapper/wrapper.ts';
import { identify } from '../../src/meter/identity-reading.ts';
import { genericModel } from '../../src/meter/model.ts';
import type { MeterAccess } from '../../src/meter/access.ts';
import { Session } from '../../src/meter/session.ts';
import type { Port } from '../../src/line/port.ts';
import { lineAccess, meterWorld } from '../support/meter-world.ts';
import { scripted, trickling } from '../support/slow-port.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const ascii = (text: string) => withEvenParity(Buffer.from(text, 'latin1'));
const nothing: readonly never[] = [];
function* endless(afterMs: number, octets: (n: number) => Uint8Array) {
  for (let n = 0; ; n++) yield { afterMs, octets: octets(n) };
}

/** Connects and identifies; how it failed, and how long everything took with the end of the session. */
async function tried(clock: VirtualClock, port: Port, access: MeterAccess) {
  const session = new Session(port, clock, access);
  const began = clock.now();
  let code = 'none';
  let message = '';
  const work = async () => {
    try {
      await session.connect();
      await identify(session, clock, access.model);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      ({ code, message } = error);
    }
    await session.close();
  };
  await clock.complete(work());
  return { code, message, seconds: (clock.now() - began) / 1000 };
}

describe('incident: a meter that trickles held its line until the watchdog ended all of them', () => {
  for (const everyMs of [400, 1000])
    test(`HDLC, one octet every ${everyMs} ms`, async () => {
      const it = meterWorld({});
      const { code, seconds } = await tried(it.clock, trickling(it.port, it.clock, 1, everyMs), lineAccess());
      expect(seconds).toBeLessThan(60);
      expect(['answer-too-slow', 'damaged-answer']).toContain(code);
    });
  for (const everyMs of [700, 1000])
    test(`wrapper, one octet every ${everyMs} ms`, async () => {
      const it = meterWorld({ bus: { kind: 'tcp', link: 'wrapper' } }, { link: 'wrapper' });
      const access = lineAccess({ link: 'wrapper', timed: false });
      const { code, seconds } = await tried(it.clock, trickling(it.port, it.clock, 1, everyMs), access);
      expect(seconds).toBeLessThan(90);
      expect(code).toBe('answer-too-slow');
    });
  test('stray octets on an optical head, one every 0.7 s: the sign-on ends, and it is not the mains', async () => {
    const clock = new VirtualClock(1000);
    const port = scripted(clock, () => endless(700, () => ascii('x')), { deaf: true });
    const { code, message, seconds } = await tried(clock, port, lineAccess({ modeE: true }));
    expect(code).toBe('sign-on-malformed');
    expect(message).toContain('no identification');
    expect(seconds).toBeLessThan(30);
  });
  test('an echo of our own sign-on is nobody: echo-only', async () => {
    const clock = new VirtualClock(1000);
    const port = scripted(clock, (sent) => [{ afterMs: 5, octets: sent }]);
    expect((await tried(clock, port, lineAccess({ modeE: true }))).code).toBe('echo-only');
  });
  test('signed on in mode E, and then garbage without end', async () => {
    for (const garbage of [0x55, 0x7e, 0xa0]) {
      const clock = new VirtualClock(1000);
      const port = scripted(clock, (sent) => {
        const text = Buffer.from(sent.map((octet) => octet & 0x7f)).toString('latin1');
        if (text.startsWith('/?')) return [{ afterMs: 200, octets: ascii('/SIM5VM1\r\n') }];
        return endless(20, () => Uint8Array.of(garbage, garbage ^ 1));
      });
      const { code, seconds } = await tried(clock, port, lineAccess({ modeE: true }));
      expect(['answer-too-slow', 'damaged-answer', 'no-answer'], String(garbage)).toContain(code);
      expect(seconds).toBeLessThan(180);
    }
  });
  test('a TCP gateway that accepts and says nothing', async () => {
    for (const link of ['hdlc', 'wrapper'] as const) {
      const clock = new VirtualClock(1000);
      const { code, seconds } = await tried(
        clock,
        scripted(clock, () => nothing),
        lineAccess({ link, timed: false }),
      );
      expect(code).toBe('no-answer');
      expect(seconds).toBeLessThan(30);
    }
  });
});

const aare = Buffer.from(
  '6129a109060760857405080101a203020100a305a103020100be10040e0800065f1f040000101d00800007',
  'hex',
);

/** A meter by hand: it connects and associates as a recorded one, and answers every GET as the test says. */
function associated(
  clock: VirtualClock,
  answers: (
    send: (apdu: Uint8Array | 'RNR' | 'RR') => Uint8Array,
    request: Uint8Array,
  ) => Iterable<{
    afterMs: number;
    octets: Uint8Array;
  }>,
) {
  let [ns, nr] = [0, 0];
  const own = serverAddress(1);
  const peer = { logical: 17, size: 1 } as const;
  const frame = (control: Parameters<typeof encodeFrame>[0]['control'], information: Uint8Array = new Uint8Array(0)) =>
    encodeFrame({ destination: peer, source: own, control, segmented: false, information });
  const send = (apdu: Uint8Array | 'RNR' | 'RR') => {
    if (typeof apdu === 'string') return frame({ kind: apdu, nr, pollFinal: true });
    const octets = Buffer.concat([Uint8Array.of(0xe6, 0xe7, 0x00), apdu]);
    const made = frame({ kind: 'I', ns, nr, pollFinal: true }, octets);
    ns = (ns + 1) & 7;
    return made;
  };
  return scripted(clock, (sent) => {
    const cut = cutFrame(sent, 1, sent.length);
    if (cut.is !== 'frame') return nothing;
    const { control, information } = cut.frame;
    if (control.kind === 'SNRM') {
      [ns, nr] = [0, 0];
      const size = { maxInfoTransmit: 128, maxInfoReceive: 128, windowTransmit: 1, windowReceive: 1 };
      return [{ afterMs: 30, octets: frame({ kind: 'UA', pollFinal: true }, encodeParameters(size)) }];
    }
    if (control.kind === 'DISC') return [{ afterMs: 30, octets: frame({ kind: 'UA', pollFinal: true }) }];
    if (control.kind === 'I') nr = (control.ns + 1) & 7;
    const apdu = information.subarray(3);
    if (apdu[0] === 0x60) return [{ afterMs: 30, octets: send(aare) }];
    if (apdu[0] === 0x62) return [{ afterMs: 30, octets: send(Uint8Array.of(0x63, 0)) }];
    return answers(send, apdu);
  });
}

describe('incident: answers that never end', () => {
  const access = lineAccess({ auth: 'none', model: { ...genericModel, multiple_references: false } });
  test('RNR for ever', async () => {
    const clock = new VirtualClock(1000);
    const port = associated(clock, (send) => [{ afterMs: 30, octets: send('RNR') }]);
    const { code, seconds } = await tried(clock, port, access);
    expect(code).not.toBe('none');
    expect(seconds).toBeLessThan(60);
  });
  test('"receive ready" for ever', async () => {
    const clock = new VirtualClock(1000);
    const port = associated(clock, (send) => [{ afterMs: 30, octets: send('RR') }]);
    const { code, seconds } = await tried(clock, port, access);
    expect(code).not.toBe('none');
    expect(seconds).toBeLessThan(60);
  });
  const block = (number: number, octets: number, invokeId: number) =>
    Buffer.concat([
      Uint8Array.of(0xc4, 0x02, invokeId, 0x00, 0, 0, number >> 8, number & 0xff, 0x00, octets),
      new Uint8Array(octets).fill(0x61),
    ]);
  for (const [octets, afterMs] of [
    [1, 1000],
    [1, 1400],
    [100, 1400],
    [120, 20],
  ] as const)
    test(`blocks of ${octets} octets, one every ${afterMs} ms, without an end`, async () => {
      const clock = new VirtualClock(1000);
      let number = 0;
      const port = associated(clock, (send, request) => [
        { afterMs, octets: send(block(++number, octets, request[2] ?? 0xc1)) },
      ]);
      const { code, seconds } = await tried(clock, port, { ...access, sessionMs: 320_000 });
      expect(code).toBe('answer-too-slow');
      expect(seconds).toBeLessThan(octets === 1 ? 60 : 200);
    });
  test('a block every 59 s behind the wrapper, where the operator gave each a minute', async () => {
    const clock = new VirtualClock(1000);
    let number = 0;
    const wrapped = (apdu: Uint8Array) => encodeWrapper({ source: 1, destination: 17, apdu });
    const port = scripted(clock, (sent) => {
      const apdu = sent.subarray(8);
      if (apdu[0] === 0x60)
        return [
          {
            afterMs: 30,
            octets: wrapped(aare),
          },
        ];
      if (apdu[0] === 0x62) return [{ afterMs: 30, octets: wrapped(Uint8Array.of(0x63, 0)) }];
      return [{ afterMs: 59_000, octets: wrapped(block(++number, 50, apdu[2] ?? 0xc1)) }];
    });
    const { code, seconds } = await tried(clock, port, {
      ...access,
      link: 'wrapper',
      timed: false,
      answerTimeoutMs: 12_000,
      sessionMs: 320_000,
    });
    expect(code).toBe('answer-too-slow');
    expect(seconds).toBeLessThan(400);
  });
});
