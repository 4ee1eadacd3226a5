/** What a meter was commissioned with, and whether it still is (R13): its layout when a series begins, its transformer ratios each day. */
import { dayMs } from '../base/time.ts';
import { integerOf } from '../dlms/axdr/data.ts';
import { obis } from '../dlms/cosem/logical-name.ts';
import { attribute, dataOf } from '../meter/attribute.ts';
import type { Session } from '../meter/session.ts';
import { gatewayEvent } from './gateway-event.ts';
import type { MeterState, PolledSeries, PortContext } from './meter-state.ts';
import { flushEvents } from './registers.ts';
import { stand } from './standing-alarms.ts';

/** The layout by which the first rows of a series are judged; the series itself knows the later ones. */
export function commissionedLayout({ polled }: MeterState, { profile, periodMs }: PolledSeries): string | undefined {
  const { commissioned, origin } = polled;
  const isOfSeries =
    commissioned?.serial === origin.serial &&
    commissioned.profile === obis(profile) &&
    commissioned.periodS * 1000 === periodMs;
  return isOfSeries ? commissioned.fingerprint : undefined;
}

/** Transformer ratios (Blue Book 7.5.1): numerator and denominator of the current, and of the voltage. */
const ratioNames = ['1.0.0.4.2.255', '1.0.0.4.5.255', '1.0.0.4.3.255', '1.0.0.4.6.255'] as const;
const key = 'transformer ratio';

/** Whoever bills multiplies, or does not: another ratio is said before any further value. */
export async function compareRatios(port: PortContext, state: MeterState, session: Session): Promise<void> {
  const { commissioned, origin, series } = state.polled;
  const expected = [commissioned?.currentTransformer ?? null, commissioned?.voltageTransformer ?? null];
  const [first] = series;
  if (!commissioned || commissioned.serial !== origin.serial || !first || expected.every((one) => one === null)) return;
  const changes = state.identity?.changes;
  const { comparedRatios: last } = state;
  const isProven = last !== undefined && changes !== undefined && changes === last.changes;
  const isYoung = last !== undefined && changes === undefined && port.clock.now() - last.at < dayMs;
  if (isProven || isYoung) return;
  const results = await session.get(ratioNames.map((name) => attribute(1, name, 2)));
  const values = results.map((result) => {
    const data = dataOf(result);
    return data && integerOf(data);
  });
  const ratio = (i: number): string | null => (values[i] === undefined ? null : `${values[i]}/${values[i + 1] ?? 1n}`);
  const now = [ratio(0), ratio(2)];
  state.comparedRatios = { at: port.clock.now(), changes };
  const words = (of: readonly (string | null)[]) => `CT ${of[0] ?? 'none'}, VT ${of[1] ?? 'none'}`;
  const differs = expected.some((one, i) => one !== null && one !== now[i]);
  const text = differs
    ? `CONFIG_CHANGED: the transformer ratios are ${words(now)}, commissioned was ${words(expected)}: nothing is to be billed by the old factor; next: read the plate of the transformers, then meter-gateway commission ${origin.meter} --again`
    : undefined;
  if (!stand(state.rowAlarms, key, text, port.clock.wall())) return;
  state.pendingEvents.push(
    gatewayEvent(port, state, 'CONFIG_CHANGED', {
      series: obis(first.profile),
      columns: ratioNames.map(obis).join(' '),
      before: words(expected),
      now: words(now),
    }),
  );
  await flushEvents(port, state);
}
