/** A scan that somebody asks for at the desk: over a line of the house in force, between the sessions of its meters. */
import { join } from 'node:path';
import { Failure } from '../base/errors.ts';
import type { Clock } from '../base/time.ts';
import { scan, type ScanEvent } from '../commission/scan.ts';
import type { openJournal } from '../commission/scan-journal.ts';
import { wayOfPort } from '../commission/scanned-line.ts';
import type { Config } from '../config/schema.ts';
import { meterModels } from '../config/meter-models.ts';
import type { ScanWish } from '../desk/routes.ts';
import type { House } from '../house.ts';

export interface DeskWorld {
  readonly clock: Clock;
  readonly house: () => Pick<House, 'lend'>;
  readonly config: () => Config;
  readonly journal: typeof openJournal;
}
/** One scan of a line at a time. */
export function deskScans({ clock, house, config, journal: open }: DeskWorld) {
  const underWay = new Set<string>();
  return async function* deskScan(wish: ScanWish, signal: AbortSignal): AsyncGenerator<ScanEvent, void> {
    const { port, fresh } = wish;
    const { line, baud, link } = wayOfPort(config(), port);
    const plan = { line, baud, link, entries: wish.entries, blind: wish.blind, models: meterModels() };
    if (underWay.has(port)) throw new Failure('busy', `somebody else scans the line ${port} already`);
    underWay.add(port);
    try {
      const path = join(config().gateway.state_directory, `scan-${port}.journal`);
      const journal = await open(path, plan, fresh);
      yield* scan(plan, { clock, use: (work) => house().lend(port, work), journal, signal });
    } finally {
      underWay.delete(port);
    }
  };
}
