/** Asks the running gateway at its local door. */
import { request } from 'node:http';
import { errorCodeOf, Failure, messageOf } from '../base/errors.ts';
import type { ReadingFact } from '../reading/facts.ts';
import type { CounterAccepted } from '../schedule/counter-accept.ts';
import type { SeriesGap } from '../schedule/series-gaps.ts';
import type { CounterLease } from '../schedule/technician-lease.ts';
import type { ReloadAnswer } from './routes.ts';
import type { HeldRows, Snapshot } from './snapshot.ts';

/** Larger than the gaps of a year of a full bus. */
const maxAnswerBytes = 64 << 20;
/** Together less than anybody waits for an answer. */
const triesToLook = 10;
const pauseMs = 200;
const backupMs = 11 * 60_000;

export const askStatus = (path: string): Promise<Snapshot> => look<Snapshot>(path, '/status', 5000);
export const askGaps = (path: string): Promise<SeriesGap[]> => look<SeriesGap[]>(path, '/gaps', 30_000);
export const askQuarantine = (path: string): Promise<HeldRows[]> => look<HeldRows[]>(path, '/quarantine', 30_000);
export const askRead = (path: string, meter: string, force = false): Promise<ReadingFact> =>
  ask<ReadingFact>(path, 'POST', `/read${force ? '/forced' : ''}?meter=${encodeURIComponent(meter)}`, 150_000);
export const askCounterAccept = (path: string, meter: string): Promise<CounterAccepted> =>
  ask<CounterAccepted>(path, 'POST', `/counter/accept?meter=${encodeURIComponent(meter)}`, 30_000);
export const askCounterLease = (path: string, key: string): Promise<CounterLease> =>
  ask<CounterLease>(path, 'POST', `/counter/lease?key=${encodeURIComponent(key)}`, 10_000);
export const askReload = (path: string): Promise<ReloadAnswer> => ask<ReloadAnswer>(path, 'POST', '/reload', 60_000);

/** Why nobody answered, as the system says it, in the words of the one who asked. */
function unreachable(path: string, error: NodeJS.ErrnoException): Failure {
  if (error.code === 'EACCES' || error.code === 'EPERM')
    return new Failure('not-permitted', `${path} may not be opened by this user (${error.code})`);
  const hungUp = error.code === 'ECONNRESET' || error.code === 'EPIPE';
  return new Failure('no-gateway', `no gateway answers at ${path} (${messageOf(error)})`, { hungUp });
}

function answerOf<T>(path: string, status: number | undefined, text: string): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Failure('no-gateway', `what answers at ${path} is no gateway, or one of another version`);
  }
  if (status === 200) return value as T;
  const { code, message } = (value ?? {}) as { code?: unknown; message?: unknown };
  const known = errorCodeOf(code);
  const why = typeof message === 'string' ? message : `status ${status}`;
  throw known ? new Failure(known, why) : new Error(why);
}

/** The state of the running gateway, as octets of a backup. Rejects before the first where it refuses. */
export const askBackup = (path: string): Promise<AsyncIterable<Uint8Array>> =>
  new Promise((resolve, reject) => {
    const asked = request({ socketPath: path, path: '/backup', method: 'GET', agent: false }, (response) => {
      if (response.statusCode === 200) return resolve(response);
      response.resume();
      return reject(
        new Failure('no-gateway', `the gateway at ${path} gives no backup (status ${response.statusCode})`),
      );
    });
    // As long as the gateway gives itself for the whole of it, and a little more.
    const late = setTimeout(() => asked.destroy(new Error(`no end within ${backupMs / 1000} s`)), backupMs);
    asked.on('close', () => clearTimeout(late));
    asked.on('error', (error) => reject(unreachable(path, error)));
    asked.end();
  });

/** What only looks may be asked again: at a crowded door the place may be taken, or lost to somebody else. */
async function look<T>(path: string, what: string, timeout: number): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await ask<T>(path, 'GET', what, timeout);
    } catch (error) {
      const crowded = error instanceof Failure && (error.code === 'busy' || error.detail['hungUp'] === true);
      if (!crowded || tries === triesToLook) throw error;
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }
}

function ask<T>(path: string, method: string, what: string, timeout: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath: path, path: what, method, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      let length = 0;
      response.on('data', (chunk: Buffer) => {
        length += chunk.length;
        if (length > maxAnswerBytes) asked.destroy(new Error(`an answer of more than ${maxAnswerBytes} octets`));
        else chunks.push(chunk);
      });
      response.on('end', () => {
        try {
          resolve(answerOf<T>(path, response.statusCode, Buffer.concat(chunks).toString('utf8')));
        } catch (error) {
          reject(error);
        }
      });
      response.on('error', (error) => reject(unreachable(path, error)));
    });
    // For the whole answer: one octet a second is no answer either.
    const late = setTimeout(() => asked.destroy(new Error(`no answer within ${timeout / 1000} s`)), timeout);
    asked.on('close', () => clearTimeout(late));
    asked.on('error', (error) => reject(unreachable(path, error)));
    asked.end();
  });
}
