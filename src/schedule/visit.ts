/** A visit: one session with one meter, step by step, and what becomes of the meter by it. Nothing is thrown but our own bugs. */
import { Failure, isOfStore, messageOf } from '../base/errors.ts';
import type { Millis } from '../base/time.ts';
import type { Port } from '../line/port.ts';
import { forgetOld, withFallbacks } from '../meter/fallbacks.ts';
import { requireIdentity, serverText } from '../meter/identity.ts';
import { type Identity, identify } from '../meter/identity-reading.ts';
import { detectModel, type MeterModel } from '../meter/model.ts';
import type { MeterAccess } from '../meter/access.ts';
import { Session } from '../meter/session.ts';
import { readAdjusted } from './adjusted-rows.ts';
import { compareRatios } from './commissioned.ts';
import { type CipheredEntry, cipheredEntry, tellSecurity } from './counter-lease.ts';
import { sumDays } from './day-sums.ts';
import { turnShareMs } from './line-load.ts';
import { changeKeys, securityInUse, settleKeys } from './key-change.ts';
import { keepClock, setOrderedClock } from './meter-clock.ts';
import { rememberPeer } from './meter-memory.ts';
import type { MeterState, PortContext } from './meter-state.ts';
import { tellUnreadable } from './object-alarms.ts';
import { optional } from './optional.ts';
import { changePeriods } from './period-change.ts';
import { backOffMs, type PlannedSlice } from './plan.ts';
import { recheckDone } from './planned-meter.ts';
import { answerReadRequests, flushEvents } from './registers.ts';
import { entryOf, letIn, refused } from './refusals.ts';
import { readSlice } from './series.ts';
import { amendSwap } from './swap-amendment.ts';
import { gatewayStops, isRequested, rejectRequests, serveSessions } from './session-request.ts';
import { readRows } from './whole-profile.ts';
import { visitOutcome } from './visit-outcome.ts';
import { learned, learnFromIdentity, logsComeLast, readLogs } from './ways-around.ts';

export interface VisitRequest {
  readonly port: Port;
  readonly slices: readonly PlannedSlice[];
  readonly signal: AbortSignal;
  /** Somebody waits for another meter of this line. */
  readonly othersWait: () => boolean;
  /** Another meter answers than the configured one. */
  readonly holdBack: (session: Session) => Promise<void>;
}
/** Rows are read for so long in a visit while somebody waits. */
const requestedShareMs = 20_000;
/** Repeats more, on a line that damages long frames, and how short those are. */
const moreRetries = 6;
const shortInfo = 64;
const loggedEvery = 20;

/** Resolves to how long silent meters do not get the line; undefined where that does not change. */
export async function visit(port: PortContext, state: MeterState, request: VisitRequest): Promise<number | undefined> {
  const { clock, owner } = port;
  const { signal, port: opened } = request;
  const security = securityInUse(state);
  const keysInDoubt = state.memory?.keyChange !== undefined;
  forgetOld(state.fallbacks, clock.wall());
  const access = { ...state.polled.access, model: withFallbacks(state.model, state.fallbacks) };
  const started = clock.now();
  state.lastTurn = started;
  state.visitAt = undefined;
  const adapted = adaptedAccess(state, access);
  let session = new Session(opened, clock, adapted);
  const suspected = new Set(state.fallbacks.suspected.keys());
  let failure: Failure | undefined;
  let entry: CipheredEntry | undefined;
  try {
    if (security) {
      entry = await cipheredEntry(port, state, security, opened, adapted);
      session = new Session(await owner.again(opened), clock, { ...adapted, ciphering: entry.ciphering });
    }
    await session.connect();
    await entry?.authenticated();
    await letIn(port, state);
    state.identity = await identified(port, state, session);
    await entry?.authenticated();
    await requireRightMeter(state, session, request);
    await readAll(port, state, session, request, started);
  } catch (error) {
    failure = asFailure(error);
  }
  // A line that we closed ourselves, to stop, is nobody's fault.
  if (failure) rejectRequests(state, signal.aborted ? gatewayStops() : failure);
  const overBefore = !session.associated;
  if (!signal.aborted || !failure) await session.close();
  if (security && entry && session.entered) {
    await rememberPeer(port, state, security, entry.peer);
    if (keysInDoubt) await settleKeys(port, state, security);
  }
  const secured = security !== undefined;
  const shown = failure ? entryOf(failure, session, { auth: access.auth, secured, serial: access.timed }) : 'none';
  // A refusal counts although the house is being stopped: a reload is no further try.
  if (signal.aborted && failure && shown !== 'refused') return undefined;
  await owner.report({ heard: session.heard, lost: session.lost, failed: failure !== undefined || overBefore });
  const anotherWay = await learned(port, state, session, failure, suspected);
  return conclude(port, state, session, { failure, entry: shown, secured, anotherWay, spentSince: started });
}

/** A meter that was silent last time gets one short probe; a line that damages long frames gets short ones. */
function adaptedAccess(state: MeterState, access: MeterAccess): MeterAccess {
  const { degradedLine, fallbacks } = state;
  const wasSilent = state.failures > 0 && state.lastError?.code === 'no-answer';
  return {
    ...access,
    retries: degradedLine ? access.retries + moreRetries : wasSilent ? 0 : access.retries,
    model: degradedLine ? { ...access.model, max_info: shortInfo, window: 1 } : access.model,
    fallbacks,
  };
}

async function requireRightMeter(state: MeterState, session: Session, { holdBack }: VisitRequest): Promise<void> {
  try {
    const { origin, access } = state.polled;
    const model = namedModel(state) ?? state.model;
    if (state.identity) requireIdentity(state.identity, origin.serial, model, serverText(access));
  } catch (error) {
    if (error instanceof Failure && error.code === 'identity-mismatch') await holdBack(session);
    throw error;
  }
}

/** The right meter let us in: everything that is to be read in this visit, the rows first. */
async function readAll(
  port: PortContext,
  state: MeterState,
  session: Session,
  { slices, signal, othersWait }: VisitRequest,
  started: Millis,
): Promise<void> {
  const { clock } = port;
  detect(port, state);
  tellUnreadable(port, state);
  await amendSwap(port, state);
  const logsLast = logsComeLast(state);
  if (!logsLast) await readLogs(port, state, session);
  const also = (what: string, work: () => Promise<void>) => optional(port, state, session, what, work);
  await also('transformer ratios', () => compareRatios(port, state, session));
  await also('change of the capture period', () => changePeriods(port, state, session));
  const readingSince = clock.now();
  for (const slice of slices) {
    // Back-fill makes way for somebody who waits; on a slow line the others get their turn.
    const others = othersWait();
    const shareMs = others || isRequested(state) ? requestedShareMs : turnShareMs;
    const spent = clock.now() - readingSince > shareMs;
    if (signal.aborted || spent || (others && !slice.live)) break;
    // Something beside the rows ended the association: what was read is stored, the rest is for the next session.
    if (!session.associated) break;
    await readSlice(port, state, session, slice);
  }
  if (state.readRequests.length > 0) await answerReadRequests(port, state, session);
  await serveSessions(state, {
    session,
    access: state.polled.access,
    clock,
    readRows: () => readRows(port, state, session),
    setClock: (begin) => setOrderedClock(port, state, session, begin),
    changeKeys: (keys, begin) => changeKeys(port, state, session, keys, begin),
  });
  await also('rows around adjustments of the clock', () => readAdjusted(port, state, session));
  if (!signal.aborted) await also('sums of days', () => sumDays(port, state, session));
  recheckDone(port, state, started);
  if (!signal.aborted) await also('clock', () => keepClock(port, state, session));
  if (logsLast && !signal.aborted) await readLogs(port, state, session);
  await flushEvents(port, state);
}

interface Concluded {
  readonly failure: Failure | undefined;
  readonly entry: 'refused' | 'silent' | 'none';
  readonly secured: boolean;
  readonly anotherWay: boolean;
  readonly spentSince: Millis;
}
/** How the meter stands from now on (visit-outcome.ts), stored where that outlives a start, and logged. */
async function conclude(
  port: PortContext,
  state: MeterState,
  { heard, stack }: Session,
  { failure, entry, spentSince, ...rest }: Concluded,
): Promise<number | undefined> {
  const { clock, log } = port;
  const { meter } = state.polled.origin;
  const refusal = failure
    ? await refused(port, state, failure, entry, heard).catch((error: unknown) => {
        log.error({ meter, error: messageOf(error) }, 'a refusal could not be stored');
        return { pauseMs: entry === 'refused' ? backOffMs(state.failures + 1, true) : undefined, lastError: failure };
      })
    : undefined;
  const now = clock.now();
  const { health, linePauseMs } = visitOutcome(
    state,
    {
      ...rest,
      failure,
      lastError: refusal?.lastError,
      entry,
      heard,
      damaged: stack.counters.damaged,
      repeated: stack.counters.repeated,
      refusalMs: refusal?.pauseMs,
      spentMs: now - spentSince,
    },
    now,
    clock.wall(),
  );
  const failedBefore = state.failures > 0;
  Object.assign(state, health);
  if (!failure) {
    if (failedBefore) log.info({ port: port.name, meter }, 'meter answers again');
  } else if (isOfStore(failure.code)) {
    log.error({ error: failure.message }, 'the store does not take what was read');
  } else {
    await tellSecurity(port, state, failure);
    const { code, fault, nextStep: next } = failure;
    const { failures } = state;
    if (failures === 1 || failures % loggedEvery === 0)
      log.warn({ port: port.name, meter, code, fault, failures, next }, failure.message);
  }
  return linePauseMs;
}

async function identified(port: PortContext, state: MeterState, session: Session): Promise<Identity> {
  const bare = state.fallbacks.held.has('bare-identity');
  const model = bare ? { ...state.model, change_counter: undefined } : state.model;
  try {
    return await identify(session, port.clock, model, state.hasDisconnector && !bare);
  } catch (error) {
    if (error instanceof Failure) learnFromIdentity(state, error, port.clock.wall());
    throw error;
  }
}

/** The model that the meter's name tells, where it is to be found out. */
function namedModel({ polled: { detectFrom }, identity }: MeterState): MeterModel | undefined {
  const name = identity?.logicalDeviceName;
  return detectFrom && name !== undefined ? detectModel(detectFrom, name) : undefined;
}

/** From the next session on the link runs as the model wants it; stamps are read so at once. */
function detect({ log }: PortContext, state: MeterState): void {
  const found = namedModel(state);
  if (!found || found === state.model) return;
  const name = state.identity?.logicalDeviceName;
  log.info({ meter: state.polled.origin.meter, logicalDeviceName: name, model: found.name }, 'meter model detected');
  state.model = found;
  state.layouts.clear();
}

export function asFailure(error: unknown): Failure {
  if (error instanceof Failure) return error;
  // RangeError and the like are our bugs: they must be seen, not hidden behind a meter's name.
  throw error;
}
