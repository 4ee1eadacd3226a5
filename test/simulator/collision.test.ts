/** Several meters that answer at once: what the line carries then. */
import { expect, test } from 'vitest';
import { concat } from '../../src/base/cursor.ts';
import { toHex } from '../../src/base/hex.ts';
import { millis } from '../../src/base/time.ts';
import { cutFrame, encodeFrame, serverAddress } from '../../src/dlms/hdlc/frame.ts';
import { superposed } from '../../src/simulator/collision.ts';
import { buildBus } from '../../src/simulator/build-bus.ts';
import { parseScenario, type ScenarioInput } from '../../src/simulator/scenario.ts';

const octetMs = 10_000 / 9600;
const at = (start: number, ...octets: number[]) => ({
  start: millis(start),
  octets: Uint8Array.from(octets),
  octetMs,
});
const heard = (all: ReturnType<typeof at>[]) => superposed(all).map(({ octets }) => toHex(octets));

test('bit by bit where they begin together: 0 wins', () => {
  expect(heard([at(0, 0x7e, 0xf0), at(0, 0x7e, 0x3c)])).toEqual(['7e30']);
  expect(heard([at(0, 0x7e, 0xa0), at(0, 0x7e, 0xa0)])).toEqual(['7ea0']);
});
test('half an octet later nothing of either is left', () => {
  const [octets = ''] = heard([at(0, 0x7e, 0xa0, 0x1e), at(octetMs / 2, 0x7e, 0xa0, 0x1e)]);
  expect(octets).not.toContain('7ea01e');
  expect(octets.length).toBeGreaterThan(0);
});
test('what does not overlap is heard as it was sent', () => {
  expect(heard([at(0, 1, 2, 3), at(50, 4, 5)])).toEqual(['010203', '0405']);
});

const called = serverAddress(1, 1001);
function answersOf(scenario: ScenarioInput): string[] {
  const begin = millis(Date.UTC(2026, 10, 24));
  const { bus } = buildBus(parseScenario(scenario), begin);
  const source = { logical: 17, size: 1 } as const;
  const frame = { destination: called, source, segmented: false, information: new Uint8Array(0) };
  bus.receive(encodeFrame({ ...frame, control: { kind: 'SNRM', pollFinal: true } }), begin);
  const out: Uint8Array[] = [];
  for (let now = begin + 1; now < begin + 1000; now++) {
    bus.wake(millis(now));
    for (let octets = bus.pollTransmit(); octets; octets = bus.pollTransmit()) out.push(octets);
  }
  const octets = concat(out);
  const cut = octets.length === 0 ? undefined : cutFrame(octets, 1, octets.length);
  return [octets.length === 0 ? 'silence' : cut?.is === 'frame' ? cut.frame.control.kind : 'damaged'];
}
test('two meters with one address damage each other, also where both say the same; one of them alone is heard', () => {
  const twins = [{ index: 1, serial: 60_130_001 }];
  expect(answersOf({ meters: { count: 2 }, meter: twins })).toEqual(['damaged']);
  expect(answersOf({ meters: { count: 2 }, meter: twins, fault: [{ kind: 'silence', meter: 1 }] })).toEqual(['UA']);
});
test('who takes its time is not covered by the other', () => {
  const twins = [{ index: 1, serial: 60_130_001, turnaround_ms: 500 }];
  expect(answersOf({ meters: { count: 2 }, meter: twins })).toEqual(['UA']);
});
test('a meter at another speed than its bus does not understand, and is heard at its own', () => {
  expect(answersOf({ meters: { count: 1 }, meter: [{ index: 0, baud: 2400 }] })).toEqual(['silence']);
  expect(answersOf({ bus: { baud: 2400 }, meters: { count: 1 }, meter: [{ index: 0, baud: 2400 }] })).toEqual(['UA']);
});
