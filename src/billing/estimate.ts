/**
 * What is put in the place of intervals that are not known, by the reference algorithm: linear over two hours or less, else the
 * mean of the same time on three like days before; scaled to what the register advanced, where both its edges are known, so
 * that the sum is that advance to the unit.
 */

/** Raised with each change that makes other numbers out of the same inputs. */
export const estimateCode = 'fill-1';
export type Method = 'LINEAR' | 'LIKE_DAYS' | 'IMPORTED' | 'YEARLY' | 'EQUAL' | 'DARK' | 'SUPPLY_OFF';

/** Where an estimate comes from; travels with each value. */
export interface Origin {
  readonly code: string;
  readonly method: Method;
  /** Local days whose values were used. */
  readonly days: readonly string[];
  /** Advance of the register that the whole run makes; null: not known yet. */
  readonly total: number | null;
  readonly edges: { readonly from: Edge | null; readonly to: Edge | null };
  /** Messages and events that prove zero. */
  readonly proof: readonly string[];
}
interface Edge {
  readonly serial: string;
  readonly at: number;
  readonly register: number;
}
/** How the intervals of a run relate: weights are whole numbers over one denominator. */
export interface Weights {
  readonly method: Method;
  readonly days: readonly string[];
  readonly numerators: readonly number[];
  readonly denominator: number;
}

/**
 * `total` in shares as the weights are, in whole numbers whose sum is `total` exactly: by the largest remainder, of equal ones
 * the earlier. Equal shares where no weight is above zero.
 */
export function distribute(total: number, weights: readonly number[]): number[] {
  if (weights.length === 0) return [];
  const positive = weights.map((weight) => BigInt(Math.max(0, weight)));
  const sum = positive.reduce((a, b) => a + b, 0n);
  const [shares, of] = sum === 0n ? [weights.map(() => 1n), BigInt(weights.length)] : [positive, sum];
  const whole = BigInt(total);
  const floors = shares.map((share) => (whole * share) / of);
  const remainders = shares.map((share, i) => ({ i, rest: (whole * share) % of }));
  let missing = Number(whole - floors.reduce((a, b) => a + b, 0n));
  for (const { i } of remainders.toSorted((a, b) => (a.rest === b.rest ? a.i - b.i : a.rest > b.rest ? -1 : 1))) {
    if (missing === 0) break;
    floors[i] = (floors[i] ?? 0n) + 1n;
    missing--;
  }
  return floors.map(Number);
}

/** A line between the neighbours. */
export const linear = (before: number, after: number, count: number): Weights => ({
  method: 'LINEAR',
  days: [],
  numerators: Array.from({ length: count }, (_, i) => before * (count - i) + after * (i + 1)),
  denominator: count + 1,
});

/** Sixths: means of one, two or three values are whole numbers of them. */
const sixth = 6;
/**
 * The mean of up to three values of each interval. Where one has none it gets the mean of those that have; undefined where
 * none has any.
 */
export function means(
  method: Method,
  found: readonly { readonly values: readonly number[]; readonly days: readonly string[] }[],
): Weights | undefined {
  const own = found.map(({ values }) =>
    values.length === 0 ? undefined : (values.reduce((a, b) => a + b, 0) * sixth) / values.length,
  );
  const present = own.filter((one) => one !== undefined);
  if (present.length === 0) return undefined;
  const mean = Math.round(present.reduce((a, b) => a + b, 0) / present.length);
  return {
    method,
    days: [...new Set(found.flatMap(({ days }) => days))].sort(),
    numerators: own.map((one) => one ?? mean),
    denominator: sixth,
  };
}
/** Each interval as large as the other: the yearly estimate by the hour, or shares of a known total. */
export const flat = (method: Method, each: number, count: number): Weights => ({
  method,
  days: [],
  numerators: Array.from({ length: count }, () => each),
  denominator: 1,
});

/** Values of the intervals of a run. Dark ones are zero and take no share. */
export function fill(weights: Weights, dark: readonly boolean[], total: number | undefined): number[] {
  const { numerators, denominator } = weights;
  if (total === undefined)
    return numerators.map((one, i) => (dark[i] ? 0 : Math.max(0, Math.round(one / denominator))));
  const lit = numerators.flatMap((one, i) => (dark[i] ? [] : [{ i, one }]));
  const shares = distribute(
    total,
    lit.map(({ one }) => one),
  );
  const values = numerators.map(() => 0);
  for (const [n, { i }] of lit.entries()) values[i] = shares[n] ?? 0;
  return values;
}
