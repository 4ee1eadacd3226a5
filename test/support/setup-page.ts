/** The page of a gateway, as a browser asks it. Needs nothing of a test, so that it runs in a process of its own as well. */
import type { ScanEvent } from '../../src/commission/scan.ts';
import type { ScanFinding } from '../../src/commission/scan-verdict.ts';
import type { WorkList } from '../../src/commission/work-list.ts';
import type { PageTicket } from '../../src/desk/routes.ts';
import type { SetupState } from '../../src/setup/rows.ts';

export interface Answer<T> {
  readonly status: number;
  readonly body: T;
}
export interface SetupPage {
  ask<T>(path: string, body?: unknown): Promise<Answer<T>>;
  state(): Promise<SetupState>;
  lines<T>(path: string, body: unknown): Promise<T[]>;
  mode(): Promise<string | undefined>;
}

/** Logs in by a link of the local socket. */
export async function enter({ url }: Pick<PageTicket, 'url'>): Promise<SetupPage> {
  const { origin, hash } = new URL(url);
  const entered = await fetch(`${origin}/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', origin },
    body: JSON.stringify({ ticket: hash.replace('#ticket=', '') }),
  });
  const cookie = (entered.headers.get('set-cookie') ?? '').split(';')[0] ?? '';
  const fetched = (path: string, body?: unknown) =>
    fetch(`${origin}${path}`, {
      headers: { cookie, origin, ...(body !== undefined && { 'content-type': 'application/json' }) },
      ...(body !== undefined && { method: 'POST', body: JSON.stringify(body) }),
    });
  const ask = async <T>(path: string, body?: unknown): Promise<Answer<T>> => {
    const response = await fetched(path, body);
    return { status: response.status, body: (await response.json()) as T };
  };
  return {
    ask,
    state: async () => (await ask<SetupState>('/v1/setup')).body,
    lines: async <T>(path: string, body: unknown) => {
      const text = await (await fetched(path, body)).text();
      return text
        .split('\n')
        .filter((line) => line.trim() !== '')
        .map((line) => JSON.parse(line) as T);
    },
    mode: async () => {
      try {
        return (await ask<{ mode: string }>('/v1/me')).body.mode;
      } catch {
        // Between two owners of the port nobody answers.
        return undefined;
      }
    },
  };
}

/** The two meters that the simulated line has, as an office lists them. */
export const twoMeters = Buffer.from(
  'point;serial;place\npoint-1;60120001;Cellar 1\npoint-2;60120002;Cellar 2\n',
).toString('base64');
/** A line as the screens enter it: the meters of a list at the places where a scan found them. */
export const lineOf = (device: string, entries: WorkList['entries'], found: readonly ScanFinding[]) => ({
  name: 'bus-1',
  device,
  baud: 9600,
  link: 'hdlc',
  direction: 'auto',
  entries,
  places: found.map(({ serial, reach, model }) => ({
    serial,
    server: reach?.logical,
    ...(reach?.physical !== undefined && { physical: reach.physical }),
    ...(model !== undefined && { model }),
  })),
  entry: { client: 17, auth: 'lls', shared: true },
  periodS: 3600,
});
/** Meters that a scan found. */
export const metersFound = (events: readonly ScanEvent[]): ScanFinding[] =>
  events.flatMap((event) => (event.kind === 'finding' && event.serial !== undefined ? [event] : []));
