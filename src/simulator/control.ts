/** The control socket of a bench: what may be done to it while it runs, one row for each act. */
import { chmodSync } from 'node:fs';
import * as v from 'valibot';
import { Failure } from '../base/errors.ts';
import { nearest } from '../base/nearest.ts';
import { ask, type Behind, json } from '../door/client.ts';
import { type Route, rowOf } from '../door/rows.ts';
import { serveDoor } from '../door/server.ts';
import type { Bench } from './bench.ts';
import { lineFaultSchema, swapSchema } from './scenario.ts';

const row = rowOf<Bench>();
const nothing = v.strictObject({});
const meter = v.pipe(v.number(), v.integer(), v.minValue(0));
const instant = v.pipe(
  v.string(),
  v.isoTimestamp('an instant such as 2026-11-28T12:00:00Z'),
  v.transform((text) => new Date(text)),
);

const shown = (bench: Bench) => ({
  time: bench.time(),
  devices: bench.devices,
  meters: bench.meters(),
  faults: bench.faults(),
});

export const controlRows: readonly Route<Bench>[] = [
  row({
    method: 'GET',
    path: '/v1/show',
    permission: 'look',
    meaning: 'time, devices, meters, faults',
    input: nothing,
    answers: 'value',
    handle: shown,
  }),
  row({
    method: 'POST',
    path: '/v1/fault',
    permission: 'act',
    meaning: 'switches a fault on, with the keys of `[[fault]]`; its seconds count from now. Gives its number',
    input: lineFaultSchema,
    answers: 'value',
    handle: (bench, fields) => ({ fault: bench.fault(fields) }),
  }),
  row({
    method: 'POST',
    path: '/v1/fault-off',
    permission: 'act',
    meaning: 'switches a fault off, by its number',
    input: v.strictObject({ fault: meter }),
    answers: 'value',
    handle: (bench, { fault }) => {
      bench.faultOff(fault);
      return {};
    },
  }),
  row({
    method: 'POST',
    path: '/v1/time',
    permission: 'act',
    meaning:
      'sets the time of day of the meters, `to` an instant, or how many times as fast as the line it runs, `speed`',
    input: v.strictObject({ to: v.optional(instant), speed: v.optional(v.number()) }),
    answers: 'value',
    handle: (bench, { to, speed }) => {
      bench.setTime({ ...(to && { to }), ...(speed !== undefined && { speed }) });
      return bench.time();
    },
  }),
  row({
    method: 'POST',
    path: '/v1/power',
    permission: 'act',
    meaning: 'power `on`, true or false, of a `meter` (from 0), or of all',
    input: v.strictObject({ on: v.boolean(), meter: v.optional(meter) }),
    answers: 'value',
    handle: (bench, given) => {
      bench.power(given.on, given.meter);
      return bench.meters();
    },
  }),
  row({
    method: 'POST',
    path: '/v1/swap',
    permission: 'act',
    meaning: 'hangs another one in the place of a `meter` (from 0), with the keys of `[[meter]]`, `serial` among them',
    input: v.strictObject({ meter, ...swapSchema.entries }),
    answers: 'value',
    handle: (bench, { meter: place, ...fields }) => {
      bench.swap(place, fields);
      return bench.meters()[place];
    },
  }),
];

/** Serves until the returned function is called; only the user of the process may connect. */
export const serveControl = (path: string, bench: Bench): Promise<() => Promise<void>> =>
  serveDoor(path, {
    key: '--control',
    rows: controlRows,
    house: () => bench,
    open: (socket) => chmodSync(socket, 0o600),
  });

const simulator: Behind = { name: 'simulator', absent: 'bad-argument' };
/** Together longer than any act lasts. */
const timeout = 10_000;

/** `key=value` as in a scenario: numbers, true and false, and lists as they stand, everything else is a text. */
function fieldsOf(pairs: readonly string[]): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf('=');
      if (at < 1) throw new Failure('bad-argument', `'${pair}' is not key=value`);
      const text = pair.slice(at + 1);
      let value: unknown;
      try {
        value = JSON.parse(text);
      } catch {
        value = text;
      }
      return [pair.slice(0, at), value];
    }),
  );
}

/** Does an act at the control socket of a running simulator; what it answers. */
export async function askControl(path: string, act: string, pairs: readonly string[]): Promise<unknown> {
  const row = controlRows.find((one) => one.path === `/v1/${act}`);
  if (!row) {
    const acts = controlRows.map((one) => one.path.slice('/v1/'.length));
    const meant = nearest(act, acts);
    throw new Failure(
      'bad-argument',
      `no act '${act}'${meant ? `; did you mean ${meant}?` : ''} There are ${acts.join(', ')}`,
    );
  }
  const fields = fieldsOf(pairs);
  const body = row.method === 'POST' ? JSON.stringify(fields) : undefined;
  const what = { path: row.path, method: row.method, ...(body !== undefined && { headers: json }) };
  return ask(path, what, body, { timeout, behind: simulator });
}
