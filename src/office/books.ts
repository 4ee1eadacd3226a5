/**
 * The books of the utility, a folder: what other systems of it know, `registry.json` (points, meters, contracts) and
 * `history/POINT.csv`; and the documents of bills, `bills/CONTRACT-NUMBER.pdf` and others, which can be made again.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import * as v from 'valibot';
import { Failure, messageOf } from '../base/errors.ts';
import { usableZone } from '../base/words.ts';
import type { Bill } from '../billing/bill.ts';
import { type History, readHistory } from '../billing/datahub.ts';
import { isUtcInstant } from '../billing/instants.ts';
import type { Contract, Point } from '../billing/registry.ts';

const text = v.pipe(v.string(), v.minLength(1), v.maxLength(200));
const name = v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{1,64}$/, 'letters, digits, - and _, at most 64'));
const units = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const instant = v.pipe(
  v.string(),
  v.check(isUtcInstant, 'an instant of UTC that exists, e.g. 2026-11-28T12:00:00Z'),
  v.transform((at) => Date.parse(at)),
);
const day = v.pipe(
  v.string(),
  v.isoDate(),
  v.check((one) => isUtcInstant(`${one}T00:00Z`), 'a day that exists'),
);
const registers = v.optional(v.strictObject({ import: v.optional(units), export: v.optional(units) }));
const meter = v.strictObject({
  serial: text,
  from: instant,
  to: v.optional(v.nullable(instant), null),
  first: registers,
  final: registers,
  registerDigits: v.optional(v.pipe(v.number(), v.integer(), v.minValue(4), v.maxValue(15))),
});
const point = v.strictObject({
  point: name,
  series: v.optional(text, '1-0:99.1.0*255'),
  zone: v.optional(
    v.pipe(
      text,
      v.check((zone) => zone === 'UTC' || usableZone(zone) !== 'UTC', 'a time zone, e.g. Europe/Helsinki'),
    ),
    'Europe/Helsinki',
  ),
  scaler: v.optional(v.pipe(v.number(), v.integer(), v.minValue(-3), v.maxValue(3)), 0),
  obis: v.optional(v.strictObject({ import: v.optional(text), export: v.optional(text) }), { import: '1-0:1.8.0*255' }),
  periods: v.pipe(v.array(v.strictObject({ from: day, periodS: v.picklist([900, 1800, 3600]) })), v.minLength(1)),
  netting: v.optional(
    v.union([v.boolean(), v.array(v.strictObject({ from: day, to: v.optional(v.nullable(day), null) }))]),
    false,
  ),
  installations: v.optional(v.array(meter), []),
  fuseA: v.optional(v.pipe(v.number(), v.gtValue(0))),
  yearlyEstimate: v.optional(units),
  disconnected: v.optional(v.array(v.strictObject({ from: instant, to: v.nullable(instant) }))),
  displayDecimals: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(3))),
});
const contract = v.strictObject({
  contract: name,
  point: name,
  customer: v.strictObject({ name: text, address: v.pipe(v.array(text), v.maxLength(6)) }),
  language: v.optional(v.picklist(['fi', 'en']), 'fi'),
  from: day,
  to: v.optional(v.nullable(day), null),
  startRegister: v.optional(v.strictObject({ at: instant, register: units })),
});
const registrySchema = v.strictObject({ points: v.array(point), contracts: v.array(contract) });
export interface Registry {
  readonly points: readonly Point[];
  readonly contracts: readonly Contract[];
}
function jsonOf(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new Failure('input-unreadable', `${path}: ${messageOf(error)}`, {
      next: 'Look at the file: docs/central.md shows what stands in the books.',
    });
  }
}
function fitting<S extends v.GenericSchema>(schema: S, value: unknown, where: string): v.InferOutput<S> {
  const result = v.safeParse(schema, value);
  if (result.success) return result.output;
  const [issue] = result.issues;
  throw new Failure('input-unreadable', `${where}: ${v.getDotPath(issue) ?? 'it'}: ${issue.message}`, {
    next: 'Correct that place; docs/central.md shows what stands in the books.',
  });
}
const refuse = (path: string, what: string): never => {
  throw new Failure('input-unreadable', `${path}: ${what}`, { next: 'Correct the registry: nothing was billed.' });
};
export function readRegistry(books: string): Registry {
  const path = join(books, 'registry.json');
  const registry = fitting(registrySchema, jsonOf(path), path);
  const points = new Set<string>();
  for (const one of registry.points) {
    if (points.has(one.point)) refuse(path, `point ${one.point} stands there twice`);
    points.add(one.point);
    const meters = one.installations.toSorted((a, b) => a.from - b.from);
    for (const [i, { serial, from, to }] of meters.entries()) {
      if (to !== null && to <= from) refuse(path, `meter ${serial} of ${one.point} ends before it begins`);
      const before = meters[i - 1];
      if (before && (before.to === null || before.to > from))
        refuse(path, `meters ${before.serial} and ${serial} of ${one.point} hang there at the same time`);
    }
  }
  const byPoint = Map.groupBy(registry.contracts, (one) => one.point);
  for (const [name, contracts] of byPoint) {
    if (!points.has(name)) refuse(path, `contract ${contracts[0]?.contract} is for point ${name}, which is not there`);
    const ordered = contracts.toSorted((a, b) => (a.from < b.from ? -1 : 1));
    for (const [i, one] of ordered.entries()) {
      if (one.to !== null && one.to <= one.from) refuse(path, `contract ${one.contract} ends before it begins`);
      const before = ordered[i - 1];
      if (before && (before.to === null || before.to > one.from))
        refuse(path, `contracts ${before.contract} and ${one.contract} of point ${name} hold at the same time`);
    }
  }
  if (new Set(registry.contracts.map((one) => one.contract)).size < registry.contracts.length)
    refuse(path, 'a contract stands there twice');
  return registry as unknown as Registry;
}

const billsOf = (books: string): string => join(books, 'bills');
export const billPath = (books: string, bill: Bill, kind: string): string =>
  join(billsOf(books), `${bill.contract}-${bill.number}.${kind}`);
/** Whole or not at all. */
export function writeDocument(path: string, octets: string | Uint8Array): void {
  mkdirSync(dirname(path), { recursive: true });
  const draft = `${path}.draft-${process.pid}`;
  writeFileSync(draft, octets, { flush: true });
  renameSync(draft, path);
}
export function historyOf(books: string, { point: id, scaler }: Point): History | undefined {
  const path = join(books, 'history', `${id}.csv`);
  return existsSync(path) ? readHistory(readFileSync(path, 'utf8'), { point: id, scaler }) : undefined;
}
