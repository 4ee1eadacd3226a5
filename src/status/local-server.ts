/** The local door: HTTP on a unix socket that only the service's user may open. */
import { chmodSync, rmSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { Failure, messageOf } from '../base/errors.ts';
import type { SeriesGap } from '../schedule/runner.ts';
import type { Snapshot } from './snapshot.ts';

/** Serves until the returned function is called. */
export async function serveStatus(
  path: string,
  snapshot: () => Promise<Snapshot>,
  gaps: () => Promise<readonly SeriesGap[]>,
): Promise<() => Promise<void>> {
  rmSync(path, { force: true });
  const server = createServer((incoming, response) => {
    const answer = { '/status': snapshot, '/gaps': gaps }[incoming.url ?? ''];
    if (incoming.method !== 'GET' || !answer) {
      response.writeHead(404).end('only GET /status and /gaps\n');
      return;
    }
    answer().then(
      (value) => response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value)),
      (error: unknown) => response.writeHead(500).end(messageOf(error)),
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

export const askStatus = (path: string): Promise<Snapshot> => ask<Snapshot>(path, '/status');
export const askGaps = (path: string): Promise<SeriesGap[]> => ask<SeriesGap[]>(path, '/gaps');

function ask<T>(path: string, what: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath: path, path: what, timeout: 5000 }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () =>
        response.statusCode === 200 ? resolve(JSON.parse(text) as T) : reject(new Error(text)),
      );
    });
    asked.on('timeout', () => asked.destroy(new Error('no answer within 5 s')));
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
