/** The objects of a virtual meter: each has what its class says (Blue Book 4), each is what the object list says of it. */
import { describe, expect, test } from 'vitest';
import { toHex } from '../../src/base/hex.ts';
import { millis } from '../../src/base/time.ts';
import { type Data, integerOf } from '../../src/dlms/axdr/data.ts';
import { classTable } from '../../src/dlms/cosem/class-table.ts';
import type { LogicalName } from '../../src/dlms/cosem/logical-name.ts';
import { logicalNameOf } from '../../src/dlms/cosem/logical-name.ts';
import { shortNamesOf } from '../../src/dlms/cosem/short-name.ts';
import { proposedByDefault } from '../../src/dlms/association/client-entry.ts';
import { conformanceNames } from '../../src/dlms/xdlms/conformance.ts';
import { readObjectList } from '../../src/meter/browse.ts';
import { genericModel } from '../../src/meter/model.ts';
import type { MeterAccess } from '../../src/meter/access.ts';
import type { Session } from '../../src/meter/session.ts';
import type { ScenarioInput } from '../../src/simulator/scenario.ts';
import { meterWorld } from '../support/meter-world.ts';
import { ciphered } from '../support/spoken.ts';

/** Types of the attributes from 2 on; null: any. */
const types: Readonly<Record<number, readonly (Data['type'] | null)[]>> = {
  1: [null],
  3: [null, 'structure'],
  7: ['array', 'array', 'double-long-unsigned', 'enum', 'structure', 'double-long-unsigned', 'double-long-unsigned'],
  8: ['octet-string', 'long', 'unsigned', 'octet-string', 'octet-string', 'integer', 'boolean', 'enum'],
  15: ['array', 'structure', 'structure', 'structure', 'structure', null, 'enum', 'octet-string', 'array', 'structure'],
  17: ['array'],
  18: ['double-long-unsigned', 'bit-string', 'double-long-unsigned', 'boolean', 'enum', 'array'],
  23: [
    'enum',
    'unsigned',
    'unsigned',
    'long-unsigned',
    'long-unsigned',
    'long-unsigned',
    'long-unsigned',
    'long-unsigned',
  ],
  40: ['array', 'structure', 'array', 'long-unsigned', 'unsigned', 'long-unsigned'],
  64: ['enum', 'enum', 'octet-string', 'octet-string', 'array'],
  70: ['boolean', 'enum', 'enum'],
};
const partsOf = (data: Data): readonly Data[] => (data.type === 'structure' || data.type === 'array' ? data.value : []);
const numbers = (data: Data): number[] => partsOf(data).map((part) => Number(integerOf(part)));

async function inSession<T>(
  scenario: ScenarioInput,
  access: Partial<MeterAccess>,
  work: (session: Session) => Promise<T>,
  at?: number,
): Promise<T> {
  const it = meterWorld(scenario, access, at === undefined ? undefined : millis(at));
  return it.clock.complete(
    (async () => {
      await it.session.connect();
      try {
        return await work(it.session);
      } finally {
        await it.session.close();
      }
    })(),
  );
}
const attribute = (classId: number, logicalName: LogicalName, id: number) => ({ classId, logicalName, attribute: id });
const association = (id: number) => attribute(15, '0.0.40.0.0.255', id);
const clock = (id: number) => attribute(8, '0.0.1.0.0.255', id);

describe.each([
  ['an ordinary meter', {}],
  ['one that pushes and captures energies', { push_s: 86_400, captures_energies: true }],
] as [string, ScenarioInput['meters']][])('%s', (_, meters) => {
  test('every attribute of every class is there, readable where the list says so, and of its type', async () => {
    await inSession({ meters }, {}, async (session) => {
      const { objects, problems } = await readObjectList(session);
      expect(problems).toEqual([]);
      expect(objects.length).toBeGreaterThan(18);
      for (const { classId, logicalName, attributes } of objects) {
        const named = `${classId} ${logicalName}`;
        const ids = classTable[classId]?.attributes.map((__, i) => i + 2) ?? [];
        expect(
          attributes.map(({ id }) => id),
          named,
        ).toEqual([1, ...ids]);
        for (const { id, access } of attributes) {
          const [got] = await session.get([attribute(classId, logicalName, id)]);
          const where = `${named}:${id}`;
          if ((access & 1) === 0) expect(got, where).toEqual({ refused: 3 });
          else if (!got || !('data' in got)) throw new Error(`${where} is not read`);
          else if (id === 1) expect(got.data, where).toMatchObject({ type: 'octet-string' });
          else {
            const type = types[classId]?.[id - 2];
            expect(type, where).not.toBeUndefined();
            expect(got.data.type, where).toBe(type ?? got.data.type);
          }
        }
      }
      // Only the secret may not be read.
      const hidden = objects.flatMap(({ classId, attributes }) =>
        attributes.filter(({ access }) => (access & 1) === 0).map(({ id }) => [classId, id]),
      );
      expect(hidden).toEqual([[15, 7]]);
    });
  });
  test('whatever a profile, a log or a push names is an object of the meter', async () => {
    await inSession({ meters }, {}, async (session) => {
      const { objects } = await readObjectList(session);
      const there = new Set(objects.map(({ classId, logicalName }) => `${classId} ${logicalName}`));
      let named = 0;
      for (const { classId, logicalName } of objects) {
        if (classId !== 7 && classId !== 40) continue;
        const lists = [attribute(classId, logicalName, classId === 7 ? 3 : 2)];
        for (const list of lists)
          for (const one of partsOf(await session.value(list))) {
            const [ofClass, name] = partsOf(one);
            if (name?.type !== 'octet-string' || ofClass === undefined) throw new Error('no capture object');
            expect(there).toContain(`${integerOf(ofClass)} ${logicalNameOf(name.value)}`);
            named++;
          }
      }
      expect(named).toBeGreaterThan(9);
    });
  });
});

describe('the current association tells of itself', () => {
  const attributesOf = (session: Session) =>
    Promise.all([]).then(async () => {
      const values: Data[] = [];
      for (const id of [3, 4, 5, 6, 8, 9]) values.push(await session.value(association(id)));
      return values as [Data, Data, Data, Data, Data, Data];
    });
  test.each([
    ['none', { client: 16, auth: 'none', secret: undefined }, 16, 1, 0],
    ['LLS', {}, 17, 1, 1],
    ['HLS by MD5', { client: 3, auth: 'hls-md5', challenge: () => Buffer.from('0123456789abcdef') }, 3, 1, 3],
    ['HLS by GMAC', ciphered('authenticated-encrypted'), 5, 3, 5],
    ['LLS with keys', ciphered('authenticated-encrypted', 8), 8, 3, 1],
  ] as [string, Partial<MeterAccess>, number, number, number][])(
    '%s',
    async (_, access, client, context, mechanism) => {
      const model = { ...genericModel, max_pdu: 700 };
      const values = await inSession({ meters: { logical: 3 } }, { logical: 3, model, ...access }, attributesOf);
      const [partners, contextName, xdlms, mechanismName, status, setup] = values;
      expect(numbers(partners)).toEqual([client, 3]);
      expect(numbers(contextName)).toEqual([2, 16, 756, 5, 8, 1, context]);
      expect(numbers(mechanismName)).toEqual([2, 16, 756, 5, 8, 2, mechanism]);
      const [bits, receives, sends, version, quality, secret] = partsOf(xdlms);
      if (bits?.type !== 'bit-string') throw new Error('no conformance block');
      const agreed = Number.parseInt(bits.value, 2);
      expect([bits.value.length, conformanceNames(agreed)]).toEqual([24, conformanceNames(proposedByDefault)]);
      expect([receives, sends, version, quality].map((one) => one && Number(integerOf(one)))).toEqual([
        1024, 700, 6, 0,
      ]);
      // Nothing of a key.
      expect(secret).toEqual({ type: 'octet-string', value: new Uint8Array(0) });
      expect(status).toEqual({ type: 'enum', value: 2 });
      expect(setup).toMatchObject({ value: Uint8Array.of(0, 0, 43, 0, 0, 255) });
    },
  );
  test('each client of its own, though another was there before', async () => {
    const it = meterWorld({});
    const of = async (more: Partial<MeterAccess>) => {
      const session = it.again(more);
      await session.connect();
      const values = await attributesOf(session);
      await session.close();
      return numbers(values[0])[0];
    };
    await it.clock.complete(
      (async () => {
        expect(await of({})).toBe(17);
        expect(await of({ client: 16, auth: 'none' })).toBe(16);
        expect(await of({ client: 2 })).toBe(2);
      })(),
    );
  });
  test('short names: object list, rights and security setup by their short names', async () => {
    const model = { ...genericModel, referencing: 'short-name' as const };
    await inSession({ meters: { referencing: 'short-name' } }, { model }, async (session) => {
      const sn = (id: number) => attribute(12, '0.0.40.0.0.255', id);
      const names = shortNamesOf(await session.value(sn(2)));
      const rights = partsOf(await session.value(sn(3)));
      expect(rights.map((one) => Number(integerOf(partsOf(one)[0] as Data)) & 0xffff)).toEqual([...names.values()]);
      for (const one of rights) expect(partsOf(one)).toHaveLength(3);
      expect(await session.value(sn(4))).toMatchObject({ value: Uint8Array.of(0, 0, 43, 0, 0, 255) });
    });
  });
});

describe('the clock', () => {
  const zoneOf = async (session: Session) => {
    const [begin, end, shift, enabled, base, status] = [
      await session.value(clock(5)),
      await session.value(clock(6)),
      await session.value(clock(7)),
      await session.value(clock(8)),
      await session.value(clock(9)),
      await session.value(clock(4)),
    ];
    const text = (data: Data) => (data.type === 'octet-string' ? toHex(data.value) : data.type);
    return [text(begin), text(end), ...[shift, enabled, base, status].map((one) => 'value' in one && one.value)];
  };
  const november = Date.UTC(2026, 10, 24, 12, 20);
  const july = Date.UTC(2026, 6, 1, 12, 20);
  test('Finland: at three o’clock to summer time, at four back; the status says when it is summer', async () => {
    const scenario: ScenarioInput = { meters: { dst: true } };
    // Last Sunday, the deviation of the time before.
    const changes = ['ffff03fe0703000000ff8800', 'ffff0afe0704000000ff4c80'];
    expect(await inSession(scenario, {}, zoneOf, november)).toEqual([...changes, 60, true, 1, 0]);
    expect(await inSession(scenario, {}, zoneOf, july)).toEqual([...changes, 60, true, 1, 0x80]);
  });
  test('UTC, without summer time', async () => {
    expect(await inSession({}, {}, zoneOf, july)).toEqual([
      'ffff03fe0701000000000000',
      'ffff0afe0702000000ffc480',
      60,
      false,
      1,
      0,
    ]);
  });
});
