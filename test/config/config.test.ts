import { readdirSync, readFileSync } from 'node:fs';
import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import { Failure } from '../../src/base/errors.ts';
import { parseToml } from '../../src/base/toml.ts';
import { configExample } from '../../src/config/example.ts';
import { parseConfig } from '../../src/config/judge.ts';
import { configSchema, gsrnIsValid } from '../../src/config/schema.ts';
import { meterModelSchema } from '../../src/meter/model.ts';
import { traceText } from '../support/recorded.ts';

const problems = (text: string): string => {
  try {
    parseConfig(text, 'c.toml');
    return '';
  } catch (error) {
    expect(error).toBeInstanceOf(Failure);
    expect((error as Failure).code).toBe('config-invalid');
    return (error as Failure).message;
  }
};
const good = (
  more: { gateway?: string; mqtt?: string; port?: string; meter?: string; meters?: string; ports?: string } = {},
): string => `
[gateway]
id = "gw"
tenant = "t"
${more.gateway ?? ''}
[mqtt]
url = "mqtt://localhost"
${more.mqtt ?? ''}
[[port]]
name = "bus"
device = "/dev/ttyUSB0"
${more.port ?? ''}
[[port.meter]]
id = "m1"
point = "p1"
serial = "1"
${more.meter ?? ''}
${more.meters ?? ''}
${more.ports ?? ''}
`;

test('the example is good, and shows every key of the schema', () => {
  const { findings } = parseConfig(configExample, 'example');
  expect(findings).toEqual([]);
  const keys: string[] = [];
  const walk = (schema: unknown) => {
    const at = schema as { entries?: Record<string, unknown>; item?: unknown; wrapped?: unknown; pipe?: unknown[] };
    if (at.wrapped) return walk(at.wrapped);
    if (at.item) walk(at.item);
    for (const [key, inner] of Object.entries(at.entries ?? {})) {
      keys.push(key);
      walk(inner);
    }
  };
  walk(configSchema);
  expect(keys.length).toBeGreaterThan(40);
  for (const key of keys) expect(configExample, `key ${key}`).toMatch(new RegExp(`(^|[\\s{[.#])${key}\\b`, 'm'));
});

test('a small file is good, with defaults', () => {
  const { config } = parseConfig(good(), 'c');
  expect(config.gateway.state_directory).toBe('/var/lib/meter-gateway');
  expect(config.port[0]?.meter[0]?.profiles).toEqual([{ obis: '1-0:99.1.0*255', period_s: 3600 }]);
});

describe('every mistake is named with its path', () => {
  test.each([
    [
      'unknown key',
      good({ gateway: 'poll_ofset_s = 3' }),
      "gateway.poll_ofset_s: unknown key; did you mean 'poll_offset_s'?",
    ],
    [
      'unknown key deep inside',
      good({ meter: 'fysical = 3' }),
      "port[0].meter[0].fysical: unknown key; did you mean 'physical'?",
    ],
    ['unknown table', `${good()}\n[mqttt]\na = 1`, "mqttt: unknown key; did you mean 'mqtt'?"],
    ['unlike anything', good({ mqtt: 'zzzzzz = 1' }), 'mqtt.zzzzzz: unknown key'],
    ['missing key', good().replace('tenant = "t"', ''), 'gateway.tenant: missing'],
    ['missing table', '[gateway]\nid="a"\ntenant="b"', 'mqtt: missing'],
    ['wrong type', good({ gateway: 'poll_offset_s = "60"' }), 'gateway.poll_offset_s: a number is expected, not "60"'],
    ['out of range', good({ port: 'baud = 100' }), 'port[0].baud: at least 300, not 100'],
    ['not whole', good({ port: 'baud = 9600.5' }), 'port[0].baud: a whole number is expected'],
    ['wrong choice', good({ port: 'link = "hdcl"' }), 'port[0].link: hdlc or wrapper, not "hdcl"'],
    ['bad device', good().replace('/dev/ttyUSB0', 'ttyUSB0'), 'port[0].device: serial:/dev/serial/by-id'],
    ['bad topic level', good().replace('id = "m1"', 'id = "m/1"'), 'port[0].meter[0].id: only letters'],
    ['a secret in the file', good({ meter: 'auth = "lls"\nsecret = "12345678"' }), 'secrets never stand in this file'],
    ['no secret', good({ meter: 'auth = "lls"' }), 'port[0].meter[0].secret: auth = "lls" needs a secret'],
    ['bad OBIS', good({ meter: 'profiles = [{ obis = "1.2" }]' }), 'port[0].meter[0].profiles[0].obis: no OBIS code'],
    [
      'profile twice',
      good({ meter: 'profiles = [{ obis = "1-0:99.1.0*255" }, { obis = "1.0.99.1.0" }]' }),
      'profiles[1].obis: 1.0.99.1.0 stands twice',
    ],
    [
      'since not midnight',
      good({ meter: 'since = "2026-10-01T01:00:00Z"' }),
      'port[0].meter[0].since: must be midnight UTC',
    ],
    [
      'duplicate meter',
      good({ meters: '[[port.meter]]\nid = "m1"\npoint = "p2"\nserial = "2"\nserver = 2' }),
      'port[0].meter[1].id: meter id m1 is already used at port[0].meter[0].id',
    ],
    [
      'duplicate serial',
      good({ meters: '[[port.meter]]\nid = "m2"\npoint = "p2"\nserial = "1"\nserver = 2' }),
      'serial 1 is already used',
    ],
    [
      'duplicate address',
      good({ meters: '[[port.meter]]\nid = "m2"\npoint = "p2"\nserial = "2"\nphysical = 1001' }),
      'port[0].meter[1].server: address on bus 1/1001 is already used at port[0].meter[0].server',
    ],
    [
      'two serials that give one address',
      good({ meters: '[[port.meter]]\nid = "m2"\npoint = "p2"\nserial = "70001"' }),
      'port[0].meter[1].server: address on bus 1/1001 is already used at port[0].meter[0].server',
    ],
    [
      'no formula, no address',
      good({ meter: 'physical = 5', meters: '[[port.meter]]\nid = "m2"\npoint = "p2"\nserial = "2"\nphysical = 5' }),
      'address on bus 1/5 is already used',
    ],
    [
      'duplicate device',
      good({
        ports:
          '[[port]]\nname = "b2"\ndevice = "serial:/dev/ttyUSB0"\n[[port.meter]]\nid = "m2"\npoint = "p"\nserial = "2"',
      }),
      'port[1].device: device serial:/dev/ttyUSB0 (it is /dev/ttyUSB0) is already used at port[0].device (line 11)',
    ],
    [
      'mode E over the wrapper',
      good({ port: 'mode_e = true\nlink = "wrapper"' }),
      'port[0].mode_e: mode E leads to HDLC',
    ],
    [
      'wrong check digit (R34)',
      good({ meter: '' }).replace('"p1"', '"643006966022791279"'),
      'port[0].meter[0].point: 643006966022791279 has a wrong GS1 check digit',
    ],
    [
      'a change of the period that is no midnight',
      good({
        meter:
          'profiles = [{ obis = "1-0:99.1.0", until = "2026-12-01T21:00:00Z" }, { obis = "1-0:99.1.0", period_s = 900 }]',
      }),
      'port[0].meter[0].profiles[0].until: a period changes at midnight of UTC (gateway.time_zone)',
    ],
    [
      'a change to nothing',
      good({ meter: 'profiles = [{ obis = "1-0:99.1.0", until = "2026-12-01T00:00:00Z" }]' }),
      'port[0].meter[0].profiles[0].until: name the profile once more',
    ],
    [
      'a change that changes nothing',
      good({
        meter: 'profiles = [{ obis = "1-0:99.1.0", until = "2026-12-01T00:00:00Z" }, { obis = "1-0:99.1.0" }]',
      }),
      'port[0].meter[0].profiles[1].period_s: the same period as before the change',
    ],
    ['time zone', good({ gateway: 'time_zone = "Europe/Helsingfors"' }), 'gateway.time_zone: a time zone such as'],
    ['bad broker', good().replace('mqtt://localhost', 'localhost:1883'), 'mqtt.url: mqtt://host:1883'],
    ['no TOML', 'id = ', 'c.toml:1:6: is no TOML: the value is missing'],
  ])('%s', (_, text, expected) => {
    expect(problems(text)).toContain(expected);
  });
  test('a secret that stands in the file is not repeated in the message', () => {
    expect(problems(good({ meter: 'auth = "lls"\nsecret = "hunter22"' }))).not.toContain('hunter22');
  });
  test('all of them at once', () => {
    const message = problems(good({ gateway: 'poll_offset_s = -1', port: 'baud = 1', meter: 'client = 500' }));
    expect(message.split('\n').filter((line) => line.startsWith('c.toml:'))).toHaveLength(4);
  });
});

test('R35: midnight in Helsinki is two hours before that in UTC, three in summer', () => {
  const changing = (until: string) =>
    good({
      gateway: 'time_zone = "Europe/Helsinki"',
      meter: `profiles = [{ obis = "1-0:99.1.0", until = "${until}" }, { obis = "1-0:99.1.0", period_s = 900 }]`,
    });
  expect(problems(changing('2026-11-30T22:00:00Z'))).toBe('');
  expect(problems(changing('2026-07-01T21:00:00Z'))).toBe('');
  expect(problems(changing('2026-07-01T22:00:00Z'))).toContain('at midnight of Europe/Helsinki');
});

test('R34: check digits of true point identifiers; refused or warned as configured', () => {
  for (const id of ['643006966022791278', '643003825107340356', '735999260731000007'])
    expect(gsrnIsValid(id)).toBe(true);
  const warned = parseConfig(
    good({ gateway: 'check_point_ids = "warn"' }).replace('"p1"', '"643006966022791279"'),
    'c',
  );
  expect(warned.findings[0]?.message).toContain('wrong GS1 check digit');
});

test('every meter model fits its schema and has its evidence', () => {
  const folder = new URL('../../hardware/meters/', import.meta.url);
  const files = readdirSync(folder).filter((name) => name.endsWith('.toml'));
  expect(files.length).toBeGreaterThanOrEqual(3);
  for (const file of files) {
    const model = v.parse(meterModelSchema, parseToml(readFileSync(new URL(file, folder), 'utf8')));
    expect(`${model.name}.toml`).toBe(file);
    expect(traceText(model.evidence).length).toBeGreaterThan(1000);
  }
});
