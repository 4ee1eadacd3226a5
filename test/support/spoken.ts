/** A session of ours with a meter of the simulator, and every octet of it, for the strict judge. */
import { fromHex } from '../../src/base/hex.ts';
import { Secret } from '../../src/base/secret.ts';
import type { AssociationSettings } from '../../src/dlms/association/client-entry.ts';
import type { CipheringSettings } from '../../src/dlms/association/ciphering.ts';
import { ClientStack } from '../../src/dlms/stack/client.ts';
import { type MeterAccess, stackSettings } from '../../src/meter/access.ts';
import type { Session } from '../../src/meter/session.ts';
import type { ScenarioInput } from '../../src/simulator/scenario.ts';
import { lineAccess, meterWorld } from './meter-world.ts';
import type { Spoken } from './strict-link.ts';

/** The keys that a virtual meter has where its scenario gives none. */
export const meterKeys = {
  encryption: fromHex('000102030405060708090a0b0c0d0e0f'),
  authentication: fromHex('d0d1d2d3d4d5d6d7d8d9dadbdcdddedf'),
};
/** Client 5 by HLS-GMAC, or 8 by LLS, with those keys. */
export const ciphered = (
  policy: CipheringSettings['policy'],
  client: 5 | 8 = 5,
  more: Partial<CipheringSettings> = {},
): Partial<MeterAccess> => {
  let counter = 100;
  return {
    client,
    ...(client === 5
      ? { auth: 'hls-gmac' as const, secret: undefined, challenge: () => Buffer.from('0123456789abcdef') }
      : { auth: 'lls' as const }),
    ciphering: {
      suite: 0,
      ownTitle: Buffer.from('MGW\0\0\0\0\u0001', 'latin1'),
      keys: { encryption: new Secret(meterKeys.encryption), authentication: new Secret(meterKeys.authentication) },
      policy,
      wrapping: 'service',
      nextCounter: () => counter++,
      ...more,
    },
  };
};

export async function spoken(
  scenario: ScenarioInput,
  access: Partial<MeterAccess>,
  work: (session: Session, it: ReturnType<typeof meterWorld>) => Promise<void>,
  association: Partial<AssociationSettings> = {},
): Promise<{ readonly lines: readonly Spoken[]; readonly failure: unknown }> {
  const it = meterWorld(scenario, access);
  const session = it.again();
  const lines: Spoken[] = [];
  const trace = (direction: string, octets: Uint8Array) =>
    void lines.push({ from: direction === '->' ? 'client' : 'meter', octets: octets.slice() });
  Object.assign(session, { trace });
  if (Object.keys(association).length > 0) {
    const settings = stackSettings(lineAccess({ baud: 9600, ...access }));
    session.stack = new ClientStack({ ...settings, association: { ...settings.association, ...association } });
  }
  let failure: unknown;
  await it.clock.complete(
    (async () => {
      try {
        await session.connect();
        await work(session, it);
      } catch (error) {
        failure = error;
      } finally {
        await session.close();
      }
    })(),
  );
  return { lines, failure };
}
