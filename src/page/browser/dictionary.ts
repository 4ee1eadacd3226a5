/**
 * All words of the page. The build makes one file of each language out of this one (scripts/build-page.ts): whoever looks loads
 * one language.
 */
import { texts } from './texts.ts';
import { gapTexts, kindTexts, nextFi, scanTexts, verdictTexts } from './verdict-texts.ts';
import { workTexts } from './work-texts.ts';

export const dictionaries = {
  page: {
    texts,
    verdictTexts,
    gapTexts,
    /** By code; the gateway itself says them in English. */
    nextSteps: nextFi,
  },
  /** Of the wizard alone: loaded with it. */
  work: { workTexts, scanTexts, kindTexts },
} as const;

/** The same with one language instead of both. */
type One<T> = T extends readonly [string, string]
  ? string
  : T extends string | undefined
    ? T
    : { readonly [K in keyof T]: One<T[K]> };
export type PageWords = One<(typeof dictionaries)['page']>;
export type WorkWords = One<(typeof dictionaries)['work']>;

export type Language = 'en' | 'fi';
const isPair = (value: unknown): value is readonly [string, string] =>
  Array.isArray(value) && value.length === 2 && value.every((one) => typeof one === 'string');
function project(value: unknown, language: Language, name: string): unknown {
  if (isPair(value)) return value[language === 'fi' ? 1 : 0];
  // The gateway's own next steps are English already.
  if (typeof value === 'string') return language === 'en' && name === 'nextFi' ? '' : value;
  if (Array.isArray(value)) return value.map((one, i) => project(one, language, i === 1 ? 'nextFi' : ''));
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(() => !(language === 'en' && name === 'nextSteps'));
  return Object.fromEntries(entries.map(([key, one]) => [key, project(one, language, key)]));
}
export const inOne = (part: keyof typeof dictionaries, language: Language): unknown =>
  project(dictionaries[part], language, '');
