/**
 * Sessions of the whole daemon with a meter whose answers are changed: octets, values of the same shape, other answers,
 * none. Everything that is published must fit the contract, nothing may crash, and the honest meter beside it is complete.
 * Seeded; scripts/fuzz-sessions runs campaigns.
 */
import { encode } from '../../src/base/codec.ts';
import { type Data, dataCodec } from '../../src/dlms/axdr/data.ts';
import { dateTimeOctets, inUtc } from '../../src/dlms/cosem/date-time.ts';
import { type Apdu, encodeApdu, type GetResult } from '../../src/dlms/xdlms/apdu.ts';
import { millis } from '../../src/base/time.ts';
import * as v from 'valibot';
import { birthPayload, healthPayload, statePayload } from '../../src/contract/payloads.ts';
import { isUnfit, parsePayload } from '../../src/contract/parse.ts';
import { hashed, type Random, seeded } from '../../src/simulator/random.ts';
import { anyData, leaf, mutate } from './fuzz.ts';
import { type VirtualHouse, virtualHouse } from '../support/virtual-house.ts';
import { type Attack, requestOf, takeOver } from './hostile-answers.ts';
import { gmac, lls, type MeterKeys } from '../support/configuration.ts';

const minute = 60_000;
const pick = <T>(random: Random, items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;
const refusals = [1, 2, 3, 4, 9, 11, 12, 13, 14, 15, 19, 250];
const exceptions = ['d80101', 'd80102', 'd80103', 'd80201', 'd80202', 'd80203', '0e010203', '0e000000'].map((hex) =>
  Buffer.from(hex, 'hex'),
);
const years = [1970, 1999, 2000, 2025, 2026, 2027, 2099, 9999, 10_000, 65_534];

/** A stamp that is right, wrong, of another time or none at all. */
function someStamp(random: Random, now: number): Uint8Array {
  const kind = random();
  if (kind < 0.5) return dateTimeOctets(millis(now + Math.floor((random() - 0.5) * 4) * 300_000), inUtc);
  if (kind < 0.8) {
    const octets = dateTimeOctets(millis(now), inUtc);
    const year = pick(random, years);
    octets[0] = year >> 8;
    octets[1] = year & 0xff;
    return octets;
  }
  return Uint8Array.from({ length: 12 }, () => Math.floor(random() * 256));
}

/** The same shape with other leaves. */
function perturbed(data: Data, random: Random, now: number, rate: number): Data {
  if (random() < rate * 0.1) return anyData(random);
  switch (data.type) {
    case 'array':
    case 'structure': {
      const value = data.value.map((element) => perturbed(element, random, now, rate));
      const kind = random();
      if (kind < rate * 0.1) return { ...data, value: value.slice(0, Math.floor(random() * value.length)) };
      if (kind < rate * 0.2) return { ...data, value: [...value, ...value.slice(0, 50)] };
      if (kind < rate * 0.3) return { ...data, value: value.toReversed() };
      return { ...data, value };
    }
    case 'compact-array':
      return data;
    case 'octet-string':
      if (random() >= rate) return data;
      return data.value.length === 12 ? { ...data, value: someStamp(random, now) } : leaf(random, data.type);
    default:
      return random() < rate ? leaf(random, data.type) : data;
  }
}

function perturbedAnswer(octets: Uint8Array, random: Random, now: number): Uint8Array {
  const apdu = requestOf(octets);
  const rate = pick(random, [0.05, 0.3, 1]);
  const other = (result: GetResult): GetResult =>
    random() < 0.1
      ? { refused: pick(random, refusals) }
      : 'data' in result
        ? { data: perturbed(result.data, random, now, rate) }
        : { data: anyData(random) };
  try {
    if (apdu?.kind === 'get-response-normal') return encodeApdu({ ...apdu, result: other(apdu.result) });
    if (apdu?.kind === 'get-response-with-list') return encodeApdu({ ...apdu, results: apdu.results.map(other) });
    if (apdu?.kind === 'get-response-with-datablock' && 'raw' in apdu.result)
      return encodeApdu({ ...apdu, result: { raw: mutate(apdu.result.raw, random) } });
  } catch {
    // What cannot be encoded is sent as octets that nobody can read.
  }
  return mutate(octets, random);
}

/** A log of any entries: future, past, equal, many. */
function someLog(random: Random, now: number, invokeId: number): Uint8Array {
  const count = pick(random, [0, 1, 3, 20, 200]);
  const stamp = someStamp(random, now);
  const equal = random() < 0.3;
  const value = Array.from(
    { length: count },
    (): Data => ({
      type: 'structure',
      value: [
        { type: 'octet-string', value: equal ? stamp : someStamp(random, now) },
        leaf(random, random() < 0.9 ? 'unsigned' : 'double-long'),
      ],
    }),
  );
  const result: GetResult = { data: { type: 'array', value } };
  return encodeApdu({ kind: 'get-response-normal', invokeId, result });
}

const attributesOf = (apdu: Apdu | undefined) =>
  apdu?.kind === 'get-request-normal'
    ? [apdu.attribute]
    : apdu?.kind === 'get-request-with-list'
      ? apdu.attributes
      : [];

function fuzzed(random: Random, now: () => number, count: { sessions: number }): Attack {
  const rate = pick(random, [0.02, 0.1, 0.3]);
  return (request, honest) => {
    const answers = honest();
    const first = request[0] as number;
    const opening = first === 0x60;
    if (opening) count.sessions++;
    // A session that is refused at its door tells little, and the next one is far away.
    if (random() >= (opening ? rate / 20 : rate)) return answers;
    const [answer] = answers;
    const apdu = requestOf(request);
    const logs = attributesOf(apdu).some(({ logicalName }) => logicalName.startsWith('0.0.99.98.'));
    if (logs && apdu?.kind === 'get-request-normal' && random() < 0.6) return [someLog(random, now(), apdu.invokeId)];
    const kind = random();
    if (!answer || kind < 0.05) return [];
    if (kind < 0.5) return [perturbedAnswer(answer, random, now())];
    if (kind < 0.8) return [mutate(answer, random)];
    if (kind < 0.85) return [answer, answer];
    if (kind < 0.9) return [pick(random, exceptions)];
    if (kind < 0.93 && apdu && 'invokeId' in apdu)
      return [
        encodeApdu({
          kind: 'get-response-normal',
          invokeId: apdu.invokeId,
          result: { refused: pick(random, refusals) },
        }),
      ];
    if (kind < 0.96) return [encode(dataCodec, anyData(random))];
    return [request];
  };
}

const entrances: readonly MeterKeys[] = [lls, { ...lls, model: 'auto' }, { client: 16, auth: 'none' }, gmac];
/** What is published besides facts. */
const others: readonly (readonly [end: string, schema: v.GenericSchema])[] = [
  ['/health', healthPayload],
  ['/birth', birthPayload],
  ['/state', statePayload],
];
/** More sessions in a round than anybody asked for. */
const maxSessions = 12;

export interface FuzzedHouse {
  readonly sessions: number;
  readonly messages: number;
  /** What is wrong; empty where all is well. */
  readonly findings: readonly string[];
}

/** One house for some hours; a session every few minutes with the hostile meter, and with the honest one. */
export async function fuzzHouse(
  seed: number,
  rounds = 40,
  /** For negative controls: done when all rounds are over. */
  spoil: (it: VirtualHouse) => void = () => {},
): Promise<FuzzedHouse> {
  const random = seeded(Math.floor(hashed(41, seed) * 2 ** 32));
  const count = { sessions: 0 };
  const wrapper = random() < 0.25;
  const it = await virtualHouse(
    {
      bus: { baud: 0, link: wrapper ? 'wrapper' : 'hdlc' },
      // Two meters behind one wrapper would share an address: each has a line of its own.
      meters: {
        count: wrapper ? 1 : 2,
        period_s: 300,
        max_info: pick(random, [128, 2030]),
        max_pdu: pick(random, [128, 512, 4096]),
        ...(random() < 0.2 && { captures_energies: true }),
      },
    },
    {
      days: 0,
      start: Date.UTC(2026, 10, 24, 0, 20) + Math.floor(random() * 86_400_000),
      ...(wrapper && { buses: 2, line: { link: 'wrapper' } }),
      meter: pick(random, entrances),
    },
  );
  const findings: string[] = [];
  it.house.stopped.catch((error: unknown) =>
    findings.push(
      `crash: ${error instanceof Error ? (error.stack ?? error.message).split('\n').slice(0, 14).join(' | ') : String(error)}`,
    ),
  );
  const [hostile] = it.simulated.meters;
  if (!hostile) throw new Error('two meters are there');
  takeOver(
    hostile,
    fuzzed(random, () => it.clock.wall(), count),
  );
  it.broker.connect();
  const meter = `m${hostile.settings.serial}`;
  await it.run(minute);
  for (let round = 0; round < rounds && findings.length === 0; round++) {
    await it.run(5 * minute);
    for (let again = 0; again < 3 && findings.length === 0; again++)
      await it.clock.complete(
        it.house.readNow(meter, true).then(
          () => {},
          () => {},
        ),
      );
    for (const { topic, payload } of it.broker.published.splice(0)) {
      const schema = others.find(([end]) => topic.endsWith(end))?.[1];
      const judged = schema && parsePayload(schema, Buffer.from(payload));
      if (isUnfit(judged)) findings.push(`misfit to the contract: ${topic}: ${judged.unfit}`);
    }
    if (count.sessions > (round + 1) * maxSessions) findings.push(`${count.sessions} sessions in ${round + 1} rounds`);
  }
  const { counters, unfit, conflicts } = it.ingest;
  if (findings.length === 0) {
    await it.run(20 * minute);
    spoil(it);
    for (const [why, times] of unfit) findings.push(`misfit to the contract: ${why} (${times})`);
    for (const conflict of conflicts) findings.push(`conflict: ${conflict}`);
    const { expected, right, wrong } = it.compare(15 * minute).get(1) as {
      expected: number;
      right: number;
      wrong: string[];
    };
    if (right !== expected || wrong.length > 0)
      findings.push(`the honest meter: ${right} of ${expected} rows, wrong: ${wrong.slice(0, 3).join('; ')}`);
    const status = await it.store.status();
    if (status.pending > 20) findings.push(`${status.pending} messages are not acknowledged`);
    await it.clock.complete(it.house.stop());
  }
  return { sessions: count.sessions, messages: counters.messages, findings };
}
