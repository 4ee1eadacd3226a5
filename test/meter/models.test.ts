/** Every meter model, against the exchange that proves it. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { millis } from '../../src/base/time.ts';
import { parseExchange, type RecordedLine } from '../../src/base/exchange-file.ts';
import { meterModels } from '../../src/config/meter-models.ts';
import type { Data } from '../../src/dlms/axdr/data.ts';
import { dateTimeOctets } from '../../src/dlms/cosem/date-time.ts';
import { captureObjectData, clockColumn } from '../../src/dlms/cosem/profile-generic.ts';
import { array, octets, structure } from '../../src/dlms/cosem/server-object.ts';
import { snapshotObject } from '../../src/dlms/cosem/snapshot.ts';
import { detectModel, genericModel, meterModelSchema, physicalAddressOf } from '../../src/meter/model.ts';
import { readLayout } from '../../src/meter/profile-layout.ts';
import { readRange } from '../../src/meter/profile-range.ts';
import type { LoadProfileRow } from '../../src/reading/load-profile-row.ts';
import { buildBus } from '../../src/simulator/build-bus.ts';
import { parseScenario } from '../../src/simulator/scenario.ts';
import { record, replay, scenarios } from '../support/model-exchanges.ts';
import { meterWorld, profile, start } from '../support/meter-world.ts';
import { traceText } from '../support/recorded.ts';

const models = meterModels();
const messages = (name: string): RecordedLine[] =>
  parseExchange(traceText(name)).filter((item): item is RecordedLine => 'octets' in item);

describe('the exchange of each model', () => {
  test.each([...models.values()].map((model) => [model.name, model] as const))('%s', async (name, model) => {
    if (!(name in scenarios)) {
      // Proven by a recording of other implementations, which test/cli/decode.test.ts and apdu.test.ts hold us to.
      expect(messages(model.evidence).length).toBeGreaterThan(20);
      expect(traceText(model.evidence)).toContain('# connect');
      return;
    }
    expect(model.evidence).toBe(`models/${name}.tap`);
    const { rows, identity } = await replay(model, messages(model.evidence));
    const again = await record(model);
    const truth = again.meter.rows(rows[0]?.end as never, rows.at(-1)?.end as never);
    expect(rows.map(({ end, status, cells }) => [end, status, ...cells])).toEqual(
      truth.map(({ end, status, registers }) => [end, status, ...registers]),
    );
    expect(rows).toHaveLength(25);
    expect(identity.serial).toBe('60120001');
    // A meter with unusual stamps must not look as if its clock were wrong.
    if (!name.startsWith('nordic')) expect(Math.abs(identity.clockDeviationMs ?? Number.NaN)).toBeLessThan(2000);
  });
  test('another octet than was sent then is seen', async () => {
    const recorded = messages('models/idis.tap').map((line, i) => {
      if (i !== 4) return line;
      const octets = line.octets.slice();
      octets[10] = (octets[10] as number) ^ 1;
      return { ...line, octets };
    });
    await expect(replay(models.get('idis') as never, recorded)).rejects.toThrow(/instead of/);
  });
});

describe('detection by logical device name', () => {
  test.each([
    ['SIM1030060120001', 'idis'],
    ['ISK1020000000001', 'idis'],
    ['GRX0000000123456', 'recorded-grx'],
    ['SIM0000060120001', undefined],
    ['', undefined],
  ])('%s', (name, model) => {
    expect(detectModel(models.values(), name)?.name).toBe(model);
    expect([...models.values()].filter(({ detect }) => detect !== undefined && RegExp(detect).test(name)).length).toBe(
      model === undefined ? 0 : 1,
    );
  });
});

test.each([
  ['mod-10000-plus-1000', '60120001', 1001],
  ['mod-10000-plus-1000', '2468', 3468],
  ['last-2-digits', '60120017', 17],
  ['last-3-digits', '60120417', 417],
  ['last-4-digits', 'ABC 9921', 9921],
  ['none', '60120001', undefined],
] as const)('address formula %s of %s', (address_formula, serial, address) => {
  expect(physicalAddressOf({ ...genericModel, address_formula }, serial)).toBe(address);
});

test('every field of a model is documented, with its default', () => {
  const doc = readFileSync(new URL('../../hardware/meters/README.md', import.meta.url), 'utf8');
  const missing = Object.keys(meterModelSchema.entries).filter((field) => !doc.includes(`| \`${field}\` |`));
  expect(missing).toEqual([]);
});

describe('a meter that selects by number only', () => {
  const ranges = [
    [Date.UTC(2026, 10, 23), Date.UTC(2026, 10, 24)],
    [Date.UTC(2026, 10, 10, 5), Date.UTC(2026, 10, 12, 9)],
    [Date.UTC(2026, 10, 24, 12), Date.UTC(2026, 10, 24, 12)],
    // Before the oldest row, and across it.
    [Date.UTC(2026, 8, 1), Date.UTC(2026, 8, 2)],
    [Date.UTC(2026, 8, 20), Date.UTC(2026, 8, 27)],
  ].map(([first, last]) => [millis(first as number), millis(last as number)] as const);
  const stamps = (rows: readonly LoadProfileRow[]) => rows.map(({ end }) => end as number).toSorted((a, b) => a - b);
  test.each([
    ['a regular buffer', []],
    ['with rows missing', ['missing-row']],
  ] as const)('oldest first, %s: the same rows as by range', async (_, quirks) => {
    const it = meterWorld({ meters: { quirks: [...quirks] } });
    await it.clock.complete(
      (async () => {
        await it.session.connect();
        const layout = await readLayout(it.session, profile);
        for (const [first, last] of ranges) {
          const range = await readRange({ session: it.session, layout, model: genericModel }, first, last);
          const entry = await readRange(
            { session: it.session, layout, model: { ...genericModel, selection: 'entry' } },
            first,
            last,
          );
          expect(stamps(entry)).toEqual(stamps(range));
        }
        await it.session.close();
      })(),
    );
  });
  test('newest first: number 1 is the newest row', async () => {
    const it = meterWorld({});
    const buffer = it.meter.rows(millis(0), it.clock.now());
    const rows = buffer
      .toReversed()
      .map(({ end }): Data => structure(octets(dateTimeOctets(end)), { type: 'unsigned', value: 0 }));
    const columns = [clockColumn, { classId: 1, logicalName: '0.0.96.10.1.255' as const, attribute: 2, dataIndex: 0 }];
    const values: [number, Data][] = [
      [2, array(...rows)],
      [3, array(...columns.map(captureObjectData))],
      [4, { type: 'double-long-unsigned', value: 3600 }],
      [5, { type: 'enum', value: 2 }],
      [7, { type: 'double-long-unsigned', value: 0 }],
    ];
    const attributes = values.map(([id]) => ({ id, access: 1, selectors: id === 2 ? [2] : [] }));
    const object = { classId: 7, version: 1, logicalName: profile, attributes, methods: [] };
    const seen = new Map(values.map(([id, data]) => [id, { data }]));
    const snapshot = { snapshot: 1 as const, taken: '2026-11-24T12:20:00Z', objects: [snapshotObject(object, seen)] };
    const { bus } = buildBus(parseScenario({ meters: { snapshot: 'memory' } }), start, () => snapshot);
    Object.assign(it.house.bus, bus);
    await it.clock.complete(
      (async () => {
        await it.session.connect();
        const layout = await readLayout(it.session, profile);
        expect(layout.descending).toBe(true);
        for (const [first, last] of ranges) {
          const entry = await readRange(
            { session: it.session, layout, model: { ...genericModel, selection: 'entry' } },
            first,
            last,
          );
          expect(stamps(entry)).toEqual(stamps(it.meter.rows(first, last) as never));
        }
        await it.session.close();
      })(),
    );
  });
});
