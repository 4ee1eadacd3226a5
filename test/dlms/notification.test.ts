/** What meters send unasked: recorded, hand-made and simulated. */
import { describe, expect, test } from 'vitest';
import { concat } from '../../src/base/cursor.ts';
import { fromHex, toHex } from '../../src/base/hex.ts';
import { Secret } from '../../src/base/secret.ts';
import { iso, later, millis } from '../../src/base/time.ts';
import { parseExchange } from '../../src/base/exchange-file.ts';
import { encodeFrame } from '../../src/dlms/hdlc/frame.ts';
import {
  type NotificationEvent,
  NotificationReceiver,
  type NotificationSettings,
} from '../../src/dlms/stack/notification.ts';
import { encodeWrapper } from '../../src/dlms/wrapper/wrapper.ts';
import { encodeApdu } from '../../src/dlms/xdlms/apdu.ts';
import { type ListOrder, pushedList, pushedListJson } from '../../src/reading/pushed-list.ts';
import type { QuirkName } from '../../src/simulator/quirks.ts';
import { buildBus } from '../../src/simulator/build-bus.ts';
import { parseScenario, type ScenarioInput } from '../../src/simulator/scenario.ts';
import { traceText } from '../support/recorded.ts';
import { VirtualClock } from '../support/virtual-clock.ts';
import { virtualPort } from '../support/virtual-port.ts';

const at = millis(Date.UTC(2026, 10, 24));
const keys = {
  encryption: new Secret(fromHex('000102030405060708090a0b0c0d0e0f')),
  authentication: new Secret(fromHex('d0d1d2d3d4d5d6d7d8d9dadbdcdddedf')),
};
const ciphering: NotificationSettings['ciphering'] = () => ({
  suite: 0,
  ownTitle: fromHex('4d47570000000001'),
  keys,
  policy: 'authenticated-encrypted',
});
const settings: NotificationSettings = {
  link: 'hdlc',
  quietMs: 5000,
  patienceMs: 30_000,
  reassemblyLimit: 4096,
  senderLimit: 4,
  ciphering,
};
function drain(receiver: NotificationReceiver): NotificationEvent[] {
  const events: NotificationEvent[] = [];
  for (let event = receiver.pollEvent(); event; event = receiver.pollEvent()) events.push(event);
  return events;
}
function heard(octets: Uint8Array, more: Partial<NotificationSettings> = {}): NotificationEvent[] {
  const receiver = new NotificationReceiver({ ...settings, ...more });
  receiver.receive(octets, at);
  return drain(receiver);
}
const ui = (information: Uint8Array, segmented = false, logical = 1): Uint8Array =>
  encodeFrame({
    destination: { logical: 16, size: 1 },
    source: { logical, size: 1 },
    control: { kind: 'UI', pollFinal: false },
    segmented,
    information,
  });
const codes = (events: readonly NotificationEvent[]): string[] =>
  events.map((event) =>
    event.kind === 'unreadable' ? event.error.code : event.kind === 'telegram' ? event.kind : event.apdu.kind,
  );

const recorded = concat(
  parseExchange(traceText('push-notification.txt')).flatMap((l) => ('octets' in l ? [l.octets] : [])),
);

describe('the recorded push', () => {
  test('deciphers to its list', () => {
    const [event, ...more] = heard(recorded);
    expect(more).toEqual([]);
    if (event?.kind !== 'notification') throw new Error(JSON.stringify(event));
    expect(toHex(event.systemTitle as Uint8Array)).toBe('4142434445464748');
    expect(pushedListJson(pushedList(event.apdu))).toMatchInlineSnapshot(`
      {
        "at": null,
        "readings": [
          {
            "object": "0-0:42.0.0*255",
            "scaler": null,
            "unit": null,
            "value": "'GRX0000000123456'",
          },
          {
            "object": "0-0:25.1.0*255:3",
            "scaler": null,
            "unit": null,
            "value": 16777343,
          },
        ],
      }
    `);
  });
  test('the same once more is a replay', () => {
    expect(codes(heard(concat([recorded, recorded])))).toEqual(['data-notification', 'replayed-counter']);
  });
  test('without a key: said so, and the next one is read', () => {
    expect(codes(heard(recorded, { ciphering: () => undefined }))).toEqual(['secret-missing']);
  });
  test('with another key it is refused', () => {
    const other = { ...keys, encryption: new Secret(new Uint8Array(16)) };
    const events = heard(recorded, {
      ciphering: () => ({ suite: 0, ownTitle: new Uint8Array(8), keys: other, policy: 'authenticated' }),
    });
    expect(codes(events)).toEqual(['deciphering-failed']);
  });
  test('cut after any octet: nothing, and the next whole one is read', () => {
    for (let cut = 1; cut < recorded.length; cut++) {
      const receiver = new NotificationReceiver(settings);
      receiver.receive(recorded.subarray(0, cut), at);
      expect(drain(receiver)).toEqual([]);
      const deadline = receiver.deadline();
      if (deadline !== undefined) receiver.wake(deadline);
      receiver.receive(recorded, later(at, 10_000));
      expect(codes(drain(receiver)).filter((code) => code === 'data-notification')).toHaveLength(1);
    }
  });
  test('one bit flipped in the APDU, with good checks: no notification', () => {
    const apdu = recorded.subarray(11, recorded.length - 3);
    for (let bit = 0; bit < apdu.length * 8; bit++) {
      const changed = apdu.slice();
      changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
      const kinds = heard(ui(concat([fromHex('e6e700'), changed]))).map(({ kind }) => kind);
      expect(kinds).not.toContain('notification');
    }
  });
});

/** OBIS codes each with its value, after the name of the list, as a maker's public list has them. */
const namedList = fromHex(
  '0f 00000000 0c 07ea0b18020e000000ff8800 0207' +
    '0a05 56 30 30 30 31' +
    '0906 0101000005ff 0a04 38393031' +
    '0906 0101010700ff 06 00000420' +
    '0906 0101010800ff 06 00012345',
);
/** The same values as structures with scaler_unit. */
const structuredList = fromHex(
  '0f 40000000 00 0102' +
    '0203 0906 0100010700ff 06 00000552 0202 0f00 161b' +
    '0203 0906 0100200700ff 12 0935 0202 0fff 1623',
);
const bareList = fromHex('0f 00000001 00 0203 06 00000420 06 00000000 12 00e6');
const order: readonly ListOrder[] = [
  { objects: ['1-0:1.7.0*255'] },
  { objects: ['1-0:1.7.0*255', '1-0:2.7.0*255', '1-0:32.7.0*255'] },
];
const llc = fromHex('e6e700');
const listOf = (events: readonly NotificationEvent[], orders: readonly ListOrder[] = []) => {
  const [event] = events;
  if (event?.kind !== 'notification') throw new Error(JSON.stringify(event));
  return pushedList(event.apdu, { deviationMin: -120 }, orders);
};
const values = (list: ReturnType<typeof pushedList>) => list.readings.map(({ key, value }) => [key, value]);

describe('shapes of lists, by hand', () => {
  test('OBIS codes followed by values', () => {
    const list = listOf(heard(ui(concat([llc, namedList]))));
    expect(iso(list.at as never)).toBe('2026-11-24T12:00:00Z');
    expect(values(list)).toEqual([
      // Whose list it is.
      [undefined, 'V0001'],
      ['1-1:0.0.5*255', '8901'],
      ['1-1:1.7.0*255', 0x420],
      ['1-1:1.8.0*255', 0x12345],
    ]);
    expect(list.problems).toEqual([]);
  });
  test('structures with scaler_unit', () => {
    const { readings, problems } = listOf(heard(ui(concat([llc, structuredList]))));
    expect(readings).toMatchObject([
      { key: '1-0:1.7.0*255', value: 1362, scalerUnit: { scaler: 0, unit: 27 } },
      { key: '1-0:32.7.0*255', value: 2357, scalerUnit: { scaler: -1, unit: 35 } },
    ]);
    expect(problems).toEqual([]);
  });
  test('bare values by the order of the model, or without a name and said so', () => {
    const events = heard(ui(concat([llc, bareList])));
    expect(values(listOf(events, order))).toEqual([
      ['1-0:1.7.0*255', 0x420],
      ['1-0:2.7.0*255', 0],
      ['1-0:32.7.0*255', 230],
    ]);
    const unnamed = listOf(events);
    expect(unnamed.readings.map(({ key }) => key)).toEqual([undefined, undefined, undefined]);
    expect(unnamed.problems).toEqual(['3 values without a name; no push_lists entry of the meter model has so many']);
  });
  describe('incident: elements of a list vanished without a word', () => {
    const head = '0f 00000001 00';
    const shown = (body: string, more = head) => {
      const list = listOf(heard(ui(concat([llc, fromHex(more + body)]))));
      return [...values(list), ...list.problems];
    };
    const setup = '0906 0000190900ff';
    const equipment = '0908 4b464d3130323030';
    const alarm = '06 00000400';
    const named = '0906 0100010800ff 06 00012345';
    test('an equipment id beside an alarm; the alarm was named after the push setup', () => {
      expect(shown(`0203 ${setup} ${equipment} ${alarm}`)).toEqual([
        [undefined, '0-0:25.9.0*255'],
        [undefined, "'KFM10200'"],
        [undefined, 0x400],
        '3 values without a name; no push_lists entry of the meter model has so many',
      ]);
      expect(shown(`0202 ${setup} ${alarm}`)).toEqual([
        [undefined, '0-0:25.9.0*255'],
        [undefined, 0x400],
        '2 values without a name; no push_lists entry of the meter model has so many',
      ]);
    });
    test('beside named values, in their order', () => {
      expect(shown(`0204 ${setup} ${equipment} ${named}`)).toEqual([
        [undefined, '0-0:25.9.0*255'],
        [undefined, "'KFM10200'"],
        ['1-0:1.8.0*255', 0x12345],
      ]);
      expect(shown(`0204 ${named} ${alarm} ${equipment}`)).toEqual([
        ['1-0:1.8.0*255', 0x12345],
        [undefined, 0x400],
        [undefined, "'KFM10200'"],
        '1 of the values have no name; they stand where they came',
      ]);
    });
    test('an equipment id of six characters is no OBIS code, and a code before a code is a value', () => {
      expect(shown(`0202 0906 313233343536 ${alarm}`).slice(0, 2)).toEqual([
        [undefined, "'123456'"],
        [undefined, 0x400],
      ]);
      expect(shown(`0203 0906 0000600100ff ${named}`)).toEqual([
        [undefined, '0-0:96.1.0*255'],
        ['1-0:1.8.0*255', 0x12345],
      ]);
    });
    test('a third part of a structure that is no scaler and unit, and one that is, in any integer type', () => {
      expect(shown(`0101 0203 ${named} ${equipment}`)).toEqual([
        ['1-0:1.8.0*255', 0x12345],
        [undefined, "'KFM10200'"],
      ]);
      const list = listOf(heard(ui(concat([llc, fromHex(`${head} 0101 0203 ${named} 0202 11fd 111e`)]))));
      expect(list.readings).toMatchObject([
        { key: '1-0:1.8.0*255', value: 0x12345, scalerUnit: { scaler: -3, unit: 30 } },
      ]);
    });
    const definition = (classId: string, name: string, attribute: string, index = '0000') =>
      `0204 12${classId} 0906${name} 0f${attribute} 12${index}`;
    test('a description that leaves itself out; two elements of one object; a scaler that is none', () => {
      const described = `0103 ${definition('0003', '0100010800ff', '02')} ${definition('0003', '0100010800ff', '03')}${definition('0001', '0000600800ff', '02')}`;
      expect(shown(`0204 ${described} 06 00012345 00 1105`)).toEqual([
        ['1-0:1.8.0*255', 0x12345],
        ['1-0:1.8.0*255:3', null],
        ['0-0:96.8.0*255', 5],
      ]);
      const twice = `0103 ${definition('0028', '0000190900ff', '02')}${definition('0001', '0000600800ff', '02', '0001')}${definition('0001', '0000600800ff', '02', '0002')}`;
      expect(shown(`0203 ${twice} 1105 1106`)).toEqual([
        ['0-0:96.8.0*255#1', 5],
        ['0-0:96.8.0*255#2', 6],
      ]);
    });
    test('an event of another attribute keeps its name', () => {
      expect(shown('', 'c2 00 0001 0000616200ff 05 06 0000002a')).toEqual([['0-0:97.98.0*255:5', 42]]);
    });
    test('quirk 96: a date-time with its tag, in the notification and in its list; what the clock says of itself', () => {
      const tagged = '0f 00000001 09 0c 07ea0b18020e000000ff8801 0101 06 00000400';
      const list = listOf(heard(ui(concat([llc, fromHex(tagged)]))));
      expect([list.at && iso(list.at), list.clockSays, list.readings.length]).toEqual([
        '2026-11-24T12:00:00Z',
        'invalid',
        1,
      ]);
      expect(pushedListJson(list)).toMatchObject({ at: '2026-11-24T12:00:00Z', clockSays: 'invalid' });
      const event = 'c2 01 09 0c 07ea0b18020e000000ff8800 0001 0000616200ff 02 06 0000002a';
      expect(iso(listOf(heard(ui(concat([llc, fromHex(event)])))).at as never)).toBe('2026-11-24T12:00:00Z');
    });
    test('a clock that names no instant is said, and shown as it came', () => {
      const list = listOf(
        heard(ui(concat([llc, fromHex(`${head} 0202 0906 0000010000ff 090c 07ea021f020e000000ff8800`)]))),
      );
      expect(list.at).toBeNull();
      expect(list.problems).toEqual([
        "a stamp of the meter's clock names no instant: no day of the calendar: 2026-2-31",
      ]);
      expect(values(list)).toEqual([['0-0:1.0.0*255', '0x07ea021f020e000000ff8800']]);
    });
  });
  test('event-notification: the attribute is the name', () => {
    const apdu = fromHex('c2 00 0003 0100010800ff 02 06 0000002a');
    expect(values(listOf(heard(ui(concat([llc, apdu])))))).toEqual([['1-0:1.8.0*255', 42]]);
  });
  test('information-report of short names', () => {
    const apdu = fromHex('18 00 01 02 2180 01 06 0000002a');
    const list = listOf(heard(ui(concat([llc, apdu]))));
    expect(values(list)).toEqual([[undefined, 42]]);
  });
  test('a profile buffer with its capture objects', () => {
    const column = (classId: string, name: string) => `0204 12${classId} 0906${name} 0f02 120000`;
    const definition = (classId: string, name: string, attribute: string) =>
      `0204 12${classId} 0906${name} 0f${attribute} 120000`;
    const profile = '0100630100ff';
    const apdu = fromHex(
      `0f 00000001 00 0204 0104 ${definition('0028', '0000190900ff', '02')}` +
        `${definition('0007', profile, '02')} ${definition('0007', profile, '03')} ${definition('0007', profile, '04')}` +
        '0101 0202 090c 07ea0b180201000000000000 06 00001000' +
        `0102 ${column('0008', '0000010000ff')} ${column('0003', '0100010800ff')}` +
        '06 00000e10',
    );
    const list = listOf(heard(ui(concat([llc, apdu]))));
    expect(list.problems).toEqual([]);
    expect(list.rows.map(({ start, end, cells }) => [start, end, ...cells])).toEqual([
      [Date.UTC(2026, 10, 24), Date.UTC(2026, 10, 24, 1), 0x1000],
    ]);
    expect(list.readings.map(({ key }) => key)).toEqual(['1-0:99.1.0*255:3', '1-0:99.1.0*255:4']);
  });
  test('LLC of a command, none at all, in an I frame, in a wrapper frame', () => {
    const whole = values(listOf(heard(ui(concat([llc, namedList])))));
    expect(values(listOf(heard(ui(concat([fromHex('e6e600'), namedList])))))).toEqual(whole);
    expect(values(listOf(heard(ui(namedList))))).toEqual(whole);
    const frame = encodeFrame({
      destination: { logical: 16, size: 1 },
      source: { logical: 1, size: 1 },
      control: { kind: 'I', ns: 0, nr: 0, pollFinal: true },
      segmented: false,
      information: concat([llc, namedList]),
    });
    expect(values(listOf(heard(frame)))).toEqual(whole);
    const wrapped = encodeWrapper({ source: 1, destination: 102, apdu: namedList });
    expect(values(listOf(heard(wrapped, { link: 'wrapper' })))).toEqual(whole);
  });
});

describe('parts of a list', () => {
  const information = concat([llc, namedList]);
  const cut = (size: number): Uint8Array[] => {
    const parts: Uint8Array[] = [];
    for (let from = 0; from < information.length; from += size) parts.push(information.subarray(from, from + size));
    return parts;
  };
  const segments = (logical: number) => cut(16).map((part, i, all) => ui(part, i < all.length - 1, logical));
  test('segments of two senders, one frame after the other', () => {
    const one = segments(1);
    const two = segments(2);
    const events = heard(concat(one.flatMap((frame, i) => [frame, two[i] as Uint8Array])));
    expect(codes(events)).toEqual(['data-notification', 'data-notification']);
    expect(events.map(({ from }) => from)).toEqual(['1', '2']);
  });
  test('a list that is never finished is given up, and said', () => {
    const receiver = new NotificationReceiver(settings);
    receiver.receive(segments(1)[0] as Uint8Array, at);
    receiver.wake(later(at, 29_000));
    expect(drain(receiver)).toEqual([]);
    expect(receiver.deadline()).toBe(later(at, 30_000));
    receiver.wake(later(at, 30_000));
    expect(codes(drain(receiver))).toEqual(['fell-silent']);
    receiver.receive(ui(information), later(at, 31_000));
    expect(codes(drain(receiver))).toEqual(['data-notification']);
  });
  test('segments without end hold no more than the limit', () => {
    const receiver = new NotificationReceiver(settings);
    let unreadable = 0;
    for (let i = 0; i < 1000; i++) {
      receiver.receive(ui(new Uint8Array(100), true), at);
      unreadable += drain(receiver).length;
    }
    expect(unreadable).toBe(Math.floor(1000 / 41));
  });
  test('senders without end hold no more than the limit', () => {
    const receiver = new NotificationReceiver(settings);
    for (let sender = 1; sender <= 20; sender++) receiver.receive(ui(new Uint8Array(8), true, sender), at);
    expect(codes(drain(receiver))).toEqual(Array.from({ length: 16 }, () => 'answer-too-long'));
  });
  const block = (number: number, content: Uint8Array, last: boolean) =>
    ui(
      concat([
        llc,
        encodeApdu({ kind: 'general-block-transfer', control: last ? 0x80 : 0x40, number, acknowledged: 0, content }),
      ]),
    );
  test('general blocks; a repeated one does not count, a lost one is said', () => {
    const [one, two, three] = [namedList.subarray(0, 30), namedList.subarray(30, 50), namedList.subarray(50)];
    const a = block(1, one, false);
    const b = block(2, two, false);
    const c = block(3, three, true);
    expect(codes(heard(concat([a, b, b, c])))).toEqual(['data-notification']);
    expect(codes(heard(concat([a, c, a, b, c])))).toEqual(['block-out-of-order', 'data-notification']);
    expect(codes(heard(concat([b, c])))).toEqual(['block-out-of-order', 'block-out-of-order']);
  });
});

describe('pushes of the simulator', () => {
  async function pushes(
    quirks: readonly QuirkName[],
    more: Partial<NotificationSettings> = {},
    ciphered = false,
    fields: ScenarioInput['meters'] = {},
  ) {
    const clock = new VirtualClock(at);
    const link = more.link ?? 'hdlc';
    const { bus, meters } = buildBus(
      parseScenario({
        bus: { link },
        meters: { count: 2, quirks: [...quirks], push_s: 60, push_ciphered: ciphered, ...fields },
      }),
      at,
    );
    const port = virtualPort(bus, clock);
    const receiver = new NotificationReceiver({ ...settings, ...more });
    const events: NotificationEvent[] = [];
    const end = later(at, 200_000);
    const hear = async () => {
      while (clock.now() < end) {
        const octets = await port.read(millis(Math.min(receiver.deadline() ?? end, end)));
        if (octets) receiver.receive(octets, clock.now());
        else receiver.wake(clock.now());
        events.push(...drain(receiver));
      }
    };
    await clock.complete(hear());
    return { events, meters };
  }
  const names = ['0-0:1.0.0*255', '1-0:1.8.0*255', '1-0:2.8.0*255'];
  test('alarm-push: the id and the alarm are shown, and neither is named after the push setup', async () => {
    const { events } = await pushes(['alarm-push']);
    expect(events).toHaveLength(6);
    for (const event of events) {
      expect(values(listOf([event]))).toEqual([
        [undefined, '0-0:25.9.0*255'],
        [undefined, "'SIM10200'"],
        [undefined, 0x400],
      ]);
      const orders = [{ objects: ['0-0:25.9.0*255', '0-0:96.1.0*255', '0-0:97.98.20*255'] }];
      expect(values(listOf([event], orders)).at(-1)).toEqual(['0-0:97.98.20*255', 0x400]);
    }
  });
  test('tagged-push-time: the time and the list are read', async () => {
    const { events } = await pushes(['tagged-push-time']);
    expect(events).toHaveLength(6);
    for (const event of events) {
      const { at, readings, problems } = listOf([event]);
      expect([at, readings.length, problems]).toEqual([Date.UTC(2026, 10, 24), 3, []]);
    }
  });
  const bare: readonly ListOrder[] = [{ objects: names }];
  const cases: [string, QuirkName[], Partial<NotificationSettings>, boolean][] = [
    ['as the standard says', [], {}, false],
    ['in wrapper frames', [], { link: 'wrapper' }, false],
    ['ciphered', [], {}, true],
    ['segmented, a pause before the last frame', ['pause-before-last-frame'], {}, false],
    ['segmented', ['segmented-push'], {}, false],
    ['segmented and ciphered', ['segmented-push'], {}, true],
    ['in general blocks', ['push-in-blocks'], {}, false],
    ['in general blocks and ciphered', ['push-in-blocks'], {}, true],
    ['OBIS codes with swapped tags', ['swapped-obis'], { swappedObis: true }, false],
    ['OBIS codes with swapped tags, ciphered', ['swapped-obis'], { swappedObis: true }, true],
    ['bare values', ['list-without-obis'], {}, false],
  ];
  test.each(cases)('%s: every list is read', async (_, quirks, more, ciphered) => {
    const { events, meters } = await pushes(quirks, more, ciphered);
    expect(codes(events)).toEqual(Array.from({ length: 6 }, () => 'data-notification'));
    for (const event of events) {
      const list = listOf([event], bare);
      expect(list.readings.map(({ key }) => key)).toEqual(names);
      expect(list.problems).toEqual([]);
      const [stamp, imported, exported] = list.readings.map(({ value }) => value);
      const pushedAt = millis(Date.parse(String(stamp)));
      // Each list is of one meter, at the instant that its clock shows.
      const truths = meters.map((meter) => meter.registers(pushedAt));
      expect(truths).toContainEqual([imported, exported]);
    }
  });
  describe('encrypted-push: encryption only, control 21', () => {
    const encrypted = (more: Partial<NonNullable<ReturnType<NonNullable<typeof ciphering>>>>) => ({
      ciphering: () =>
        ({ suite: 1, ownTitle: fromHex('4d47570000000001'), keys, policy: 'encrypted', ...more }) as const,
    });
    test('read where the policy says so, and not called authentic', async () => {
      const { events } = await pushes(['encrypted-push'], encrypted({}));
      expect(codes(events)).toEqual(Array.from({ length: 6 }, () => 'data-notification'));
      for (const event of events) {
        expect(event).toHaveProperty('authentic', false);
        expect(listOf([event]).readings.map(({ key }) => key)).toEqual(names);
      }
      const { events: tagged } = await pushes([], {}, true);
      for (const event of tagged) expect(event).toHaveProperty('authentic', true);
    });
    test('sibling: control 20, by the scenario', async () => {
      const more = { ciphering: () => ({ suite: 0, ownTitle: new Uint8Array(8), keys, policy: 'encrypted' }) as const };
      const { events } = await pushes([], more, true, { security_policy: 'encrypted' });
      expect(codes(events)).toEqual(Array.from({ length: 6 }, () => 'data-notification'));
    });
    test('refused by name where a tag is wanted', async () => {
      const { events } = await pushes(['encrypted-push'], encrypted({ policy: 'authenticated-encrypted' }));
      expect(new Set(codes(events))).toEqual(new Set(['protection-weaker']));
    });
  });
  test('incident: cut-push: a list that is cut was silence; it is said, and the next one is read', async () => {
    const { events } = await pushes(['cut-push'], { quietMs: 2000 });
    expect(codes(events).filter((code) => code === 'data-notification').length).toBeGreaterThan(1);
    expect(codes(events).filter((code) => code === 'damaged-answer').length).toBeGreaterThan(1);
    expect(new Set(codes(events))).toEqual(new Set(['data-notification', 'damaged-answer']));
  });
  describe('mbus-push: long frames of M-Bus around DLMS', () => {
    test.each([
      ['in the clear', false],
      ['ciphered', true],
    ])('incident: nothing of it was heard: %s', async (_, ciphered) => {
      const { events } = await pushes(['mbus-push'], {}, ciphered);
      expect(codes(events)).toEqual(Array.from({ length: 6 }, () => 'data-notification'));
      for (const event of events) {
        expect(event.from).toBe('M-Bus 255/1');
        expect(listOf([event]).readings.map(({ key }) => key)).toEqual(names);
      }
    });
    test('a list in three frames, octet by octet, noise between them; one frame of it lost', () => {
      const part = (number: number, content: Uint8Array) => {
        const body = concat([Uint8Array.of(0x53, 0xff, number, 1, 0x67), content]);
        const sum = body.reduce((all, octet) => (all + octet) & 0xff, 0);
        return concat([Uint8Array.of(0x68, body.length, body.length, 0x68), body, Uint8Array.of(sum, 0x16)]);
      };
      const [a, b, c] = [
        part(0, namedList.subarray(0, 20)),
        part(1, namedList.subarray(20, 45)),
        part(0x12, namedList.subarray(45)),
      ];
      const noise = Uint8Array.of(0x68, 0x68, 0x00, 0x16, 0x68, 9, 9);
      const receiver = new NotificationReceiver(settings);
      const eventsOf = (octets: Uint8Array): string[] => {
        for (const octet of octets) receiver.receive(Uint8Array.of(octet), at);
        return codes(drain(receiver));
      };
      expect(eventsOf(concat([a, b, c]))).toEqual(['data-notification']);
      expect(eventsOf(concat([a, noise, b, noise, c]))).toEqual(['data-notification']);
      expect(eventsOf(concat([a, c, b, c]))).toEqual([]);
      const damaged = b.slice();
      damaged[12] = (damaged[12] as number) ^ 1;
      expect(eventsOf(concat([a, damaged, c]))).toEqual([]);
      expect(eventsOf(concat([a, b, c]))).toEqual(['data-notification']);
      expect(eventsOf(concat([a, b]))).toEqual([]);
      receiver.wake(receiver.deadline() ?? at);
      expect(codes(drain(receiver))).toEqual(['damaged-answer']);
    });
    test('sibling: on a line of HDLC a frame of M-Bus in a frame is what it holds', () => {
      const inside = fromHex('680808685301017201020316');
      expect(codes(heard(concat([ui(concat([llc, namedList])), ui(concat([llc, bareList])), inside])))).toEqual([
        'data-notification',
        'data-notification',
      ]);
    });
  });
  test('swapped-obis bites: without the field of the model no value has its name', async () => {
    const { events } = await pushes(['swapped-obis']);
    expect(events).toHaveLength(6);
    for (const event of events) {
      const named = event.kind === 'notification' ? listOf([event]).readings.filter(({ key }) => key) : [];
      expect(named).toEqual([]);
    }
  });
  test('the pause before the last frame bites: with less patience the list is lost', async () => {
    const { events } = await pushes(['pause-before-last-frame'], { patienceMs: 2000 });
    expect(codes(events)).toContain('fell-silent');
    expect(codes(events)).not.toContain('data-notification');
  });
});

test('21: a ciphered push that is played again over another connection is refused; what was never met is not', () => {
  const senders: NonNullable<NotificationSettings['senders']> = new Map();
  // A listener has a receiver for each connection.
  expect(codes(heard(recorded, { senders }))).toEqual(['data-notification']);
  expect(codes(heard(recorded, { senders }))).toEqual(['replayed-counter']);
  expect(codes(heard(recorded, { senders: new Map() }))).toEqual(['data-notification']);
});
