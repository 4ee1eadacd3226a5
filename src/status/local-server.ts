/** The local door: HTTP on a unix socket that only the service's user may open. */
import { chmodSync, rmSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { type ErrorCode, Failure, messageOf } from '../base/errors.ts';
import type { ReadingFact } from '../reading/facts.ts';
import type { SeriesGap } from '../schedule/runner.ts';
import type { HeldRows, Snapshot } from './snapshot.ts';

/** What the house answers here. */
export interface LocalAnswers {
  snapshot(): Promise<Snapshot>;
  gaps(): Promise<readonly SeriesGap[]>;
  readNow(meter: string): Promise<ReadingFact>;
  quarantine(): Promise<readonly HeldRows[]>;
}

/** Serves until the returned function is called. */
export async function serveStatus(path: string, house: () => LocalAnswers): Promise<() => Promise<void>> {
  rmSync(path, { force: true });
  const server = createServer((incoming, response) => {
    const { pathname, searchParams } = new URL(incoming.url ?? '/', 'http://local');
    const asked = `${incoming.method} ${pathname}`;
    const answer: Promise<unknown> | undefined =
      asked === 'GET /status'
        ? house().snapshot()
        : asked === 'GET /gaps'
          ? house().gaps()
          : asked === 'POST /read'
            ? house().readNow(searchParams.get('meter') ?? '')
            : asked === 'GET /quarantine'
              ? house().quarantine()
              : undefined;
    if (!answer) {
      response.writeHead(404).end('only GET /status, /gaps and /quarantine, and POST /read?meter=ID\n');
      return;
    }
    answer.then(
      (value) => response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value)),
      (error: unknown) => {
        const code = error instanceof Failure ? error.code : undefined;
        response
          .writeHead(code ? 409 : 500, { 'content-type': 'application/json' })
          .end(JSON.stringify({ code, message: messageOf(error) }));
      },
    );
  });
  server.maxConnections = 16;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  chmodSync(path, 0o660);
  return () =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
}

export const askStatus = (path: string): Promise<Snapshot> => ask<Snapshot>(path, 'GET', '/status', 5000);
export const askGaps = (path: string): Promise<SeriesGap[]> => ask<SeriesGap[]>(path, 'GET', '/gaps', 30_000);
export const askQuarantine = (path: string): Promise<HeldRows[]> => ask<HeldRows[]>(path, 'GET', '/quarantine', 30_000);
export const askRead = (path: string, meter: string): Promise<ReadingFact> =>
  ask<ReadingFact>(path, 'POST', `/read?meter=${encodeURIComponent(meter)}`, 150_000);

function ask<T>(path: string, method: string, what: string, timeout: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath: path, path: what, method, timeout }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => {
        if (response.statusCode === 200) return resolve(JSON.parse(text) as T);
        const { code, message } = JSON.parse(text) as { code?: ErrorCode; message: string };
        reject(code ? new Failure(code, message) : new Error(message));
      });
    });
    asked.on('timeout', () => asked.destroy(new Error(`no answer within ${timeout / 1000} s`)));
    asked.on('error', (error) =>
      reject(
        new Failure(
          'bad-argument',
          `no gateway answers at ${path} (${messageOf(error)}): is the service running? systemctl status meter-gateway`,
        ),
      ),
    );
    asked.end();
  });
}
