/** Asks at a door. */
import { request, type RequestOptions } from 'node:http';
import { type ErrorCode, errorCodeOf, Failure, messageOf } from '../base/errors.ts';

/** Larger than the gaps of a year of a full bus. */
export const maxAnswerBytes = 64 << 20;
export const json = { 'content-type': 'application/json' };
/** Who should answer, in words, and the code where nobody does. */
export interface Behind {
  readonly name: string;
  readonly absent: ErrorCode;
}

/** Why nobody answered, as the system says it, in the words of the one who asked. */
export function unreachable(path: string, error: NodeJS.ErrnoException, { name, absent }: Behind): Failure {
  if (error.code === 'EACCES' || error.code === 'EPERM')
    return new Failure('not-permitted', `${path} may not be opened by this user (${error.code})`);
  const hungUp = error.code === 'ECONNRESET' || error.code === 'EPIPE';
  return new Failure(absent, `no ${name} answers at ${path} (${messageOf(error)})`, { hungUp });
}

export function answerOf<T>(path: string, status: number | undefined, text: string, { name, absent }: Behind): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Failure(absent, `what answers at ${path} is no ${name}, or one of another version`);
  }
  if (status === 200) return value as T;
  const { code, message } = (value ?? {}) as { code?: unknown; message?: unknown };
  const known = errorCodeOf(code);
  const why = typeof message === 'string' ? message : `status ${status}`;
  throw known ? new Failure(known, why, { onlyLooks: status === 403 }) : new Error(why);
}

export function ask<T>(
  path: string,
  what: RequestOptions,
  body: string | undefined,
  { timeout, behind }: { readonly timeout: number; readonly behind: Behind },
): Promise<T> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath: path, ...what, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      let length = 0;
      response.on('data', (chunk: Buffer) => {
        length += chunk.length;
        if (length > maxAnswerBytes) asked.destroy(new Error(`an answer of more than ${maxAnswerBytes} octets`));
        else chunks.push(chunk);
      });
      response.on('end', () => {
        try {
          resolve(answerOf<T>(path, response.statusCode, Buffer.concat(chunks).toString('utf8'), behind));
        } catch (error) {
          reject(error);
        }
      });
      response.on('error', (error) => reject(unreachable(path, error, behind)));
    });
    // For the whole answer: one octet a second is no answer either.
    const late = setTimeout(() => asked.destroy(new Error(`no answer within ${timeout / 1000} s`)), timeout);
    asked.on('close', () => clearTimeout(late));
    asked.on('error', (error) => reject(unreachable(path, error, behind)));
    asked.end(body);
  });
}
