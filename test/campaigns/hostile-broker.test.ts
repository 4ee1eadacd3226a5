/** A dose of the hostile broker bench, and its incidents by name. `scripts/hostile-broker` runs the whole matrix. */
import { expect, test } from 'vitest';
import { suffer, sufferAll } from './hostile-broker.ts';
import { acts, type Harm, matrix, nameOf, packetTypes, steps } from './hostile-broker-matrix.ts';

const incidents: readonly (readonly [what: string, harm: Omit<Harm, 'protocol'>, trouble: RegExp])[] = [
  ['CONNACK never comes', { step: 'connect', packet: 'connack', act: 'drop' }, /does not answer CONNECT/],
  [
    'the connection is refused',
    { step: 'connect', packet: 'connack', act: 'refuse' },
    /refuses the connection: reason 0x88/,
  ],
  ['SUBACK never comes', { step: 'subscribe', packet: 'suback', act: 'drop' }, /does not answer SUBSCRIBE/],
  [
    'SUBSCRIBE is refused',
    { step: 'subscribe', packet: 'suback', act: 'refuse' },
    /refuses the subscription of .*down\/ack/,
  ],
  [
    'PUBACK never comes',
    { step: 'birth', packet: 'puback', act: 'drop' },
    /acknowledges no message \(PUBACK\)|acknowledges up to/,
  ],
  [
    'PUBACKs are lost in the middle',
    { step: 'flow', packet: 'puback', act: 'drop' },
    /acknowledges no message \(PUBACK\)|acknowledges up to/,
  ],
  ['PINGRESP never comes', { step: 'ping', packet: 'pingresp', act: 'drop' }, /answers no PINGREQ/],
  ['the head-end is not heard', { step: 'connect', packet: 'publish', act: 'drop' }, /acknowledges nothing after 0/],
  ['a packet of 200 MB', { step: 'row', packet: 'publish', act: 'enlarge' }, /a packet of more than \d+ octets/],
];
const twice = ([5, 4] as const).flatMap((protocol) => incidents.map((one) => [protocol, ...one] as const));

// They wait for time-outs more than they work: together they take as long as a few of them.
test.concurrent.each(twice)(
  'incident, MQTT level %i: %s: status names it, and all is delivered when it is well again',
  async (protocol, _, harm, trouble) => {
    const outcome = await suffer({ protocol, ...harm }, 1, trouble);
    expect(outcome.problems).toEqual([]);
    // A connection that is dropped and made anew at once is said in the log; status has no time to.
    expect([outcome.trouble ?? '', ...outcome.logged].join('\n')).toMatch(trouble);
    expect(outcome.logLines).toBeLessThan(60);
  },
);

test('incident: with Receive Maximum 0 it was connected and mute for ever: one message at a time, and the mistake is named', async () => {
  const outcome = await suffer(
    { protocol: 5, step: 'connect', packet: 'connack', act: 'refuse', terms: { receiveMaximum: 0 } },
    1,
  );
  expect(outcome).toMatchObject({ problems: [], unharmed: true });
});

test('no pair of packet type and step is left out of the matrix, in either version', () => {
  const all = new Set(matrix().map(({ protocol, step, packet, act }) => `${protocol} ${step} ${packet} ${act}`));
  for (const protocol of [4, 5])
    for (const step of steps)
      for (const packet of packetTypes)
        for (const act of acts) expect(all.has(`${protocol} ${step} ${packet} ${act}`)).toBe(true);
});

test('a dose of the matrix: all is delivered when it is well again, status names the trouble meanwhile, the log is bounded', async () => {
  const all = matrix();
  // Another part of the matrix with each day's date would not be the same test twice: a fixed one.
  const harms = all.filter((harm, i) => i % 47 === 11 || (harm.terms !== undefined && i % 3 === 0));
  const { outcomes } = await sufferAll(harms, 7, 12);
  expect(
    outcomes.filter(({ problems }) => problems.length > 0).map(({ harm, problems }) => [nameOf(harm), problems]),
  ).toEqual([]);
  for (const { logLines, longestLine } of outcomes) {
    expect(logLines).toBeLessThan(120);
    expect(longestLine).toBeLessThan(1000);
  }
});
