/** `meter-gateway capacity`: how many meters a line bears, asked of the running gateway, or by the records of the site. */
import { Failure } from '../base/errors.ts';
import { durationWords } from '../base/words.ts';
import { type Capacity, capacityOf } from '../commission/capacity.ts';
import { measuredOf } from '../commission/measured.ts';
import { siteFolder } from '../commission/site-folder.ts';
import { askCapacity } from '../desk/client.ts';
import { whole } from './connection.ts';
import { placesOf, portOf, type PortOptions, type SiteOptions, socketFor, textOf } from './site-options.ts';

export interface CapacityOptions extends SiteOptions, PortOptions {
  readonly socket?: string;
  readonly period: string;
  readonly days: string;
  readonly json?: boolean;
}

function byRecords(options: CapacityOptions): Capacity {
  const { file, site } = placesOf(options);
  const text = textOf(file);
  const name = portOf(text, options);
  const records = siteFolder(site)
    .all()
    .filter(({ port }) => port === name);
  const meters = records.map((record) => {
    const isTimed = !record.device.startsWith('tcp:');
    return measuredOf({ ...record, baud: isTimed ? record.baud : 0 }, record, undefined);
  });
  return capacityOf({ meters, periodS: Number(options.period), backFillDays: Number(options.days) });
}

async function measured(options: CapacityOptions): Promise<Capacity> {
  const { config, site, period, days } = options;
  if (site !== undefined) return byRecords(options);
  const at = socketFor(options);
  const names = (): string => {
    if (options.port !== undefined) return options.port;
    if (config === undefined) throw new Failure('bad-argument', '--port NAME is missing: which line?');
    return portOf(textOf(config), options);
  };
  try {
    return await askCapacity(at, { port: names(), period, days });
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== 'no-gateway' || config === undefined) throw error;
    return byRecords(options);
  }
}

export function capacityLines(found: Capacity, { period, days }: Pick<CapacityOptions, 'period' | 'days'>): string[] {
  const { answering, silent, pollMs, busyShare, fits, backFillS, backFillRows, assumed } = found;
  const percent = busyShare === null ? '?' : (busyShare * 100).toFixed(1);
  return [
    `${answering} meters answer, ${silent} do not`,
    ...(pollMs === null
      ? []
      : [
          `a poll takes ${(pollMs / 1000).toFixed(1)} s: the polls take ${percent} % of the line`,
          `${fits} meters like these fit by their times, every ${Number(period) / 60} min; one RS-485 line has 32 unit loads`,
          backFillS === null
            ? `${days} days of back-fill never come to an end: the polls take all of the line`
            : `${days} days of back-fill, ${backFillRows} rows: about ${durationWords(backFillS)}`,
        ]),
    ...assumed.map((one) => `note: ${one}`),
  ];
}

export async function showCapacity(options: CapacityOptions, print: (line: string) => void): Promise<number> {
  whole('--period', options.period, 60, 86_400);
  whole('--days', options.days, 0, 10_000);
  const found = await measured(options);
  if (options.json) print(JSON.stringify(found));
  else for (const line of capacityLines(found, options)) print(line);
  return 0;
}
