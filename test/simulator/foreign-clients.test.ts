/** Foreign clients, as they were recorded, against our simulator, before the strict judge. */
import { expect, test } from 'vitest';
import type { ScenarioInput } from '../../src/simulator/scenario.ts';
import { Deframer } from '../../src/dlms/hdlc/deframer.ts';
import { encodeFrame } from '../../src/dlms/hdlc/frame.ts';
import { isHdlc, linesOf, traceNames } from '../support/recorded.ts';
import { replayed } from '../support/foreign-client.ts';
import { meterKeys } from '../support/spoken.ts';
import { judge } from '../support/strict-client.ts';

type Seen = Readonly<Record<string, number>>;
const c: Seen = { aare: 1, 'get-response 1': 12, rlre: 1 };
const jm: Seen = { aare: 1, 'get-response 1': 6, rlre: 1 };
const hls: Seen = { 'action-response 1': 1 };
/** Blocks that the foreign meter needed, asked for by ciphered APDUs, and ours does not: refused in good form. */
const ciphered: Seen = { 'action-response 1': 3, 'get-response 2': 12, 'get-response 1': 18 };
/** Values that each of them got, and the answers. */
const recorded: [name: string, values: number, seen: Seen, scenario?: ScenarioInput['meters']][] = [
  ['c-tcp-hdlc-badpw.tap', 0, { 'aare-refused': 1 }],
  ['c-tcp-hdlc-gmac.tap', 19, { ...ciphered, aare: 2, 'get-response 1': 19, 'rlre-ciphered': 1 }],
  ['c-tcp-hdlc-hls.tap', 12, { ...c, ...hls }],
  ['c-tcp-hdlc-lls.tap', 12, c],
  ['c-tcp-hdlc-none.tap', 12, c],
  ['c-tcp-wrapper-badpw.tap', 0, { 'aare-refused': 1 }],
  ['c-tcp-wrapper-gmac.tap', 18, { ...ciphered, aare: 1, 'rlre-ciphered': 1 }],
  ['c-tcp-wrapper-lls.tap', 12, c],
  ['c-tcp-wrapper-none.tap', 12, c],
  ['jm-c-h-lls.tap', 6, jm],
  ['jm-c-w-md5.tap', 6, { ...jm, ...hls }],
  ['jm-c-w-sha1.tap', 6, { ...jm, ...hls }],
  ['jm-c-w-sha256.tap', 6, { ...jm, ...hls }],
  ['m744-c-h-lls.tap', 2, { aare: 1, 'get-response 1': 2, rlre: 1 }],
  ['m744-c-w-lls.tap', 2, { aare: 1, 'get-response 1': 2, rlre: 1 }],
  ['x-addr4-hdlc.tap', 1, { aare: 1, 'get-response 1': 1, rlre: 1 }, { physical: 4456 }],
  ['x-errors-lls.tap', 3, { aare: 1, 'get-response 1': 5, 'set-response 1': 2, 'get-response 3': 1, rlre: 1 }],
  ['x-push.tap', 3, { aare: 2, 'get-response 1': 1, 'action-response 1': 2, 'get-response 3': 1, 'rlre-ciphered': 1 }],
];
test('every recording of a client is here', () => {
  const spoken = traceNames.filter((name) => linesOf(name).some(({ direction }) => direction === 'to-meter'));
  expect(recorded.map(([name]) => name)).toEqual(spoken.toSorted());
});
test.each(recorded)('%s', (name, values, seen, scenario) => {
  const verdict = judge(replayed(name, scenario), { link: isHdlc(name) ? 'hdlc' : 'wrapper', keys: meterKeys });
  expect(verdict.fault).toBeUndefined();
  expect(Object.fromEntries(verdict.seen)).toEqual(seen);
  expect(verdict.values).toBe(values);
});
test('the judge bites: the same client, and a meter that answers from another form of its address', () => {
  const odd = replayed('x-addr4-hdlc.tap', { physical: 4456 }).map((line) => {
    const frame = line.from === 'meter' ? new Deframer().push(line.octets)[0] : undefined;
    return frame ? { ...line, octets: encodeFrame({ ...frame, source: { logical: 1, size: 1 } }) } : line;
  });
  expect(judge(odd, { link: 'hdlc' }).fault).toBe('line 2: called 000244d1, answered from 03');
});
