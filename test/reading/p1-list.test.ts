/** Telegrams of the P1 port as lists: by hand, after DSMR 5.0.2; plain and ciphered, through the receiver that the daemon has. */
import { describe, expect, test } from 'vitest';
import { fromHex } from '../../src/base/hex.ts';
import { Secret } from '../../src/base/secret.ts';
import { iso, millis } from '../../src/base/time.ts';
import { Ciphering } from '../../src/dlms/association/ciphering.ts';
import { crc16 } from '../../src/dlms/p1/crc16.ts';
import { type NotificationEvent, NotificationReceiver } from '../../src/dlms/stack/notification.ts';
import { heardList } from '../../src/reading/p1-list.ts';
import { pushedMeaning } from '../../src/reading/pushed-meaning.ts';
import { seriesKey } from '../../src/reading/series-key.ts';
import { parseLogicalName } from '../../src/dlms/cosem/logical-name.ts';

const keys = {
  encryption: new Secret(fromHex('000102030405060708090a0b0c0d0e0f')),
  authentication: new Secret(fromHex('d0d1d2d3d4d5d6d7d8d9dadbdcdddedf')),
};
const title = fromHex('5341473500000001');
function telegram(at: string, more: readonly string[] = []): Uint8Array {
  const body = [
    '/ISK5\\2M550T-1012',
    '',
    '1-3:0.2.8(50)',
    `0-0:1.0.0(${at})`,
    '0-0:96.1.1(3630313230303737)',
    '1-0:1.8.1(001234.567*kWh)',
    '1-0:1.8.2(000100.000*kWh)',
    '1-0:1.7.0(01.193*kW)',
    '1-0:32.7.0(220.1*V)',
    '0-1:24.2.1(261124120000W)(12785.123*m3)',
    ...more,
    '!',
  ].join('\r\n');
  const check = crc16(Buffer.from(body, 'latin1')).toString(16).toUpperCase().padStart(4, '0');
  return Buffer.from(`${body}${check}\r\n`, 'latin1');
}
function heard(octets: Uint8Array, size = octets.length): NotificationEvent[] {
  const receiver = new NotificationReceiver({
    link: 'p1',
    quietMs: 5000,
    patienceMs: 30_000,
    reassemblyLimit: 1 << 16,
    senderLimit: 8,
    ciphering: () => ({ suite: 0, ownTitle: title, keys, policy: 'authenticated-encrypted' }),
  });
  const events: NotificationEvent[] = [];
  for (let at = 0; at < octets.length; at += size) receiver.receive(octets.subarray(at, at + size), millis(at));
  receiver.wake(millis(60_000));
  for (let event = receiver.pollEvent(); event; event = receiver.pollEvent()) events.push(event);
  return events;
}
const listOf = (event: NotificationEvent | undefined, deviationMin?: number) => {
  if (!event || event.kind === 'unreadable') throw new Error(JSON.stringify(event));
  return heardList(event, deviationMin === undefined ? {} : { deviationMin });
};

describe('a telegram', () => {
  test.each([1, 7, 10_000])('in pieces of %i octets: integers with scaler and unit, the meter by its id', (size) => {
    const [event, ...more] = heard(telegram('261124130000W'), size);
    expect(more).toEqual([]);
    const list = listOf(event, -60);
    expect(list.at && iso(list.at)).toBe('2026-11-24T12:00:00Z');
    expect(list.identities).toEqual(['60120077']);
    expect(list.problems).toEqual([]);
    const shown = list.readings.map(({ key, value, scalerUnit }) => [key, value, scalerUnit?.scaler, scalerUnit?.unit]);
    expect(shown.slice(3, 7)).toEqual([
      ['1-0:1.8.1*255', 1_234_567, 0, 30],
      ['1-0:1.8.2*255', 100_000, 0, 30],
      ['1-0:1.7.0*255', 1193, 0, 27],
      ['1-0:32.7.0*255', 2201, -1, 35],
    ]);
    // A value of another device has a time of its own.
    expect(shown[7]).toEqual(['0-1:24.2.1*255', '261124120000W 12785.123 m3', undefined, undefined]);
  });
  test('summer time by its letter; without a zone of the model no instant, and that is said', () => {
    const [summer] = heard(telegram('260724140000S'));
    const { at } = listOf(summer, -60);
    expect(at && iso(at)).toBe('2026-07-24T12:00:00Z');
    const unknown = listOf(summer);
    expect(unknown.at).toBeNull();
    expect(unknown.problems[0]).toMatch(/stamp_deviation_min/);
  });
  test('its registers are a row of the series on the hour, and of none in between', () => {
    const series = [
      {
        series: seriesKey(parseLogicalName('1-0:99.1.0')),
        profile: parseLogicalName('1-0:99.1.0'),
        periodMs: 3_600_000,
      },
    ];
    const meaning = (text: string) =>
      pushedMeaning(listOf(heard(telegram(text))[0], -60), { series, toleranceMs: 30_000, companion: 'dsmr' });
    expect(meaning('261124130000W').rows[0]?.rows[0]).toMatchObject({ cells: [1_234_567, 100_000] });
    expect(meaning('261124131000W').rows).toEqual([]);
    expect(Object.keys(meaning('261124131000W').registers ?? {})).toEqual(['1-0:1.8.1*255', '1-0:1.8.2*255']);
  });
  test('ciphered in a general-glo APDU: known by its title, its counter and tag judged', () => {
    let counter = 4;
    const sender = new Ciphering({
      suite: 0,
      ownTitle: title,
      keys,
      policy: 'authenticated-encrypted',
      wrapping: 'general',
      nextCounter: () => ++counter,
    });
    const apdu = sender.wrap(telegram('261124130000W'));
    expect(apdu[0]).toBe(0xdb);
    const events = heard(apdu, 5);
    expect(events).toMatchObject([{ kind: 'telegram', authentic: true, counter: 5, systemTitle: title }]);
    const flipped = apdu.slice();
    flipped[40] = (flipped[40] ?? 0) ^ 1;
    expect(heard(flipped)).toMatchObject([{ kind: 'unreadable', error: { code: 'deciphering-failed' } }]);
    expect(heard(Buffer.concat([apdu, apdu]))).toMatchObject([
      { kind: 'telegram' },
      { kind: 'unreadable', error: { code: 'replayed-counter' } },
    ]);
  });
  test('one flipped bit, a cut, a telegram of nothing: never a value', () => {
    const good = telegram('261124130000W');
    for (let at = 20; at < good.length - 8; at += 3) {
      const wrong = Uint8Array.from(good);
      wrong[at] = (wrong[at] ?? 0) ^ 4;
      expect(
        heard(wrong).filter(({ kind }) => kind === 'telegram'),
        `octet ${at}`,
      ).toEqual([]);
    }
    for (let at = 1; at < good.length - 8; at += 5)
      expect(heard(good.subarray(0, at)).filter(({ kind }) => kind === 'telegram')).toEqual([]);
  });
});
