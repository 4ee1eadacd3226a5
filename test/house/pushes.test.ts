import { describe, expect, test } from 'vitest';
import { hourMs } from '../../src/base/time.ts';
import { comparePushed, pushingBus, pushingLine } from '../support/pushing-meters.ts';
import { virtualHouse } from '../support/virtual-house.ts';

const start = Date.UTC(2026, 10, 24, 12, 20);

describe('meters that push', () => {
  test('over HDLC and the wrapper, ciphered and plain: the series of each is whole', async () => {
    const buses = [
      pushingBus({ link: 'hdlc', count: 3, firstSerial: 70_000_001 }, start),
      pushingBus({ link: 'wrapper', count: 3, firstSerial: 70_000_101 }, start),
      pushingBus({ link: 'hdlc', ciphered: true, count: 3, firstSerial: 70_000_201 }, start),
      pushingBus({ link: 'wrapper', ciphered: true, count: 3, firstSerial: 70_000_301, periodS: 900 }, start),
    ];
    const { listen, listeners } = pushingLine(buses);
    const it = await virtualHouse({ meters: { count: 2 } }, { start, listen, listeners });
    it.broker.connect();
    await it.run(6 * hourMs);
    const from = Date.UTC(2026, 10, 24, 13);
    const compared = comparePushed(it.ingest, buses, from, Date.UTC(2026, 10, 24, 18));
    expect(compared.wrong).toEqual([]);
    expect(compared.right).toBe(compared.expected);
    await it.house.stop();
  });
});
