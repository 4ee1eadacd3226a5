/** Registers, clock and switch as the display shows them: once a day beside the series, and when somebody asks (R39). */
import { Failure } from '../base/errors.ts';
import { dayMs, iso, type Millis } from '../base/time.ts';
import { obis } from '../dlms/cosem/logical-name.ts';
import { unitName } from '../dlms/cosem/unit.ts';
import { readRegisters } from '../meter/registers.ts';
import type { Session } from '../meter/session.ts';
import { type Fact, integerJson, type ReadingFact } from '../reading/facts.ts';
import type { MeterState, PortContext } from './meter-state.ts';
import { optional } from './optional.ts';
import { layoutOf, type SeriesContext } from './series-context.ts';

/** Registers are delivered with the first poll or push of each day. */
const readingEveryMs = dayMs;
export const readingIsDue = ({ clock }: Pick<PortContext, 'clock'>, { readingAt }: MeterState): boolean =>
  readingAt === undefined || clock.now() - readingAt >= readingEveryMs;

/** Registers and clock, once a day: what the display shows, beside the series. */
export async function dailyReading(poll: SeriesContext, readAt: Millis): Promise<Fact | undefined> {
  if (!readingIsDue(poll.port, poll.state)) return undefined;
  let reading: Fact | undefined;
  await optional(poll.port, poll.state, poll.session, 'registers', async () => {
    // Tomorrow again, where they cannot be read.
    poll.state.readingAt = poll.port.clock.now();
    reading = await readingNow(poll, readAt);
  });
  return reading;
}

async function readingNow(
  { port, state, session, layout }: Omit<SeriesContext, 'settings'>,
  readAt: Millis,
): Promise<ReadingFact> {
  const registers = await readRegisters(session, layout);
  state.readingAt = port.clock.now();
  const disconnector = state.identity?.disconnector;
  const deviation = state.identity?.clockDeviationMs;
  return {
    kind: 'reading',
    ...state.polled.origin,
    readAt: iso(readAt),
    registers: Object.fromEntries(
      [...registers].map(([name, raw]) => {
        const scalerUnit = layout.scalers.get(name);
        return [
          obis(name),
          {
            raw: integerJson(raw),
            scaler: scalerUnit?.scaler ?? null,
            unit: scalerUnit ? unitName(scalerUnit.unit) : null,
          },
        ];
      }),
    ),
    clockDeviationS: deviation === undefined ? null : Math.round(deviation / 100) / 10,
    ...(disconnector && { disconnector }),
  };
}

/** Answers those who wait for this meter. */
export async function answerReadRequests(port: PortContext, state: MeterState, session: Session): Promise<void> {
  const [profile] = state.polled.series;
  if (!profile) return;
  const what = 'registers';
  let fact: ReadingFact | undefined;
  await optional(port, state, session, what, async () => {
    const layout = await layoutOf(port, state, session, profile.profile);
    fact = await readingNow({ port, state, session, layout }, port.clock.wall());
  });
  if (!fact) {
    const why = state.troubles.get(what) ?? new Failure('link-disconnected', 'the session ended before');
    for (const { reject } of state.readRequests.splice(0)) reject(why);
    return;
  }
  const reading = fact;
  await port.store.commit({ meter: state.polled.origin.meter, entryClass: 0, facts: [reading] });
  for (const { resolve } of state.readRequests.splice(0)) resolve(reading);
}

/** Events that no slice took along are stored on their own. */
export async function flushEvents({ store }: PortContext, state: MeterState): Promise<void> {
  const { pendingEvents, logs } = state;
  if (pendingEvents.length === 0 && !logs) return;
  const facts = pendingEvents.slice();
  await store.commit({ meter: state.polled.origin.meter, entryClass: 0, facts, ...(logs && { logs }) });
  state.pendingEvents = state.pendingEvents.slice(facts.length);
  state.logs = undefined;
}
