/** Errors of a session with a meter: `meter-gateway read` as a process, against meters that misbehave over TCP. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodeApdu, type Selection } from '../../src/dlms/xdlms/apdu.ts';
import type { Data } from '../../src/dlms/axdr/data.ts';
import type { ScenarioInput } from '../../src/simulator/scenario.ts';
import { until } from './broker.ts';
import { folder, simulate } from './programs.ts';
import { aareRefused, answerTo, deafFrom, instead, meterAt, type Odd, refuse, tags } from './odd-meters.ts';
import { tcpServer } from './tcp-server.ts';
import { cli, type Provocations, type Screen } from './screens.ts';

const keys = { METER_EK: '000102030405060708090a0b0c0d0e0f', METER_AK: 'd0d1d2d3d4d5d6d7d8d9dadbdcdddedf' };
const env = { ...keys, METER_SECRET: 'meter' };
const lls = ['--client', '17', '--auth', 'lls'];
const gmac = ['--client', '5', '--auth', 'hls-gmac'];
const pinned = [...gmac, '--system-title', '4d47570000000001', '--invocation-counter'];
const register = ['--object', '1-0:1.8.0*255:2'];
const rows = ['--profile', '1-0:99.1.0*255', '--entries', '1-1'];
/** Nobody waits long for what never comes; what comes has time on a machine that is busy. */
const soon = ['--timeout', '200', '--retries', '0'];
const once = ['--timeout', '3000', '--retries', '0'];

/** One `read` of one meter. */
const of =
  (when: string, odd: Odd | undefined, args: readonly string[], scenario?: ScenarioInput, more: object = {}) =>
  async (): Promise<Screen> => {
    const { device } = await meterAt(odd, scenario);
    return cli(when, ['read', device, ...args], { ...env, ...more });
  };
/** One `read` of whatever answers so. */
const from =
  (when: string, answer: (octets: Uint8Array) => Uint8Array | 'close' | undefined, args: readonly string[]) =>
  async (): Promise<Screen> => {
    const device = await tcpServer((socket) =>
      socket.on('data', (octets) => {
        const answered = answer(octets);
        if (answered === 'close') socket.destroy();
        else if (answered) socket.write(answered);
      }),
    );
    return cli(when, ['read', device, ...args], env);
  };
/** The answer to GET with the invoke-id of the request. */
const gets = (answer: (request: Uint8Array, nth: number) => Uint8Array): Odd => {
  let nth = 0;
  return { answer: (octets, request) => (request[0] === tags.get ? answer(request, nth++) : octets) };
};
const invokeIdOf = (request: Uint8Array): number => request[2] as number;
const block = (request: Uint8Array, number: number, raw: Uint8Array): Uint8Array =>
  encodeApdu({
    kind: 'get-response-with-datablock',
    invokeId: invokeIdOf(request),
    last: false,
    number,
    result: { raw },
  });
const nothing: Data = { type: 'null-data' };
/** Entry descriptor (Blue Book 4.3.6): from the first to the last entry, all columns. */
const allEntries: Selection = {
  selector: 2,
  parameters: {
    type: 'structure',
    value: [
      { type: 'double-long-unsigned', value: 1 },
      { type: 'double-long-unsigned', value: 0 },
      { type: 'long-unsigned', value: 1 },
      { type: 'long-unsigned', value: 0 },
    ],
  },
};

async function lostPort(): Promise<Screen> {
  // The far end is another process, which ends while we wait for its answer.
  const unplugged = await simulate(['--pty', join(folder, 'unplugged'), '--turnaround', '60000']);
  const trace = join(folder, 'unplugged.tap');
  const wait = ['--timeout', '60000', '--trace', trace];
  const screen = cli('the adapter is pulled out in the middle of a session', ['read', unplugged.device, ...wait], env);
  await until(() => existsSync(trace) && readFileSync(trace, 'utf8').includes('->'), 'something was asked');
  unplugged.kill();
  return screen;
}
async function trickled(): Promise<Screen> {
  const device = await tcpServer((socket) => {
    socket.on('data', () => {
      // The header of a long message, and then its octets.
      socket.write(Uint8Array.of(0, 1, 0, 1, 0, 16, 0xff, 0xff));
      const timer = setInterval(() => socket.write(Uint8Array.of(0x55)), 400);
      socket.on('close', () => clearInterval(timer));
    });
  });
  const slow = ['--link', 'wrapper', '--timeout', '400', '--retries', '0'];
  return cli('octets come one by one, and no answer', ['read', device, ...slow], env);
}
/** The same answer twice, in a ciphered association. */
function replaying(): Odd {
  let first: Uint8Array | undefined;
  return {
    answer(octets, request) {
      if (request[0] !== tags.gloGet) return octets;
      first ??= octets;
      return first;
    },
  };
}
async function implausible(): Promise<Screen> {
  const { device, meter } = await meterAt(undefined);
  (meter as unknown as { heard: Map<number, number> }).heard.set(5, 3_000_000_000);
  return cli('the meter claims a counter that nobody can have used', ['read', device, ...gmac], env);
}
async function refusedThrice(): Promise<Screen> {
  const { device } = await meterAt(undefined, { meters: { password: 'other' } });
  const args = ['read', device, ...lls];
  const when = 'three wrong passwords, and a fourth try';
  for (let i = 0; i < 3; i++) await cli(when, args, env);
  return cli(when, args, env);
}
/** Seven bits and even parity, as the sign-on has them. */
const evenParity = (text: string): Uint8Array =>
  Buffer.from(text).map((octet) => octet | ((octet.toString(2).replaceAll('0', '').length & 1) << 7));
/** So many requests in one session; each takes a counter. */
const countersOfSession = 5000;

export const ofMeters = {
  'malformed-octets': of('an AARE that does not read', answerTo(tags.aarq, [0x61, 0x05, 1, 2, 3]), lls),
  'frame-rejected': of('the meter answers with FRMR', instead('FRMR', 0), lls),
  'link-disconnected': of('the meter answers SNRM with DM', instead('DM', 0), lls),
  'unexpected-apdu': of(
    'a GET is answered with the response to SET',
    gets((request) => Uint8Array.of(0xc5, 1, invokeIdOf(request), 0)),
    [...lls, ...register],
  ),
  'block-out-of-order': of(
    'block 5 comes after block 1',
    gets((request, nth) => block(request, nth === 0 ? 1 : 5, Uint8Array.of(0x06))),
    [...lls, ...register],
  ),
  'answer-stalled': of(
    'one empty block after another',
    gets((request, nth) => block(request, nth + 1, new Uint8Array(0))),
    [...lls, ...register],
  ),
  'answer-too-long': of('one row is asked for, and all rows come', { select: () => allEntries }, [...lls, ...rows]),
  'fell-silent': of('the meter lets us in, and then says nothing', deafFrom(tags.get), [...lls, ...once, ...register]),
  'answer-too-slow': trickled,
  'too-many-elements': of(
    'a value of 60 000 elements',
    gets((request) => {
      const data: Data = { type: 'array', value: Array.from({ length: 60_000 }, () => nothing) };
      return encodeApdu({ kind: 'get-response-normal', invokeId: invokeIdOf(request), result: { data } });
    }),
    ['--link', 'wrapper', ...lls, ...register],
    { bus: { link: 'wrapper' } },
  ),
  'sign-on-malformed': from('something else than a meter answers the sign-on', () => evenParity('HELLO\r\n'), [
    '--mode-e',
    ...once,
  ]),
  'service-exception': of('an exception to each request', answerTo(tags.get, [0xd8, 2, 1]), [...lls, ...register]),
  'association-refused': of('a client that the meter does not know', undefined, ['--client', '99']),
  'proposal-refused': of(
    'initiateError: what we propose does not suit the meter',
    answerTo(tags.aarq, aareRefused(1, [0xbe, 0x06, 0x04, 0x04, 0x0e, 0x01, 0x06, 0x02])),
    lls,
  ),
  'authentication-refused': of('a wrong password', undefined, lls, { meters: { password: 'other' } }),
  'mechanism-refused': of('LLS where the meter wants another mechanism', answerTo(tags.aarq, aareRefused(11)), lls),
  'authentication-required': of('--auth forgotten', undefined, ['--client', '17']),
  'meter-unproven': of(
    'the meter’s own proof is wrong',
    {
      answer: (octets, request) =>
        request[0] === tags.action
          ? Uint8Array.from([0xc7, 1, request[2] as number, 0, 1, 0, 9, 16, ...new Uint8Array(16)])
          : octets,
    },
    ['--client', '3', '--auth', 'hls-md5'],
  ),
  'protection-weaker': of(
    'an answer in the clear, in a ciphered association',
    answerTo(tags.gloGet, [0xc4, 1, 0xc1, 1, 4]),
    [...gmac, ...register],
  ),
  'deciphering-failed': of(
    'the tag of an answer does not fit',
    {
      answer: (octets, request) =>
        request[0] === tags.gloGet ? octets.map((octet, i) => (i === octets.length - 1 ? octet ^ 1 : octet)) : octets,
    },
    [...gmac, ...register],
  ),
  'replayed-counter': of('an earlier answer is played again', replaying(), [...gmac, ...register, ...register]),
  'counter-implausible': implausible,
  'counter-used-up': of('the last counter of a key', undefined, [...pinned, '4294967295']),
  'counters-spent': of('more requests in one session than it has counters', undefined, [
    ...pinned,
    '100',
    ...Array.from({ length: countersOfSession + 1 }, () => register).flat(),
  ]),
  'backed-off': refusedThrice,
  'access-refused': of('an object that the meter does not have', undefined, [
    ...lls,
    '--object',
    '0-0:99.99.9*255:2',
    '--class',
    '1',
  ]),
  'value-unavailable': of('temporary-failure', refuse(2), [...lls, ...register]),
  'no-answer': from('nobody answers', () => undefined, soon),
  'echo-only': from('only our own octets come back', (octets) => octets, once),
  'damaged-answer': from(
    'only damaged octets come',
    () => Uint8Array.from({ length: 60 }, (_, i) => (i * 37) & 0x7b),
    once,
  ),
  'connection-lost': from('the converter closes the connection', () => 'close', once),
  'port-lost': lostPort,
  'not-supported': of(
    'HLS with short names',
    undefined,
    ['--model', 'short-name', '--client', '3', '--auth', 'hls-md5'],
    { meters: { referencing: 'short-name' } },
  ),
  'request-too-long': of(
    'a meter takes 64 octets, ciphered and by stamps the request has more',
    undefined,
    [...gmac, '--profile', '1-0:99.1.0*255', '--from', '2026-11-01T00:00Z', '--to', '2026-11-02T00:00Z'],
    { meters: { max_pdu: 64 } },
  ),
} satisfies Provocations;
