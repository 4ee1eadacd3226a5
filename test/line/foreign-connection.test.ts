/** Foreign meters behind TCP that close the connection at a list, or never answer it: read all the same, on real sockets. */
import { afterEach, expect, test } from 'vitest';
import { later } from '../../src/base/time.ts';
import { encodeAcse } from '../../src/dlms/acse/apdu.ts';
import { encodeWrapper, Unwrapper } from '../../src/dlms/wrapper/wrapper.ts';
import { encodeApdu } from '../../src/dlms/xdlms/apdu.ts';
import { openPort } from '../../src/line/open-port.ts';
import { PortOwner } from '../../src/line/port-owner.ts';
import { systemClock } from '../../src/line/system-clock.ts';
import { type Fallbacks, fallbackTexts, freshFallbacks, storedFallbacks } from '../../src/meter/fallbacks.ts';
import { identify } from '../../src/meter/identity-reading.ts';
import { genericModel } from '../../src/meter/model.ts';
import { Session } from '../../src/meter/session.ts';
import { acceptingAare } from '../support/accepting-aare.ts';
import { nobodyOverTcp } from '../support/meter-world.ts';
import { closeServers, tcpServer } from '../support/tcp-server.ts';

afterEach(closeServers);
const aare = acceptingAare(1000);

/** `one`: a connection carries one association. */
async function meter(list: 'closes' | 'ignores', one: boolean): Promise<{ device: string; lists: () => number }> {
  let lists = 0;
  const device = await tcpServer((socket) => {
    const unwrapper = new Unwrapper();
    let associations = 0;
    const send = (apdu: Uint8Array) => socket.write(encodeWrapper({ source: 1, destination: 16, apdu }));
    socket.on('data', (octets) => {
      for (const { apdu } of unwrapper.push(octets)) {
        if (apdu[0] === 0x60) {
          if (++associations === 1 || !one) send(aare);
        } else if (apdu[0] === 0x62) send(encodeAcse({ kind: 'rlre', reason: 0 }));
        else if (apdu[1] === 3) {
          lists++;
          if (list === 'closes') socket.destroy();
        } else {
          const value = Buffer.from('60120001');
          const data = { type: 'octet-string', value } as const;
          send(encodeApdu({ kind: 'get-response-normal', invokeId: apdu[2] as number, result: { data } }));
        }
      }
    });
  });
  return { device, lists: () => lists };
}

async function visit(owner: PortOwner, fallbacks: Fallbacks): Promise<string> {
  const session = new Session(await owner.acquire(), systemClock, {
    ...nobodyOverTcp({ answerTimeoutMs: 60 }),
    fallbacks,
  });
  let outcome: string;
  try {
    await session.connect();
    outcome = (await identify(session, systemClock, genericModel, true)).serial ?? '';
  } catch (error) {
    outcome = (error as { code: string }).code;
  }
  await session.close();
  await owner.report({ heard: session.heard, lost: session.lost, failed: outcome !== '60120001' });
  return outcome;
}

test.each([
  ['closes', false, ['connection-lost', 'connection-lost'], 'connection closed at it', 2],
  ['closes', true, ['connection-lost', 'connection-lost'], 'connection closed at it', 2],
  ['ignores', false, [], 'not answered', 1],
  ['ignores', true, ['fell-silent', 'fell-silent'], 'not answered', 2],
] as const)(
  'a meter that %s a list (one association for a connection: %s)',
  async (how, one, failures, reason, asked) => {
    const { device, lists } = await meter(how, one);
    const owner = new PortOwner({
      device,
      open: () => openPort(device, 9600, systemClock),
      clock: systemClock,
      muteLimit: 3,
    });
    const fallbacks = freshFallbacks();
    const outcomes = [];
    const end = later(systemClock.now(), 20_000);
    do outcomes.push(await visit(owner, fallbacks));
    while (outcomes.at(-1) !== '60120001' && systemClock.now() < end);
    expect(outcomes).toEqual([...failures, '60120001']);
    expect(fallbackTexts(fallbacks)).toEqual([`single GETs (list ${reason})`]);
    // Remembered, also by whoever reads what was stored.
    expect(await visit(owner, freshFallbacks(storedFallbacks(fallbacks)))).toBe('60120001');
    expect(lists()).toBe(asked);
    await owner.close();
  },
);
