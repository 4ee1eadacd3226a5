/** Event logs of meters that select by nothing, by number, or badly: each entry is delivered once, and the polls stay small. */
import { describe, expect, test } from 'vitest';
import { encode } from '../../src/base/codec.ts';
import { millis } from '../../src/base/time.ts';
import { type Data, dataCodec, integerOf } from '../../src/dlms/axdr/data.ts';
import { dateTimeOctets, inUtc, utcOf } from '../../src/dlms/cosem/date-time.ts';
import { encodeApdu, type Selection } from '../../src/dlms/xdlms/apdu.ts';
import { maxForwarded } from '../../src/reading/log-ledger.ts';
import { requestOf, takeOver, valueAttack } from '../campaigns/hostile-answers.ts';
import { factsOf } from '../support/house-facts.ts';
import { type VirtualHouse, virtualHouse } from '../support/virtual-house.ts';

const minute = 60_000;
const hour = 60 * minute;
const standard = '0.0.99.98.0.255';
const now = Date.UTC(2026, 10, 24, 12, 20);
type Entry = readonly [at: number, code: number];
interface Log {
  entries: Entry[];
  /** What it selects by: ranges, entry numbers, or nothing; `ignores`: it takes a range and gives everything. */
  readonly selects: readonly ('range' | 'entries')[];
  readonly ignores?: boolean;
  readonly descending?: boolean;
}
/** Entries that were sent over the line. */
interface Sent {
  entries: number;
}

const asData = (entries: readonly Entry[]): Uint8Array =>
  encode(dataCodec, {
    type: 'array',
    value: entries.map(
      ([at, code]): Data => ({
        type: 'structure',
        value: [
          { type: 'octet-string', value: dateTimeOctets(millis(at), inUtc) },
          { type: 'unsigned', value: code },
        ],
      }),
    ),
  });

/** What the log gives for a selection; undefined where it refuses it. */
function selected(log: Log, selection: Selection | undefined): readonly Entry[] | undefined {
  const all = log.descending === true ? log.entries.toReversed() : log.entries;
  if (!selection) return all;
  const cells = selection.parameters.type === 'structure' ? selection.parameters.value : [];
  if (selection.selector === 1) {
    if (log.ignores === true) return all;
    if (!log.selects.includes('range')) return undefined;
    const [from, to] = cells.slice(1, 3).map((cell) => ('value' in cell ? utcOf(cell.value as Uint8Array, {}) : 0)) as [
      number,
      number,
    ];
    return all.filter(([at]) => at >= from && at <= to);
  }
  if (!log.selects.includes('entries')) return undefined;
  const [first, last] = cells.map((cell) => Number(integerOf(cell) ?? 0n)) as [number, number];
  return all.slice(first - 1, last);
}

/** The meter's standard log is this one. */
function serve(it: VirtualHouse, log: Log): Sent {
  const sent: Sent = { entries: 0 };
  const [meter] = it.simulated.meters;
  if (!meter) throw new Error('a meter is there');
  let value: Uint8Array | undefined;
  const attack = valueAttack(() => value, 1500);
  takeOver(meter, (request, honest) => {
    const apdu = requestOf(request);
    if (apdu?.kind === 'get-request-next') return attack(request, honest);
    value = undefined;
    if (apdu?.kind !== 'get-request-normal' || apdu.attribute.logicalName !== standard) return honest();
    const refuse = () => [encodeApdu({ kind: 'get-response-normal', invokeId: apdu.invokeId, result: { refused: 3 } })];
    const answer = (data: Data) => [
      encodeApdu({ kind: 'get-response-normal', invokeId: apdu.invokeId, result: { data } }),
    ];
    if (apdu.attribute.attribute === 7) return answer({ type: 'double-long-unsigned', value: log.entries.length });
    if (apdu.attribute.attribute === 5) return answer({ type: 'enum', value: log.descending === true ? 2 : 1 });
    if (apdu.attribute.attribute !== 2) return refuse();
    const found = selected(log, apdu.selection);
    if (!found) return refuse();
    sent.entries += found.length;
    value = asData(found);
    return attack(request, honest);
  });
  return sent;
}

async function houseWith(
  log: Log,
): Promise<{ it: VirtualHouse; sent: Sent; delivered: () => string[]; poll: () => Promise<number> }> {
  const it = await virtualHouse({ bus: { baud: 0 }, meters: { count: 1 } }, { days: 0 });
  const sent = serve(it, log);
  it.broker.connect();
  const delivered = () => {
    const seen = new Map<number, string>();
    for (const { topic, payload } of it.broker.published) {
      if (!topic.includes('/up/')) continue;
      const fact = JSON.parse(payload) as {
        kind: string;
        source?: string;
        log?: string;
        seq: number;
        at: string;
        code: number;
        occurrence: number;
      };
      if (fact.kind === 'event' && fact.source === 'meter' && fact.log === '0-0:99.98.0*255')
        seen.set(fact.seq, `${fact.at} ${fact.code} ${fact.occurrence}`);
    }
    return [...seen.values()];
  };
  const poll = async () => {
    const before = delivered().length;
    await it.run(hour);
    return delivered().length - before;
  };
  await it.run(2 * minute);
  return { it, sent, delivered, poll };
}
const ways: readonly (readonly [string, Partial<Log>])[] = [
  ['selects by stamps', { selects: ['range'] }],
  ['selects by number', { selects: ['entries'] }],
  ['selects by number, newest first', { selects: ['entries'], descending: true }],
  ['selects by nothing', { selects: [] }],
  ['selects by nothing, newest first', { selects: [], descending: true }],
  ['takes a range and gives everything', { selects: [], ignores: true }],
];
const hours = (count: number, back = 0): Entry[] =>
  Array.from({ length: count }, (_, i): Entry => [now - (count - i + back) * hour, 47 + (i % 3)]);

describe.each(ways)('incident: old entries were sent again at every poll; a log that %s', (_, how) => {
  const made = (entries: Entry[]): Log => ({ selects: [], ...how, entries });
  test('each entry once, what is new at the next poll, and across a restart', async () => {
    const log = made(hours(450));
    const { it, delivered, poll } = await houseWith(log);
    expect(delivered()).toHaveLength(450);
    expect(new Set(delivered()).size).toBe(450);
    expect(await poll()).toBe(0);
    log.entries = [...log.entries, [now + 30 * minute, 60], [now + 31 * minute, 61]];
    expect(await poll()).toBe(2);
    await it.clock.complete(it.house.stop());
    await it.restart();
    it.broker.connect();
    expect(await poll()).toBe(0);
    expect(new Set(delivered()).size).toBe(452);
  });
  test('50 000 equal entries: so many a poll and no more, none lost', async () => {
    const log = made(Array.from({ length: 1800 }, (): Entry => [now - hour, 47]));
    const { delivered, poll } = await houseWith(log);
    expect(delivered()).toHaveLength(maxForwarded);
    const polls = [await poll(), await poll(), await poll(), await poll()];
    expect(Math.max(...polls)).toBeLessThanOrEqual(maxForwarded);
    expect(new Set(delivered()).size).toBe(1800);
  });
  test('an entry of 2099 is told once and blinds nothing', async () => {
    const log = made([...hours(20), [Date.UTC(2099, 5, 1), 6]]);
    const { delivered, poll } = await houseWith(log);
    expect(delivered()).toHaveLength(21);
    expect(await poll()).toBe(0);
    log.entries = [...log.entries, [now + 90 * minute, 60]];
    expect(await poll()).toBe(1);
  });
  test('a ring that runs over', async () => {
    const log = made(hours(300));
    const { delivered, poll } = await houseWith(log);
    expect(delivered()).toHaveLength(300);
    for (let round = 0; round < 3; round++) {
      const fresh = Array.from({ length: 100 }, (__, i): Entry => [now + round * hour + i * 20_000, 51]);
      log.entries = [...log.entries.slice(100), ...fresh];
      await poll();
    }
    expect(new Set(delivered()).size).toBe(600);
    expect(delivered()).toHaveLength(600);
  });
});

test('a log that selects by number is not read whole at every poll', async () => {
  const log: Log = { selects: ['entries'], entries: hours(1000) };
  const { sent, poll } = await houseWith(log);
  // What did not fit in the first session is found by reading all of it once more.
  await poll();
  await poll();
  const before = sent.entries;
  await poll();
  expect(sent.entries - before).toBeLessThanOrEqual(200);
});

test('a cursor as the store had it before counts came: nothing is said again, what is new is', async () => {
  const log: Log = { selects: [], entries: hours(40) };
  const it = await virtualHouse({ bus: { baud: 0 }, meters: { count: 1 } }, { days: 0 });
  const [meter] = it.simulated.meters;
  const id = `m${meter?.settings.serial}`;
  await it.clock.complete(it.house.stop());
  const seen = log.entries.map(([at, code]) => `${at}/${code}/0`);
  const former = {
    cursors: { [standard]: { upTo: now - hour, seen } },
    dark: [],
    serial: String(meter?.settings.serial),
  };
  await it.clock.complete(it.store.commit({ meter: id, entryClass: 0, facts: [], logs: former }));
  await it.clock.complete(it.restart());
  serve(it, log);
  it.broker.connect();
  log.entries = [...log.entries, [now, 60]];
  await it.run(hour);
  const events = factsOf(it, 'event').filter(({ source, log }) => source === 'meter' && log === '0-0:99.98.0*255');
  expect(events.map(({ code }) => code)).toEqual([60]);
});
