import { describe, expect, test } from 'vitest';
import { later, type Millis, millis } from '../../src/base/time.ts';
import { stripParity, withEvenParity } from '../../src/dlms/iec62056-21/parity.ts';
import { SignOn, type SignOnEvent, SignOnServer, type SignOnSettings } from '../../src/dlms/iec62056-21/sign-on.ts';

const settings = (mode: 'E' | 'C', more: Partial<SignOnSettings> = {}): SignOnSettings => ({
  mode,
  address: '',
  maxBaud: 9600,
  answerTimeoutMs: 2000,
  retries: 1,
  settleMs: 300,
  ...more,
});
const meter = (z = '5') =>
  new SignOnServer({ manufacturer: 'SIM', model: 'VM1', address: '42', z, readOut: () => '1.8.0(00001.234*kWh)\r\n' });

function play(
  client: SignOn,
  server: SignOnServer,
  wire: (octets: Uint8Array, from: 'client' | 'server') => Uint8Array = (octets) => octets,
) {
  let now: Millis = millis(0);
  const events: SignOnEvent[] = [];
  const sent: string[] = [];
  client.request({ kind: 'sign-on' }, now);
  for (let steps = 0; steps < 50; steps++) {
    let moved = false;
    for (let octets = client.pollTransmit(); octets; octets = client.pollTransmit()) {
      moved = true;
      sent.push(Buffer.from(stripParity(octets).octets).toString('latin1'));
      server.receive(wire(octets, 'client'));
    }
    for (let octets = server.pollTransmit(); octets; octets = server.pollTransmit()) {
      for (const octet of wire(octets, 'server')) client.receive(Uint8Array.of(octet), now);
    }
    for (let event = client.pollEvent(); event; event = client.pollEvent()) events.push(event);
    if (moved) continue;
    const deadline = client.deadline();
    if (deadline === undefined) break;
    if (events.length > 0 && events.at(-1)?.kind !== 'set-baud') break;
    now = later(deadline, 0);
    client.wake(now);
  }
  return { events, sent };
}

test('even parity by hand: / ? ! CR LF and the mode E acknowledgement', () => {
  expect([...withEvenParity(Buffer.from('/?!\r\n'))]).toEqual([0xaf, 0x3f, 0x21, 0x8d, 0x0a]);
  expect([...withEvenParity(Buffer.from('\x06252\r\n'))]).toEqual([0x06, 0xb2, 0x35, 0xb2, 0x8d, 0x0a]);
  expect(stripParity(Uint8Array.of(0xaf, 0x3f, 0x21, 0x8d, 0x0b)).errors).toBe(1);
});

describe('mode E', () => {
  test('identification, acknowledgement, speed, hand-over', () => {
    const server = meter();
    const { events, sent } = play(new SignOn(settings('E')), server);
    expect(sent).toEqual(['/?!\r\n', '\x06252\r\n']);
    expect(events).toEqual([
      { kind: 'set-baud', baud: 9600 },
      { kind: 'handed-over', identification: 'SIM5\\2VM1', baud: 9600 },
    ]);
    expect(server.handedOver).toBe(true);
  });
  test('an identification that ends with LF alone', () => {
    const bare = (octets: Uint8Array, from: 'client' | 'server') =>
      from === 'client' ? octets : octets.filter((octet) => (octet & 0x7f) !== 0x0d);
    expect(play(new SignOn(settings('E')), meter(), bare).events.at(-1)).toMatchObject({ kind: 'handed-over' });
  });
  test('a lower speed is agreed when we cannot follow', () => {
    const { sent, events } = play(new SignOn(settings('E', { maxBaud: 2400 })), meter('6'));
    expect(sent[1]).toBe('\x06232\r\n');
    expect(events[0]).toEqual({ kind: 'set-baud', baud: 2400 });
  });
  test('stray characters and our own echo before the identification (meter-quirks 5, 32)', () => {
    const stray = (octets: Uint8Array, from: string) =>
      from === 'server' ? Buffer.concat([withEvenParity(Buffer.from('\x00xx/?!\r\n')), octets]) : octets;
    expect(play(new SignOn(settings('E')), meter(), stray).events.at(-1)?.kind).toBe('handed-over');
  });
  test('the first request lost: asked again', () => {
    let first = true;
    const lossy = (octets: Uint8Array) => {
      if (!first) return octets;
      first = false;
      return new Uint8Array(0);
    };
    const { sent, events } = play(new SignOn(settings('E')), meter(), lossy);
    expect(sent.slice(0, 2)).toEqual(['/?!\r\n', '/?!\r\n']);
    expect(events.at(-1)?.kind).toBe('handed-over');
  });
  test('nobody there: no-answer; another address: no-answer', () => {
    const silent = play(new SignOn(settings('E')), meter(), () => new Uint8Array(0)).events.at(-1);
    expect(silent?.kind === 'failed' && silent.error.code).toBe('no-answer');
    const other = play(new SignOn(settings('E', { address: '43' })), meter()).events.at(-1);
    expect(other?.kind === 'failed' && other.error.code).toBe('no-answer');
    expect(play(new SignOn(settings('E', { address: '42' })), meter()).events.at(-1)?.kind).toBe('handed-over');
  });
  test('a speed letter of mode B is refused with a name', () => {
    const failed = play(new SignOn(settings('E')), meter('A')).events.at(-1);
    expect(failed?.kind === 'failed' && failed.error.code).toBe('sign-on-malformed');
  });
});

describe('mode C', () => {
  test('read-out with block check', () => {
    const { events, sent } = play(new SignOn(settings('C')), meter());
    expect(sent[1]).toBe('\x06050\r\n');
    expect(events.at(-1)).toEqual({
      kind: 'read-out',
      identification: 'SIM5\\2VM1',
      text: '1.8.0(00001.234*kWh)\r\n',
      parityErrors: 0,
    });
  });
  test('one damaged character in the read-out: damaged-answer', () => {
    const damage = (octets: Uint8Array, from: string) =>
      from === 'server' && octets[0] === 0x82 ? octets.map((octet, i) => (i === 5 ? octet ^ 0x03 : octet)) : octets;
    const failed = play(new SignOn(settings('C')), meter(), damage).events.at(-1);
    expect(failed?.kind === 'failed' && failed.error.code).toBe('damaged-answer');
  });
});
