/** What a configuration says of listeners, and of meters that only push. */
import { describe, expect, test } from 'vitest';
import { withSwap } from '../../src/cli/swap.ts';
import { millis } from '../../src/base/time.ts';
import { judgeText, parseConfig } from '../../src/config/judge.ts';
import { everyMeter } from '../../src/config/listened.ts';
import { configuration, type ConfigurationKeys } from '../support/configuration.ts';

const found = (keys: ConfigurationKeys) =>
  judgeText(configuration(keys), { name: 'g.toml' }).findings.map(({ path, message }) => [
    path.replaceAll('[', '.').replaceAll(']', ''),
    message,
  ]);
const pusher = { id: 'p1', point: 'p1', serial: '70000001' };
const keys = { encryption_key: 'credential:ek', authentication_key: 'credential:ak' } as const;

describe('listeners', () => {
  test('a gateway may do nothing but listen; one that does nothing is refused', () => {
    expect(found({ port: [], listen: [{ meter: [pusher] }] })).toEqual([]);
    expect(found({ port: [] })).toEqual([['port', 'at least one [[port]] or [[listen]]']]);
  });
  test('who pushes ciphered is known by a title; who is never asked is not detected, and keeps its period', () => {
    expect(
      found({
        port: [],
        listen: [
          {
            meter: [
              { ...pusher, ...keys },
              { ...pusher, id: 'p2', serial: '70000002', model: 'auto' },
              {
                ...pusher,
                id: 'p3',
                serial: '70000003',
                profiles: [
                  { obis: '1-0:99.1.0*255', period_s: 3600, until: '2026-12-01T00:00:00Z' },
                  { obis: '1-0:99.1.0*255', period_s: 900 },
                ],
              },
            ],
          },
        ],
      })
        .map(([path]) => path)
        .filter((path) => !path?.endsWith('point')),
    ).toEqual(['listen.0.meter.0.meter_title', 'listen.0.meter.1.model', 'listen.0.meter.2.profiles.0.until']);
  });
  test('a meter, a title and an address stand once, whether they are asked or heard', () => {
    const title = { meter_title: '53494d0000000001', ...keys };
    const messages = found({
      port: [{ name: 'a', device: 'tcp://127.0.0.1:4059', meter: [{ id: 'm', serial: '1', point: 'x' }] }],
      listen: [
        { name: 'a', device: 'tcp://127.0.0.1:4059', meter: [{ id: 'm', serial: '01', point: 'y', ...title }] },
        { name: 'b', device: 'udp://127.0.0.1:4059', meter: [{ id: 'n', serial: '2', point: 'z', ...title }] },
      ],
    }).map(([path]) => path);
    expect(messages).toEqual(
      expect.arrayContaining([
        'listen.0.name',
        'listen.0.device',
        'listen.0.meter.0.id',
        'listen.0.meter.0.serial',
        'listen.1.meter.0.meter_title',
      ]),
    );
  });
  test('nothing of asking stands under a meter that is not asked; what is no line is refused', () => {
    const text = configuration({ port: [], listen: [{ device: 'mbus://x', meter: [pusher] }] });
    const messages = judgeText(text.replace('serial = "70000001"', 'serial = "70000001"\nauth = "lls"'), {
      name: 'g.toml',
    }).findings.map(({ path, message }) => `${path} ${message}`);
    expect(messages.join('\n')).toMatch(/auth/);
    expect(messages.join('\n')).toMatch(/tcp:\/\/0\.0\.0\.0:4059, udp/);
  });
  test('such a meter is swapped in the file as any other', () => {
    const text = configuration({ port: [], listen: [{ meter: [pusher] }] });
    const options = { serial: '70000009', at: '2026-11-24T10:00:00Z', registers: false };
    const swapped = withSwap(text, 'p1', options, millis(Date.parse('2026-11-25T00:00:00Z')));
    expect(everyMeter(parseConfig(swapped, 'g.toml').config)).toMatchObject([
      { serial: '70000009', swap: { from: '70000001', at: '2026-11-24T10:00:00.000Z' } },
    ]);
    expect(() => withSwap(text, 'p1', { ...options, physical: '17' }, millis(Date.now()))).toThrow(/only pushes/);
  });
});
