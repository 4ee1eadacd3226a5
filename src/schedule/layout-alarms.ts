/** What a profile captures and nobody gets: scalers that the meter does not tell, columns that are no numbers. */
import { obis } from '../dlms/cosem/logical-name.ts';
import type { ProfileLayout } from '../meter/profile-layout.ts';
import { columnKeys, columnRoles } from '../reading/column.ts';
import type { LoadProfileRow } from '../reading/load-profile-row.ts';
import type { SeriesKey } from '../reading/series-key.ts';
import { gatewayEvent } from './gateway-event.ts';
import type { MeterState, PortContext } from './meter-state.ts';
import { stand } from './standing-alarms.ts';

/** Values without a scaler are delivered as they are, and say so; this says it to people. */
export function tellScalers(port: PortContext, state: MeterState, series: SeriesKey, layout: ProfileLayout): void {
  const code = obis(layout.profile);
  const unknown = [...layout.unscaled].map(([name, why]) => `${obis(name)} ${why}`).join('; ');
  const text =
    unknown === ''
      ? undefined
      : `SCALER_UNKNOWN: ${code} captures objects whose scaler and unit the meter does not tell (${unknown}): their values are not to be billed as they are; next: read attribute 3 of one with --trace, or see whether this client may read it`;
  if (stand(state.rowAlarms, `scaler ${series}`, text, port.clock.wall()))
    state.pendingEvents.push(gatewayEvent(port, state, 'SCALER_UNKNOWN', { series: code, objects: unknown }));
}

/** Columns of times, and of texts: they have no place in a row of numbers. They are reported once, and when there are others. */
export function tellLeftOut(
  port: PortContext,
  state: MeterState,
  series: SeriesKey,
  layout: ProfileLayout,
  rows: readonly LoadProfileRow[],
): void {
  const [first] = rows;
  if (!first) return;
  const roles = columnRoles(layout.columns, layout.statusColumn);
  const names = columnKeys(layout.columns);
  const times = names.filter((_, i) => roles[i] === 'left out');
  const texts = first.channels.flatMap((channel, i) =>
    rows.every(({ cells }) => typeof cells[i] === 'string') ? [channel.key] : [],
  );
  const columns = [...times, ...texts].join(' ');
  if (columns === (state.leftOut.get(series) ?? '')) return;
  state.leftOut.set(series, columns);
  if (columns === '') return;
  const detail = { series: obis(layout.profile), columns };
  state.pendingEvents.push(gatewayEvent(port, state, 'COLUMNS_LEFT_OUT', detail));
}
