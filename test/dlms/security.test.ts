import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { fromHex, toHex } from '../../src/base/hex.ts';
import { Secret } from '../../src/base/secret.ts';
import { type HlsParty, hlsProof, hlsVerify } from '../../src/dlms/security/hls.ts';
import {
  agree,
  deriveKey,
  ecdsaSign,
  ecdsaVerify,
  privateKeyOf,
  publicKeyOf,
  unwrapKey,
  wrapKey,
  concatenationKdf,
} from '../../src/dlms/security/keys.ts';
import { protect, unprotect } from '../../src/dlms/security/protection.ts';

const secret = (hex: string) => new Secret(fromHex(hex));
/** Green Book, example of information security for GET: keys, client system title, counter. */
const keys = {
  encryption: secret('000102030405060708090A0B0C0D0E0F'),
  authentication: secret('D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF'),
};
const title = fromHex('4D4D4D0000BC614E');
const counter = 0x01234567;
const request = fromHex('C0010000080000010000FF0200');

describe('Green Book: GET-Request protected', () => {
  test.each([
    ['authenticated', 0x10, '1001234567c0010000080000010000ff020006725d910f9221d263877516'],
    ['encrypted', 0x20, '2001234567411312ff935a47566827c467bc'],
    ['authenticated and encrypted', 0x30, '3001234567411312ff935a47566827c467bc7d825c3be4a77c3fcc056b6b'],
  ])('%s', (_, control, hex) => {
    expect(toHex(protect(request, { control, counter, systemTitle: title }, keys))).toBe(hex);
    expect(unprotect(fromHex(hex), title, keys)).toEqual({ control, counter, text: request });
  });

  test('one flipped bit, another title, another key: refused, never a text', () => {
    for (const control of [0x10, 0x30]) {
      const good = protect(request, { control, counter, systemTitle: title }, keys);
      for (let bit = 0; bit < good.length * 8; bit++) {
        const damaged = good.slice();
        damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ (1 << (bit & 7));
        // Without the authentication bit the octets claim to be plain or only encrypted: the policy above refuses that.
        if (((damaged[0] as number) & 0x10) === 0) continue;
        expect(() => unprotect(damaged, title, keys), `bit ${bit}`).toThrow();
      }
      for (let end = 0; end < good.length; end++) expect(() => unprotect(good.subarray(0, end), title, keys)).toThrow();
      expect(() => unprotect(good, fromHex('4D4D4D0000BC614F'), keys)).toThrow(/tag does not fit/);
      expect(() => unprotect(good, title, { ...keys, authentication: keys.encryption })).toThrow(/tag does not fit/);
      expect(() => unprotect(good, new Uint8Array(0), keys)).toThrow(/system title/);
    }
  });

  test('suite 2: AES-256', () => {
    const long = {
      encryption: secret('000102030405060708090A0B0C0D0E0F'.repeat(2)),
      authentication: secret('D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF'.repeat(2)),
    };
    const octets = protect(request, { control: 0x32, counter: 7, systemTitle: title }, long);
    expect(unprotect(octets, title, long).text).toEqual(request);
    expect(toHex(octets)).not.toContain(toHex(request));
  });
});

describe('Green Book: HLS by GMAC', () => {
  const clientTitle = fromHex('4D4D4D0000000001');
  const serverTitle = title;
  const cToS = fromHex('4B35366956616759');
  const sToC = fromHex('503677524A323146');
  const client: HlsParty = {
    secret: undefined,
    ownTitle: clientTitle,
    peerTitle: serverTitle,
    peerChallenge: sToC,
    ownChallenge: cToS,
    keys,
    suite: 0,
  };
  const server: HlsParty = {
    ...client,
    ownTitle: serverTitle,
    peerTitle: clientTitle,
    peerChallenge: cToS,
    ownChallenge: sToC,
  };
  test('f(StoC) and f(CtoS)', () => {
    expect(toHex(hlsProof('hls-gmac', client, 1))).toBe('10000000011a52fe7dd3e72748973c1e28');
    expect(toHex(hlsProof('hls-gmac', server, counter))).toBe('1001234567fe1466afb3dbcd4f9389e2b7');
    expect(hlsVerify('hls-gmac', fromHex('1001234567fe1466afb3dbcd4f9389e2b7'), client)).toBe(true);
    expect(hlsVerify('hls-gmac', fromHex('1001234567fe1466afb3dbcd4f9389e2b8'), client)).toBe(false);
    expect(hlsVerify('hls-gmac', new Uint8Array(3), client)).toBe(false);
  });
  test.each(['hls-manufacturer', 'hls-md5', 'hls-sha1', 'hls-sha256'] as const)(
    '%s: each verifies the other and nothing else',
    (mechanism) => {
      const withSecret = { secret: new Secret(Buffer.from('Gurux')) };
      const a = { ...client, ...withSecret };
      const b = { ...server, ...withSecret };
      expect(hlsVerify(mechanism, hlsProof(mechanism, a, 0), b)).toBe(true);
      expect(hlsVerify(mechanism, hlsProof(mechanism, b, 0), a)).toBe(true);
      expect(hlsVerify(mechanism, hlsProof(mechanism, { ...a, secret: new Secret(Buffer.from('gurux')) }, 0), b)).toBe(
        false,
      );
    },
  );
});

describe('keys', () => {
  test('RFC 3394: 128 bits of key with a 128-bit and a 256-bit master', () => {
    const key = secret('00112233445566778899AABBCCDDEEFF');
    const master = secret('000102030405060708090A0B0C0D0E0F');
    expect(toHex(wrapKey(key, master))).toBe('1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5');
    const long = secret('000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F');
    expect(toHex(wrapKey(key, long))).toBe('64e8c3f9ce0f5ba263e9777905818a2a93c8191e7d6e8ae7');
    expect(toHex(unwrapKey(fromHex('1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5'), master).reveal())).toBe(
      toHex(key.reveal()),
    );
    expect(() => unwrapKey(fromHex('1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe6'), master)).toThrow(
      /does not fit/,
    );
  });
  test('ECDSA P-256 with SHA-256: the key and signature of RFC 6979 A.2.5 ("sample")', () => {
    const raw = fromHex(
      '60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB67903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299',
    );
    const signature = fromHex(
      'EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8',
    );
    const key = publicKeyOf(raw, 1);
    expect(ecdsaVerify(Buffer.from('sample'), signature, key, 1)).toBe(true);
    expect(ecdsaVerify(Buffer.from('simple'), signature, key, 1)).toBe(false);
    const own = privateKeyOf(secret('C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721'), raw, 1);
    expect(ecdsaVerify(Buffer.from('sample'), ecdsaSign(Buffer.from('sample'), own, 1), key, 1)).toBe(true);
    raw[5] = (raw[5] as number) ^ 1;
    expect(() => publicKeyOf(raw, 1)).toThrow(/no point of the curve/);
  });
  test('ECDH P-256: the shared secret of NIST CAVS (count 0), and both sides derive one key', () => {
    const peer = publicKeyOf(
      fromHex(
        '700c48f77f56584c5cc632ca65640db91b6bacce3a4df6b42ce7cc838833d287db71e509e3fd9b060ddb20ba5c51dcc5948d46fbf640dfe0441782cab85fa4ac',
      ),
      1,
    );
    const own = privateKeyOf(
      secret('7d7dc5f71eb29ddaf80d6214632eeae03d9058af1fb6d22ed80badb62bc1a534'),
      fromHex(
        'ead218590119e8876b29146ff89ca61770c4edbbf97d38ce385ed281d8a6b23028af61281fd35e2fa7002523acc85a429cb06ee6648325389f59edfce1405141',
      ),
      1,
    );
    const shared = agree(own, peer);
    expect(toHex(shared.reveal())).toBe('46fc62106420ff012e54a434fbdd2d25ccc5852060561e68040dd7778997bd7b');
    const u = title;
    const v = fromHex('4D4D4D0000000001');
    expect(deriveKey(shared, 1, u, v).length).toBe(16);
    expect(deriveKey(shared, 2, u, v).length).toBe(32);
    expect(toHex(deriveKey(shared, 1, u, v).reveal())).not.toBe(toHex(deriveKey(shared, 1, v, u).reveal()));
  });
});

test('the KDF: RFC 7518 appendix C, the same single-step concatenation with another OtherInfo', () => {
  const shared = new Secret(
    Uint8Array.from([
      158, 86, 217, 29, 129, 113, 53, 211, 114, 131, 66, 131, 191, 132, 38, 156, 251, 49, 110, 163, 218, 128, 106, 72,
      246, 218, 167, 121, 140, 254, 144, 196,
    ]),
  );
  const lengthFirst = (text: string) =>
    Buffer.concat([Uint8Array.of(0, 0, 0, text.length), Buffer.from(text, 'latin1')]);
  const otherInfo = [lengthFirst('A128GCM'), lengthFirst('Alice'), lengthFirst('Bob'), Uint8Array.of(0, 0, 0, 128)];
  const key = concatenationKdf('sha256', shared, otherInfo, 16);
  expect(Buffer.from(key.reveal()).toString('base64url')).toBe('VqqN6vgjbSBcIijNcacQGg');
});

test('a Secret cannot be printed', () => {
  const one = new Secret(Buffer.from('hunter22'));
  for (const text of [
    String(one),
    ['', one].join(''),
    JSON.stringify({ one }),
    inspect(one),
    inspect({ deep: [one] }, { depth: 9, showHidden: true }),
  ]) {
    expect(text).not.toContain('hunter22');
    expect(text).not.toContain('104');
    expect(text).toContain('redacted');
  }
});
