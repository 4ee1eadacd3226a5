/** The planned listeners, and who may push on them: the meters that are polled, and those that only push. */
import { type Failure, messageOf } from './base/errors.ts';
import { toHex } from './base/hex.ts';
import { type Millis, millis } from './base/time.ts';
import type { MeterPlan } from './config/resolve-meter.ts';
import type { GatewayPlan } from './config/resolve.ts';
import type { Known, World } from './house.ts';
import { polledMeter } from './lines.ts';
import { Hearing } from './listen/hearing.ts';
import { Listener } from './listen/listener.ts';
import type { Sender } from './listen/senders.ts';
import { pushScalers } from './meter/model.ts';
import type { KnownScalers } from './reading/pushed-list.ts';
import { alarmFact } from './reading/pushed-meaning.ts';
import { securityInUse } from './schedule/key-change.ts';
import type { ClockTrust, MeterState } from './schedule/meter-state.ts';
import type { ReportedListener, ReportedPort } from './status/reports.ts';

interface ListenContext {
  readonly clockTrust: () => ClockTrust;
  readonly standstill: () => Failure | undefined;
  readonly known: Known | undefined;
}

/** Scalers that were read when the meter was polled, and those of its model. */
function scalersOf(state: MeterState): KnownScalers {
  const read = [...state.layouts.values()].flatMap(({ layout }) => [...layout.scalers]);
  return new Map([...pushScalers(state.model), ...read]);
}
/** The system title that is configured, or that it authenticated itself with. */
const titleOf = (state: MeterState): string | undefined => {
  const configured = securityInUse(state)?.settings.peerTitle;
  return configured ? toHex(configured) : state.memory?.title;
};
const senderOf = (state: MeterState, take: Sender['take']): Sender => ({
  state,
  title: () => titleOf(state),
  from: state.polled.pushAddress,
  security: () => securityInUse(state),
  scalers: () => scalersOf(state),
  take,
});

/** Alarms and the counter are stored at once; rows when the session of the line is over, for a poll may be reading the same ones. */
const polledSender = ({ store, clock, log }: World, { runner }: ReportedPort, state: MeterState): Sender =>
  senderOf(state, async ({ alarms, ...meaning }, pushed, proven) => {
    const { origin } = state.polled;
    const facts = alarms.map((alarm) => alarmFact(alarm, origin, clock.wall()));
    if (facts.length > 0 || pushed)
      await store.commit({ meter: origin.meter, entryClass: 0, facts, ...(pushed && { pushed }) });
    if (meaning.rows.length === 0) return;
    // What is not taken here is polled.
    runner
      .takePushed(state, { ...meaning, alarms: [], registers: undefined }, proven)
      .catch((error: unknown) =>
        log.info({ meter: origin.meter, error: messageOf(error) }, 'pushed rows are polled instead'),
      );
  });

export function openListeners(
  { listeners }: GatewayPlan,
  world: World,
  { known, ...context }: ListenContext,
  ports: readonly ReportedPort[],
): ReportedListener[] {
  const { clock, log, store, counters } = world;
  const senders: Sender[] = [];
  const hearing = new Hearing({ store, clock, log, standstill: context.standstill }, senders);
  const opened = listeners.map((plan): ReportedListener => {
    const meters = plan.meters.map((meter) => polledMeter(meter, world, beginning(meter, clock.wall())));
    const before = known?.lines.get(plan.name);
    const runner = new Listener({
      ...context,
      name: plan.name,
      device: plan.device,
      link: plan.link,
      perMinute: plan.perMinute,
      meters,
      store,
      counters,
      clock,
      log,
      clockPolicy: { set: false, setLarge: false },
      plan: { offsetMs: 0, slicesPerTurn: 1 },
      timeZone: 'UTC',
      ...(known && { known: known.meters, lineBefore: before?.runner }),
      open: () => world.listen(plan.device, plan.baud),
      hearing: () => hearing,
    });
    return { port: plan, owner: runner.owner, runner, meters, refused: () => hearing.summary(plan.name) };
  });
  for (const port of ports)
    for (const state of port.runner.known.values()) senders.push(polledSender(world, port, state));
  for (const { runner } of opened)
    for (const state of runner.known.values())
      senders.push(senderOf(state, (meaning, pushed) => runner.take(state, meaning, pushed)));
  return opened;
}
/** Of a series that nobody configured: the interval that runs now, until the first row tells. */
const beginning = ({ profiles }: MeterPlan, wall: Millis): Millis => {
  const periodMs = Math.max(...profiles.map(({ periodS }) => periodS)) * 1000;
  return millis(Math.floor(wall / periodMs) * periodMs);
};
