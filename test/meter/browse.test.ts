/** What a meter has, as a list and as a file that the simulator serves. */
import { describe, expect, test } from 'vitest';
import { encode } from '../../src/base/codec.ts';
import { Failure } from '../../src/base/errors.ts';
import { toHex } from '../../src/base/hex.ts';
import { iso, millis } from '../../src/base/time.ts';
import { explain } from '../../src/recording/reader.ts';
import { parseExchange } from '../../src/base/exchange-file.ts';
import { dataCodec } from '../../src/dlms/axdr/data.ts';
import { accessRightsOf } from '../../src/dlms/cosem/object-list.ts';
import type { AssociationFacts } from '../../src/dlms/cosem/server-object.ts';
import { parseSnapshot, type Snapshot, snapshotObject, snapshotServer } from '../../src/dlms/cosem/snapshot.ts';
import { readObject, readObjectList } from '../../src/meter/browse.ts';
import { identify } from '../../src/meter/identity-reading.ts';
import { readLayout } from '../../src/meter/profile-layout.ts';
import { readRange } from '../../src/meter/profile-range.ts';
import { readEntries } from '../../src/meter/profile-rows.ts';
import { genericModel } from '../../src/meter/model.ts';
import type { Session } from '../../src/meter/session.ts';
import { buildBus } from '../../src/simulator/build-bus.ts';
import { parseScenario } from '../../src/simulator/scenario.ts';
import { traceText } from '../support/recorded.ts';
import { meterWorld, profile, start } from '../support/meter-world.ts';

async function snapshotOf(session: Session, rows: number): Promise<Snapshot> {
  const { objects, problems } = await readObjectList(session);
  expect(problems).toEqual([]);
  const read: Snapshot['objects'] = [];
  for (const object of objects) read.push(snapshotObject(object, await readObject(session, object, rows)));
  return { snapshot: 1, taken: iso(start), objects: read };
}
const browsed = (scenario: Parameters<typeof meterWorld>[0], rows: number) => {
  const it = meterWorld(scenario);
  return it.clock.complete(
    (async () => {
      await it.session.connect();
      const snapshot = await snapshotOf(it.session, rows);
      await it.session.close();
      return { ...it, snapshot };
    })(),
  );
};
/** Nothing of the association counts for a value that stands still. */
const unasked: AssociationFacts = {
  clientSap: 17,
  serverSap: 1,
  applicationContext: 1,
  mechanism: 1,
  conformance: 0,
  maxReceivePdu: 1024,
  maxSendPdu: 1024,
  objects: [],
  shortNames: undefined,
};
/** A world whose meter is the snapshot. */
function served(snapshot: Snapshot) {
  const it = meterWorld({ bus: { baud: 0 } });
  const { bus } = buildBus(parseScenario({ bus: { baud: 0 }, meters: { snapshot: 'memory' } }), start, () => snapshot);
  Object.assign(it.house.bus, bus);
  return it;
}

describe('a simulated meter', () => {
  test('its objects, rights and values; the newest rows of each buffer', async () => {
    const { snapshot, meter } = await browsed({}, 5);
    const of = (name: string) => snapshot.objects.find((object) => object.name === name);
    expect(of('0-0:96.1.0*255')?.attributes).toEqual([
      {
        id: 2,
        attribute: 'value',
        access: 1,
        value: '09083630313230303031',
        text: "'60120001'",
      },
    ]);
    expect(of('0-0:96.3.10*255')?.methods).toEqual([
      { id: 1, access: 1 },
      { id: 2, access: 1 },
    ]);
    expect(of('0-0:1.0.0*255')?.attributes.map(({ id, attribute, access }) => [id, attribute, access])).toEqual([
      [2, 'time', 3],
      [3, 'time_zone', 1],
      [4, 'status', 1],
      [5, 'daylight_savings_begin', 1],
      [6, 'daylight_savings_end', 1],
      [7, 'daylight_savings_deviation', 1],
      [8, 'daylight_savings_enabled', 1],
      [9, 'clock_base', 1],
    ]);
    const [newest] = snapshotServer(snapshot)
      .filter(({ logicalName }) => logicalName === profile)
      .flatMap(({ attributes }) => attributes.filter(({ id }) => id === 2));
    const rows = newest?.get?.(undefined, unasked);
    expect(rows && 'type' in rows && rows.type === 'array' ? rows.value.length : 0).toBe(5);
    expect(meter.rows(millis(0), start).length).toBeGreaterThan(5);
  });
  test('written, read and served: the same objects and the same rows, by range and by entry', async () => {
    const { snapshot, meter } = await browsed({}, 48);
    const file = parseSnapshot(JSON.stringify(snapshot));
    expect(file).toEqual(snapshot);
    const it = served(file);
    await it.clock.complete(
      (async () => {
        await it.session.connect();
        // The file holds 48 entries of the profile: so many are in use now.
        const inUse = (object: Snapshot['objects'][number]) =>
          object.attributes.map((one) =>
            object.name === '1-0:99.1.0*255' && one.id === 7
              ? { ...one, value: '0600000030', text: 'double-long-unsigned 48' }
              : one,
          );
        const expected = snapshot.objects.map((object) => ({ ...object, attributes: inUse(object) }));
        expect((await snapshotOf(it.session, 48)).objects).toEqual(expected);
        expect((await identify(it.session, it.clock, genericModel)).serial).toBe(String(meter.settings.serial));
        const layout = await readLayout(it.session, profile);
        const from = millis(Date.UTC(2026, 10, 23, 6));
        const to = millis(Date.UTC(2026, 10, 23, 20));
        const rows = await readRange({ session: it.session, layout, model: genericModel }, from, to);
        const truth = meter.rows(from, to).map(({ end, registers }) => [end as number, ...registers]);
        expect(rows.map(({ end, cells }) => [end as number, ...cells])).toEqual(truth);
        expect(truth).toHaveLength(15);
        const entries = await readEntries({ session: it.session, layout, model: genericModel }, 3, 7);
        const all = meter.rows(millis(0), start).slice(-48);
        expect(entries.map(({ end }) => end as number)).toEqual(all.slice(2, 7).map(({ end }) => end as number));
        await it.session.close();
      })(),
    );
  });
  test('attributes that are refused are in the file with the reason', async () => {
    const { snapshot } = await browsed({}, 1);
    const refused: Snapshot = {
      ...snapshot,
      objects: snapshot.objects.map((object) =>
        object.name === '0-0:96.1.0*255'
          ? {
              ...object,
              attributes: object.attributes.map(({ id, attribute, access }) => ({ id, attribute, access, refused: 3 })),
            }
          : object,
      ),
    };
    const it = served(refused);
    await it.clock.complete(
      (async () => {
        await it.session.connect();
        const again = await snapshotOf(it.session, 1);
        expect(again.objects.find(({ name }) => name === '0-0:96.1.0*255')?.attributes).toEqual([
          { id: 2, attribute: 'value', access: 1, refused: 3 },
        ]);
        await it.session.close();
      })(),
    );
  });
});

test('the object list of the recorded independent meter: every item, no problem', () => {
  const { frames } = explain(parseExchange(traceText('c-tcp-wrapper-none.tap')));
  let asked = false;
  const parts: Uint8Array[] = [];
  for (const { apdu } of frames) {
    if (apdu?.kind === 'get-request-normal') asked = apdu.attribute.classId === 15 && apdu.attribute.attribute === 2;
    if (!asked || !apdu) continue;
    if (apdu.kind === 'get-response-with-datablock' && 'raw' in apdu.result) parts.push(apdu.result.raw);
    if (apdu.kind === 'get-response-normal' && 'data' in apdu.result) parts.push(encode(dataCodec, apdu.result.data));
  }
  const { objects, problems } = accessRightsOf(Buffer.concat(parts));
  expect(problems).toEqual([]);
  expect(objects.length).toBeGreaterThan(5);
  expect(objects.map(({ classId }) => classId)).toEqual(expect.arrayContaining([1, 3, 7, 8, 15, 70]));
});

test.each([
  ['no JSON', 'snapshot:'],
  ['{}', 'snapshot: snapshot:'],
  ['{"snapshot":2,"taken":"2026-11-24T12:20:00Z","objects":[]}', 'snapshot: snapshot:'],
  [
    '{"snapshot":1,"taken":"2026-11-24T12:20:00Z","objects":[{"class":1,"className":"Data","version":0,"name":"0-0:1.0.0*255","attributes":[{"id":2,"attribute":"value","access":1,"value":"xyz"}],"methods":[]}]}',
    'objects.0.attributes.0.value: octets in hex',
  ],
])('%s is no snapshot, and it is said where', (text, where) => {
  expect(() => parseSnapshot(text)).toThrow(where);
});
test('a value that is no A-XDR is named', () => {
  const text = `{"snapshot":1,"taken":"2026-11-24T12:20:00Z","objects":[{"class":1,"className":"Data","version":0,"name":"0-0:1.0.0*255","attributes":[{"id":2,"attribute":"value","access":1,"value":"${toHex(Uint8Array.of(9, 5, 1))}"}],"methods":[]}]}`;
  expect(() => snapshotServer(parseSnapshot(text))).toThrow(Failure);
  expect(() => snapshotServer(parseSnapshot(text))).toThrow('0-0:1.0.0*255 attribute 2');
});
