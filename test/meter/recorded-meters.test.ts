/** A foreign meter out of its recording: it answers as it was recorded, and the default model reads it. */
import { expect, test } from 'vitest';
import { millis } from '../../src/base/time.ts';
import { Secret } from '../../src/base/secret.ts';
import { fallbackTexts } from '../../src/meter/fallbacks.ts';
import { identify } from '../../src/meter/identity-reading.ts';
import { readLayout } from '../../src/meter/profile-layout.ts';
import { readRange } from '../../src/meter/profile-range.ts';
import { genericModel } from '../../src/meter/model.ts';
import { Session } from '../../src/meter/session.ts';
import { concat } from '../../src/base/cursor.ts';
import { decode } from '../../src/base/codec.ts';
import { dataCodec } from '../../src/dlms/axdr/data.ts';
import { serverAddress } from '../../src/dlms/hdlc/frame.ts';
import { HdlcLink } from '../../src/dlms/hdlc/link.ts';
import { decodeApdu, encodeApdu, type GetResult } from '../../src/dlms/xdlms/apdu.ts';
import type { Port } from '../../src/line/port.ts';
import { apdusOf, type RecordedApdu } from '../support/recorded.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const trace = 'incidents/x2-c-list-clock-wrapped-twice.tap';
const nameOf = (one: { classId: number; logicalName: string; attribute: number }): string =>
  `${one.classId} ${one.logicalName} ${one.attribute}`;

/** The lists as they were answered, octet for octet, and each value as a single GET of this meter is answered. */
function recorded(all: readonly RecordedApdu[]) {
  const lists = new Map<string, Uint8Array>();
  const values = new Map<string, GetResult>();
  let asked: ReturnType<typeof decodeApdu>['apdu'] | undefined;
  let raw: Uint8Array[] = [];
  for (const { direction, octets } of all) {
    if (direction === 'to-meter') {
      if (octets[0] !== 0xc0) continue;
      const { apdu } = decodeApdu(octets);
      if (apdu.kind !== 'get-request-next') {
        asked = apdu;
        raw = [];
      }
      continue;
    }
    if (octets[0] !== 0xc4 || !asked) continue;
    const { apdu } = decodeApdu(octets);
    if (asked.kind === 'get-request-with-list' && apdu.kind === 'get-response-with-list') {
      lists.set(asked.attributes.map(nameOf).join(), octets);
      const { results } = apdu;
      asked.attributes.forEach((one, i) => {
        let result = results[i] as GetResult;
        // Alone the clock is not wrapped.
        if ('data' in result && result.data.type === 'octet-string' && result.data.value.length === 14)
          result = { data: { ...result.data, value: result.data.value.subarray(2) } };
        values.set(nameOf(one), result);
      });
    } else if (asked.kind === 'get-request-normal' && apdu.kind === 'get-response-with-datablock') {
      if (!('raw' in apdu.result)) continue;
      raw.push(apdu.result.raw);
      if (apdu.last && !values.has(nameOf(asked.attribute)))
        values.set(nameOf(asked.attribute), { data: decode(dataCodec, concat(raw), () => {}) });
    }
  }
  return { lists, values };
}

test('incident x2-c-list-clock-wrapped-twice: the clock of a list came as 09 0E 09 0C, and the deviation was unknown', async () => {
  const all = apdusOf(trace);
  const aare = all.find(({ direction, octets }) => direction === 'from-meter' && octets[0] === 0x61) as RecordedApdu;
  const { lists, values } = recorded(all);
  expect(values.size).toBeGreaterThan(10);
  const size = { maxInfoTransmit: 128, maxInfoReceive: 128, windowTransmit: 1, windowReceive: 1 };
  const timing = {
    answerTimeoutMs: 1500,
    quietMs: 100,
    retries: 3,
    octetMs: 0,
    inactivityMs: 1e6,
    reassemblyLimit: 1e5,
  };
  const link = new HdlcLink({ role: 'server', own: serverAddress(1), parameters: size, ...timing });
  const singles: string[] = [];
  let listed = 0;
  const answer = (request: Uint8Array): Uint8Array => {
    if (request[0] === 0x60) return aare.octets;
    if (request[0] === 0x62) return Uint8Array.of(0x63, 3, 0x80, 1, 0);
    const { apdu } = decodeApdu(request);
    const invokeId = request[2] as number;
    if (apdu.kind === 'get-request-with-list') {
      listed++;
      const given = lists.get(apdu.attributes.map(nameOf).join());
      if (given) return given.map((octet, i) => (i === 2 ? invokeId : octet));
      return encodeApdu({
        kind: 'get-response-with-list',
        invokeId,
        results: apdu.attributes.map((one) => values.get(nameOf(one)) ?? { refused: 4 }),
      });
    }
    if (apdu.kind !== 'get-request-normal') throw new Error(apdu.kind);
    singles.push(nameOf(apdu.attribute));
    return encodeApdu({
      kind: 'get-response-normal',
      invokeId,
      result: values.get(nameOf(apdu.attribute)) ?? { refused: 4 },
    });
  };
  const at = Date.UTC(2026, 10, 28, 3, 28, 22);
  const clock = new VirtualClock(at);
  const port: Port = {
    device: 'recording',
    connection: false,
    closed: false,
    write(octets) {
      link.receive(octets, clock.now());
      for (let event = link.pollEvent(); event; event = link.pollEvent()) {
        if (event.kind !== 'information') continue;
        const apdu = answer(event.information.subarray(3));
        link.request({ kind: 'send', information: concat([Uint8Array.of(0xe6, 0xe7, 0), apdu]) }, clock.now());
      }
      link.wake(clock.now());
      return Promise.resolve();
    },
    async read(until) {
      const octets = link.pollTransmit();
      if (octets) return octets;
      await clock.sleepUntil(until ?? millis(clock.now() + 1));
      return undefined;
    },
    setBaud: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
  const session = new Session(port, clock, {
    link: 'hdlc',
    modeE: false,
    signOnAddress: '',
    client: 17,
    logical: 1,
    physical: undefined,
    auth: 'lls',
    secret: new Secret(Buffer.from('Gurux')),
    model: genericModel,
    baud: 9600,
    timed: false,
    answerTimeoutMs: 1500,
    retries: 3,
    guardMs: 0,
    sessionMs: 600_000,
  });
  const outcome = await clock.complete(
    (async () => {
      await session.connect();
      const identity = await identify(session, clock, genericModel, true);
      const layout = await readLayout(session, '1.0.99.1.0.255');
      const rows = await readRange({ session, layout, model: genericModel }, millis(at - 4 * 86_400_000), millis(at));
      await session.close();
      return { identity, layout, rows };
    })(),
  );
  expect(outcome.identity).toMatchObject({ logicalDeviceName: 'GRX0000000123456', serial: '123456' });
  expect(Math.abs(outcome.identity.clockDeviationMs ?? 1e9)).toBeLessThan(3000);
  expect(outcome.identity.disconnector).toEqual({ output: false, control: 0, mode: 0 });
  expect(outcome.layout.capturePeriodMs).toBe(3_600_000);
  expect(outcome.rows.length).toBeGreaterThan(2);
  expect(fallbackTexts(session.fallbacks)).toEqual(['single GETs (list wraps the clock twice)']);
  // One list, then nothing but single GETs.
  expect(listed).toBe(1);
  expect(singles[0]).toBe('8 0.0.1.0.0.255 2');
});
