import { expect, test } from 'vitest';
import { dictionaries, inOne } from '../../src/page/browser/dictionary.ts';
import { gapTexts, verdictTexts } from '../../src/page/browser/verdict-texts.ts';
import { texts } from '../../src/page/browser/texts.ts';
import { workTexts } from '../../src/page/browser/work-texts.ts';
import { verdictWords } from '../../src/reading/verdict.ts';

const rows = Object.entries({ ...texts, ...workTexts });
test('every text of the page has words in English and in Finnish, with the same places for values', () => {
  const lacking = rows.filter(([, both]) => both.length !== 2 || both.some((text) => text.trim() === ''));
  expect(lacking).toEqual([]);
  const places = (text: string): string[] => [...text.matchAll(/\{\d\}/g)].map(([place]) => place).toSorted();
  for (const [key, [en, fi]] of rows) expect(places(fi), key).toEqual(places(en));
});
test('no key of one part of the dictionary hides a key of the other', () => {
  expect(Object.keys(workTexts).filter((key) => key in texts)).toEqual([]);
});
test('a verdict means on the page what it means on the command line', () => {
  const english = Object.entries(verdictTexts).map(([verdict, { meaning }]) => [verdict, meaning[0]]);
  expect(Object.fromEntries(english)).toEqual(verdictWords);
});
test('what a browser loads is in one language: no word of the other is in it', () => {
  const flat = (value: unknown): unknown[] =>
    typeof value === 'object' && value !== null ? Object.values(value).flatMap(flat) : [value];
  for (const part of ['page', 'work'] as const) {
    const [en, fi] = [flat(inOne(part, 'en')), flat(inOne(part, 'fi'))];
    expect(en.filter((one) => typeof one === 'string' && /[äö]/.test(one) && one !== 'Suomeksi')).toEqual([]);
    expect(fi.length).toBeGreaterThanOrEqual(en.length);
  }
  expect(Object.keys(dictionaries.page.gapTexts)).toEqual(Object.keys(gapTexts));
});
