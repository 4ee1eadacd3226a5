/** Numbers and times as a person reads them. */
import { assert, bigInt, integer, property } from 'fast-check';
import { expect, test } from 'vitest';
import {
  decimal,
  deviationWords,
  durationWords,
  localTime,
  shortLocalTime,
  usableZone,
  withLocalTimes,
} from '../../src/base/words.ts';

const helsinki = 'Europe/Helsinki';
const utc = (text: string) => Date.parse(text);

test('incident: a person read UTC without being told; a time is local and says how far it is from UTC', () => {
  expect(localTime(utc('2026-11-28T08:24:35.900Z'), helsinki)).toBe('2026-11-28 10:24:35 +02:00');
  expect(localTime(utc('2026-07-01T21:00:00Z'), helsinki)).toBe('2026-07-02 00:00:00 +03:00');
});

test('sibling: the doubled hour has two spellings, and other zones, also odd ones, theirs', () => {
  const [first, second] = ['2026-10-25T00:30:00Z', '2026-10-25T01:30:00Z'].map((at) => localTime(utc(at), helsinki));
  expect([first, second]).toEqual(['2026-10-25 03:30:00 +03:00', '2026-10-25 03:30:00 +02:00']);
  expect(localTime(utc('2026-11-28T08:24:35Z'), 'UTC')).toBe('2026-11-28 08:24:35 +00:00');
  expect(localTime(utc('2026-11-28T08:24:35Z'), 'Asia/Kathmandu')).toBe('2026-11-28 14:09:35 +05:45');
  expect(localTime(utc('2026-11-28T01:24:35Z'), 'America/New_York')).toBe('2026-11-27 20:24:35 -05:00');
  expect(localTime(Number.NaN, helsinki)).toBe('no time');
  expect([usableZone('Europe/Helsinki'), usableZone('Nowhere/Else'), usableZone(undefined)]).toEqual([
    helsinki,
    'UTC',
    'UTC',
  ]);
});

test('in a column the year and the offset stand only where they are other ones than now', () => {
  const now = utc('2026-11-28T08:24:35Z');
  const short = (at: string) => shortLocalTime(utc(at), now, helsinki);
  expect(short('2026-11-27T22:10:00Z')).toBe('11-28 00:10');
  expect(short('2025-12-31T21:59:00Z')).toBe('2025-12-31 23:59');
  expect(short('2026-10-25T00:30:00Z')).toBe('10-25 03:30+03');
  expect(short('2026-10-25T01:30:00Z')).toBe('10-25 03:30');
});

test('times within a sentence become local ones; what is no time stays', () => {
  expect(withLocalTimes('left alone until 2026-11-28T09:00:00Z, for it refused us', helsinki)).toBe(
    'left alone until 2026-11-28 11:00:00 +02:00, for it refused us',
  );
  expect(withLocalTimes('2026-11-28T09:00Z, 2026-11-28T09:00:00.123Z', helsinki)).toBe(
    '2026-11-28 11:00:00 +02:00, 2026-11-28 11:00:00 +02:00',
  );
  const none = 'serial 2026-11-28, 2026-99-99T00:00:00Z, 2026-11-28T09:00:00+02:00';
  expect(withLocalTimes(none, helsinki)).toBe(none);
});

test('incident: a deviation was a sign to be guessed; it is ahead, behind, right or not read', () => {
  expect([1200, -12, -12.34, 2.04, 2, -2, 0, 0.4, null].map(deviationWords)).toEqual([
    '1200 s ahead',
    '12 s behind',
    '12 s behind',
    '2 s ahead',
    'right',
    'right',
    'right',
    'right',
    'not read',
  ]);
});
test('sibling: whatever a clock says, the words are short', () => {
  expect(deviationWords(Number.NaN)).toBe('not read');
  expect(deviationWords(-830_000_000)).toBe('9606 days behind');
  expect(deviationWords(5.25)).toBe('5.3 s ahead');
  assert(property(integer(), (seconds) => deviationWords(seconds).length <= 18));
});

test('how long something lasts', () => {
  expect([0, 59.9, 61, 3600, 90_000, 400 * 86_400].map(durationWords)).toEqual([
    '0 s',
    '59 s',
    '1 min 1 s',
    '1 h 0 min',
    '1 d 1 h',
    '400 d 0 h',
  ]);
});

test('decimals are exact, however long', () => {
  expect(decimal('12345', -3)).toBe('12.345');
  expect(decimal('-5', -3)).toBe('-0.005');
  expect(decimal('0', 3)).toBe('0');
  expect(decimal('18446744073709551615', -1)).toBe('1844674407370955161.5');
  expect(decimal('1.5', -1)).toBe('1.5');
  assert(
    property(bigInt(), integer({ min: -18, max: 18 }), (raw, exponent) => {
      const [whole = '', fraction = ''] = decimal(String(raw), exponent).replace('-', '').split('.');
      const back = BigInt(whole + fraction) * (raw < 0n ? -1n : 1n);
      expect(back).toBe(exponent > 0 ? raw * 10n ** BigInt(exponent) : raw);
      expect(fraction.length).toBe(Math.max(0, -exponent));
    }),
  );
});
