/** Events as they come, for EventSource (WHATWG HTML, server-sent events). Whoever does not take them misses those in between. */
import type { ServerResponse } from 'node:http';
import { Failure, messageOf } from '../base/errors.ts';

const heartbeatMs = 10_000;
const takeMs = 30_000;
/** Events that wait for a reader who misses none. */
const maxWaiting = 1000;

/** `newest`: each event takes the place of those before it. Ends with the events, with the reader, or after 30 s in which nothing is taken. */
export async function sendEventStream(
  response: ServerResponse,
  texts: AsyncIterable<string>,
  { newest, headers }: { readonly newest: boolean; readonly headers: Readonly<Record<string, string>> },
): Promise<void> {
  const { socket } = response;
  let full: NodeJS.Timeout | undefined;
  let waiting: string[] = [];
  const write = (text: string): void => {
    if (response.destroyed) return;
    if (full) {
      if (newest) waiting = [text];
      else if (waiting.length < maxWaiting) waiting.push(text);
      else socket?.destroy();
      return;
    }
    if (response.write(text)) return;
    full = setTimeout(() => socket?.destroy(), takeMs).unref();
    response.once('drain', () => {
      clearTimeout(full);
      full = undefined;
      const late = waiting;
      waiting = [];
      for (const one of late) write(one);
    });
  };
  response.writeHead(200, { ...headers, 'content-type': 'text/event-stream', connection: 'close' });
  const beat = setInterval(() => full ?? write(': at work\n\n'), heartbeatMs).unref();
  write('retry: 2000\n\n');
  try {
    for await (const text of texts) {
      if (response.destroyed) break;
      write(`data: ${text}\n\n`);
    }
    write('event: end\ndata: {}\n\n');
  } catch (error) {
    const code = error instanceof Failure ? error.code : undefined;
    write(`event: failed\ndata: ${JSON.stringify({ code, message: messageOf(error) })}\n\n`);
  } finally {
    clearInterval(beat);
    clearTimeout(full);
    response.end(() => socket?.destroySoon());
  }
}
