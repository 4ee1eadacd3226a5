/** How a line serves its meters, counted by hand. */
import { expect, test } from 'vitest';
import { millis } from '../../src/base/time.ts';
import { lineQuality } from '../../src/line/line-quality.ts';

const frame = Uint8Array.of(0x7e, 1, 2, 3, 4, 0x7e);
const answer = Uint8Array.of(0x7e, 9, 9, 9, 0x7e);
const at = millis;

test('answer times count from the last octet that went out', () => {
  const line = lineQuality();
  // 6 octets of 1 ms each: the request is out at 1006.
  line.sent('m', at(1000), frame, 1);
  line.heard('m', at(1050), answer);
  expect(line.uses()).toEqual([
    {
      meter: 'm',
      asked: 1,
      answered: 1,
      unanswered: 0,
      echoes: 0,
      sentOctets: 6,
      heardOctets: 5,
      wastedS: 0,
      p50Ms: 50,
      p95Ms: 50,
      turnAroundMs: 44,
    },
  ]);
});

test('silence is time wasted, whether the deadline passes or the request goes out again', () => {
  const line = lineQuality();
  line.sent('m', at(0), frame, 0);
  line.heard('m', at(2000), undefined);
  line.sent('m', at(2000), frame, 0);
  line.sent('m', at(3000), frame, 0);
  line.heard('m', at(3010), answer);
  expect(line.uses()[0]).toMatchObject({ asked: 3, answered: 1, unanswered: 2, wastedS: 3 });
});

test('frames of one window are one request', () => {
  const line = lineQuality();
  line.sent('m', at(0), frame, 1);
  line.sent('m', at(0), frame, 1);
  line.heard('m', at(32), answer);
  expect(line.uses()[0]).toMatchObject({ asked: 1, answered: 1, unanswered: 0, turnAroundMs: 20, sentOctets: 12 });
});

test('our own octets are no answer, alone or with the answer behind them', () => {
  const line = lineQuality();
  line.sent('m', at(0), frame, 0);
  line.heard('m', at(5), frame);
  line.heard('m', at(80), answer);
  line.sent('m', at(100), frame, 0);
  line.heard('m', at(130), Uint8Array.of(...frame, ...answer));
  line.sent('m', at(200), frame, 0);
  line.heard('m', at(205), frame);
  line.heard('m', at(1200), undefined);
  expect(line.uses()[0]).toMatchObject({
    asked: 3,
    answered: 2,
    unanswered: 1,
    echoes: 3,
    wastedS: 1,
    turnAroundMs: 30,
  });
});

test('quantiles are never less than what was seen, and meters do not mix', () => {
  const line = lineQuality();
  for (let i = 1; i <= 100; i++) {
    line.sent('a', at(i * 1000), frame, 0);
    line.heard('a', at(i * 1000 + (i <= 90 ? 40 : 400)), answer);
  }
  line.sent('b', at(0), frame, 0);
  line.heard('b', at(60_000), answer);
  line.heard('c', at(1), answer);
  const uses = new Map(line.uses().map((use) => [use.meter, use]));
  expect(uses.get('a')).toMatchObject({ p50Ms: 50, p95Ms: 450, turnAroundMs: 40 });
  expect(uses.get('b')).toMatchObject({ p50Ms: 12_000, p95Ms: 12_000 });
  expect(uses.get('c')).toMatchObject({ asked: 0, heardOctets: 5, p50Ms: null });
});
