/** An answer carries the address that was called, in as many octets (meter-quirks 97). */
import { describe, expect, test } from 'vitest';
import { fromHex, toHex } from '../../src/base/hex.ts';
import { later, millis } from '../../src/base/time.ts';
import { Deframer } from '../../src/dlms/hdlc/deframer.ts';
import { type Control, encodeFrame, type Frame, type HdlcAddress } from '../../src/dlms/hdlc/frame.ts';
import { buildBus } from '../../src/simulator/build-bus.ts';
import { parseScenario, type ScenarioInput } from '../../src/simulator/scenario.ts';
import { genericModel } from '../../src/meter/model.ts';
import { meterWorld } from '../support/meter-world.ts';
import { virtualHouse } from '../support/virtual-house.ts';
import { statusOf } from '../support/house-facts.ts';

const at = millis(Date.UTC(2026, 10, 24, 12));
const client: HdlcAddress = { logical: 17, size: 1 };
const other: HdlcAddress = { logical: 16, size: 1 };
const aarq = fromHex(
  'e6e600 6033 a109060760857405080101 8a020780 8b0760857405080201 ac0780056d65746572 be10040e 01000000065f1f0400001e1dffff',
);

/** The bus, spoken to in frames; each answer is what all meters of it said. */
function line(scenario: ScenarioInput) {
  const { bus } = buildBus(parseScenario({ bus: { baud: 0 }, ...scenario }), at);
  let now = at;
  return (
    called: HdlcAddress,
    control: Control,
    information: Uint8Array = new Uint8Array(0),
    from: HdlcAddress = client,
  ): Frame[] => {
    bus.receive(encodeFrame({ destination: called, source: from, control, segmented: false, information }), now);
    const deframer = new Deframer();
    const frames: Frame[] = [];
    for (let step = 0; step < 20; step++) {
      now = later(now, 20);
      bus.wake(now);
      for (let octets = bus.pollTransmit(); octets; octets = bus.pollTransmit()) frames.push(...deframer.push(octets));
    }
    return frames;
  };
}
const snrm: Control = { kind: 'SNRM', pollFinal: true };
const disc: Control = { kind: 'DISC', pollFinal: true };
const rr: Control = { kind: 'RR', nr: 0, pollFinal: true };

const forms: [string, ScenarioInput['meters'], HdlcAddress][] = [
  ['one octet', {}, { logical: 1, size: 1 }],
  ['one octet, logical 100', { logical: 100 }, { logical: 100, size: 1 }],
  ['two octets', { physical: 5 }, { logical: 1, physical: 5, size: 2 }],
  ['two octets, the highest', { logical: 126, physical: 126 }, { logical: 126, physical: 126, size: 2 }],
  ['four octets', {}, { logical: 1, physical: 1001, size: 4 }],
  ['four octets, small numbers', { physical: 5 }, { logical: 1, physical: 5, size: 4 }],
  ['four octets, the highest', { logical: 16_382, physical: 16_382 }, { logical: 16_382, physical: 16_382, size: 4 }],
];
describe.each(forms)('called by %s', (_, meters, called) => {
  test('incident: it was answered from four octets: every answer is from what was called', () => {
    const ask = line({ meters: { count: 1, ...meters } });
    const answers: [string, Frame | undefined][] = [
      ['disconnected', ask(called, rr)[0]],
      ['SNRM', ask(called, snrm)[0]],
      ['another client', ask(called, rr, undefined, other)[0]],
      ['AARQ', ask(called, { kind: 'I', ns: 0, nr: 0, pollFinal: true }, aarq)[0]],
      ['RR', ask(called, { kind: 'RR', nr: 1, pollFinal: true })[0]],
      ['unknown', ask(called, { kind: 'unknown', octet: 0x9b, pollFinal: true })[0]],
      ['DISC', ask(called, disc)[0]],
    ];
    expect(answers.map(([, frame]) => frame?.control.kind)).toEqual(['DM', 'UA', 'DM', 'I', 'RR', 'FRMR', 'UA']);
    for (const [what, frame] of answers) expect(frame?.source, what).toEqual(called);
    for (const [what, frame] of answers)
      expect(frame?.destination, what).toEqual(what === 'another client' ? other : client);
    expect(answers[3]?.[1]?.information[3]).toBe(0x61);
  });
});

test('sibling: called in another form in the midst of a session, it answers in that one; another client does not change it', () => {
  const ask = line({ meters: { count: 1, physical: 5 } });
  const two: HdlcAddress = { logical: 1, physical: 5, size: 2 };
  const four: HdlcAddress = { logical: 1, physical: 5, size: 4 };
  expect(ask(two, snrm)[0]?.source).toEqual(two);
  expect(ask(four, rr)[0]?.source).toEqual(four);
  expect(ask(four, rr, undefined, other)[0]?.source).toEqual(four);
  expect(ask(two, rr)[0]?.source).toEqual(two);
});
test('all physical devices of its logical address: each meter answers from its own', () => {
  const ask = line({ meters: { count: 2, first_serial: 60_120_001 } });
  const all: HdlcAddress = { logical: 1, physical: 0x3fff, size: 4 };
  expect(ask(all, snrm).map(({ source }) => source.physical)).toEqual([1001, 1002]);
  const short = line({ meters: { count: 1, physical: 9 } });
  expect(short({ logical: 1, physical: 0x7f, size: 2 }, snrm)[0]?.source).toEqual({ logical: 1, physical: 9, size: 2 });
});
test.each([
  ['all logical devices, one octet', { logical: 0x7f, size: 1 }],
  ['all logical devices, two octets', { logical: 0x7f, physical: 0x7f, size: 2 }],
  ['all logical devices, four octets', { logical: 0x3fff, physical: 0x3fff, size: 4 }],
  ['nobody', { logical: 0, physical: 0, size: 2 }],
  ['its neighbour', { logical: 1, physical: 1002, size: 4 }],
  ['another logical device', { logical: 2, physical: 1001, size: 4 }],
] as [string, HdlcAddress][])('%s: no answer', (_, called) => {
  const ask = line({ meters: { count: 1 } });
  for (const control of [snrm, disc, rr]) expect(ask(called, control)).toEqual([]);
});
test('one octet of address where several meters are on the line: no answer', () => {
  expect(line({ meters: { count: 2 } })({ logical: 1, size: 1 }, snrm)).toEqual([]);
});
test('wrapper: source and destination are those of the request, turned round', () => {
  const { meters } = buildBus(parseScenario({ bus: { link: 'wrapper' }, meters: { logical: 300 } }), at);
  const apdu = aarq.subarray(3);
  const header = Buffer.alloc(8);
  for (const [i, value] of [1, 17, 300, apdu.length].entries()) header.writeUInt16BE(value, i * 2);
  meters[0]?.receive(Buffer.concat([header, apdu]), at);
  const octets = meters[0]?.pollTransmit()?.octets ?? new Uint8Array(0);
  expect(toHex(octets.subarray(0, 6))).toBe('0001012c0011');
  expect(octets[8]).toBe(0x61);
});

describe('our client says where it had to be tolerant', () => {
  test('of one meter: called by one octet, answered from four', async () => {
    const world = meterWorld({ meters: { quirks: ['other-address-size'] } }, { model: genericModel });
    await world.clock.complete(world.session.connect());
    await world.clock.complete(world.session.close());
    expect(world.session.fallbacks.tolerated).toEqual([
      'answers from another form of its address than was called (4 octets): address_size = 4 in its model calls it so',
    ]);
    const right = meterWorld({});
    await right.clock.complete(right.session.connect());
    await right.clock.complete(right.session.close());
    expect(right.session.fallbacks.tolerated).toEqual([]);
  });
  test('sibling: padding after an answer', async () => {
    const world = meterWorld({ meters: { quirks: ['junk-after-value'] } });
    await world.clock.complete(world.session.connect());
    await world.clock.complete(world.session.value({ classId: 1, logicalName: '0.0.42.0.0.255', attribute: 2 }));
    await world.clock.complete(world.session.close());
    expect(world.session.fallbacks.tolerated).toEqual(['sends octets after complete answers, which are ignored']);
  });
  test('in status, as long as it is so', async () => {
    const it = await virtualHouse({ meters: { count: 1, physical: 5, quirks: ['other-address-size'] } }, { days: 1 });
    it.broker.connect();
    await it.run(10 * 60_000);
    expect((await statusOf(it)).ways).toEqual([expect.stringContaining('(4 octets): address_size = 4')]);
    const [meter] = it.simulated.meters as unknown as { quirks: unknown[] }[];
    meter?.quirks.splice(0);
    await it.run(60 * 60_000);
    expect((await statusOf(it)).ways).toEqual([]);
    await it.house.stop();
  });
});
