/** `meter-gateway scan`: which meters answer on a line, through the running gateway or over a line of our own. */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Failure, messageOf } from '../base/errors.ts';
import type { Clock } from '../base/time.ts';
import { scan, type ScanEvent } from '../commission/scan.ts';
import { withOtherDoors } from '../commission/other-doors.ts';
import { openJournal } from '../commission/scan-journal.ts';
import type { ScanPlan } from '../commission/scan-plan.ts';
import { type ScannedLine, wayOfPort } from '../commission/scanned-line.ts';
import { endText, findingsText, planText, probeText } from '../commission/scan-text.ts';
import type { ScanFinding } from '../commission/scan-verdict.ts';
import { ownLine } from '../commission/use-line.ts';
import { listLines, readWorkList, requireList, type WorkListEntry } from '../commission/work-list.ts';
import { loadConfig } from '../config/judge.ts';
import { meterModels } from '../config/meter-models.ts';
import { askScan, askStatus } from '../desk/client.ts';
import type { Direction } from '../line/direction.ts';
import { parseSelector } from '../line/open-port.ts';
import { type AskOptions, socketOf } from './ask.ts';
import { bad, whole } from './connection.ts';
import { isLine } from './through-desk.ts';
import { stateDirectory } from './nonces.ts';
import { clearProgress, note, print, progress, screenWidth } from './terminal.ts';

export interface ScanOptions extends AskOptions {
  readonly list?: string;
  readonly blind?: boolean;
  readonly fresh?: boolean;
  readonly journal?: string;
  readonly baud: string;
  readonly direction: Direction;
  readonly link: string;
}
/** As a shell says it of Ctrl-C. */
const interrupted = 130;

/** The list as it is; everything that is wrong with it, before anything is sent. */
function entriesOf({ list }: ScanOptions): readonly WorkListEntry[] {
  if (list === undefined) return [];
  let octets: Uint8Array;
  try {
    octets = readFileSync(list);
  } catch (error) {
    throw new Failure('input-unreadable', messageOf(error));
  }
  // A point stands in no frame: a wrong one is said, and refused where it is written into the configuration.
  const found = readWorkList(octets, { models: new Set(meterModels().keys()), wrongPoints: 'warn' });
  const entries = requireList(list, found);
  for (const line of listLines(list, found.findings)) note(line);
  return entries;
}

function wayOfDevice(device: string, { baud, link }: ScanOptions): ScannedLine {
  const { kind } = parseSelector(device);
  if (link !== 'hdlc' && link !== 'wrapper' && link !== 'mode-e')
    bad(`--link takes hdlc, wrapper or mode-e, not '${link}'`);
  return {
    device,
    line: kind,
    baud: kind === 'tcp' ? 0 : whole('--baud', baud, 300, 921_600),
    link: link as ScanPlan['link'],
  };
}
/** Over a line that this process opens itself. */
async function* ownScan(
  way: ScannedLine,
  entries: readonly WorkListEntry[],
  options: ScanOptions,
  clock: Clock,
  signal: AbortSignal,
): AsyncGenerator<ScanEvent, void> {
  const { device, ...line } = way;
  const plan: ScanPlan = { ...line, entries, blind: options.blind === true, models: meterModels() };
  let path = options.journal;
  if (path === undefined) {
    const folder = stateDirectory(process.env);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const mark = createHash('sha256').update(device).digest('hex').slice(0, 12);
    path = join(folder, `scan-${mark}.journal`);
  }
  const own = ownLine(device, way.baud || 9600, clock, options.direction);
  try {
    const journal = await openJournal(path, plan, options.fresh === true);
    yield* withOtherDoors(device, plan, scan(plan, { clock, use: own.use, journal, signal }), clock, signal);
  } finally {
    await own.close();
  }
}

/** Where the gateway has the device, it is scanned by the name of its port. */
async function portOfDevice(device: string, options: ScanOptions): Promise<string | undefined> {
  const bare = (text: string) => text.replace(/^serial:/, '');
  try {
    const { ports } = await askStatus(socketOf(options));
    return ports.find((port) => bare(port.device) === bare(device))?.name;
  } catch {
    return undefined;
  }
}

/** Through the gateway that runs; where none does, by the configuration that is named, or the device itself. */
async function* eventsOf(
  port: string,
  entries: readonly WorkListEntry[],
  options: ScanOptions,
  clock: Clock,
  signal: AbortSignal,
): AsyncGenerator<ScanEvent, void> {
  const name = isLine(port) ? await portOfDevice(port, options) : port;
  if (name === undefined) return yield* ownScan(wayOfDevice(port, options), entries, options, clock, signal);
  const wish = { port: name, entries, blind: options.blind === true, fresh: options.fresh === true };
  let begun = false;
  try {
    for await (const event of askScan(socketOf(options), wish)) {
      if (!begun && options.journal !== undefined)
        yield {
          kind: 'note',
          message: '--journal is left alone: the gateway scans, and keeps its progress in its state directory',
        };
      begun = true;
      yield event;
      if (signal.aborted) return;
    }
  } catch (error) {
    const nobody = error instanceof Failure && error.code === 'no-gateway' && !begun;
    if (!nobody || options.config === undefined) throw error;
    yield* ownScan(wayOfPort(loadConfig(options.config).config, name), entries, options, clock, signal);
  }
}

/** Everything between the first and the last line on the screen. */
function screen(what: string) {
  const findings: ScanFinding[] = [];
  const live = process.stderr.isTTY;
  return (event: ScanEvent): void => {
    if (event.kind === 'plan') for (const line of planText(event, what, screenWidth())) note(line);
    else if (event.kind === 'probe') {
      if (live)
        progress(
          probeText(event)
            .padEnd(screenWidth() - 1)
            .slice(0, screenWidth() - 1),
        );
      else if (event.answer !== 'silent') note(probeText(event));
    } else if (event.kind === 'note') note(event.message);
    else if (event.kind === 'line') note(`${event.code}: ${event.message}; tried again in ${event.againInS} s`);
    else if (event.kind === 'finding') findings.push(event);
    else {
      if (live) clearProgress();
      for (const line of findingsText(findings, screenWidth())) print(line);
      print(endText(findings, event));
    }
  };
}

/** The exit code is that of the worst finding. */
export async function scanLine(port: string, options: ScanOptions, clock: Clock, signal: AbortSignal): Promise<number> {
  if (options.list === undefined && options.blind !== true)
    bad('what is looked for? --list FILE for the meters of a work list, --blind for the likely addresses, or both');
  const entries = entriesOf(options);
  const who =
    entries.length === 0
      ? 'likely addresses'
      : `${entries.length} meters of ${options.list}${options.blind ? ' and likely addresses' : ''}`;
  const show = options.json ? (event: ScanEvent) => print(JSON.stringify(event)) : screen(`${who} on ${port}`);
  let exit: number | undefined;
  for await (const event of eventsOf(port, entries, options, clock, signal)) {
    show(event);
    if (event.kind === 'end') ({ exit } = event);
  }
  if (exit === undefined) note('stopped: the same command goes on where it stopped');
  return exit ?? interrupted;
}
