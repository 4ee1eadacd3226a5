/** TLS with a real mosquitto: right certificates, and each wrong one, told with what to do; it connects once that is mended. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Log } from '../../src/base/log.ts';
import { openBroker } from '../../src/forward/mqtt-client.ts';
import { realBroker, until } from '../support/broker.ts';
import { newKey, opensslIn, selfSigned } from '../support/certificates.ts';

let folder: string;
const path = (name: string) => join(folder, name);
const openssl = (...args: string[]) => opensslIn(folder)(...args);

function certificate(name: string, issuer: string, address: string, days: number): void {
  openssl('req', ...newKey, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`);
  writeFileSync(path(`${name}.ext`), `subjectAltName=${address}\n`);
  const signing = ['-CA', `${issuer}.pem`, '-CAkey', `${issuer}.key`, '-CAcreateserial', '-extfile', `${name}.ext`];
  openssl('x509', '-req', '-in', `${name}.csr`, '-out', `${name}.pem`, '-days', String(days), ...signing);
}
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'certificates-'));
  for (const name of ['head-end', 'stranger']) selfSigned(folder, name, '-days', '3');
  certificate('broker', 'head-end', 'IP:127.0.0.1', 3);
  certificate('broker-of-a-stranger', 'stranger', 'IP:127.0.0.1', 3);
  certificate('broker-elsewhere', 'head-end', 'DNS:elsewhere.example', 3);
  certificate('broker-expired', 'head-end', 'IP:127.0.0.1', -1);
  certificate('gateway', 'head-end', 'DNS:gateway', 3);
  certificate('gateway-of-a-stranger', 'stranger', 'DNS:gateway', 3);
  certificate('gateway-expired', 'head-end', 'DNS:gateway', -1);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Case {
  readonly what: string;
  readonly broker?: string;
  readonly gateway?: string | null;
  /** The broker listens without TLS. */
  readonly plain?: boolean;
  readonly trouble: RegExp;
}
const cases: readonly Case[] = [
  {
    what: 'the broker’s is of another authority',
    broker: 'broker-of-a-stranger',
    trouble: /not signed by an authority of mqtt\.ca_file/,
  },
  { what: 'the broker’s is for another name', broker: 'broker-elsewhere', trouble: /for another name than mqtt\.url/ },
  { what: 'the broker’s has expired', broker: 'broker-expired', trouble: /expired or is not valid yet.*clock/ },
  { what: 'ours is of another authority', gateway: 'gateway-of-a-stranger', trouble: /refuses our certificate/ },
  { what: 'ours has expired', gateway: 'gateway-expired', trouble: /refuses our certificate/ },
  { what: 'we have none', gateway: null, trouble: /refuses our certificate/ },
  { what: 'the broker speaks no TLS', plain: true, trouble: /does it speak TLS on the port/ },
];

describe('certificates', () => {
  test.each(cases)(
    '$what: refused, told once with what to do, never in the clear',
    async ({ broker = 'broker', gateway = 'gateway', plain, trouble }) => {
      const tls = (name: string) => [
        `cafile ${path('head-end.pem')}`,
        `certfile ${path(`${name}.pem`)}`,
        `keyfile ${path(`${name}.key`)}`,
        'require_certificate true',
      ];
      const real = await realBroker(plain ? [] : tls(broker));
      const warned: string[] = [];
      let connected = 0;
      const warn = (fields: object, text: string) =>
        void warned.push(`${text} ${(fields as { error?: string }).error ?? ''}`);
      const log: Log = { info: () => {}, warn, error: warn };
      const client = openBroker(
        {
          url: real.url.replace('mqtt:', 'mqtts:'),
          protocol: 5,
          clientId: 'gw',
          keepaliveS: 30,
          will: { topic: 'w', payload: '' },
          window: 16,
          ca: readFileSync(path('head-end.pem')),
          ...(gateway !== null && {
            cert: readFileSync(path(`${gateway}.pem`)),
            key: readFileSync(path(`${gateway}.key`)),
          }),
        },
        { onConnected: () => void connected++, onDisconnected: () => {}, onMessage: () => {} },
        log,
        () => 0,
      );
      try {
        // Not once only: it goes on trying.
        await until(() => trouble.test(client.trouble() ?? ''), `told: ${trouble}`);
        await new Promise((resolve) => setTimeout(resolve, 2000));
        expect(client.trouble()).toMatch(trouble);
        expect(connected).toBe(0);
        expect(warned.filter((line) => trouble.test(line))).toHaveLength(1);
        expect(warned.join()).not.toMatch(/PRIVATE KEY/);
        if (gateway !== 'gateway') return;
        await real.reconfigure(tls('broker'));
        await until(() => connected === 1, 'connected with the right certificate');
        expect(client.trouble()).toBeUndefined();
        await client.publish('a', '{}', { qos: 1 });
      } finally {
        await client.stop();
        await real.remove();
      }
    },
  );
});
