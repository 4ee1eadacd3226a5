/** Any octets: a value, an error or silence, in bounded steps; never a crash, a hang or growing memory. Seeded. */
import { describe, expect, test } from 'vitest';
import { Secret } from '../../src/base/secret.ts';
import { later, type Millis, millis } from '../../src/base/time.ts';
import { ClientStack } from '../../src/dlms/stack/client.ts';
import { genericModel } from '../../src/meter/model.ts';
import { stackSettings } from '../../src/meter/session.ts';
import { seeded, type Random } from '../../src/simulator/random.ts';
import { buildBus, parseScenario } from '../../src/simulator/scenario.ts';
import { isHdlc, linesOf, traceNames } from '../recorded.ts';

const start = millis(Date.UTC(2026, 10, 24, 12));

function mutate(octets: Uint8Array, random: Random): Uint8Array {
  const out = [...octets];
  const times = 1 + Math.floor(random() * 4);
  for (let i = 0; i < times; i++) {
    const at = Math.floor(random() * Math.max(1, out.length));
    switch (Math.floor(random() * 6)) {
      case 0:
        out[at] = Math.floor(random() * 256);
        break;
      case 1:
        out[at] = (out[at] ?? 0) ^ (1 << Math.floor(random() * 8));
        break;
      case 2:
        out.splice(at, 1 + Math.floor(random() * 8));
        break;
      case 3:
        out.splice(at, 0, ...Array.from({ length: 1 + Math.floor(random() * 8) }, () => Math.floor(random() * 256)));
        break;
      case 4:
        out.splice(at, 0, ...out.slice(at, at + 20));
        break;
      default:
        out.length = at;
    }
  }
  return Uint8Array.from(out);
}

/** A valid frame around damaged contents gets past the checks: the layers above must hold as well. */
const inner = (octets: Uint8Array, random: Random): Uint8Array =>
  octets[0] === 0x7e
    ? octets
    : Uint8Array.from([...octets.subarray(0, 8), ...mutate(octets.subarray(8), random)]).map((octet, i, all) =>
        i === 6 ? (all.length - 8) >> 8 : i === 7 ? (all.length - 8) & 0xff : octet,
      );

describe('the server role', () => {
  test.each(['hdlc', 'wrapper'] as const)('%s: mutated client sessions', (link) => {
    const names = traceNames.filter(
      (name) => isHdlc(name) === (link === 'hdlc') && linesOf(name).some(({ direction }) => direction === 'to-meter'),
    );
    const random = seeded(11);
    const meter = buildBus(
      parseScenario({ bus: { link, baud: 0 }, meters: { password: 'Gurux', history_days: 3 } }),
      start,
    ).meters[0] as NonNullable<ReturnType<typeof buildBus>['meters'][0]>;
    let now: Millis = start;
    let answered = 0;
    for (let round = 0; round < 40; round++) {
      for (const name of names) {
        for (const { octets, direction } of linesOf(name).slice(0, 40)) {
          if (direction !== 'to-meter') continue;
          now = later(now, 10);
          const sent = random() < 0.6 ? octets : random() < 0.5 ? mutate(octets, random) : inner(octets, random);
          meter.receive(sent, now);
          for (let answer = meter.stack.pollTransmit(); answer; answer = meter.stack.pollTransmit()) answered++;
        }
        now = later(now, 1000);
        meter.wake(now);
        // A damaged length swallows the rest of a TCP connection; the next one begins anew.
        if (link === 'wrapper') meter.powerUp();
      }
    }
    expect(answered).toBeGreaterThan(1000);
  });
});

describe('the client', () => {
  test.each(['hdlc', 'wrapper'] as const)('%s: whatever is answered, every request ends', (link) => {
    const pool = traceNames
      .filter((name) => isHdlc(name) === (link === 'hdlc'))
      .flatMap((name) =>
        linesOf(name)
          .filter(({ direction }) => direction === 'from-meter')
          .map(({ octets }) => octets),
      );
    const random = seeded(13);
    const ends = new Map<string, number>();
    for (let round = 0; round < 400; round++) {
      const stack = new ClientStack(
        stackSettings({
          link,
          modeE: false,
          signOnAddress: '',
          client: 17,
          logical: 1,
          physical: undefined,
          auth: 'lls',
          secret: new Secret(Buffer.from('Gurux')),
          model: genericModel,
          baud: 9600,
          timed: false,
          answerTimeoutMs: 1000,
          retries: 1,
          guardMs: 0,
        }),
      );
      let now: Millis = start;
      let script = 0;
      // Half of the rounds follow the recording, so that requests get far; the rest answer at random.
      const follow = random() < 0.7;
      const answers = follow ? pool.slice(0, 30) : pool;
      stack.request({ kind: 'connect' }, now);
      let end = '';
      let asked = false;
      for (let steps = 0; steps < 400 && end === ''; steps++) {
        let sent = false;
        for (let octets = stack.pollTransmit(); octets; octets = stack.pollTransmit()) sent = true;
        for (let event = stack.pollEvent(); event; event = stack.pollEvent()) {
          if (event.kind === 'connected') {
            asked = true;
            stack.request(
              { kind: 'get', attributes: [{ classId: 15, logicalName: '0.0.40.0.0.255', attribute: 2 }] },
              now,
            );
          } else if (event.kind === 'failed') end = event.error.code;
          else if (event.kind === 'got' || event.kind === 'closed') end = event.kind;
        }
        if (end !== '') break;
        if (sent) {
          const answer = answers[
            follow ? script++ % answers.length : Math.floor(random() * answers.length)
          ] as Uint8Array;
          stack.receive(random() < 0.7 ? answer : mutate(answer, random), now);
          continue;
        }
        const deadline = stack.deadline();
        if (deadline === undefined) {
          // Something was received that is still to be handed on.
          if (asked || steps > 0) {
            for (let octets = stack.pollTransmit(); octets; octets = stack.pollTransmit()) sent = true;
            if (!sent) end = 'idle';
          }
          continue;
        }
        now = millis(Math.max(now + 1, deadline));
        stack.wake(now);
      }
      expect(end, `round ${round} did not end`).not.toBe('');
      expect(end).not.toBe('idle');
      ends.set(end, (ends.get(end) ?? 0) + 1);
    }
    expect(ends.size).toBeGreaterThan(2);
  });
});
