/** Asks the gateway. Whatever is asked ends: with an answer, or with a trouble that names whose it is and the next step. */
import type { ErrorCode, Fault } from '../../base/errors.ts';
import { t, words } from './language.ts';
import { duration } from './words.ts';

export interface Trouble {
  readonly what: string;
  readonly whose: string;
  readonly next: string;
  readonly status: number;
  readonly code?: ErrorCode | undefined;
  /** The words are the gateway's own, which are English. */
  readonly english: boolean;
}
export class Refused extends Error {
  readonly trouble: Trouble;
  constructor(trouble: Trouble) {
    super(trouble.what);
    this.trouble = trouble;
  }
}

export interface Me {
  readonly mode: 'running' | 'first-run' | 'refused';
  readonly permission: 'look' | 'act';
  readonly gateway: string;
  readonly version: string;
}

const faultKeys = {
  meter: 'faultOfMeter',
  line: 'faultOfLine',
  gateway: 'faultOfGateway',
  operator: 'faultOfOperator',
  'head-end': 'faultOfHeadEnd',
} as const;
export const faultWords = (fault: Fault | null): string => (fault ? t(faultKeys[fault]) : t('faultOfGateway'));

interface Refusal {
  readonly code?: ErrorCode;
  readonly message?: string;
  readonly fault?: Fault;
  readonly next?: string;
  readonly nextStep?: string;
}
export const nextWords = (code: ErrorCode | null | undefined, next: string | null | undefined): string =>
  (code && words().nextSteps[code]) || next || '';

export const loggedOut = (): Trouble => ({
  what: t('loggedOut'),
  whose: faultWords('operator'),
  next: t('loginTitle'),
  status: 401,
  english: false,
});

function troubleOf(status: number, refusal: Refusal): Trouble {
  const { code, message, fault, next, nextStep } = refusal;
  const english = message !== undefined;
  if (status === 401) return loggedOut();
  if (status === 404 && code !== 'unknown-meter')
    return { what: t('noRow'), whose: faultWords('gateway'), next: t('noRowNext'), status, english: false };
  const step = nextWords(code, next ?? nextStep) || t('tryAgain');
  return {
    what: message ?? t('noAnswer'),
    whose: faultWords(fault ?? (status < 500 ? 'operator' : 'gateway')),
    next: step,
    status,
    english,
    code,
  };
}
const silence = (what: 'noAnswer' | 'tooLate' | 'cut'): Refused =>
  new Refused({
    what: t(what),
    whose: t('faultOfNetwork'),
    next: t(what === 'cut' ? 'cutNext' : 'noAnswerNext'),
    status: 0,
    english: false,
  });

/** Somebody has to log in again. The shell listens. */
export const ended = { listener: (): void => {} };

async function refused(response: Response): Promise<Refused> {
  let body: Refusal = {};
  try {
    body = (await response.json()) as Refusal;
  } catch {
    // No words: the status says enough.
  }
  if (response.status === 401) ended.listener();
  if (response.status === 429) {
    const wait = Number(response.headers.get('retry-after') ?? 60);
    const what = t('tooMany', duration(wait));
    return new Refused({ what, whose: faultWords('operator'), next: t('tryAgain'), status: 429, english: false });
  }
  return new Refused(troubleOf(response.status, body));
}

const json = { 'content-type': 'application/json' };
async function fetched(path: string, body: unknown, signal: AbortSignal): Promise<Response> {
  try {
    return await fetch(path, {
      signal,
      cache: 'no-store',
      ...(body !== undefined && { method: 'POST', headers: json, body: JSON.stringify(body) }),
    });
  } catch (error) {
    throw (error as Error).name === 'TimeoutError' ? silence('tooLate') : silence('noAnswer');
  }
}

/** One value. `body` makes it a POST. */
export async function ask<T>(path: string, body?: unknown, limitMs = 20_000): Promise<T> {
  const response = await fetched(path, body, AbortSignal.timeout(limitMs));
  if (!response.ok) throw await refused(response);
  try {
    return (response.status === 204 ? undefined : await response.json()) as T;
  } catch (error) {
    throw (error as Error).name === 'TimeoutError' ? silence('tooLate') : silence('cut');
  }
}
/** A file of the gateway, to be saved. */
export async function askBlob(path: string): Promise<Blob> {
  const response = await fetched(path, undefined, AbortSignal.timeout(60_000));
  if (!response.ok) throw await refused(response);
  return response.blob().catch(() => {
    throw silence('cut');
  });
}

/** The gateway lets its heart beat every ten seconds in a job that has nothing to say. */
const silentMs = 35_000;

/** Events of a job, line by line. Leaving the loop, or the signal, ends the job at the gateway. */
export async function* lines<T>(path: string, body: unknown, signal: AbortSignal): AsyncGenerator<T, void> {
  const late = new AbortController();
  let timer = setTimeout(() => late.abort(), silentMs);
  const alive = () => {
    clearTimeout(timer);
    timer = setTimeout(() => late.abort(), silentMs);
  };
  try {
    const response = await fetched(path, body, AbortSignal.any([signal, late.signal]));
    if (!response.ok) throw await refused(response);
    const reader = (response.body as ReadableStream<Uint8Array>)
      .pipeThrough(new TextDecoderStream() as never)
      .getReader() as unknown as ReadableStreamDefaultReader<string>;
    let rest = '';
    for (;;) {
      const { done, value = '' } = await reader.read().catch(() => {
        throw silence('cut');
      });
      alive();
      const [last = '', ...whole] = (rest + value).split('\n').toReversed();
      rest = last;
      for (const line of whole.toReversed()) {
        if (line.trim() === '') continue;
        const event = JSON.parse(line) as Awaited<T>;
        const { failed } = event as { readonly failed?: Refusal };
        if (failed) throw new Refused(troubleOf(409, failed));
        yield event;
      }
      if (done) return;
    }
  } finally {
    clearTimeout(timer);
    late.abort();
  }
}

export const troubleFrom = (error: unknown): Trouble =>
  error instanceof Refused
    ? error.trouble
    : {
        what: error instanceof Error ? error.message : String(error),
        whose: faultWords('gateway'),
        next: t('tryAgain'),
        status: 0,
        english: true,
      };

/** Octets of a file, as a body has them. */
export function base64Of(octets: Uint8Array): string {
  let text = '';
  for (const octet of octets) text += String.fromCodePoint(octet);
  return btoa(text);
}
