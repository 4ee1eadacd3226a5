/**
 * What the utility itself knows: points, which meter hung where and when, and who had which contract. Plain types, no store:
 * whoever calls says where they come from. Quantities are integers in units of the point, Wh × 10^scaler.
 */
import type { Day, PeriodFrom } from './local-time.ts';

/** What flows from the grid to the customer, and back. */
export type Channel = 'import' | 'export';
export const channels: readonly Channel[] = ['import', 'export'];

/** A meter that hung at a point from `from` up to `to`, by its serial number. */
export interface Installation {
  readonly serial: string;
  readonly from: number;
  readonly to: number | null;
  /** Registers, in units of the point, when it was put up and taken down; missing where nobody read them. */
  readonly first?: Readonly<Partial<Record<Channel, number>>>;
  readonly final?: Readonly<Partial<Record<Channel, number>>>;
  /** Of its display. The register begins again at 10^registerDigits. */
  readonly registerDigits?: number;
}
/** Of all days, of none, or from the first day up to the second, which is no longer of it. */
export type Netting = boolean | readonly { readonly from: Day; readonly to: Day | null }[];
export const isNetted = (netting: Netting, day: Day): boolean =>
  typeof netting === 'boolean' ? netting : netting.some(({ from, to }) => from <= day && (to === null || day < to));

export interface Point {
  readonly point: string;
  /** Of the series that is billed, e.g. `1-0:99.1.0*255`. */
  readonly series: string;
  readonly zone: string;
  /** Ten to this many Wh is one unit: 0 is Wh. */
  readonly scaler: number;
  readonly obis: Readonly<Partial<Record<Channel, string>>>;
  readonly periods: readonly PeriodFrom[];
  /** Import and export are set against each other within each interval. */
  readonly netting: Netting;
  /** Empty: whatever meter is delivered under this point is taken for its own. */
  readonly installations: readonly Installation[];
  /** Of the main fuses, three phases. */
  readonly fuseA?: number;
  /** In units of the point, of the import: where there is no history at all. */
  readonly yearlyEstimate?: number;
  /** The utility had it disconnected. */
  readonly disconnected?: readonly { readonly from: number; readonly to: number | null }[];
  /** Digits that the display of the meter shows after the kWh; for the statement. */
  readonly displayDecimals?: number;
}
export interface Contract {
  readonly contract: string;
  readonly point: string;
  readonly customer: { readonly name: string; readonly address: readonly string[] };
  readonly language: 'fi' | 'en';
  /** First day, and the first day that is no longer of it. */
  readonly from: Day;
  readonly to: Day | null;
  /** Where billing by readings ended: what the register advanced since then up to the first interval is billed with it. */
  readonly startRegister?: { readonly at: number; readonly register: number };
}
/** A value that a person has put. */
export interface Edit {
  readonly edit: string;
  readonly point: string;
  readonly channel: Channel;
  readonly start: number;
  readonly end: number;
  /** null: an edit before is taken back. */
  readonly value: number | null;
  readonly who: string;
  readonly why: string;
  readonly at: number;
  /** What stood there when it was made. */
  readonly before: { readonly value: number | null; readonly standing: string };
  /** Who agreed, where the change is large. */
  readonly second?: { readonly who: string; readonly at: number };
}
/** A person looked at what holds a bill, and lets it go as it is. */
export interface Release {
  readonly point: string;
  readonly rule: string;
  readonly from: number;
  readonly to: number;
  readonly who: string;
  readonly why: string;
  readonly at: number;
}
/** Values from before our time: for estimates only, they are never billed. */
export interface ImportedSeries {
  readonly channel: Channel;
  readonly values: ReadonlyMap<number, { readonly periodMs: number; readonly value: number }>;
}

/** Two different persons. */
export const secondPersonOf = (edit: Edit): string | undefined =>
  edit.second !== undefined && edit.second.who.trim().toLowerCase() !== edit.who.trim().toLowerCase()
    ? edit.second.who
    : undefined;
export interface JudgedEdit {
  readonly edit: Edit;
  /** Beyond the limit of the change: it stands only when a second person agreed. */
  readonly large: boolean;
  readonly stands: boolean;
}
/**
 * Edits in their order, and which of them stand. `limit`: units of the point. A change counts from where one person began: many
 * small edits of one interval are one large one.
 */
export function judgeEdits(edits: readonly Edit[], limit: number): JudgedEdit[] {
  const bases = new Map<string, number | null>();
  return edits
    .toSorted((a, b) => a.at - b.at || (a.edit < b.edit ? -1 : 1))
    .map((edit) => {
      const { point, channel, start, value, before } = edit;
      const interval = `${point}|${channel}|${start}`;
      const base = bases.get(interval) ?? before.value;
      const far = (from: number | null) => value !== null && Math.abs(value - (from ?? 0)) > limit;
      const large = far(base) || far(before.value);
      const isAgreed = secondPersonOf(edit) !== undefined;
      if (value === null) bases.delete(interval);
      else if (isAgreed || !large) bases.set(interval, isAgreed ? value : base);
      return { edit, large, stands: !large || isAgreed };
    });
}
/** A limit in Wh in units of the point. */
export const unitsOfWh = (wattHours: number, { scaler }: Pick<Point, 'scaler'>): number => wattHours / 10 ** scaler;

/** The meters whose time touches [start, end), in order. */
export const installedIn = (
  installations: readonly Installation[],
  start: number,
  end: number,
): readonly Installation[] =>
  installations.filter(({ from, to }) => from < end && (to === null || to > start)).toSorted((a, b) => a.from - b.from);
