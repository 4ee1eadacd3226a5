/**
 * What is observed, the code and the fault that it is told with, and the verdict: one table, seen in a whole house. Incident:
 * silence in the middle of a session that gave values was "mains", and an operator's mistake was METER_FAULT.
 */
import { expect, test } from 'vitest';
import { type ErrorCode, errorTable, Failure, type Fault } from '../../src/base/errors.ts';
import { genericModel } from '../../src/meter/model.ts';
import { judge, type Observation, verdictOf } from '../../src/schedule/reachability.ts';
import type { Verdict } from '../../src/reading/verdict.ts';
import type { ScenarioInput } from '../../src/simulator/scenario.ts';
import type { VirtualMeter } from '../../src/simulator/virtual-meter.ts';
import { factsOf, statusOf } from '../support/house-facts.ts';
import { meterWorld } from '../support/meter-world.ts';
import { aareRefused, answerTo, deafFrom, instead, misbehave, type Odd, refuse, tags } from '../support/odd-meters.ts';
import { virtualHouse } from '../support/virtual-house.ts';
import { gmac, lls, type MeterKeys } from '../support/configuration.ts';

const minute = 60_000;

interface Case {
  readonly observed: string;
  readonly code: ErrorCode | null;
  readonly fault: Fault | null;
  readonly verdict: Verdict;
  readonly scenario?: ScenarioInput;
  readonly meter?: MeterKeys;
  /** Of the configuration file, before the house begins with it. */
  readonly text?: (text: string) => string;
  readonly odd?: Odd;
  readonly port?: NonNullable<Parameters<typeof virtualHouse>[1]>['port'];
  readonly minutes?: number;
}
const { aarq, get } = tags;

const cases: readonly Case[] = [
  { observed: 'it is read', code: null, fault: null, verdict: 'REACHABLE' },
  // ---- The operator
  {
    observed: 'another period than configured',
    scenario: { meters: { count: 1, period_s: 900 } },
    text: (text) => text.replace('period_s = 900', 'period_s = 3600'),
    code: 'period-mismatch',
    fault: 'operator',
    verdict: 'CONFIG_FAULT',
  },
  {
    observed: 'a model with short names, a meter with logical ones',
    meter: { ...lls, model: 'short-name' },
    code: 'association-refused',
    fault: 'operator',
    verdict: 'SECURITY_FAULT',
  },
  {
    observed: 'a profile that the meter does not have',
    text: (text) => text.replace('1-0:99.1.0*255', '1-0:99.7.0*255'),
    code: 'access-refused',
    fault: 'operator',
    verdict: 'CONFIG_FAULT',
  },
  {
    observed: 'a wrong address',
    text: (text) => text.replace(/physical = \d+/, 'physical = 77'),
    code: 'no-answer',
    fault: 'line',
    verdict: 'SUSPECT_MAINS_OR_METER',
  },
  {
    observed: 'a client that the meter does not know',
    meter: { ...lls, client: 99 },
    code: 'association-refused',
    fault: 'operator',
    verdict: 'SECURITY_FAULT',
  },
  {
    observed: 'a wrong password',
    scenario: { meters: { count: 1, password: 'other' } },
    code: 'authentication-refused',
    fault: 'operator',
    verdict: 'SECURITY_FAULT',
  },
  {
    observed: 'no authentication where one is wanted',
    meter: { client: 17, auth: 'none' },
    code: 'authentication-required',
    fault: 'operator',
    verdict: 'SECURITY_FAULT',
  },
  {
    observed: 'another mechanism than the client has',
    odd: {
      // AARE: rejected, diagnostic 11.
      answer: (octets, request) => (request[0] === aarq ? aareRefused(11) : octets),
    },
    code: 'mechanism-refused',
    fault: 'operator',
    verdict: 'SECURITY_FAULT',
  },
  {
    observed: 'the key of another meter',
    meter: gmac,
    scenario: { meters: { count: 1, encryption_key: 'ff0102030405060708090a0b0c0d0e0f' } },
    code: 'association-refused',
    fault: 'operator',
    verdict: 'SECURITY_FAULT',
  },
  {
    observed: 'another serial number',
    text: (text) => text.replace(/serial = "\d+"/, 'serial = "1"'),
    code: 'identity-mismatch',
    fault: 'operator',
    verdict: 'IDENTITY_MISMATCH',
  },
  {
    observed: 'no right to read which meter it is',
    odd: refuse(3),
    code: 'identity-unknown',
    fault: 'operator',
    verdict: 'CONFIG_FAULT',
  },
  // ---- The meter
  {
    observed: 'it does not give its identity for now',
    odd: refuse(2),
    code: 'value-unavailable',
    fault: 'meter',
    verdict: 'METER_FAULT',
  },
  {
    observed: 'its identity is of another type',
    odd: {
      answer(octets, request) {
        if (request[0] !== get) return octets;
        // A boolean for each attribute that is asked for.
        if (request[1] === 1) return Uint8Array.of(0xc4, 1, request[2] as number, 0, 3, 1);
        const values = Array.from({ length: request[3] as number }, () => [0, 3, 1]).flat();
        return Uint8Array.from([0xc4, 3, request[2] as number, request[3] as number, ...values]);
      },
    },
    code: 'value-unavailable',
    fault: 'meter',
    verdict: 'METER_FAULT',
  },
  {
    observed: 'silence after AARQ',
    odd: deafFrom(aarq),
    minutes: 1,
    code: 'fell-silent',
    fault: 'meter',
    verdict: 'METER_FAULT',
  },
  {
    observed: 'silence after AARQ, three times: it will not have us',
    odd: deafFrom(aarq),
    minutes: 60,
    code: 'association-refused',
    fault: 'operator',
    verdict: 'SECURITY_FAULT',
  },
  {
    observed: 'silence in the middle of a session',
    odd: deafFrom(get),
    code: 'fell-silent',
    fault: 'meter',
    verdict: 'METER_FAULT',
  },
  {
    observed: 'silence after the first rows',
    // The link is asked for the next segment of the rows, which it does not have before.
    odd: { accepts: (octets) => ((octets[8] as number) & 0x0f) !== 0x01 },
    scenario: { meters: { count: 1, max_info: 128 } },
    // Later it goes on with fewer rows at a time, whose answers have no second segment.
    minutes: 0.5,
    code: 'fell-silent',
    fault: 'meter',
    verdict: 'METER_FAULT',
  },
  {
    observed: 'FRMR',
    odd: instead('FRMR', 1),
    minutes: 1,
    code: 'frame-rejected',
    fault: 'meter',
    verdict: 'METER_FAULT',
  },
  { observed: 'DM to SNRM', odd: instead('DM', 0), code: 'link-disconnected', fault: 'meter', verdict: 'METER_FAULT' },
  {
    observed: 'DM in the middle of a session',
    odd: instead('DM', 1),
    code: 'link-disconnected',
    fault: 'meter',
    verdict: 'METER_FAULT',
  },
  {
    observed: 'an exception to AARQ',
    odd: answerTo(aarq, [0xd8, 1, 1]),
    code: 'association-refused',
    fault: 'operator',
    verdict: 'SECURITY_FAULT',
  },
  {
    observed: 'an exception to each request',
    odd: answerTo(get, [0xd8, 2, 1]),
    code: 'service-exception',
    fault: 'meter',
    verdict: 'METER_FAULT',
  },
  {
    observed: 'nonsense in answer to AARQ',
    odd: answerTo(aarq, [0x61, 0x05, 1, 2, 3]),
    code: 'malformed-octets',
    fault: 'meter',
    verdict: 'METER_FAULT',
  },
  // ---- The line
  {
    observed: 'nothing is heard',
    scenario: { fault: [{ kind: 'silence', meter: 0 }] },
    code: 'no-answer',
    fault: 'line',
    verdict: 'SUSPECT_MAINS_OR_METER',
  },
  {
    observed: 'only our own octets come back',
    scenario: { fault: [{ kind: 'silence', meter: 0 }, { kind: 'echo' }] },
    code: 'echo-only',
    fault: 'line',
    verdict: 'SUSPECT_MAINS_OR_METER',
  },
  {
    observed: 'only our own octets come back in the middle of a session',
    odd: deafFrom(get),
    scenario: { fault: [{ kind: 'echo' }] },
    code: 'fell-silent',
    fault: 'meter',
    verdict: 'METER_FAULT',
  },
  {
    observed: 'only garbage is heard',
    scenario: { fault: [{ kind: 'silence', meter: 0 }] },
    port: (port) => ({
      ...port,
      write: async (octets) => {
        await port.write(octets);
        port.hear(Uint8Array.from({ length: 60 }, (_, i) => (i * 37) & 0x7b));
      },
    }),
    code: 'damaged-answer',
    fault: 'line',
    verdict: 'LINE_QUALITY',
  },
  {
    observed: 'the adapter is gone',
    port: (port) => {
      port.unplug();
      return port;
    },
    code: 'port-lost',
    fault: 'line',
    verdict: 'BUS_FAULT',
  },
  {
    observed: 'no connection to the converter',
    port: () => {
      throw new Failure('host-missing', 'refused');
    },
    code: 'host-missing',
    fault: 'line',
    verdict: 'BUS_FAULT',
  },
  {
    observed: 'no right to the port',
    port: () => {
      throw new Failure('port-denied', 'EACCES');
    },
    code: 'port-denied',
    fault: 'operator',
    verdict: 'BUS_FAULT',
  },
  {
    observed: 'the connection of one meter is closed',
    port: (port) => ({
      ...port,
      read: () => Promise.reject(new Failure('connection-lost', 'closed by the other side')),
    }),
    code: 'connection-lost',
    fault: 'meter',
    verdict: 'METER_FAULT',
  },
];
test.each(cases)(
  '$observed: $code, $verdict',
  async ({ scenario, meter, text, odd, port, minutes = 5, ...expected }) => {
    const it = await virtualHouse(
      { meters: { count: 1 }, ...scenario },
      { days: 1, meter: meter ?? lls, ...(port && { port }) },
    );
    if (text) {
      await it.clock.complete(it.house.stop());
      const changed = text(it.configText);
      expect(changed).not.toBe(it.configText);
      it.configText = changed;
      await it.restart();
    }
    if (odd) misbehave(it.simulated.meters[0] as VirtualMeter, odd);
    it.broker.connect();
    await it.run(minutes * minute);
    const { verdict, lastCode: code, fault, nextStep, lastError } = await statusOf(it);
    expect({ verdict, code, fault }, String(lastError)).toEqual({
      verdict: expected.verdict,
      code: expected.code,
      fault: expected.fault,
    });
    if (expected.code) expect(nextStep).toBe(errorTable[expected.code].nextStep);
    await it.clock.complete(it.house.stop());
  },
);

test('incident: mains that fail in the middle of a session are told as mains, and not first as a fault of the meter', async () => {
  const it = await virtualHouse({ meters: { count: 1 } }, { days: 1, meter: lls });
  it.broker.connect();
  await it.run(20 * minute);
  // From the next GET on it says nothing more at all.
  const deaf = deafFrom(get);
  let dark = false;
  misbehave(it.simulated.meters[0] as VirtualMeter, {
    accepts(octets, ...more) {
      dark ||= deaf.accepts?.(octets, ...more) === false;
      return !dark;
    },
  });
  await it.run(120 * minute);
  const events = factsOf(it, 'event').filter(({ meter }) => meter === 'm60120001');
  expect(events.map(({ name }) => name)).toEqual(['SUSPECT_MAINS_OR_METER']);
  expect(await statusOf(it)).toMatchObject({ verdict: 'SUSPECT_MAINS_OR_METER', lastCode: 'no-answer' });
  await it.clock.complete(it.house.stop());
});

test('a meter with another period than configured answers: two silent ones beside it are no fault of the bus', () => {
  const silent = { lastSuccess: undefined, failures: 3, lastError: 'no-answer', damaged: 0, sessions: 5 } as const;
  const other = { ...silent, lastError: 'period-mismatch' } as const;
  const verdicts = (third: Observation) => [
    ...judge(
      new Map<string, Observation>([
        ['a', silent],
        ['b', silent],
        ['c', third],
      ]),
    ).values(),
  ];
  expect(verdicts(other)).toEqual(['SUSPECT_MAINS_OR_METER', 'SUSPECT_MAINS_OR_METER', 'CONFIG_FAULT']);
  expect(verdicts({ ...other, unusable: true })).toEqual(['BUS_FAULT', 'BUS_FAULT', 'CONFIG_FAULT']);
});

test('no code of an operator, the gateway or the line sends anybody to the meter, and none of the meter to the file', () => {
  for (const [code, { fault }] of Object.entries(errorTable)) {
    const verdict = verdictOf(code as ErrorCode);
    if (fault !== 'meter') expect(verdict, code).not.toBe('METER_FAULT');
    if (fault === 'meter') expect(['METER_FAULT', 'SECURITY_FAULT'], code).toContain(verdict);
    if (fault === 'gateway') expect(verdict, code).toBe('GATEWAY_FAULT');
  }
});

test.each([
  [aareRefused(1, [0xbe, 0x06, 0x04, 0x04, 0x0e, 0x01, 0x06, 0x02]), /initiateError: incompatible conformance/],
  [aareRefused(1, [0xbe, 0x06, 0x04, 0x04, 0x0e, 0x01, 0x06, 0x01]), /initiateError: DLMS version too low/],
  [aareRefused(2), /application context name not supported/],
  // Of the service provider.
  [
    Uint8Array.from([...aareRefused(2).subarray(0, 20), 0xa2, ...aareRefused(2).subarray(21)]),
    /no common ACSE version/,
  ],
])('an AARE that refuses is told by its names (%#)', async (aare, words) => {
  const world = meterWorld({}, { model: genericModel });
  const odd: Odd = { answer: (octets, request) => (request[0] === aarq ? aare : octets) };
  misbehave(world.meter, odd);
  const failed = world.clock.complete(world.session.connect());
  await expect(failed).rejects.toThrow(words);
});
