/** How an answer goes out at a door: a value, octets part by part, or events line by line. Whoever takes nothing is cut. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { Failure, messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Permission, Route } from './rows.ts';

const maxBodyBytes = 64 << 10;
/** How long a client may take for a whole answer once it is there, or for the next part of a long one. */
const defaultTakeMs = 30_000;
/** How long an answer that comes part by part may take as a whole. */
const streamMs = 10 * 60_000;
/** How long a long job may take: a substation is commissioned within it. */
const linesMs = 4 * 3_600_000;
/** So often something comes while a job has nothing to say: whoever listens knows that it is at work. */
const heartbeatMs = 10_000;

export type Answer = { readonly status: number; readonly allow?: string | undefined; readonly body: unknown };

export const refusal = (status: number, message: string, allow?: string): Answer => ({
  status,
  allow,
  body: { code: 'bad-argument', message },
});

export function send(response: ServerResponse, { status, allow, body }: Answer, takeMs = defaultTakeMs): void {
  if (response.destroyed) return;
  let text: string;
  try {
    text = JSON.stringify(body) ?? 'null';
  } catch (error) {
    text = JSON.stringify({ message: messageOf(error) });
    status = 500;
  }
  const { socket } = response;
  const late = setTimeout(() => socket?.destroy(), takeMs).unref();
  response.once('close', () => clearTimeout(late));
  // One request for each connection: pipelines and slow second requests do not come up.
  response
    .writeHead(status, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(text),
      connection: 'close',
      ...(allow !== undefined && { allow }),
    })
    .end(text, () => socket?.destroySoon());
}

/** A page has no table of errors: whose it is and what to do stand in the answer. */
const failed = (error: unknown) => ({
  code: error instanceof Failure ? error.code : undefined,
  message: messageOf(error),
  ...(error instanceof Failure && { fault: error.fault, next: error.nextStep }),
});

export async function answerOf<House>(
  route: Route<House>,
  given: unknown,
  {
    house,
    signal,
    permission,
  }: { readonly house: House; readonly signal: AbortSignal; readonly permission: Permission },
): Promise<Answer> {
  try {
    return { status: 200, body: await route.handle(house, given, signal, permission) };
  } catch (error) {
    const body = failed(error);
    return { status: body.code ? 409 : 500, body };
  }
}

/** The body of a POST: JSON, of a bounded length. Nothing where there is none. */
export async function bodyOf(
  incoming: IncomingMessage,
  most = maxBodyBytes,
): Promise<{ readonly value: unknown } | { readonly refused: Answer }> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > most) return { refused: refusal(413, `a body has at most ${most} octets`) };
    chunks.push(chunk);
  }
  if (length === 0) return { value: {} };
  // What a page of another site can send without asking first is no JSON by its type.
  if (!/^application\/json\b/i.test(incoming.headers['content-type'] ?? ''))
    return { refused: refusal(415, 'a body is application/json') };
  try {
    return { value: JSON.parse(Buffer.concat(chunks).toString('utf8')) };
  } catch {
    return { refused: refusal(400, 'the body is not JSON') };
  }
}

/** An answer of any length. Where it breaks off the connection does: what came has no end. */
export async function stream(
  response: ServerResponse,
  octets: AsyncIterable<Uint8Array>,
  log: Log | undefined,
  takeMs = defaultTakeMs,
): Promise<void> {
  const { socket } = response;
  // Who takes nothing must not keep the place of an act for as long as a whole backup may last.
  socket?.setTimeout(takeMs, () => socket.destroy());
  const late = setTimeout(() => socket?.destroy(), streamMs).unref();
  try {
    response.writeHead(200, { 'content-type': 'application/octet-stream', connection: 'close' });
    await pipeline(octets, response);
  } catch (error) {
    log?.warn({ error: messageOf(error) }, 'an answer broke off');
    socket?.destroy();
  } finally {
    clearTimeout(late);
  }
}

/**
 * Events as they come, one JSON line each; an empty line where nothing came for a while. The last line of a job that failed
 * is `{"failed": {code, message}}`. Who takes nothing loses the connection, and with it the job.
 */
export async function sendLines(
  response: ServerResponse,
  events: AsyncIterable<unknown>,
  takeMs = defaultTakeMs,
): Promise<void> {
  const { socket } = response;
  const late = setTimeout(() => socket?.destroy(), linesMs).unref();
  let full: NodeJS.Timeout | undefined;
  const write = (text: string): void => {
    if (response.destroyed || response.write(text) || full) return;
    full = setTimeout(() => socket?.destroy(), takeMs).unref();
    response.once('drain', () => {
      clearTimeout(full);
      full = undefined;
    });
  };
  response.writeHead(200, { 'content-type': 'application/x-ndjson', connection: 'close' });
  const beat = setInterval(() => write('\n'), heartbeatMs).unref();
  try {
    for await (const event of events) {
      if (response.destroyed) break;
      write(`${JSON.stringify(event)}\n`);
    }
  } catch (error) {
    write(`${JSON.stringify({ failed: failed(error) })}\n`);
  } finally {
    clearInterval(beat);
    clearTimeout(late);
    response.end(() => socket?.destroySoon());
  }
}
