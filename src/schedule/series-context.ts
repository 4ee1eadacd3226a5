/** A series in a session that reads it: what its steps share. */
import { dayMs } from '../base/time.ts';
import type { LogicalName } from '../dlms/cosem/logical-name.ts';
import { type ProfileLayout, readLayout } from '../meter/profile-layout.ts';
import type { Session } from '../meter/session.ts';
import type { MeterState, PolledSeries, PortContext } from './meter-state.ts';

/** Layout of a profile is read again after a day: ratios and capture objects may have changed. */
const layoutLifeMs = dayMs;
/** A layout with scalers that the meter did not tell. */
const unknownLifeMs = 3_600_000;
/** A row may be written this long after its stamp. */
export const graceMs = 60_000;

/** A series in a session that reads it. */
export interface SeriesContext {
  readonly port: PortContext;
  readonly state: MeterState;
  readonly session: Session;
  readonly settings: PolledSeries;
  readonly layout: ProfileLayout;
}

export async function layoutOf(
  port: PortContext,
  state: MeterState,
  session: Session,
  profile: LogicalName,
): Promise<ProfileLayout> {
  const { clock } = port;
  const cached = state.layouts.get(profile);
  const changes = state.identity?.changes;
  if (cached) {
    // A counter of changes that stands still proves the layout; without one its age must do.
    const proven = changes !== undefined && changes === cached.changes;
    const young = changes === undefined && clock.now() - cached.at < layoutLifeMs;
    // What the meter would not tell is asked for again before long.
    const { unscaled, periodUnknown } = cached.layout;
    const old = periodUnknown !== undefined || (unscaled.size > 0 && clock.now() - cached.at >= unknownLifeMs);
    if ((proven || young) && !old) return cached.layout;
  }
  const layout = await readLayout(session, profile, state.model);
  state.layouts.set(profile, { layout, at: clock.now(), changes });
  return layout;
}

/** Where the registers of the model begin anew. */
export const modulusOf = ({ model }: MeterState): { readonly modulus?: bigint } =>
  model.register_modulus === undefined ? {} : { modulus: BigInt(model.register_modulus) };
