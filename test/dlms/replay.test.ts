/** What was recorded once and is played again, whole or in part. */
import { describe, expect, test } from 'vitest';
import { Secret } from '../../src/base/secret.ts';
import { Ciphering, type PeerMemory, type ProtectedApdu } from '../../src/dlms/association/ciphering.ts';
import { decodeApdu } from '../../src/dlms/xdlms/apdu.ts';
import type { ServerStack } from '../../src/dlms/stack/server.ts';
import { toHex } from '../../src/base/hex.ts';
import { type Options, world } from '../support/association-world.ts';

const get = {
  kind: 'get',
  attributes: [{ classId: 1, logicalName: '0.0.96.1.0.255', attribute: 2 }],
} as const;
const fresh = (): PeerMemory => ({ title: undefined, heard: -1 });

/** One association with the meter: what it sent, and what the client remembers. */
function recorded(options: Options, peer: PeerMemory) {
  const it = world({ ...options, peer });
  expect(it.ask({ kind: 'connect' }, 'connected').kind).toBe('connected');
  expect(it.ask(get, 'got').kind).toBe('got');
  const answers = it.wire.filter(({ from }) => from === 'server').map(({ octets }) => octets.slice());
  return { answers, server: it.server };
}
/** Answers each of the client's APDUs with the next that was recorded. */
function player(answers: readonly Uint8Array[]): ServerStack {
  const left = [...answers];
  const out: Uint8Array[] = [];
  return {
    receive: () => void out.push(...left.splice(0, 1)),
    pollTransmit: () => out.shift(),
    wake: () => {},
  } as unknown as ServerStack;
}
function played(options: Options, peer: PeerMemory | undefined, answers: readonly Uint8Array[]): string {
  const it = world({ ...options, ...(peer && { peer }), server: player(answers), clientCounter: { value: 5_000 } });
  const event = it.ask({ kind: 'connect' }, 'connected');
  if (event.kind === 'failed') return event.error.code;
  const got = it.ask(get, 'got');
  return got.kind === 'failed' ? got.error.code : got.kind;
}

describe('21: a whole ciphered association is played again', () => {
  const ways: [string, Options][] = [
    ['auth none', { ciphered: true }],
    ['LLS', { ciphered: true, mechanism: 'lls' }],
    ['auth none, authenticated only', { ciphered: true, policy: 'authenticated' }],
    ['auth none, encrypted only', { ciphered: true, policy: 'encrypted' }],
    ['general ciphering', { ciphered: true, wrapping: 'general' }],
  ];
  test.each(ways)('incident: %s: it was accepted', (_, options) => {
    const peer = fresh();
    const { answers, server } = recorded(options, peer);
    // Without memory nothing tells it from the meter: that is the incident.
    expect(played(options, undefined, answers)).toBe('got');
    expect(played(options, peer, answers)).toBe('replayed-counter');
    // The meter itself goes on.
    const heard = peer.heard;
    const on = world({ ...options, peer, server, clientCounter: { value: 6_000 } });
    expect(on.ask({ kind: 'connect' }, 'connected').kind).toBe('connected');
    expect(peer.heard).toBeGreaterThan(heard);
  });
  test('sibling: HLS by GMAC refuses it already by its challenge', () => {
    const peer = fresh();
    const { answers } = recorded({ mechanism: 'hls-gmac' }, peer);
    // Another challenge than the recorded one, as for every association.
    const fresher: Options = {
      mechanism: 'hls-gmac',
      association: { challenge: Buffer.from('another-challenge') },
    };
    // Its counter may have begun anew: without the challenge nothing tells, and the challenge does.
    expect(played(fresher, { ...peer, challenged: true }, answers)).toBe('meter-unproven');
    expect(played({ mechanism: 'hls-gmac' }, peer, answers)).toBe('replayed-counter');
  });
  test('sibling: another device with the same keys: its system title is not the one that was met', () => {
    const peer = fresh();
    recorded({ ciphered: true }, peer);
    expect(toHex(peer.title as Uint8Array)).toHaveLength(16);
    const other: PeerMemory = { title: Uint8Array.of(0x4f, 0x54, 0x48, 0, 0, 0, 0, 1), heard: 10 };
    const it = world({ ciphered: true, peer: other });
    const event = it.ask({ kind: 'connect' }, 'connected');
    expect(event).toMatchObject({ kind: 'failed', error: { code: 'title-changed' } });
    // Nothing is learned from it.
    expect(other).toEqual({ title: Uint8Array.of(0x4f, 0x54, 0x48, 0, 0, 0, 0, 1), heard: 10 });
  });
  test('sibling: a title that is only claimed is no change: the tag must fit first, and nothing is remembered', () => {
    const peer = fresh();
    recorded({ ciphered: true }, peer);
    const before = { ...peer };
    const it = world({
      ciphered: true,
      peer,
      meddle: (octets, _index, from) => {
        const at = from === 'server' ? Buffer.from(octets).indexOf(peer.title as Uint8Array) : -1;
        if (at < 0) return octets;
        const changed = octets.slice();
        changed[at + 7] = (changed[at + 7] as number) ^ 1;
        return changed;
      },
    });
    expect(it.ask({ kind: 'connect' }, 'connected')).toMatchObject({ error: { code: 'deciphering-failed' } });
    expect(peer).toEqual(before);
  });
  test('sibling: counters of APDUs that are only encrypted are believed for the session, never beyond it', () => {
    const key = (first: number) => new Secret(Uint8Array.from({ length: 16 }, (_, i) => first + i));
    const title = Buffer.from('MTR\0\0\0\0\x01', 'latin1');
    const ours = Buffer.from('MGW\0\0\0\0\x01', 'latin1');
    const common = { suite: 0, keys: { encryption: key(0), authentication: key(64) }, wrapping: 'service' } as const;
    const meter = new Ciphering({ ...common, ownTitle: title, policy: 'encrypted', nextCounter: () => 77 });
    const answer = meter.wrap(Uint8Array.of(0xc4, 1, 0xc1, 0, 9, 1, 7));
    let believed = 0;
    for (let counter = 0xffff_f000; counter < 0xffff_ffff; counter += 3) {
      const peer = { title, heard: 10 };
      const client = new Ciphering({ ...common, ownTitle: ours, policy: 'encrypted', peer, nextCounter: () => 0 });
      client.peerTitle = title;
      const forged = answer.slice();
      new DataView(forged.buffer).setUint32(3, counter);
      try {
        // Deciphered with another counter it is rubbish, and one in 256 times it begins like an answer.
        client.unwrap(decodeApdu(forged).apdu as ProtectedApdu);
        believed++;
      } catch {}
      expect(peer).toEqual({ title, heard: 10 });
    }
    expect(believed).toBeGreaterThan(0);
  });
});
