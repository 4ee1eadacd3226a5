/** `meter-gateway commission`: puts meters into service over a line of our own, and writes those that are good into the configuration. */
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { Failure, messageOf } from '../base/errors.ts';
import { type Clock, iso } from '../base/time.ts';
import { readToml } from '../base/toml.ts';
import { configured, type Judge, type Planned, proposed, proposalsOf } from '../commission/candidates.ts';
import { type Candidate, commission, type CommissionEvent, type CommissionSummary } from '../commission/commission.ts';
import { eventLines, stepText } from '../commission/commission-text.ts';
import { compareDisplay, shownAs, usedMeanwhile } from '../commission/display.ts';
import type { DisplayReading, IdentityStep, MeterRecord, MeterTarget } from '../commission/meter-record.ts';
import { type EntryWatch, inPlannedSession, type TakeCounters } from '../commission/offline-session.ts';
import { type SiteFolder, siteFolder } from '../commission/site-folder.ts';
import { type ScannedEntry, scannedEntries } from '../commission/scan-findings.ts';
import { listLines, readWorkList, requireList, type WorkListEntry } from '../commission/work-list.ts';
import type { Direction } from '../line/direction.ts';
import { openPort } from '../line/open-port.ts';
import type { Port } from '../line/port.ts';
import { askCounter } from '../meter/invocation-counter.ts';
import { sameSerial } from '../meter/identity.ts';
import type { MeterModel } from '../meter/model.ts';
import { askCommission, askReload, askStatus } from '../desk/client.ts';
import { serviceSocket } from './ask.ts';
import { bad, whole } from './connection.ts';
import { entryKeysOf, type EntryOptions, judgeOf } from './meter-changes.ts';
import { sessionCounters, stateDirectory } from './nonces.ts';
import { placesOf, portOf, type SiteOptions, socketFor, textOf } from './site-options.ts';
import { entryCount } from './refused-entries.ts';
import { writeCommissioned } from './write-meters.ts';
import { clearProgress, note, progress, screenWidth } from './terminal.ts';
import { answerTo } from './question.ts';
import { indented } from '../status/layout.ts';

export interface CommissionOptions extends SiteOptions, EntryOptions {
  readonly list?: string;
  /** What `scan --json` printed. */
  readonly scan?: string;
  readonly line?: string;
  readonly baud?: string;
  readonly exchanges: string;
  readonly who?: string;
  readonly unattended?: boolean;
  readonly again?: boolean;
  /** Also who refused us several times. */
  readonly force?: boolean;
  readonly socket?: string;
  /** False with --no-write. */
  readonly write?: boolean;
  readonly json?: boolean;
}
export interface CommissionHands {
  readonly clock: Clock;
  readonly print: (line: string) => void;
  readonly signal: AbortSignal;
  /** Whether the kernel says that the time of day is right. */
  readonly gatewayClock: () => IdentityStep['gatewayClock'];
  readonly door: (stateDirectory: string) => string;
}

interface PortValue {
  readonly name?: unknown;
  readonly meter?: readonly { readonly id?: unknown; readonly serial?: unknown }[];
}
const metersOf = (text: string): { readonly id: string; readonly serial: string }[] =>
  ((readToml(text).value['port'] ?? []) as PortValue[]).flatMap(({ meter = [] }) =>
    meter.map(({ id, serial }) => ({ id: String(id), serial: String(serial) })),
  );

interface Listed {
  readonly entries: readonly WorkListEntry[];
  readonly places: readonly ScannedEntry[];
}
/** Of a work list, or of a scan of one. */
function listedMeters({ list, scan }: CommissionOptions, models: ReadonlyMap<string, MeterModel>): Listed {
  if (scan !== undefined) {
    if (list !== undefined) bad('--scan goes without --list: the rows of its list are in it');
    const places = scannedEntries(Buffer.from(readBytes(scan)).toString('utf8'), scan);
    return { entries: places.map(({ entry }) => entry), places };
  }
  if (list === undefined) return { entries: [], places: [] };
  const found = readWorkList(readBytes(list), { models: new Set(models.keys()), wrongPoints: 'warn' });
  const entries = requireList(list, found);
  for (const line of listLines(list, found.findings)) note(line);
  return { entries, places: [] };
}
function readBytes(file: string): Uint8Array {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new Failure('input-unreadable', messageOf(error));
  }
}

/** Everything that somebody wants to be put into service, judged before the line is touched. */
function plannedMeters(
  ids: readonly string[],
  { file, text, judge, site }: { file: string; text: string; judge: Judge; site: Pick<SiteFolder, 'read'> },
  options: CommissionOptions,
): Planned[] {
  const models = judge.models as ReadonlyMap<string, MeterModel>;
  const { entries, places } = listedMeters(options, models);
  const there = metersOf(text);
  const listed = (serial: string) => entries.find((entry) => sameSerial(entry.serial, serial));
  const ratio = (one: WorkListEntry['currentTransformer']) => (one ? `${one.primary}/${one.secondary}` : null);
  const expected = (id: string): Pick<MeterTarget, 'place' | 'currentTransformer' | 'voltageTransformer'> => {
    const entry = listed(there.find((one) => one.id === id)?.serial ?? '');
    const before = site.read(id);
    return entry
      ? {
          place: entry.place,
          currentTransformer: ratio(entry.currentTransformer),
          voltageTransformer: ratio(entry.voltageTransformer),
        }
      : {
          place: before?.place ?? null,
          currentTransformer: before?.currentTransformer ?? null,
          voltageTransformer: before?.voltageTransformer ?? null,
        };
  };
  const isThere = (serial: string) => there.find((one) => sameSerial(one.serial, serial));
  const named =
    ids.length > 0
      ? ids
      : entries.length > 0
        ? entries.flatMap(({ serial }) => isThere(serial)?.id ?? [])
        : there.map(({ id }) => id);
  const old = named.filter((id) => there.some((one) => one.id === id));
  const fresh = entries.filter(({ serial }) => !isThere(serial));
  const isNamed = ({ serial }: WorkListEntry) =>
    ids.length === 0 || ids.includes(serial) || ids.includes(`m-${serial}`);
  const unknown = ids.find(
    (id) => !old.includes(id) && !fresh.some((one) => id === one.serial || id === `m-${one.serial}`),
  );
  if (unknown !== undefined)
    throw new Failure(
      'unknown-meter',
      `no meter '${unknown}' in the configuration${options.list === undefined ? '; a new one stands in a work list (--list, --scan)' : ' or the work list'}`,
    );
  const chosen = fresh.filter(isNamed);
  const proposals =
    chosen.length === 0
      ? []
      : proposalsOf(text, portOf(text, options), chosen, {
          entry: entryKeysOf(options),
          like: options.like,
          periodS: options.period === undefined ? undefined : whole('--period', options.period, 300, 86_400),
          profile: options.profile,
          places,
          models,
        });
  return [
    ...(old.length === 0 ? [] : configured(text, file, judge, old, expected)),
    ...proposals.map((proposal) => proposed(text, file, judge, portOf(text, options), proposal)),
  ];
}

/** Lines of our own: each is opened when its first meter is asked, and closed at the end. */
function ownLines(clock: Clock) {
  const open = new Map<string, Port>();
  return {
    async of(device: string, baud: number, direction: Direction): Promise<Port> {
      let port = open.get(device);
      if (port?.closed || port?.connection) {
        await port.close();
        port = undefined;
      }
      if (!port) open.set(device, (port = await openPort(device, baud, clock, direction)));
      return port;
    },
    async close(): Promise<void> {
      for (const port of open.values()) await port.close();
    },
  };
}

const offlineCounters =
  (clock: Clock): TakeCounters =>
  ({ settings, counterObject, titlePinned }, port, plain) =>
    sessionCounters({
      key: settings.keys.encryption,
      pinned: titlePinned ? settings.ownTitle : undefined,
      given: undefined,
      ask: () => askCounter(port, clock, plain, counterObject),
      socket: serviceSocket,
      directory: stateDirectory(process.env),
      note,
    });

/** Asks what the display shows; an empty line leaves it out. */
function displayAsker(clock: Clock, print: (line: string) => void) {
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  const compare = async (record: MeterRecord): Promise<MeterRecord> => {
    const { registers } = record.steps;
    const displays: DisplayReading[] = [];
    clearProgress();
    for (const register of registers?.registers ?? []) {
      print(
        `${record.serial}: register ${register.obis} is ${shownAs(register)}. The display may be one of its last digit apart, and what was used meanwhile.`,
      );
      for (;;) {
        const shown = (await answerTo(lines, '  What does its display show? (nothing: left out) ')).trim();
        if (shown === '') break;
        const used = usedMeanwhile(record, register.obis);
        const result = compareDisplay(shown, register, registers?.currentTransformer ?? null, used);
        if (!result) {
          print('  Write the digits, with a comma or a point: 12345,6');
          continue;
        }
        print(`  ${result.words}`);
        displays.push({ at: iso(clock.wall()), obis: register.obis, shown, ...result });
        break;
      }
    }
    return { ...record, displays: [...record.displays, ...displays] };
  };
  return { compare, close: () => lines.close() };
}

/** Those that are good and do not stand in the file yet. */
function writeGood(
  { planned, records, judge, file, text }: CommissionRun,
  stamp: string,
  print: (line: string) => void,
): boolean {
  const good = planned.flatMap(({ proposal, target }) => {
    const record = records.find(({ meter }) => meter === target.meter);
    return proposal && record?.result === 'good' ? [{ proposal, record }] : [];
  });
  if (good.length === 0) return false;
  const backup = writeCommissioned(good, { judge, file, text }, stamp);
  print(`${good.length} meters written into ${file}; the file as it was: ${backup}`);
  return true;
}

/** Sessions over lines of our own. Who was refused before is not asked again and again. */
function ownCandidates(
  planned: readonly Planned[],
  lines: ReturnType<typeof ownLines>,
  clock: Clock,
  force: boolean,
): Candidate[] {
  const counters = offlineCounters(clock);
  const entriesOf = ({ plan, target }: Planned, address: string): EntryWatch | undefined => {
    if (target.auth === 'none' && !plan.security) return undefined;
    const who = [target.device, String(target.client), address, target.auth];
    const counted = entryCount(stateDirectory(process.env), who, () => clock.wall(), note);
    return { ...counted, check: () => counted.check(force) };
  };
  const candidateOf = (one: Planned, address: string): Candidate => {
    const { plan, port, target, unusable } = one;
    const entries = entriesOf(one, address);
    return {
      target: { ...target, address },
      unusable,
      inSession: async (work) => {
        const line = await lines.of(target.device, target.baud, port.direction);
        return inPlannedSession({ plan, clock, counters, address, entries }, line, work);
      },
    };
  };
  return planned.map(
    (one): Candidate => ({
      ...candidateOf(one, one.target.address),
      ...(one.proposal && { at: (address: string) => candidateOf(one, address) }),
    }),
  );
}

const eventPrinter =
  (json: boolean, print: (line: string) => void) =>
  (event: CommissionEvent): void => {
    if (json) return print(JSON.stringify(event));
    if (event.event === 'step')
      return progress(`  ${event.meter}: ${stepText(event.step)}`.padEnd(78).slice(0, screenWidth() - 1));
    clearProgress();
    for (const line of eventLines(event)) for (const fits of indented(line, screenWidth())) print(fits);
  };

/** The running gateway takes what was written; where there is none, or not for us, somebody does it later. */
export async function askedToReload(socket: string, print: (line: string) => void): Promise<void> {
  try {
    const { hash, warnings } = await askReload(socket);
    for (const warning of warnings) note(warning);
    print(`the gateway has it: configuration ${hash} is in force`);
  } catch (error) {
    if (error instanceof Failure && error.code !== 'no-gateway') note(error.message);
    print('next: meter-gateway reload, as soon as the gateway runs');
  }
}

/** Whoever runs on the line already does it, and polls meanwhile. */
async function gatewayRuns(socket: string): Promise<boolean> {
  try {
    await askStatus(socket);
    return true;
  } catch (error) {
    if (error instanceof Failure && error.code === 'no-gateway') return false;
    throw error;
  }
}

async function atDesk(
  socket: string,
  planned: readonly Planned[],
  options: CommissionOptions,
  hands: CommissionHands,
): Promise<CommissionSummary> {
  const { signal, print } = hands;
  const expectedOf = ({ place, currentTransformer, voltageTransformer }: MeterTarget) => ({
    place,
    currentTransformer,
    voltageTransformer,
  });
  const old = planned.filter(({ proposal }) => !proposal);
  const events = askCommission(socket, {
    meters: old.map(({ target }) => target.meter),
    expected: old.map(({ target }) => ({ meter: target.meter, ...expectedOf(target) })),
    proposals: planned.flatMap(({ proposal, target }) => (proposal ? [{ port: target.port, ...proposal }] : [])),
    exchanges: whole('--exchanges', options.exchanges, 1, 1000),
    again: options.again === true,
    ...(options.who !== undefined && { who: options.who }),
  });
  const emit = eventPrinter(options.json === true, print);
  const records: MeterRecord[] = [];
  for await (const event of events) {
    emit(event);
    if (event.event === 'result') records.push(event.record);
    if (signal.aborted) throw new Failure('busy', 'stopped');
  }
  const good = records.filter(({ result }) => result === 'good').length;
  return { records, good, failed: records.length - good };
}

interface Site {
  readonly judge: Judge;
  readonly text: string;
  readonly site: SiteFolder;
}
async function onOwnLine(
  planned: readonly Planned[],
  { judge, text, site }: Site,
  options: CommissionOptions,
  hands: CommissionHands,
): Promise<CommissionSummary> {
  const { clock, print, signal } = hands;
  const models = judge.models ?? new Map<string, MeterModel>();
  const gateway = (readToml(text).value['gateway'] ?? {}) as Readonly<Record<string, unknown>>;
  const assumes = gateway['clock_trust'] === 'assume';
  const lines = ownLines(clock);
  const guided = options.unattended !== true && options.json !== true && process.stdin.isTTY;
  const asker = guided ? displayAsker(clock, print) : undefined;
  try {
    return await commission(ownCandidates(planned, lines, clock, options.force === true), {
      clock,
      models,
      zone: typeof gateway['time_zone'] === 'string' ? gateway['time_zone'] : 'UTC',
      detects: new Set([...models.values()].filter(({ detect }) => detect !== undefined).map(({ name }) => name)),
      gatewayClock: () => (assumes ? 'trusted' : hands.gatewayClock()),
      site,
      who: options.who ?? null,
      exchanges: whole('--exchanges', options.exchanges, 1, 1000),
      again: options.again === true,
      signal,
      emit: eventPrinter(options.json === true, print),
      ...(asker && { compare: asker.compare }),
    });
  } finally {
    asker?.close();
    await lines.close();
  }
}

export interface CommissionRun extends CommissionSummary {
  readonly planned: readonly Planned[];
  readonly judge: Judge;
  /** The configuration as it was read. */
  readonly file: string;
  readonly text: string;
}
/** Through the gateway where one runs, else over lines of our own. Writes records, and nothing into the configuration. */
export async function runCommission(
  ids: readonly string[],
  options: CommissionOptions,
  hands: CommissionHands,
): Promise<CommissionRun> {
  const { file, site: folder } = placesOf(options);
  const socket = options.site === undefined ? socketFor(options) : undefined;
  const runs = socket !== undefined && (await gatewayRuns(socket));
  // The records of a running gateway are its own.
  const site = runs ? noSite : siteFolder(folder);
  const judge = judgeOf(hands.door);
  const text = textOf(file);
  const planned = plannedMeters(ids, { file, text, judge, site }, options);
  if (planned.length === 0) bad('nobody to commission: name meters, or a work list (--list)');
  const summary = runs
    ? await atDesk(socket, planned, options, hands)
    : await onOwnLine(planned, { judge, text, site: siteFolder(folder) }, options, hands);
  return { ...summary, planned, judge, file, text };
}

export async function commissionMeters(
  ids: readonly string[],
  options: CommissionOptions,
  hands: CommissionHands,
): Promise<number> {
  const { clock, print, signal } = hands;
  let run: CommissionRun;
  try {
    run = await runCommission(ids, options, hands);
  } catch (error) {
    if (!signal.aborted) throw error;
    note('stopped; the same command goes on where it was');
    return 1;
  }
  if (options.write !== false) {
    const stamp = iso(clock.wall()).slice(0, 10) + (options.who === undefined ? '' : ` by ${options.who}`);
    const tell = options.json ? note : print;
    if (writeGood(run, stamp, tell)) await askedToReload(socketFor(options), tell);
  }
  return run.failed > 0 ? 4 : 0;
}
const noSite: Pick<SiteFolder, 'read'> = { read: () => undefined };
