/** The event logs of a meter: new entries become facts, each once, whatever the meter can select (R27). */
import { CodecError, Failure, messageOf } from '../base/errors.ts';
import { dayMs, iso, later, type Millis, millis } from '../base/time.ts';
import type { StampDoubt } from '../dlms/cosem/date-time.ts';
import { obis, type LogicalName, parseLogicalName } from '../dlms/cosem/logical-name.ts';
import { sameSerial } from '../meter/identity.ts';
import { countLog, type LogWay, readLog } from '../meter/event-log.ts';
import { stampReading } from '../meter/stamp-reading.ts';
import { isRefusal, refusedBy, type Session } from '../meter/session.ts';
import type { EventFact } from '../reading/facts.ts';
import { aheadMs, cursorOf, logIntake, type LogOutcome, type StoredLogCursor } from '../reading/log-ledger.ts';
import { type LogReader, logReader } from '../reading/log-reader.ts';
import { darkSpans, eventName, isPowerEvent, lastPowerOf, type LogEntry } from '../reading/meter-event.ts';
import type { MeterLogs } from '../store/records.ts';
import { readWindow } from './log-window.ts';
import type { MeterState, PortContext } from './meter-state.ts';
import { gatewayEvent } from './gateway-event.ts';
import { stand } from './standing-alarms.ts';

/** How far back a log is read that was never read, or that may have been written before its cursor. */
const firstLogDays = 60;
const logDays = 9;
const logOverlapMs = 2 * 3_600_000;
/** Adjustments of the clock that wait for their rows, at most. */
const maxAdjusted = 100;
/** Codes of the standard event log. */
const clockAdjustedOld = 4;
const clockAdjustedNew = 5;
/** A log that cannot select by stamps and has more entries than this is read from its newest entry back, so many at a time. */
const entriesStep = 200;
/** Power events that spans without power are looked for in. */
const maxPowerEvents = 1000;
/** A far bound for a reading that also looks for entries of the future. */
const farAhead = millis(Date.UTC(2199, 11, 31));

/** The first that the meter does not refuse. */
const ways: readonly LogWay[] = ['range', 'entries', 'whole'];

interface LogRead {
  readonly outcome: LogOutcome;
  readonly power: readonly LogEntry[];
  readonly complete: boolean;
  /** Entries without a stamp that names an instant, or without a code, and why. */
  readonly unreadable: number;
  readonly why: string | undefined;
}

const refusal = (error: unknown): boolean =>
  isRefusal(error) || (error instanceof Failure && error.code === 'service-exception');

/** One reading of one log. */
interface LogRequest {
  readonly port: PortContext;
  readonly state: MeterState;
  readonly session: Session;
  readonly log: LogicalName;
  readonly before: MeterLogs;
  /** Some days before the cursor are read as well: a clock that was set back writes there. */
  readonly deep: boolean;
}

/** Undefined where the meter does not have the log. */
async function read(request: LogRequest): Promise<LogRead | undefined> {
  const { state, log, before, deep, port } = request;
  const known = cursorOf(before.cursors[log], port.clock.wall()).upTo > 0;
  const first = state.logWays.get(log) ?? 'range';
  for (const way of ways.slice(ways.indexOf(first))) {
    // All that there is: nothing would be left out by asking for the newest entries only.
    if (way === 'entries' && (!known || deep)) continue;
    const found = await readBy(way, request);
    if (found === 'refused') continue;
    // A reading far back goes past a way that the others take.
    if (way !== first && !deep) state.logWays.set(log, way);
    return found;
  }
  return undefined;
}

async function readBy(way: LogWay, request: LogRequest): Promise<LogRead | 'refused'> {
  const { port, state, session, log, before, deep } = request;
  const { model } = state;
  const wall = port.clock.wall();
  const cursor = cursorOf(before.cursors[log], wall);
  const intake = logIntake(cursor, wall);
  const power = powerIntake(cursor.floor, wall);
  const take = (at: number, code: number, doubt: StampDoubt | null): void => {
    // On the shelf and in the workshop it was without power as well: that is nothing of this point.
    if (at < (before.installedAt ?? Number.MIN_SAFE_INTEGER)) return;
    power.take(at, code, doubt);
    intake.take(at, code, doubt);
  };
  const readings: LogReader[] = [];
  const reader = (): LogReader => {
    const one = logReader(stampReading(model), take);
    readings.push(one);
    return one;
  };
  let outcome: Pick<RangeOutcome, 'refused' | 'part'> = { refused: false, part: false };
  try {
    if (way === 'range') outcome = await readByRange(request, cursor.upTo, reader);
    else if (way === 'entries') await readBack(session, state, log, reader, () => intake.progress);
    else await readLog(session, model, log, undefined, reader());
  } catch (error) {
    const empty = model.refusal_when_empty;
    if (way === 'range' && empty !== undefined && refusedBy(error) === empty && !deep)
      outcome = { refused: true, part: false };
    else if (refusal(error)) return 'refused';
    else if (!(error instanceof CodecError)) throw error;
    else
      port.log.info(
        { meter: state.polled.origin.meter, log: obis(log), error: messageOf(error) },
        'a log does not read to its end',
      );
  }
  const finished = intake.finish(way === 'range');
  return {
    outcome: outcome.part ? { ...finished, more: true } : finished,
    power: power.entries(),
    complete: outcome.refused || readings.every(({ complete }) => complete),
    unreadable: readings.reduce((sum, one) => sum + one.unreadable, 0),
    why: readings.find((one) => one.why !== undefined)?.why,
  };
}

interface RangeOutcome {
  /** Whether it was refused in the way in which the model says that an empty range is refused. */
  readonly refused: boolean;
  /** The line brings a part of it at a time, and this was not the last. */
  readonly part: boolean;
}
async function readByRange(
  { port, state, session, log, deep }: LogRequest,
  upTo: number,
  reader: () => LogReader,
): Promise<RangeOutcome> {
  const { clock } = port;
  const wall = clock.wall();
  const from = millis(upTo > 0 ? upTo - (deep ? logDays * dayMs : logOverlapMs) : wall - firstLogDays * dayMs);
  const window = async (to: Millis): Promise<RangeOutcome> => {
    const range = { from, to };
    const one = (part: typeof range) => readLog(session, state.model, log, part, reader());
    return { refused: false, part: !(await readWindow(state.logWindows, log, range, clock, one)) };
  };
  if (!deep) return window(later(wall, dayMs));
  try {
    return await window(farAhead);
  } catch (error) {
    if (!refusal(error)) throw error;
    // It may be the far bound that it does not take.
    return window(later(wall, dayMs));
  }
}

/** The newest power events of a log; `floor`: entries up to there were read before. */
function powerIntake(floor: number, wall: Millis) {
  let found: LogEntry[] = [];
  return {
    take(at: number, code: number, doubt: StampDoubt | null): void {
      if (!isPowerEvent(code) || at <= floor || at > wall + aheadMs) return;
      found.push({ at, code, occurrence: 0, ...(doubt && { doubt }) });
      if (found.length >= 2 * maxPowerEvents) found = found.toSorted((a, b) => a.at - b.at).slice(-maxPowerEvents);
    },
    entries: (): readonly LogEntry[] => found.toSorted((a, b) => a.at - b.at),
  };
}

/** Reads from the newest entry back, until a step has nothing new. */
async function readBack(
  session: Session,
  state: MeterState,
  log: LogicalName,
  reader: () => LogReader,
  progress: () => { readonly fresh: number; readonly full: boolean },
): Promise<void> {
  const { count, descending } = await countLog(session, log);
  if (count === undefined || count <= entriesStep) {
    await readLog(session, state.model, log, undefined, reader());
    return;
  }
  for (let near = 1; near <= count; near += entriesStep) {
    const far = Math.min(count, near + entriesStep - 1);
    const [first, last] = descending ? [near, far] : [count + 1 - far, count + 1 - near];
    const before = progress().fresh;
    await readLog(session, state.model, log, { first, last }, reader());
    const { fresh, full } = progress();
    if (fresh === before || full) return;
  }
}

/** Entries that name no instant are an alarm until the log was read far back without one. Returns whether its event is due. */
function withoutStamp(state: MeterState, log: LogicalName, read: LogRead, deep: boolean, now: Millis): boolean {
  const { unreadable, why } = read;
  if (unreadable === 0 && !deep) return false;
  const text = `LOG_ENTRIES_UNUSABLE: ${obis(log)} has ${unreadable} entries that cannot be forwarded (${why}); next: look at the meter's clock and the entries with read`;
  return stand(state.rowAlarms, `log ${log}`, unreadable === 0 ? undefined : text, now);
}

/** What came out of the logs in one visit. */
interface Forwarded {
  readonly events: EventFact[];
  /** Stamps around which the clock was adjusted. */
  readonly adjusted: number[];
  readonly cursors: Record<string, StoredLogCursor>;
  dark: MeterLogs['dark'];
  lastPower: MeterLogs['lastPower'];
  /** Something is left for another reading. */
  more: boolean;
}

/** New entries of the logs are to be said with the next commit, and the cursors are stored with them. */
export async function forwardLogs(port: PortContext, state: MeterState, session: Session): Promise<void> {
  const { clock, store } = port;
  const before = logsOf(port, state);
  const deep = clock.now() >= state.logsDeepAt;
  // What was refused a day ago is asked for once more.
  if (deep) state.logWays.clear();
  const { dark, lastPower } = before;
  const forwarded: Forwarded = {
    events: [],
    adjusted: [],
    cursors: { ...before.cursors },
    dark,
    lastPower,
    more: false,
  };
  const broken = await forwardEach({ port, state, session, before, deep }, forwarded);
  // What is left is found by another reading far back.
  if (forwarded.more) state.logsDeepAt = clock.now();
  else if (deep) {
    state.logsDeepAt = later(clock.now(), dayMs);
    state.logsReported.clear();
  }
  const { events, adjusted, cursors } = forwarded;
  const changed = events.length > 0 || forwarded.dark.length !== before.dark.length;
  if (changed || before.serial !== store.meterLogs(state.polled.origin.meter).serial)
    state.logs = {
      ...before,
      cursors,
      dark: forwarded.dark,
      lastPower: forwarded.lastPower,
      adjusted: [...(before.adjusted ?? []), ...adjusted].slice(-maxAdjusted),
    };
  for (const event of events) state.pendingEvents.push(event);
  if (broken) throw broken;
}

/** Log by log; returns what ended the session. */
async function forwardEach(request: Omit<LogRequest, 'log'>, forwarded: Forwarded): Promise<Failure | undefined> {
  const { state, session } = request;
  for (const log of state.model.event_logs.map(parseLogicalName)) {
    if (state.lacks.has(log)) continue;
    try {
      const found = await read({ ...request, log });
      if (found) forward({ ...request, log }, found, forwarded);
      else state.lacks.add(log);
      state.troubles.delete(`log ${obis(log)}`);
    } catch (error) {
      // A log that cannot be read is its own trouble: the others are read, and what was read of them is kept.
      if (!(error instanceof Failure)) throw error;
      state.troubles.set(`log ${obis(log)}`, error);
      if (!session.associated) return error;
    }
  }
  return undefined;
}

function forward({ port, state, log, deep }: LogRequest, found: LogRead, forwarded: Forwarded): void {
  const { origin } = state.polled;
  const readAt = port.clock.wall();
  const { fresh, cursor, ignored, more } = found.outcome;
  forwarded.more ||= more;
  if (ignored > 0 && !state.logsReported.has(log)) {
    state.logsReported.add(log);
    forwarded.events.push(gatewayEvent(port, state, 'LOG_TOO_LONG', { log: obis(log), ignored }));
  }
  if (withoutStamp(state, log, found, deep, readAt)) {
    const detail = { log: obis(log), entries: found.unreadable, why: found.why ?? null };
    forwarded.events.push(gatewayEvent(port, state, 'LOG_ENTRIES_UNUSABLE', detail));
  }
  forwarded.dark = darkSpans(forwarded.dark, found.power);
  if (fresh.length === 0) return;
  const past = fresh.filter(({ at }) => at <= readAt + aheadMs);
  forwarded.lastPower = lastPowerOf(past) ?? forwarded.lastPower;
  forwarded.cursors[log] = cursor;
  for (const { at, code, occurrence, doubt } of fresh) {
    // A clock that was set back writes rows again under stamps that were read already (R05, R11).
    if (code === clockAdjustedOld || code === clockAdjustedNew) forwarded.adjusted.push(at);
    forwarded.events.push({
      kind: 'event',
      ...origin,
      source: 'meter',
      log: obis(log),
      code,
      name: eventName(state.model.companion, code),
      at: iso(millis(at)),
      occurrence,
      detail: doubt ? { clockSays: doubt } : null,
      readAt: iso(readAt),
    });
  }
}

/** The logs as they were forwarded so far; those of a meter that replaced another begin when it did. */
export function logsOf(port: Pick<PortContext, 'clock' | 'store'>, state: MeterState): MeterLogs {
  const { clock, store } = port;
  const { origin, swap, series: polled } = state.polled;
  const known = state.logs ?? store.meterLogs(origin.meter);
  const series = polled.map((one) => store.seriesState(origin.meter, one.series));
  const before = known.serial ?? series.find((one) => one?.serial !== undefined)?.serial ?? swap?.from;
  const serial = before ?? origin.serial;
  if (sameSerial(serial, origin.serial)) {
    // Where nothing is known of its logs any more, the series or the configuration knows since when it hangs here.
    const change = known.serial === undefined ? (series.find((one) => one?.swap)?.swap ?? swap) : undefined;
    return { ...known, serial, ...(change && { installedAt: change.at }) };
  }
  const newest = Math.max(...series.map((one) => one?.newest?.end ?? 0));
  const installedAt = swap && sameSerial(swap.from, serial) ? swap.at : newest || clock.wall();
  return { ...known, cursors: {}, lastPower: undefined, serial: origin.serial, installedAt };
}
