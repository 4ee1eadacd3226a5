import { describe, expect, test } from 'vitest';
import { encodeWrapper } from '../../src/dlms/wrapper/wrapper.ts';
import { encodeApdu } from '../../src/dlms/xdlms/apdu.ts';
import { dateTimeOctets } from '../../src/dlms/cosem/date-time.ts';
import type { Data } from '../../src/dlms/axdr/data.ts';
import { parseLogicalName, logicalNameOctets } from '../../src/dlms/cosem/logical-name.ts';
import { millis } from '../../src/base/time.ts';
import { eventsOf, factsOf, hourMs, minute } from '../support/house-facts.ts';
import { configuration } from '../support/configuration.ts';
import { comparePushed, pushingBus, pushingLine } from '../support/pushing-meters.ts';
import { virtualHouse } from '../support/virtual-house.ts';

const start = Date.UTC(2026, 10, 24, 12, 20);
const one = (hour: number) => Date.UTC(2026, 10, 24, hour);

const structure = (...value: Data[]): Data => ({ type: 'structure', value });
const name = (code: string): Data => ({ type: 'octet-string', value: logicalNameOctets(parseLogicalName(code)) });
const text = (value: string): Data => ({ type: 'octet-string', value: Buffer.from(value) });
const u32 = (value: number): Data => ({ type: 'double-long-unsigned', value });
/** OBIS codes, each with its value behind it, in a wrapper frame. */
function listOf(at: number, ...pairs: [string, Data][]): Uint8Array {
  const clock: Data = { type: 'octet-string', value: dateTimeOctets(millis(at)) };
  const body = structure(name('0-0:1.0.0*255'), clock, ...pairs.flatMap(([code, value]) => [name(code), value]));
  const apdu = encodeApdu({ kind: 'data-notification', longInvokeId: 1, dateTime: new Uint8Array(0), body });
  return encodeWrapper({ source: 16, destination: 103, apdu });
}
const revised = (it: Awaited<ReturnType<typeof virtualHouse>>) =>
  factsOf(it, 'profile').filter(({ rev }) => rev.some((number) => number > 0));

describe('meters that push', () => {
  test('50 of them beside 8 that are polled, the gateway killed and started again: whole, and no recording of them counts', async () => {
    const buses = [
      pushingBus({ link: 'hdlc', count: 12, firstSerial: 70_000_001, periodS: 900 }, start),
      pushingBus({ link: 'wrapper', count: 13, firstSerial: 70_000_101, periodS: 900 }, start),
      pushingBus({ link: 'hdlc', ciphered: true, count: 12, firstSerial: 70_000_201, periodS: 900 }, start),
      pushingBus({ link: 'wrapper', ciphered: true, count: 13, firstSerial: 70_000_301, periodS: 900 }, start),
    ];
    const line = pushingLine(buses);
    const it = await virtualHouse({ meters: { count: 8 } }, { start, days: 1, ...line });
    it.broker.connect();
    const from = one(13);
    for (const life of [1, 2, 3]) {
      await it.run(100 * minute);
      // A recording of the life before, octet by octet: ciphered ones must not count again.
      const old = line.recorded.map((all) => all.splice(0));
      await it.clock.complete(it.house.stop());
      it.database.powerCut();
      await it.restart();
      it.broker.connect();
      await it.run(minute);
      const before = it.ingest.counters.messages;
      [2, 3].forEach((bus) => old[bus]?.forEach((octets) => line.open[bus]?.hear(octets)));
      await it.run(minute);
      expect(factsOf(it, 'profile').length, `life ${life}`).toBeGreaterThan(0);
      expect(revised(it)).toEqual([]);
      expect(it.ingest.counters.messages - before).toBeLessThan(40);
    }
    await it.run(36 * minute);
    const compared = comparePushed(it.ingest, buses, from, one(18));
    expect(compared.wrong).toEqual([]);
    expect(compared.absent).toEqual([]);
    expect(compared.right).toBe(compared.expected);
    const polled = it.compare(2 * minute);
    for (const each of polled.values()) expect(each.right).toBe(each.expected);
    expect(it.ingest.counters.conflicts).toBe(0);
    expect(it.ingest.counters.unfit).toBe(0);
    // Each start has to find the counters of all 25 in the store.
    const refused = eventsOf(it, 'PUSH_REFUSED').map(({ meter, detail }) => `${meter} ${detail?.['code']}`);
    expect(refused.filter((one) => one === 'm70000201 replayed-counter')).toHaveLength(3);
    expect(new Set(refused).size).toBe(25);
    expect(factsOf(it, 'gap').filter(({ meter }) => meter.startsWith('m7'))).toEqual([]);
    await it.house.stop();
  });
});

describe('what is wrong with a push', () => {
  const plain = () => pushingBus({ link: 'wrapper', count: 1, firstSerial: 70_000_001 }, start);
  const ciphered = () => pushingBus({ link: 'wrapper', ciphered: true, count: 1, firstSerial: 70_000_201 }, start);

  test('a replay, a push without protection, another serial number: refused, once a day an event, and nothing of it counts', async () => {
    const buses = [plain(), ciphered()];
    const line = pushingLine(buses);
    const it = await virtualHouse({ meters: { count: 1 } }, { start, ...line });
    it.broker.connect();
    await it.run(2 * hourMs);
    const before = factsOf(it, 'profile').length;
    const replayed = line.recorded[1]?.slice() ?? [];
    for (let times = 0; times < 5; times++) for (const octets of replayed) line.open[1]?.hear(octets);
    line.open[1]?.hear(listOf(one(14), ['0-0:96.1.0*255', text('70000201')], ['1-0:1.8.0*255', u32(1)]));
    line.open[0]?.hear(listOf(one(14), ['0-0:96.1.0*255', text('71111111')], ['1-0:1.8.0*255', u32(1)]));
    line.open[0]?.hear(listOf(one(14), ['1-0:1.8.0*255', u32(1)]));
    await it.run(10 * minute);
    expect(eventsOf(it, 'PUSH_REFUSED').map(({ meter, detail }) => [meter, detail?.['code']])).toEqual([
      ['m70000201', 'replayed-counter'],
      ['m70000201', 'protection-weaker'],
    ]);
    expect(eventsOf(it, 'PUSH_STRANGER').map(({ detail }) => [detail?.['serial'], detail?.['peer']])).toEqual([
      ['71111111', 'tcp://10.0.0.0:40000'],
      [null, 'tcp://10.0.0.0:40000'],
    ]);
    expect(factsOf(it, 'profile').length).toBe(before);
    // Who was misused goes on.
    await it.run(hourMs);
    const compared = comparePushed(it.ingest, buses, one(13), one(15));
    expect([compared.wrong, compared.absent]).toEqual([[], []]);
    await it.house.stop();
  });

  test('a peer that sends too much is cut off by name', async () => {
    const buses = [plain()];
    const line = pushingLine(buses);
    const listeners = line.listeners.map((listener) => ({ ...listener, per_minute: 20 }));
    const it = await virtualHouse({ meters: { count: 1 } }, { start, ...line, listeners });
    it.broker.connect();
    await it.run(minute);
    for (let times = 0; times < 100; times++) line.open[0]?.hear(listOf(one(14), ['1-0:1.8.0*255', u32(times)]));
    await it.run(minute);
    expect(eventsOf(it, 'PUSH_FLOOD')).toMatchObject([{ detail: { code: 'push-flood', listener: 'push0' } }]);
    await it.house.stop();
  });

  test('a disk that takes nothing: what comes again under the same counter is taken then', async () => {
    const buses = [ciphered()];
    const line = pushingLine(buses);
    const it = await virtualHouse({ meters: { count: 1 } }, { start, ...line });
    it.broker.connect();
    await it.run(30 * minute);
    it.database.failing = new Error('input/output error');
    await it.run(40 * minute);
    it.database.failing = undefined;
    await it.run(2 * minute);
    const again = line.recorded[0]?.slice() ?? [];
    for (const octets of again) line.open[0]?.hear(octets);
    await it.run(minute);
    const compared = comparePushed(it.ingest, buses, one(12), one(13));
    expect([compared.wrong, compared.absent]).toEqual([[], []]);
    await it.house.stop();
  });
});

describe('what pushes say', () => {
  test('an alarm is an event at once; a list of registers on the hour is a row, one before it is none', async () => {
    const bus = pushingBus({ link: 'wrapper', count: 1, firstSerial: 70_000_001, more: { push_s: 86_400 } }, start);
    const line = pushingLine([bus]);
    const it = await virtualHouse({ meters: { count: 1 } }, { start, ...line });
    it.broker.connect();
    const serial: [string, Data] = ['0-0:96.1.0*255', text('70000001')];
    const scaled = (code: string, value: number): [string, Data][] => [[code, u32(value)]];
    // What was held of strangers is looked at before anybody is heard.
    await it.run(1000);
    line.open[0]?.hear(listOf(start, serial, ['0-0:97.98.0*255', u32(0x400)]));
    await it.run(minute);
    expect(factsOf(it, 'event').filter(({ source }) => source === 'meter')).toMatchObject([
      { meter: 'm70000001', name: 'ALARM', log: '0-0:97.98.0*255', code: 0x400, at: '2026-11-24T12:20:00Z' },
    ]);
    await it.run(39 * minute);
    line.open[0]?.hear(listOf(one(13) - 10_000, serial, ...scaled('1-0:1.8.0*255', 99)));
    await it.run(minute);
    line.open[0]?.hear(listOf(one(13) + 5000, serial, ...scaled('1-0:1.8.0*255', 100)));
    line.open[0]?.hear(listOf(one(13) + 15_000, serial, ...scaled('1-0:1.8.0*255', 101)));
    await it.run(hourMs);
    line.open[0]?.hear(listOf(one(14), serial, ...scaled('1-0:1.8.0*255', 150)));
    await it.run(minute);
    const rows = factsOf(it, 'profile').filter(({ meter }) => meter === 'm70000001');
    expect(
      rows.map(({ start: begin, channels, stampedOffS }) => [
        begin,
        channels[0]?.register,
        channels[0]?.energy,
        stampedOffS?.[0],
      ]),
    ).toEqual([
      ['2026-11-24T12:00:00Z', [100], [null], 5],
      ['2026-11-24T13:00:00Z', [150], [50], undefined],
    ]);
    await it.house.stop();
  });

  test('a meter that falls silent: said after some intervals, a gap after a day; its rows, when they come, revise that', async () => {
    const bus = pushingBus({ link: 'wrapper', count: 2, firstSerial: 70_000_001, rows: 48 }, start);
    const line = pushingLine([bus]);
    const it = await virtualHouse({ meters: { count: 1 } }, { start, ...line });
    it.broker.connect();
    await it.run(2 * hourMs);
    line.deaf.add(0);
    await it.run(5 * hourMs);
    expect(eventsOf(it, 'BUS_FAULT').length + eventsOf(it, 'SUSPECT_MAINS_OR_METER').length).toBeGreaterThan(0);
    const gaps = async () => (await it.house.gaps()).filter(({ meter }) => meter === 'm70000001');
    expect((await gaps()).map(({ state }) => state)).toContain('PENDING');
    await it.run(24 * hourMs);
    expect(
      factsOf(it, 'gap')
        .filter(({ meter }) => meter === 'm70000001')
        .map(({ cause }) => cause),
    ).toContain('MISSING');
    line.deaf.delete(0);
    await it.run(2 * hourMs);
    const compared = comparePushed(it.ingest, [bus], one(13), one(44));
    expect([compared.wrong, compared.absent]).toEqual([[], []]);
    expect(it.ingest.counters.conflicts).toBe(0);
    expect((await gaps()).filter(({ state }) => state !== 'UNACKNOWLEDGED')).toEqual([]);
    expect(eventsOf(it, 'REACHABLE').length + eventsOf(it, 'BUS_ANSWERS').length).toBeGreaterThan(0);
    await it.house.stop();
  });

  test('a polled meter that pushes as well: no value twice; while its line is dead pushes bring the rows, and polls fill the rest', async () => {
    const serial = 60_120_001;
    const bus = pushingBus({ link: 'wrapper', count: 1, firstSerial: serial, rows: 1 }, start);
    const line = pushingLine([bus]);
    const listeners = line.listeners.map((listener) => ({ ...listener, meter: [] }));
    const silent = { kind: 'silence', meter: 0, from_s: 3600, to_s: 6 * 3600 } as const;
    const it = await virtualHouse({ meters: { count: 2 }, fault: [silent] }, { start, days: 1, ...line, listeners });
    it.broker.connect();
    await it.run(2 * hourMs);
    line.deaf.add(0);
    await it.run(hourMs);
    line.deaf.delete(0);
    await it.run(2 * hourMs);
    // The line of the meter is dead since 13:20; two of its hours came by pushes all the same.
    const values = [...(it.ingest.intervals.get(`m${serial}|1-0:99.1.0*255`)?.keys() ?? [])];
    expect(values).toContain(one(16));
    await it.run(4 * hourMs);
    const compared = it.compare(2 * minute).get(0);
    expect(compared?.wrong).toEqual([]);
    expect(compared?.right).toBe(compared?.expected);
    expect(it.ingest.counters.conflicts).toBe(0);
    await it.house.stop();
  });

  test('what anybody could have sent in the name of a polled meter is read again by the poll: the meter has the last word', async () => {
    const serial = 60_120_001;
    const bus = pushingBus({ link: 'wrapper', count: 1, firstSerial: 70_000_001 }, start);
    const line = pushingLine([bus]);
    const it = await virtualHouse({ meters: { count: 1 } }, { start, days: 1, offsetS: 120, ...line });
    it.broker.connect();
    await it.run(40 * minute + 5000);
    // Before the poll of this hour: a value that the meter never had.
    line.open[0]?.hear(listOf(one(13), ['0-0:96.1.0*255', text(String(serial))], ['1-0:1.8.0*255', u32(1)]));
    await it.run(10_000);
    const published = () =>
      factsOf(it, 'profile').filter(({ meter, start: at }) => meter === `m${serial}` && at === '2026-11-24T12:00:00Z');
    expect(published().map(({ channels }) => channels[0]?.register)).toEqual([[1]]);
    await it.run(10 * minute);
    const compared = it.compare(2 * minute).get(0);
    expect(compared?.wrong).toEqual([]);
    expect(compared?.right).toBe(compared?.expected);
    expect(published().map(({ rev }) => rev)).toEqual([[0], [1]]);
    await it.house.stop();
  });
});

describe('strangers', () => {
  test('what they pushed is held, and taken when somebody configures them: ciphered by title, plain by serial number', async () => {
    const buses = [
      pushingBus({ link: 'wrapper', ciphered: true, count: 2, firstSerial: 70_000_201 }, start),
      pushingBus({ link: 'hdlc', count: 2, firstSerial: 70_000_001 }, start),
    ];
    const line = pushingLine(buses);
    const configured = line.listeners;
    const listeners = configured.map((listener) => ({ ...listener, meter: listener.meter?.slice(0, 1) ?? [] }));
    const it = await virtualHouse({ meters: { count: 1 } }, { start, ...line, listeners });
    it.broker.connect();
    await it.run(3 * hourMs);
    expect(eventsOf(it, 'PUSH_STRANGER').map(({ detail }) => detail?.['title'] ?? detail?.['serial'])).toEqual([
      '53494d00042c1e4a',
      '70000002',
    ]);
    const second = [70_000_202, 70_000_002];
    const ofSecond = () => factsOf(it, 'profile').filter(({ serial }) => second.includes(Number(serial)));
    expect(ofSecond()).toEqual([]);
    await it.clock.complete(it.house.stop());
    it.configText = it.configText.replaceAll(/\[\[listen\]\][\s\S]*?(?=\[page\])/g, '').replace(
      '[page]',
      `${configuration({ port: [], listen: configured })
        .split('[[listen]]')
        .slice(1)
        .map((text) => `[[listen]]${text.split('[page]')[0]}`)
        .join('')}[page]`,
    );
    await it.restart();
    it.broker.connect();
    await it.run(2 * hourMs);
    const compared = comparePushed(it.ingest, buses, one(13), one(17));
    expect([compared.wrong, compared.absent]).toEqual([[], []]);
    // Once: what was taken is held no more.
    const count = ofSecond().length;
    await it.clock.complete(it.house.stop());
    await it.restart();
    it.broker.connect();
    await it.run(5 * minute);
    expect(ofSecond().length).toBe(count);
    await it.house.stop();
  });
});
