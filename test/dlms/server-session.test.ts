/** The recorded client sessions, fed octet by octet to our server role, get well-formed answers. */
import { describe, expect, test } from 'vitest';
import { concat } from '../../src/base/cursor.ts';
import { toHex } from '../../src/base/hex.ts';
import { millis } from '../../src/base/time.ts';
import { decodeAcse, isAcse } from '../../src/dlms/acse/apdu.ts';
import { Deframer } from '../../src/dlms/hdlc/deframer.ts';
import { Unwrapper } from '../../src/dlms/wrapper/wrapper.ts';
import { decodeApdu } from '../../src/dlms/xdlms/apdu.ts';
import { buildBus } from '../../src/simulator/build-bus.ts';
import { parseScenario } from '../../src/simulator/scenario.ts';
import { isHdlc, linesOf, traceNames } from '../support/recorded.ts';

const sessions = traceNames.filter((name) => linesOf(name).some(({ direction }) => direction === 'to-meter'));

function meterFor(name: string) {
  const scenario = parseScenario({
    bus: { link: isHdlc(name) ? 'hdlc' : 'wrapper', baud: 0 },
    meters: { first_serial: 3456, password: 'Gurux', max_info: 128 },
  });
  return buildBus(scenario, millis(Date.UTC(2026, 10, 24, 12))).meters[0] as NonNullable<
    ReturnType<typeof buildBus>['meters'][0]
  >;
}
const wellFormed = (apdu: Uint8Array) => {
  if (isAcse(apdu[0] as number)) return decodeAcse(apdu).kind;
  const decoded = decodeApdu(apdu);
  expect(decoded.trailing).toBe(0);
  return decoded.apdu.kind;
};

describe.each(sessions)('%s', (name) => {
  test('every poll is answered, every answer parses', () => {
    const meter = meterFor(name);
    const hdlc = isHdlc(name);
    const deframer = new Deframer();
    const unwrapper = new Unwrapper();
    let now = 0;
    const kinds: string[] = [];
    let requests = 0;
    const take = (octets: Uint8Array): number => {
      if (hdlc) {
        const frames = deframer.push(octets);
        for (const frame of frames) {
          kinds.push(frame.control.kind);
          if (frame.control.kind === 'I' && frame.information[0] === 0xe6 && !frame.segmented)
            kinds.push(wellFormed(frame.information.subarray(3)));
        }
        return frames.length;
      }
      const frames = unwrapper.push(octets);
      for (const frame of frames) kinds.push(wellFormed(frame.apdu));
      return frames.length;
    };
    for (const { octets, direction } of linesOf(name)) {
      if (direction !== 'to-meter') continue;
      requests++;
      let answers = 0;
      for (const octet of octets) {
        now += 1;
        meter.receive(Uint8Array.of(octet), millis(Date.UTC(2026, 10, 24, 12) + now));
        for (let sent = meter.stack.pollTransmit(); sent; sent = meter.stack.pollTransmit()) answers += take(sent);
      }
      // RLRQ without association is answered by nothing in the wrapper; every HDLC frame with the poll bit is.
      if (hdlc) expect(answers, `request ${requests}`).toBeGreaterThan(0);
    }
    expect(deframer.damaged + deframer.dropped).toBe(0);
    expect(kinds.length).toBeGreaterThan(0);
    const refused = /hls|gmac|badpw|md5|sha|push/.test(name);
    if (!refused) {
      expect(kinds).toContain('aare');
      expect(kinds).toContain('rlre');
      expect(kinds.some((kind) => kind.startsWith('get-response'))).toBe(true);
    }
  });
});

describe('incident: whoever hung up behind a request, without waiting for its answer, ended the simulator', () => {
  const name = sessions.find((one) => isHdlc(one) && /lls/.test(one)) as string;
  const asked = linesOf(name).filter(({ direction }) => direction === 'to-meter');
  const of = (kind: string) =>
    asked.find(({ octets }) => new Deframer().push(octets)[0]?.control.kind === kind)?.octets as Uint8Array;
  const information = asked.filter(({ octets }) => new Deframer().push(octets)[0]?.control.kind === 'I');
  const [aarq, get] = information.map(({ octets }) => octets) as [Uint8Array, Uint8Array];
  const kindsOf = (meter: ReturnType<typeof meterFor>, now: number, ...octets: Uint8Array[]): string[] => {
    meter.receive(concat(octets), millis(Date.UTC(2026, 10, 24, 12) + now));
    const frames: string[] = [];
    const deframer = new Deframer();
    for (let sent = meter.stack.pollTransmit(); sent; sent = meter.stack.pollTransmit())
      for (const { control, information: answer } of deframer.push(sent))
        frames.push(control.kind === 'I' ? toHex(answer.subarray(3, 4)) : control.kind);
    return frames;
  };
  const associated = () => {
    const meter = meterFor(name);
    expect(kindsOf(meter, 1, of('SNRM'))).toEqual(['UA']);
    expect(kindsOf(meter, 2, aarq)).toEqual(['61']);
    return meter;
  };
  test('with DISC: only that is answered', () => {
    const meter = associated();
    expect(kindsOf(meter, 3, get, of('DISC'))).toEqual(['UA']);
    expect(kindsOf(meter, 4, get)).toEqual(['DM']);
  });
  test('sibling: with SNRM, the answer does not go to whoever called anew', () => {
    const meter = associated();
    expect(kindsOf(meter, 3, get, of('SNRM'))).toEqual(['UA']);
    expect(kindsOf(meter, 4, aarq)).toEqual(['61']);
    expect(kindsOf(meter, 5, get)).toEqual(['c4']);
  });
});
