/** What is done in another way, when it is decided, and how long it is remembered. */
import { describe, expect, test } from 'vitest';
import { type ErrorCode, Failure } from '../../src/base/errors.ts';
import { dayMs } from '../../src/base/time.ts';
import {
  fallBack,
  fallbackTexts,
  forgetOld,
  freshFallbacks,
  learnFromFailure,
  storedFallbacks,
  suspect,
  withFallbacks,
} from '../../src/meter/fallbacks.ts';
import { genericModel, type MeterModel } from '../../src/meter/model.ts';

const able: MeterModel = { ...genericModel, transfer_window: 3 };
const wide = { windowReceive: 7, maxInfoReceive: 1024 };
const fails = (code: ErrorCode) => new Failure(code, 'it');

describe('after a session that failed in the middle of its rows', () => {
  test('one thing after the other, the least needed first', () => {
    const fallbacks = freshFallbacks();
    const link = { ...wide };
    const taken: string[] = [];
    while (learnFromFailure(fallbacks, able, link, fails('answer-stalled'), 1)) {
      taken.push(...[...fallbacks.held.keys()].slice(taken.length));
      const model = withFallbacks(able, fallbacks);
      link.windowReceive = Math.min(link.windowReceive, model.window);
      link.maxInfoReceive = Math.min(link.maxInfoReceive, model.max_info);
      expect(taken.length).toBeLessThan(10);
    }
    expect(taken).toEqual(['ordinary-blocks', 'window-1', 'short-frames', 'single-gets']);
    expect(withFallbacks(able, fallbacks)).toMatchObject({
      transfer_window: 0,
      window: 1,
      max_info: 128,
      multiple_references: false,
    });
  });
  test('incident x2-java-gbt-livelock: a flood of general blocks is followed by ordinary ones', () => {
    const fallbacks = freshFallbacks();
    expect(learnFromFailure(fallbacks, able, undefined, fails('answer-stalled'), 1)).toBe(true);
    expect(fallbackTexts(fallbacks)).toEqual(['no general blocks (answer does not go on)']);
    expect(withFallbacks(able, fallbacks).transfer_window).toBe(0);
  });
  test('words in place of an answer are of somebody between, or of the moment: nothing is learned of the meter', () => {
    const fallbacks = freshFallbacks();
    for (let i = 0; i < 5; i++) {
      const failure = new Failure('malformed-octets', 'text came', { text: 'NEXERRORNO-1' });
      expect(learnFromFailure(fallbacks, able, wide, failure, 1)).toBe(false);
    }
    expect(fallbacks.held.size + fallbacks.suspected.size).toBe(0);
  });
  test.each(['no-answer', 'link-disconnected', 'connection-lost', 'frame-rejected'] as const)(
    '%s may be the line or the mains: the second time in a row counts',
    (code) => {
      const fallbacks = freshFallbacks();
      expect(learnFromFailure(fallbacks, genericModel, wide, fails(code), 1)).toBe(false);
      expect(fallbackTexts(fallbacks)).toEqual([]);
      expect(learnFromFailure(fallbacks, genericModel, wide, fails(code), 1)).toBe(true);
      expect([...fallbacks.held.keys()]).toEqual(['window-1']);
    },
  );
  test.each(['damaged-answer', 'access-refused', 'port-lost', 'authentication-refused', 'store-failed'] as const)(
    '%s says nothing of what the meter can',
    (code) => {
      const fallbacks = freshFallbacks();
      for (let i = 0; i < 5; i++) expect(learnFromFailure(fallbacks, able, wide, fails(code), 1)).toBe(false);
      expect(fallbacks.held.size + fallbacks.suspected.size).toBe(0);
    },
  );
});

test('stored and read again; names of a later version are passed over; after a month it is tried anew', () => {
  const fallbacks = freshFallbacks();
  fallBack(fallbacks, 'single-gets', 'list answered malformed', dayMs);
  suspect(fallbacks, 'window-1', 'not answered', dayMs);
  const stored = storedFallbacks(fallbacks);
  expect(stored).toEqual({ 'single-gets': { reason: 'list answered malformed', at: dayMs } });
  const again = freshFallbacks({ ...stored, 'by-telepathy': { reason: 'x', at: 1 } });
  expect(fallbackTexts(again)).toEqual(['single GETs (list answered malformed)']);
  forgetOld(again, 30 * dayMs);
  expect(again.held.size).toBe(1);
  forgetOld(again, 32 * dayMs);
  expect(again.held.size).toBe(0);
  expect(again.changed).toBe(true);
  expect(storedFallbacks(again)).toBeUndefined();
});
