/** What the gateway does to a meter, against the simulator in virtual time. */
import { describe, expect, test } from 'vitest';
import { Failure } from '../../src/base/errors.ts';
import { fromHex, toHex } from '../../src/base/hex.ts';
import { Secret } from '../../src/base/secret.ts';
import { millis } from '../../src/base/time.ts';
import { parseCertificate } from '../../src/dlms/security/certificate.ts';
import { newKeyPair, publicKeyOf } from '../../src/dlms/security/keys.ts';
import { readClock, readDisconnector, setClock, switchSupply } from '../../src/meter/act.ts';
import { activateImage, transferImage } from '../../src/meter/image-transfer.ts';
import { identify } from '../../src/meter/identity-reading.ts';
import { genericModel, type MeterModel } from '../../src/meter/model.ts';
import {
  agreeKey,
  exportCertificate,
  importCertificate,
  listCertificates,
  transferKeys,
} from '../../src/meter/security-setup.ts';
import type { MeterAccess } from '../../src/meter/access.ts';
import type { Session } from '../../src/meter/session.ts';
import { securitySetup } from '../../src/simulator/security-setup.ts';
import { meterWorld } from '../support/meter-world.ts';
import { vectorText } from '../support/recorded.ts';

type World = ReturnType<typeof meterWorld>;
const inSession = <T>(it: World, work: (session: Session) => Promise<T>, access: Partial<MeterAccess> = {}) => {
  const session = it.again(access);
  return it.clock.complete(
    (async () => {
      await session.connect();
      try {
        return await work(session);
      } finally {
        await session.close();
      }
    })(),
  );
};

describe('clock', () => {
  test.each<[string, object, Partial<MeterModel>, number]>([
    ['UTC', {}, {}, Date.UTC(2026, 10, 24, 12, 20)],
    ['local time with its deviation', { deviation_min: -120 }, {}, Date.UTC(2026, 10, 24, 12, 20)],
    ['in summer', { dst: true }, {}, Date.UTC(2026, 6, 24, 12, 20)],
    ['in winter', { dst: true }, {}, Date.UTC(2026, 11, 24, 12, 20)],
    [
      'overridden deviation',
      { deviation_min: -120 },
      { stamp_deviation_min: -120, stamp_deviation_overridden: true },
      Date.UTC(2026, 10, 24),
    ],
  ])('set and verified: %s', async (_, meter, model, at) => {
    const it = meterWorld({ meters: { clock_offset_s: 7, ...meter } }, {}, millis(at));
    const used = { ...genericModel, ...model };
    const before = await inSession(it, (session) => readClock(session, used));
    const { beforeMs, afterMs } = await inSession(it, (session) => setClock(session, it.clock, used));
    expect(Math.round((beforeMs as number) / 1000)).toBe(7);
    expect(Math.abs(afterMs)).toBeLessThan(1000);
    const after = await inSession(it, (session) => readClock(session, used));
    expect(after.daylightSaving).toBe(before.daylightSaving);
    expect(toHex(after.octets.subarray(9, 11))).toBe(toHex(before.octets.subarray(9, 11)));
    expect(before.daylightSaving).toBe('dst' in meter && new Date(at).getUTCMonth() === 6);
  });
  test('a clock without deviation, and no model that tells it: refused before anything is written', async () => {
    const it = meterWorld({ meters: { quirks: ['clock-without-deviation'], deviation_min: -120, clock_offset_s: 7 } });
    await expect(inSession(it, (session) => setClock(session, it.clock, genericModel))).rejects.toThrow(
      'the model must tell it',
    );
    const nordic = { ...genericModel, stamp_deviation_min: -120 };
    const { beforeMs, afterMs } = await inSession(it, (session) => setClock(session, it.clock, nordic));
    expect(Math.round((beforeMs as number) / 1000)).toBe(7);
    expect(Math.abs(afterMs)).toBeLessThan(1000);
  });
});

test('disconnector: state, order, state; the events are in the meter’s log', async () => {
  const it = meterWorld({});
  const { before, after } = await inSession(it, (session) => switchSupply(session, 'disconnect'));
  expect(before).toEqual({ output: true, control: 1, mode: 2 });
  expect(after).toEqual({ output: false, control: 0, mode: 2 });
  const back = await inSession(it, (session) => switchSupply(session, 'reconnect'));
  expect(back.after.output).toBe(true);
  await expect(inSession(it, (session) => readDisconnector(session, '0.0.96.3.99.255'))).rejects.toBeInstanceOf(
    Failure,
  );
});

describe('image transfer', () => {
  /** An image that verifies: its octets sum up to a multiple of 256. */
  const image = (size: number): Uint8Array => {
    const octets = Uint8Array.from({ length: size }, (_, i) => (i * 7 + (i >> 8)) & 0xff);
    octets[size - 1] = -octets.subarray(0, size - 1).reduce((sum, octet) => sum + octet, 0) & 0xff;
    return octets;
  };
  const name = Buffer.from('FW-1.2.3');
  test('all blocks, verified, then activated', async () => {
    const it = meterWorld({});
    const firmware = image(3000);
    const steps: number[] = [];
    const result = await inSession(it, (session) =>
      transferImage(session, it.clock, firmware, name, { progress: (blocks) => steps.push(blocks) }),
    );
    expect(result).toMatchObject({ blocks: 24, sent: 24 });
    expect(Buffer.from(result.identification).toString()).toBe('FW-1.2.3');
    expect(steps).toEqual(Array.from({ length: 24 }, (_, i) => i + 1));
    const stored = Buffer.concat([...it.meter.image.blocks.values()]);
    expect(Buffer.compare(stored, firmware)).toBe(0);
    expect(it.meter.image.activations).toBe(0);
    await inSession(it, (session) => activateImage(session));
    expect(it.meter.image.activations).toBe(1);
  });
  test('blocks that the meter acknowledged and lost are sent again, and only those', async () => {
    const it = meterWorld({ meters: { image_loses: [3, 17] } });
    const result = await inSession(it, (session) => transferImage(session, it.clock, image(3000), name));
    expect(result).toMatchObject({ blocks: 24, sent: 26 });
  });
  test('the line is lost in the middle: the next session goes on where this one ended', async () => {
    const it = meterWorld({});
    const firmware = image(3000);
    const broken = inSession(it, (session) =>
      transferImage(session, it.clock, firmware, name, {
        progress: (blocks) => {
          if (blocks === 10) throw new Failure('port-lost', 'pulled out');
        },
      }),
    );
    await expect(broken).rejects.toThrow('pulled out');
    const result = await inSession(it, (session) => transferImage(session, it.clock, firmware, name, { resume: true }));
    expect(result).toMatchObject({ blocks: 24, sent: 14 });
    expect(
      Buffer.compare(
        Buffer.concat([...it.meter.image.blocks].toSorted(([a], [b]) => a - b).map(([, b]) => b)),
        firmware,
      ),
    ).toBe(0);
  });
  test('an image that does not verify is said to be so, and is never activated', async () => {
    const it = meterWorld({});
    const firmware = image(500);
    firmware[0] = (firmware[0] as number) ^ 1;
    await expect(inSession(it, (session) => transferImage(session, it.clock, firmware, name))).rejects.toThrow(
      'did not verify',
    );
    await expect(inSession(it, (session) => activateImage(session))).rejects.toThrow('other-reason');
  });
  test('verification that takes too long ends the wait', async () => {
    const it = meterWorld({});
    const began = it.clock.now();
    await expect(
      inSession(it, (session) => transferImage(session, it.clock, image(500), name, { verifyForMs: 10_000 })),
    ).rejects.toThrow('verification took more than 10 s');
    expect(it.clock.now() - began).toBeLessThan(60_000);
  });
});

describe('security setup', () => {
  const ek = '000102030405060708090a0b0c0d0e0f';
  const ak = 'd0d1d2d3d4d5d6d7d8d9dadbdcdddedf';
  const master = new Secret(fromHex('0f0e0d0c0b0a09080706050403020100'));
  let counter = 1;
  const ciphered = (encryption: string, authentication: string): Partial<MeterAccess> => {
    return {
      client: 5,
      auth: 'hls-gmac',
      challenge: () => Buffer.from('0123456789abcdef'),
      ciphering: {
        suite: 0,
        ownTitle: Buffer.from('MGW\0\0\0\0\u0001', 'latin1'),
        keys: { encryption: new Secret(fromHex(encryption)), authentication: new Secret(fromHex(authentication)) },
        policy: 'authenticated-encrypted',
        wrapping: 'service',
        nextCounter: () => counter++,
      },
    };
  };
  test('keys are changed under the master key; the next association takes the new ones and only those', async () => {
    const it = meterWorld({});
    const newEk = 'f00102030405060708090a0b0c0d0e0f';
    const newAk = 'e0d1d2d3d4d5d6d7d8d9dadbdcdddedf';
    const keys = new Map([
      ['global-unicast-encryption', new Secret(fromHex(newEk))],
      ['authentication', new Secret(fromHex(newAk))],
    ] as const);
    await inSession(
      it,
      async (session) => {
        await transferKeys(session, keys, master);
        // The association that is open goes on with its keys.
        expect((await identify(session, it.clock, genericModel)).serial).toBe('60120001');
      },
      ciphered(ek, ak),
    );
    await expect(inSession(it, () => Promise.resolve(), ciphered(ek, ak))).rejects.toBeInstanceOf(Failure);
    const serial = await inSession(
      it,
      async (session) => (await identify(session, it.clock, genericModel)).serial,
      ciphered(newEk, newAk),
    );
    expect(serial).toBe('60120001');
  });
  test('under a wrong master key nothing is changed', async () => {
    const it = meterWorld({});
    const wrong = new Secret(new Uint8Array(16).fill(9));
    const keys = new Map([['authentication', new Secret(new Uint8Array(16))]] as const);
    await expect(inSession(it, (session) => transferKeys(session, keys, wrong), ciphered(ek, ak))).rejects.toThrow(
      'other-reason',
    );
    await inSession(it, (session) => identify(session, it.clock, genericModel), ciphered(ek, ak));
  });
  test('certificates: listed, imported, exported; what is none is refused', async () => {
    const der = fromHex(vectorText('certificate-p256.hex').replaceAll('\n', ''));
    const rsa = fromHex(vectorText('certificate-rsa.hex').replaceAll('\n', ''));
    const it = meterWorld({});
    await inSession(it, async (session) => {
      expect(await listCertificates(session)).toEqual([]);
      await importCertificate(session, der);
      const [one, ...more] = await listCertificates(session);
      expect(more).toEqual([]);
      expect(one?.subject).toContain('CN=4142434445464748');
      expect(toHex(one?.serialNumber as Uint8Array)).toBe('1122334455667788');
      expect(toHex(await exportCertificate(session, one as never))).toBe(toHex(der));
      await expect(importCertificate(session, der.subarray(0, 100))).rejects.toThrow('other-reason');
      await expect(importCertificate(session, rsa)).rejects.toThrow('other-reason');
      await expect(exportCertificate(session, { serialNumber: Uint8Array.of(1), issuer: '' })).rejects.toThrow(
        'object-undefined',
      );
    });
    expect(parseCertificate(der).publicOctets).toHaveLength(64);
    expect(() => parseCertificate(rsa)).toThrow('no key on P-256');
    for (let cut = 0; cut < der.length; cut += 7) expect(() => parseCertificate(der.subarray(0, cut))).toThrow(Failure);
  });
  test.each([1, 2] as const)(
    'key agreement, suite %i: both sides have the same key, a foreign signature none',
    async (suite) => {
      const client = newKeyPair(suite);
      const meter = newKeyPair(suite);
      const ownTitle = Buffer.from('MGW\0\0\0\0\u0001', 'latin1');
      const peerTitle = Buffer.from('SIM\0\0\0\0\u0001', 'latin1');
      const keys = new Map<number, Secret>();
      const changed: (readonly number[])[] = [];
      const object = securitySetup(
        { keys, certificates: [], policy: 0 },
        {
          suite,
          clientTitle: ownTitle,
          ownTitle: peerTitle,
          signing: { own: meter, client: client.publicOctets },
          changed: (ids) => changed.push(ids),
        },
      );
      // A session that carries one ACTION to the object.
      const session = {
        exchange: (request: { invocations: [{ method: number; parameters: never }] }) => {
          const [{ method, parameters }] = request.invocations;
          const found = object.methods?.find(({ id }) => id === method);
          return Promise.resolve({ results: [found?.act(parameters)] });
        },
      } as unknown as Session;
      const agreement = {
        suite,
        ephemeral: newKeyPair(suite),
        signing: client.privateKey,
        peer: publicKeyOf(meter.publicOctets, suite),
        ownTitle,
        peerTitle,
      };
      const key = await agreeKey(session, 'global-unicast-encryption', agreement);
      expect(key.length).toBe(suite === 1 ? 16 : 32);
      expect(toHex(key.reveal())).toBe(toHex((keys.get(0) as Secret).reveal()));
      expect(changed).toEqual([[0]]);
      const foreign = newKeyPair(suite);
      await expect(agreeKey(session, 'authentication', { ...agreement, signing: foreign.privateKey })).rejects.toThrow(
        'other-reason',
      );
      await expect(
        agreeKey(session, 'authentication', { ...agreement, peer: publicKeyOf(foreign.publicOctets, suite) }),
      ).rejects.toThrow('does not verify');
    },
  );
});
