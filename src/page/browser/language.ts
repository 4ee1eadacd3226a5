/** The language of the page: that of the browser, until somebody chooses. */
import type { Language, PageWords, WorkWords } from './dictionary.ts';

export type TextKey = keyof PageWords['texts'];
export type WorkKey = keyof WorkWords['workTexts'];

const storageKey = 'language';
function first(): Language {
  const chosen = stored(storageKey);
  if (chosen === 'en' || chosen === 'fi') return chosen;
  return navigator.languages.find((one) => /^(en|fi)\b/i.test(one))?.startsWith('fi') ? 'fi' : 'en';
}
/** What a browser that stores nothing forgets, is chosen again. */
export function stored(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}
export function store(key: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(key);
    else localStorage.setItem(key, value);
  } catch {
    // Private windows may store nothing.
  }
}

let language: Language = first();
let page: PageWords;
let work: WorkWords | undefined;
export const current = (): Language => language;
/** The words of the language that is chosen. */
export const words = (): PageWords => page;
export const workWords = (): WorkWords => work as WorkWords;
const workIn = async (next: Language): Promise<WorkWords> =>
  (next === 'fi' ? await import('words:work-fi') : await import('words:work-en')).default;
/** Before a screen of the wizard is shown. */
export async function loadWork(): Promise<void> {
  work = await workIn(language);
}
export async function choose(next: Language = language): Promise<void> {
  const loaded = next === 'fi' ? await import('words:page-fi') : await import('words:page-en');
  if (work) work = await workIn(next);
  page = loaded.default;
  if (next !== language) store(storageKey, next);
  language = next;
  document.documentElement.lang = next;
}

const filled = (text: string, values: readonly (string | number)[]): string =>
  text.replaceAll(/\{(\d)\}/g, (_, i) => String(values[Number(i)] ?? ''));
export const t = (key: TextKey | WorkKey, ...values: readonly (string | number)[]): string => {
  const found = (page.texts as Readonly<Record<string, string>>)[key] ?? work?.workTexts[key as WorkKey];
  return filled(found ?? key, values);
};
