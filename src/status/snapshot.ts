/** One snapshot of the house, for the command line and later the page and the metrics. */
import type { RefusedSummary } from '../listen/refused-pushes.ts';
import { iso, millis } from '../base/time.ts';
import type { Fact } from '../reading/facts.ts';
import type { ClockTrust } from '../schedule/meter-state.ts';
import type { BusFault } from '../schedule/bus-fault.ts';
import type { MeterStatus } from '../schedule/port-report.ts';
import type { StoreStatus } from '../store/store.ts';

export interface PortStatus {
  readonly name: string;
  readonly device: string;
  readonly open: boolean;
  readonly error: string | null;
  readonly activity: string | null;
  /** What this line cannot do, as far as it was seen. */
  readonly trouble: string | null;
  /** Of a listener: pushes that were not taken since the start, and the last of them. */
  readonly refused?: RefusedSummary;
  /** What keeps all of its meters from being read, once for the line. */
  readonly busFault: BusFault | null;
  readonly meters: readonly MeterStatus[];
}
export interface Snapshot {
  readonly gateway: string;
  readonly version: string;
  readonly boot: string;
  readonly at: string;
  readonly uptimeS: number;
  readonly broker: {
    readonly connected: boolean;
    /** What stands between the gateway and its head-end, where that is known. */
    readonly trouble: string | null;
    readonly sent: number;
    readonly acknowledged: number;
    readonly sentAgain: number;
    /** Messages that were too large for the broker and were split; refusals by the broker; payloads of the head-end that did not fit. */
    readonly split: number;
    readonly refused: number;
    readonly unfit: number;
  };
  /** Which configuration is in force since when; a file that was refused since then. */
  readonly configuration?: {
    readonly hash: string;
    readonly since: string;
    readonly warnings: readonly string[];
    readonly refused: { readonly at: string; readonly why: string } | null;
  };
  readonly time: {
    readonly trust: ClockTrust;
    /** Why the time is not trusted. */
    readonly trouble: string | null;
    /** IANA name of the zone in which times are shown to people; versions before did not say it. */
    readonly zone?: string;
  };
  readonly store: StoreStatus;
  readonly ports: readonly PortStatus[];
  readonly rssBytes: number;
}

/** What is held back of a meter that answers where another one is configured (R32). */
export interface HeldRows {
  readonly meter: string;
  readonly serial: string;
  readonly messages: number;
  readonly from: string;
  readonly to: string;
}
export function heldRows(
  held: readonly { readonly meter: string; readonly serial: string; readonly fact: Fact }[],
): HeldRows[] {
  const found = new Map<string, HeldRows>();
  for (const { meter, serial, fact } of held) {
    if (fact.kind !== 'profile' && fact.kind !== 'gap') continue;
    const end = fact.kind === 'gap' ? fact.end : iso(millis(Date.parse(fact.start) + fact.periodS * fact.count * 1000));
    const before = found.get(`${meter}/${serial}`);
    found.set(`${meter}/${serial}`, {
      meter,
      serial,
      messages: (before?.messages ?? 0) + 1,
      from: before && before.from < fact.start ? before.from : fact.start,
      to: before && before.to > end ? before.to : end,
    });
  }
  return [...found.values()];
}
