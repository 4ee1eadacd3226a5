/** A configuration is judged whole before anything is started or stopped for it. */
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { findingText } from '../../src/config/findings.ts';
import { type Judged, judgeText, parseConfig } from '../../src/config/judge.ts';
import { checkSources, serviceSources } from '../../src/config/sources.ts';
import { genericModel } from '../../src/meter/model.ts';
import { selfSigned } from '../support/certificates.ts';
import { configuration, type GatewayKeys, type MeterKeys, type MqttKeys } from '../support/configuration.ts';

const folder = mkdtempSync(join(tmpdir(), 'resolve-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const path = (name: string) => join(folder, name);
const put = (name: string, text: string | Uint8Array, mode = 0o600): string => {
  writeFileSync(path(name), text);
  chmodSync(path(name), mode);
  return path(name);
};
for (const name of ['ca', 'other']) selfSigned(folder, name);
put('secret', 'hunter22\n');
put('ek', '000102030405060708090A0B0C0D0E0F\n');
put('short', '0001020304\n');
const signing = put('signing.pem', readFileSync(new URL('../vectors/ecdsa/client.key.pem', import.meta.url)));
const certificate = put('meter.pem', readFileSync(new URL('../vectors/ecdsa/meter.pem', import.meta.url)));

const meter = (n: number, more: MeterKeys = {}): MeterKeys => ({
  id: `m${n}`,
  point: `pm${n}`,
  serial: String(n),
  physical: 1000 + n,
  ...more,
});
const text = (
  given: {
    gateway?: GatewayKeys;
    mqtt?: MqttKeys;
    meters?: readonly MeterKeys[];
    device?: string;
    /** Of a second port, with meter 9. */
    second?: string;
  } = {},
) =>
  configuration({
    gateway: { state_directory: `${folder}/state`, ...given.gateway },
    ...(given.mqtt && { mqtt: given.mqtt }),
    port: [
      { device: given.device ?? '/dev/ttyUSB0', meter: (given.meters ?? [{}]).map((more, i) => meter(i + 1, more)) },
      ...(given.second === undefined ? [] : [{ device: given.second, meter: [meter(9)] }]),
    ],
  });
const judge = (given: Parameters<typeof text>[0], sources = serviceSources): Judged =>
  judgeText(text(given), { name: 'c.toml', sources });
const found = (given: Parameters<typeof text>[0], sources = serviceSources): string[] =>
  judge(given, sources).findings.map(findingText);
const lls = (reference: string): MeterKeys => ({ auth: 'lls', secret: reference });

test('a sound configuration is a plan, with nothing to say', () => {
  const { plan, findings } = judge({ meters: [lls(`file:${path('secret')}`)] });
  expect(findings).toEqual([]);
  expect(plan?.ports[0]?.meters[0]?.access.secret?.reveal()).toEqual(Uint8Array.from(Buffer.from('hunter22')));
});

describe('incident: what concerns one meter stopped all of them', () => {
  const ciphered = (ek: string, ak: string): MeterKeys => ({
    auth: 'hls-gmac',
    encryption_key: `file:${ek}`,
    authentication_key: `file:${ak}`,
  });
  const signed = (key: string, file: string): MeterKeys => ({
    auth: 'hls-ecdsa',
    signing_key: `file:${key}`,
    meter_certificate: file,
  });
  test.each<[string, MeterKeys, string, string]>([
    ['its secret does not exist', lls(`file:${path('no')}`), 'secret: this meter is not polled: ', 'does not exist'],
    ['its secret is empty', lls(`file:${put('empty', '\n')}`), 'secret: ', 'is empty'],
    ['others may read its secret', lls(`file:${put('open', 'x', 0o644)}`), 'secret: ', 'may be read by others'],
    ['its secret is a folder', lls(`file:${path('.')}`), 'secret: ', 'is a folder'],
    ['systemd passed no credentials', lls('credential:m2'), 'secret: ', 'LoadCredential='],
    [
      'a key of another length',
      ciphered(path('short'), path('ek')),
      'encryption_key: ',
      '10 hex digits, a key of suite 0 has 32',
    ],
    ['the second key does not exist', ciphered(path('ek'), path('no')), 'authentication_key: ', 'does not exist'],
    ['a model that nobody knows', { model: 'kamstrup-9000' }, 'model: ', "no model 'kamstrup-9000'"],
    ['its certificate does not exist', signed(signing, path('no')), 'meter_certificate: ', 'does not exist'],
    ['its signing key is no key', signed(path('secret'), certificate), 'signing_key: ', 'no EC private key'],
    ['its certificate is none', signed(signing, path('secret')), 'meter_certificate: ', 'no X.509 certificate'],
  ])('%s', (_, more, key, what) => {
    const { plan, findings } = judge({ meters: [lls(`file:${path('secret')}`), more, {}] });
    expect(findings.map(({ severity }) => severity)).toEqual(['meter']);
    const [finding] = findings.map(findingText) as [string];
    expect(finding).toContain(`port[0].meter[1].${key}`);
    expect(finding).toContain(what);
    expect(finding).not.toContain('hunter22');
    const [first, second, third] = plan?.ports[0]?.meters ?? [];
    expect(first?.unusable).toBeUndefined();
    expect(second?.unusable?.message).toContain(what);
    expect(third?.unusable).toBeUndefined();
  });
  test('all findings at once, with their paths', () => {
    expect(
      found({
        mqtt: { url: 'mqtts://h', ca_file: path('no-ca'), password: `file:${path('no-password')}`, username: 'u' },
        gateway: { status_socket: path('nowhere/s.sock') },
        meters: [lls(`file:${path('no')}`), { model: 'x' }],
      }).map((line) => line.split(': ').find((part) => /^(gateway|mqtt|port)[.[]/.test(part))),
    ).toEqual([
      'gateway.status_socket',
      'mqtt.ca_file',
      'mqtt.password',
      'port[0].meter[0].secret',
      'port[0].meter[1].model',
    ]);
  });
});

describe('what concerns the gateway leaves no plan', () => {
  const tls = (more: MqttKeys): MqttKeys => ({ url: 'mqtts://broker.example', ...more });
  const pair = (cert: string, key: string) => tls({ cert_file: cert, key: `file:${key}` });
  test.each<[string, Parameters<typeof text>[0], string]>([
    ['ca_file does not exist', { mqtt: tls({ ca_file: path('no.pem') }) }, 'no.pem does not exist'],
    ['ca_file is no certificate', { mqtt: tls({ ca_file: path('secret') }) }, 'holds no certificate in PEM'],
    [
      'the second certificate of ca_file is cut',
      {
        mqtt: tls({
          ca_file: put(
            'cut.pem',
            `${readFileSync(path('ca.pem'), 'utf8')}-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n`,
          ),
        }),
      },
      'certificate 2 of 2 does not parse',
    ],
    ['cert_file does not exist', { mqtt: pair(path('no.pem'), path('ca.key')) }, 'mqtt.cert_file: '],
    ['key is no key', { mqtt: pair(path('ca.pem'), path('secret')) }, 'is no private key in PEM'],
    [
      'the key of another certificate',
      { mqtt: pair(path('ca.pem'), path('other.key')) },
      'is not the key of the certificate',
    ],
    ['a certificate without its key', { mqtt: tls({ cert_file: path('ca.pem') }) }, 'cert_file and key go together'],
    [
      'the folder of the socket does not exist',
      { gateway: { status_socket: path('no/s.sock') } },
      'no socket can be made',
    ],
    [
      'a file stands where the socket is to be',
      { gateway: { status_socket: path('secret') } },
      'something else than a socket',
    ],
    [
      'a group that does not exist',
      { gateway: { status_group: 'no-such-group' } },
      "/etc/group has no 'no-such-group'",
    ],
    [
      'a group of technicians that does not exist',
      { gateway: { technician_group: 'no-such-group' } },
      "technician_group: /etc/group has no 'no-such-group'",
    ],
    ['a path too long for a socket', { gateway: { status_socket: path('x'.repeat(120)) } }, 'at most 107 octets'],
  ])('%s', (_, given, what) => {
    const { plan, findings } = judge(given);
    expect(plan).toBeUndefined();
    expect(findings.map(findingText).join('\n')).toContain(what);
  });
  test('two ports that are one adapter, by a link', () => {
    put('adapter', '');
    mkdirSync(path('by-id'));
    symlinkSync(path('adapter'), path('by-id/usb'));
    const second = path('by-id/usb');
    expect(found({ device: `serial:${path('adapter')}`, second }).join()).toContain('already used at port[0].device');
    const tcp = 'tcp://Conv.example:4001';
    expect(found({ device: 'tcp://conv.example:4001', second: tcp }).join()).toContain(
      'already used at port[0].device',
    );
  });
  test('two meters on one point are told', () => {
    const given = text({ meters: [{}, { point: 'pm1' }] });
    const { findings, plan } = judgeText(given, { name: 'c', sources: serviceSources });
    expect(findings.map(findingText).join()).toContain('point pm1 is already used at port[0].meter[0].point');
    expect(plan).toBeDefined();
  });
});

describe('item 20: nothing secret goes where it can be read', () => {
  const password: MqttKeys = { username: 'u', password: `file:${path('secret')}` };
  const broker = (url: string, more: MqttKeys = {}) => ({ mqtt: { url, ...more } });
  test.each([
    ['credentials in the URL', broker('mqtts://bob:hunter22@h')],
    ['a user name in the URL', broker('mqtts://hunter22@h')],
    ['over a web socket', broker('wss://bob:hunter22@h/mqtt')],
    ['a token in the query', broker('wss://h/mqtt?token=hunter22')],
    ['behind the #', broker('wss://h/mqtt#hunter22')],
  ])('%s: refused, and not repeated', (_, given) => {
    const { plan, findings } = judge(given);
    expect(plan).toBeUndefined();
    expect(findings.map(findingText).join()).toContain('would stand in logs');
    expect(findings.map(findingText).join()).not.toContain('hunter22');
  });
  test('a URL that is none is not repeated with its credentials either', () => {
    expect(() => parseConfig(text(broker('mqtt://bob:hunter22@h x')), 'c')).toThrow(/mqtt\.url/);
    expect(() => parseConfig(text(broker('mqtt://bob:hunter22@h x')), 'c')).not.toThrow(/hunter22/);
    expect(() => parseConfig(text({ device: 'tcp://bob:hunter22@h:1' }), 'c')).not.toThrow(/hunter22/);
  });
  test.each([
    ['ca_file', { ca_file: path('ca.pem') }],
    ['cert_file', { cert_file: path('ca.pem'), key: `file:${path('ca.key')}` }],
  ])('%s with mqtt:// is refused: it would not be looked at', (key, more) => {
    const { plan, findings } = judge(broker('mqtt://localhost', more));
    expect(plan).toBeUndefined();
    expect(findings.map(findingText).join()).toContain(`mqtt.${key}: is for TLS`);
  });
  test('a password over mqtt:// or ws:// is warned of, but not on the loopback', () => {
    for (const url of ['mqtt://h', 'ws://h/mqtt']) expect(found(broker(url, password))[0]).toContain('IN THE CLEAR');
    expect(found(broker('mqtt://h'))[0]).toContain('is not encrypted');
    for (const url of ['mqtt://localhost', 'mqtt://127.0.0.9:1', 'mqtt://[::1]', 'mqtts://h'])
      expect(found(broker(url, password))).toEqual([]);
    // A name that only begins like the loopback.
    expect(found(broker('mqtt://127.0.0.1.example', password))[0]).toContain('IN THE CLEAR');
  });
});

test('whoever checks a file is told what only the service can see', () => {
  const given = { meters: [lls('credential:m1')], gateway: { status_socket: '/run/meter-gateway/no/status.sock' } };
  const { plan, findings } = judge(given, checkSources);
  expect(plan).toBeDefined();
  expect(findings.map(({ severity }) => severity)).toEqual(['unjudged', 'unjudged']);
});

test('a dedicated key never goes out in the clear: refused with the model that says so', () => {
  put('ak-of-model', 'd0d1d2d3d4d5d6d7d8d9dadbdcdddedf\n');
  const ciphered = {
    auth: 'hls-gmac',
    encryption_key: `file:${path('ek')}`,
    authentication_key: `file:${path('ak-of-model')}`,
  } as const;
  const judged = (initiate: 'authenticated' | 'encrypted', dedicated: boolean) => {
    const models = new Map([['generic', { ...genericModel, initiate_protection: initiate }]]);
    const meters = [{ ...ciphered, dedicated_key: dedicated }];
    return judgeText(text({ meters }), { name: 'c.toml', sources: serviceSources, models }).findings.map(findingText);
  };
  expect(judged('encrypted', true)).toEqual([]);
  expect(judged('authenticated', false)).toEqual([]);
  const [finding, ...more] = judged('authenticated', true);
  expect(finding).toMatch(/m1: .*dedicated_key: .*would go out in the clear.*initiate_protection = "authenticated"/);
  expect(more).toEqual([]);
});
