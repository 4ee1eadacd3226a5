/** The same session in every format gives the same frames; however the file comes in pieces. */
import { describe, expect, test } from 'vitest';
import type { Recorded } from '../../../src/base/exchange-file.ts';
import { type FormatName, formatNames, type InputItem } from '../../../src/recording/input/item.ts';
import { openInput } from '../../../src/recording/input/open.ts';
import { explainedJson } from '../../../src/recording/explained-json.ts';
import { explain } from '../../../src/recording/reader.ts';
import { recordingFormats } from '../../support/recording-formats.ts';
import { linesOf } from '../../support/recorded.ts';

const sessionOf = (trace: string) =>
  linesOf(trace).map(({ octets, direction, time }) => ({
    octets,
    direction: direction as 'to-meter' | 'from-meter',
    ms: Math.round(Number(time) * 1000),
  }));
function itemsOf(file: Uint8Array, size = file.length): InputItem[] {
  const reader = openInput({ ports: new Set() });
  const items: InputItem[] = [];
  for (let at = 0; at < file.length; at += size) items.push(...reader.push(file.subarray(at, at + size)));
  return [...items, ...reader.end()];
}
const isRecorded = (item: InputItem): item is Recorded => 'octets' in item || 'session' in item;
function read(file: Uint8Array, hasDirection = true) {
  const items = itemsOf(file);
  const { frames, problems, rows } = explain(items.filter(isRecorded));
  return {
    formats: items.flatMap((item) => ('format' in item ? [item.format] : [])),
    problems: [...problems, ...items.flatMap((item) => ('problem' in item ? [item.problem] : []))],
    rows,
    frames: frames.map((frame) => {
      const { line: _line, time: _time, direction, ...rest } = explainedJson(frame);
      return hasDirection ? { direction, ...rest } : rest;
    }),
  };
}

const traces = ['c-tcp-hdlc-lls.tap', 'c-tcp-wrapper-lls.tap', 'c-tcp-hdlc-gmac.tap'];
describe.each(traces)('%s', (trace) => {
  const session = sessionOf(trace);
  const { frames, rows } = explain(linesOf(trace));
  const expected = frames.map((frame) => {
    const { line: _line, time: _time, ...rest } = explainedJson(frame);
    return rest;
  });
  test.each(recordingFormats)('$name', ({ write, format, hasDirection }) => {
    const found = read(write(session), hasDirection);
    expect(found.problems).toEqual([]);
    expect(found.formats).toEqual([format]);
    const same = hasDirection ? expected : expected.map(({ direction: _direction, ...rest }) => rest);
    expect(found.frames).toEqual(same);
    expect(found.rows).toEqual(rows);
  });
});

test('every format that decode names has an example', () => {
  const shown = new Set<FormatName>(recordingFormats.map(({ format }) => format));
  expect(formatNames.filter((name) => !shown.has(name)).toSorted()).toEqual(['tcpdump']);
});

const short = sessionOf('c-tcp-hdlc-lls.tap').slice(0, 4);
describe('however it comes in pieces', () => {
  test.each(recordingFormats)('$name', ({ write }) => {
    const file = write(short);
    const whole = itemsOf(file);
    for (const size of [1, 7, 61]) expect(itemsOf(file, size)).toEqual(whole);
  });
});
describe('cut at every place it is read to the end', () => {
  test.each(recordingFormats)('$name', ({ write }) => {
    const file = write(short);
    const first = itemsOf(file).findIndex((item) => 'octets' in item);
    expect(first).toBeGreaterThanOrEqual(0);
    // The first message at every octet, then more coarsely.
    for (let end = 1; end < file.length; end += end < 150 ? 1 : 1 + Math.floor(file.length / 40))
      expect(() => itemsOf(file.subarray(0, end))).not.toThrow();
  });
});
