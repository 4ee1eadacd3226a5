/**
 * Every request of a session × every way in which a meter can mishandle it, in the whole house and in virtual time: what it
 * costs of the line and of memory is bounded, the meter beside it is read on time, the verdict is right, and when the meter
 * is well again the next session reads it. scripts/hostile-meter runs the whole matrix.
 */
import { concat, Writer } from '../../src/base/cursor.ts';
import { cutFrame, encodeFrame, type Frame } from '../../src/dlms/hdlc/frame.ts';
import type { Millis } from '../../src/base/time.ts';
import { type Apdu, decodeApdu, encodeApdu, type GetResult, getResponseOctets } from '../../src/dlms/xdlms/apdu.ts';
import { PortRunner } from '../../src/schedule/runner.ts';
import type { Piece } from '../../src/simulator/quirk.ts';
import type { VirtualMeter } from '../../src/simulator/virtual-meter.ts';
import { virtualHouse } from '../support/virtual-house.ts';
import { requestOf, takeOver, valueAttack } from './hostile-answers.ts';
import { gmac, lls } from '../support/configuration.ts';

const minute = 60_000;
export const links = ['hdlc', 'wrapper', 'hdlc-gmac'] as const;
export type Link = (typeof links)[number];
export const attacks = [
  'drop',
  'truncate',
  'no LLC',
  'empty',
  'foreign',
  'echo',
  'wrong type',
  'late',
  'endless',
  'huge',
  'deep',
  'one octet a second',
] as const;
export type AttackName = (typeof attacks)[number];

const profile = '1.0.99.1.0.255';
const gets: Readonly<Record<string, (classId: number, attribute: number, name: string) => boolean>> = {
  'device name': (classId, attribute, name) => classId === 1 && attribute === 2 && name === '0.0.42.0.0.255',
  'serial number': (classId, attribute, name) => classId === 1 && attribute === 2 && name === '0.0.96.1.0.255',
  clock: (classId, attribute) => classId === 8 && attribute === 2,
  disconnector: (classId) => classId === 70,
  'capture objects': (classId, attribute, name) => name === profile && attribute === 3,
  'capture period': (classId, attribute, name) => name === profile && attribute === 4,
  'sort method': (classId, attribute, name) => name === profile && attribute === 5,
  depth: (classId, attribute, name) => name === profile && attribute === 8,
  scaler: (classId, attribute) => classId === 3 && attribute === 3,
  register: (classId, attribute) => classId === 3 && attribute === 2,
  rows: (classId, attribute, name) => name === profile && attribute === 2,
  'standard log': (_, attribute, name) => name === '0.0.99.98.0.255' && attribute === 2,
  'fraud log': (_, attribute, name) => name === '0.0.99.98.1.255' && attribute === 2,
};
/** What is asked with a request in the clear; of a ciphered one its tag is all there is. */
const attributesOf = (apdu: Apdu | undefined) =>
  apdu?.kind === 'get-request-normal'
    ? [apdu.attribute]
    : apdu?.kind === 'get-request-with-list'
      ? apdu.attributes
      : [];
const byTag: Readonly<Record<string, readonly number[]>> = {
  AARQ: [0x60],
  RLRQ: [0x62],
  'next block': [0xc0],
  'set of the clock': [0xc1, 0xc3],
  proof: [0xcb],
  'ciphered GET': [0xc8],
};
const frameKinds: Readonly<Record<string, Frame['control']['kind']>> = { SNRM: 'SNRM', DISC: 'DISC' };

export const requestsOf = (link: Link): readonly string[] =>
  link === 'hdlc-gmac'
    ? ['counter', 'AARQ', 'proof', 'ciphered GET']
    : [
        ...(link === 'hdlc' ? Object.keys(frameKinds) : []),
        'AARQ',
        ...Object.keys(gets),
        'next block',
        'set of the clock',
        'RLRQ',
      ];

function asks(request: string, octets: Uint8Array): boolean {
  const apdu = requestOf(octets);
  if (request === 'next block') return apdu?.kind === 'get-request-next';
  if (request === 'counter') return attributesOf(apdu).some(({ logicalName }) => logicalName === '0.0.43.1.0.255');
  const tags = byTag[request];
  if (tags) return tags.includes(octets[0] as number);
  const get = gets[request];
  return get !== undefined && attributesOf(apdu).some((one) => get(one.classId, one.attribute, one.logicalName));
}

const nested = Uint8Array.from(Array.from({ length: 4000 }, (_, i) => (i % 2 === 0 ? 2 : 1)));
/** An octet-string of a megabyte. */
const large = (() => {
  const w = new Writer(1 << 20);
  w.put(Uint8Array.of(9, 0x83, 0x0f, 0x42, 0x40));
  w.put(new Uint8Array(1_000_000).fill(0x30));
  return w.octets();
})();
const wrongType = (answer: Uint8Array): Uint8Array => {
  const other: GetResult = { data: { type: 'array', value: [{ type: 'boolean', value: true }] } };
  try {
    const { apdu } = decodeApdu(answer);
    if (apdu.kind === 'get-response-normal') return encodeApdu({ ...apdu, result: other });
    if (apdu.kind === 'get-response-with-list') return encodeApdu({ ...apdu, results: apdu.results.map(() => other) });
  } catch {
    // No xDLMS: another APDU takes its place.
  }
  return Uint8Array.of(0xc5, 1, answer[2] ?? 0xc1, 0);
};

interface Hostility {
  active: boolean;
  /** Requests that were attacked. */
  hits: number;
}

/** APDUs that answer; what is done to the octets on the line is noted for the transmission that follows. */
function apduAnswers(
  attack: AttackName,
  request: Uint8Array,
  answers: Uint8Array[],
  values: ReturnType<typeof valueAttack>,
): Uint8Array[] {
  const [answer] = answers;
  const get = attributesOf(requestOf(request)).length > 0;
  const invokeId = request[2] ?? 0xc1;
  switch (attack) {
    case 'drop':
      return [];
    case 'truncate':
      return answer ? [answer.subarray(0, Math.ceil(answer.length / 2))] : [];
    case 'empty':
      return [new Uint8Array(0)];
    case 'echo':
      return [request];
    case 'wrong type':
      return [wrongType(answer ?? request)];
    case 'endless':
      // The first of blocks that have no end; every request for the next gets one more.
      return get ? [endlessBlock(invokeId, 1)] : Array.from({ length: 40 }, () => answer ?? request);
    case 'huge':
      return get ? values(request, () => answers) : [concat([answer ?? request, new Uint8Array(60_000)])];
    case 'deep':
      return [concat([Uint8Array.of(0xc4, 1, invokeId, 0), nested])];
    default:
      return answers;
  }
}
function endlessBlock(invokeId: number, number: number): Uint8Array {
  const w = new Writer(256);
  w.put(Uint8Array.of(0xc4, 2, invokeId, 0));
  w.u32(number);
  w.put(Uint8Array.of(0, 100));
  w.put(number === 1 ? concat([Uint8Array.of(1, 0x82, 0xff, 0xff), new Uint8Array(96)]) : new Uint8Array(100));
  return w.octets();
}

/** What becomes of the octets of one answer on the line. */
function linePieces(attack: AttackName, octets: Uint8Array, link: Link): Piece[] {
  const one = (changed: Uint8Array): Piece[] => [{ octets: changed, pauseMs: 0 }];
  const cut = octets[0] === 0x7e ? cutFrame(octets, 1, octets.length) : undefined;
  const frame = cut?.is === 'frame' ? cut.frame : undefined;
  switch (attack) {
    case 'late':
      return [{ octets, pauseMs: 20_000 }];
    case 'one octet a second':
      return Array.from(octets, (octet): Piece => ({ octets: Uint8Array.of(octet), pauseMs: 1000 }));
    case 'foreign':
      if (frame) return one(encodeFrame({ ...frame, source: { ...frame.source, logical: frame.source.logical ^ 2 } }));
      return one(octets.map((octet, i) => (link === 'wrapper' && i === 3 ? octet ^ 2 : octet)));
    case 'no LLC':
      // Behind the wrapper it is the version of its header that is not there.
      if (!frame) return one(octets.map((octet, i) => (i === 1 ? 0 : octet)));
      return one(encodeFrame({ ...frame, information: frame.information.subarray(3) }));
    default:
      return one(octets);
  }
}
/** The same for frames that hold no APDU: the answers to SNRM and DISC. */
function linkPieces(attack: AttackName, octets: Uint8Array, asked: Uint8Array): Piece[] {
  const cut = octets[0] === 0x7e ? cutFrame(octets, 1, octets.length) : undefined;
  const frame = cut?.is === 'frame' ? cut.frame : undefined;
  const one = (changed: Uint8Array): Piece[] => [{ octets: changed, pauseMs: 0 }];
  if (!frame) return one(octets);
  const informed = (information: Uint8Array) => one(encodeFrame({ ...frame, information }));
  switch (attack) {
    case 'drop':
      return [];
    case 'truncate':
      return one(octets.subarray(0, Math.ceil(octets.length / 2)));
    case 'empty':
      return one(Uint8Array.of(0x7e, 0x7e));
    case 'echo':
      return one(asked);
    case 'wrong type':
      return one(encodeFrame({ ...frame, control: { kind: 'DM', pollFinal: true }, information: new Uint8Array(0) }));
    case 'endless':
      return Array.from({ length: 40 }, (): Piece => ({ octets, pauseMs: 500 }));
    case 'huge':
      return informed(new Uint8Array(1900).fill(0x80));
    case 'deep':
      return informed(nested.subarray(0, 1000));
    default:
      return linePieces(attack, octets, 'hdlc');
  }
}

function attackMeter(meter: VirtualMeter, link: Link, request: string, attack: AttackName, hostility: Hostility): void {
  const values = valueAttack((...what) => ((gets[request] ?? (() => true))(...what) ? large : undefined));
  let onLine = false;
  let onLink: Uint8Array | undefined;
  let endless = 0;
  // Rows in small blocks, so that the next one is asked for.
  let rows: Uint8Array | undefined;
  const blocks = valueAttack((...what) => (gets['rows']?.(...what) ? rows : undefined), 100);
  takeOver(meter, (octets, own) => {
    onLine = false;
    if (!hostility.active) return own();
    const honest = () => {
      if (request !== 'next block') return own();
      if (attributesOf(requestOf(octets)).length > 0) {
        const [answer] = own();
        rows = answer && getResponseOctets(answer)?.octets;
        return blocks(octets, () => (answer ? [answer] : []));
      }
      return blocks(octets, own);
    };
    const apdu = requestOf(octets);
    if (apdu?.kind === 'get-request-next' && request !== 'next block') {
      if (attack === 'endless' && endless > 0) return [endlessBlock(apdu.invokeId, ++endless)];
      if (attack === 'huge') return values(octets, honest);
    }
    endless = 0;
    if (!asks(request, octets)) return honest();
    hostility.hits++;
    onLine = true;
    if (attack === 'endless') endless = 1;
    return apduAnswers(attack, octets, honest(), values);
  });
  const kind = frameKinds[request];
  const waiting: { octets: Uint8Array; due: number }[] = [];
  let clock = 0;
  const receive = meter.receive.bind(meter);
  meter.receive = (octets, now) => {
    clock = now;
    onLine = false;
    onLink = undefined;
    const cut = octets[0] === 0x7e ? cutFrame(octets, 1, octets.length) : undefined;
    if (hostility.active && kind !== undefined && cut?.is === 'frame' && cut.frame.control.kind === kind) {
      const { logical, physical } = cut.frame.destination;
      if (logical === meter.settings.logical && physical === meter.settings.physical) {
        onLink = octets;
        hostility.hits++;
      }
    }
    receive(octets, now);
  };
  const wake = meter.wake.bind(meter);
  meter.wake = (now) => {
    clock = now;
    wake(now);
  };
  const deadline = meter.deadline.bind(meter);
  meter.deadline = () => {
    const [own, next] = [deadline(), waiting[0]?.due];
    return own === undefined || (next !== undefined && next < own) ? (next as Millis | undefined) : own;
  };
  const transmit = meter.pollTransmit.bind(meter);
  meter.pollTransmit = () => {
    for (let piece = transmit(); piece; piece = transmit()) {
      const made = onLink
        ? linkPieces(attack, piece.octets, onLink)
        : onLine
          ? linePieces(attack, piece.octets, link)
          : [piece];
      // Whoever is asked anew says no more of what it was saying.
      waiting.length = 0;
      let due = clock;
      for (const { octets, pauseMs } of made) {
        due += pauseMs;
        waiting.push({ octets, due });
      }
    }
    if (!waiting[0] || waiting[0].due > clock) return undefined;
    return { octets: (waiting.shift() as { octets: Uint8Array }).octets, pauseMs: 0 };
  };
}

/** Some requests are made only where there is a reason for them. */
function prepare(meter: VirtualMeter, request: string, now: Millis): void {
  if (request === 'set of the clock') meter.moveClock(now, 40_000);
  // Our counter is behind the meter's: the public client asks for it.
  if (request === 'counter') (meter as unknown as { heard: Map<number, number> }).heard.set(5, 5000);
}

export interface Outcome {
  readonly link: Link;
  readonly request: string;
  readonly attack: AttackName;
  /** Requests that were answered so. */
  readonly hits: number;
  readonly verdict: string;
  readonly error: string | null;
  /** Of the time of attack: what the hostile meter had of the line, and its longest turn. */
  readonly shareOfLine: number;
  readonly longestTurnS: number;
  readonly heapMiB: number;
  /** What is wrong; empty where all is well. */
  readonly findings: readonly string[];
}

const attackMs = 40 * minute;
/** After the start the rows of half a day are read. */
const firstRowsMs = 15 * minute;
/** No turn takes longer, whatever a meter does. */
const longestTurnMs = 12 * minute;
const setting = {
  hdlc: lls,
  wrapper: lls,
  'hdlc-gmac': gmac,
} as const;

/** Measures turns of one meter. */
function measureTurns(
  meter: string,
  now: () => number,
): { turns: number; spentMs: number; longestMs: number; stop(): void } {
  const runner = PortRunner.prototype as unknown as {
    turn: (this: unknown, state: { polled: { origin: { meter: string } } }, ...more: unknown[]) => Promise<void>;
  };
  const { turn } = runner;
  const measured = { turns: 0, spentMs: 0, longestMs: 0, stop: () => void (runner.turn = turn) };
  runner.turn = async function (state, ...more) {
    const began = now();
    await turn.call(this, state, ...more);
    if (state.polled.origin.meter !== meter) return;
    measured.turns++;
    measured.spentMs += now() - began;
    measured.longestMs = Math.max(measured.longestMs, now() - began);
  };
  return measured;
}

export async function mistreat(link: Link, request: string, attack: AttackName): Promise<Outcome> {
  const findings: string[] = [];
  const wrapper = link === 'wrapper';
  const it = await virtualHouse(
    {
      bus: { baud: wrapper ? 0 : 9600, link: wrapper ? 'wrapper' : 'hdlc' },
      meters: { count: wrapper ? 1 : 2, period_s: 900, max_pdu: 512 },
    },
    { days: 0, meter: setting[link], ...(wrapper && { buses: 2, line: { link: 'wrapper' } }) },
  );
  it.house.stopped.catch((error: unknown) =>
    findings.push(`crash: ${error instanceof Error ? error.stack : String(error)}`),
  );
  const [hostile] = it.simulated.meters;
  if (!hostile) throw new Error('a meter is there');
  const name = `m${hostile.settings.serial}`;
  const hostility: Hostility = { active: true, hits: 0 };
  prepare(hostile, request, it.clock.now());
  attackMeter(hostile, link, request, attack, hostility);
  const measured = measureTurns(name, () => it.clock.now());
  it.broker.connect();
  let heap = 0;
  try {
    for (let at = 0; at < attackMs; at += 5 * minute) {
      await it.run(5 * minute);
      heap = Math.max(heap, process.memoryUsage().heapUsed);
      if (at + 5 * minute < firstRowsMs) continue;
      // Every row of the neighbour, a period after it was written at most.
      const { expected, right, wrong } = it.compare(15 * minute).get(1) as {
        expected: number;
        right: number;
        wrong: string[];
      };
      if (right !== expected || wrong.length > 0)
        findings.push(`after ${at / minute + 5} min the neighbour has ${right} of ${expected} rows`);
    }
    const meters = (await it.house.snapshot()).ports.flatMap((port) => port.meters);
    const [first, second] = meters;
    const own = it.compare(15 * minute).get(0) as { expected: number; right: number };
    const verdict = first?.verdict ?? '';
    // Under a clock that is wrong, rows are not what they would have been.
    const complete = own.right === own.expected || request === 'set of the clock';
    judge(findings, { link, request, attack }, verdict, complete, second?.verdict ?? '', first?.alarms.length ?? 0);
    if (hostility.hits === 0) findings.push('the request was never made');
    if (measured.longestMs > longestTurnMs) findings.push(`a turn of ${Math.round(measured.longestMs / 1000)} s`);
    const { spentMs, longestMs } = measured;
    // Well again: it is read when somebody asks, at the second try at the latest.
    hostility.active = false;
    let refusal: string | undefined = '';
    for (let tries = 0; tries < 3 && refusal !== undefined; tries++) {
      await it.run(2 * minute);
      const asked = it.house.readNow(name, true).then(() => undefined, String);
      refusal = await it.clock.complete(asked);
    }
    if (refusal !== undefined) findings.push(`well again it is not read: ${refusal}`);
    if (it.ingest.unfit.size > 0) findings.push(`misfits: ${[...it.ingest.unfit.keys()].join('; ')}`);
    if (it.ingest.conflicts.length > 0) findings.push(`conflicts: ${it.ingest.conflicts[0]}`);
    return {
      link,
      request,
      attack,
      hits: hostility.hits,
      verdict,
      error: first?.lastError ?? null,
      shareOfLine: Math.round((spentMs / attackMs) * 1000) / 1000,
      longestTurnS: Math.round(longestMs / 1000),
      heapMiB: Math.round(heap / 2 ** 20),
      findings,
    };
  } finally {
    measured.stop();
    await it.clock.complete(it.house.stop());
  }
}

/** Whose fault it is said to be: never the line's or the neighbour's, and never nobody's where rows are missing. */
function judge(
  findings: string[],
  { link, request, attack }: Cell,
  verdict: string,
  complete: boolean,
  neighbour: string,
  alarms: number,
): void {
  // Octets between the turns damage what the others say, on one line.
  const babbles = link !== 'wrapper' && ['late', 'endless', 'one octet a second'].includes(attack);
  if (neighbour !== 'REACHABLE' && !(babbles && neighbour === 'LINE_QUALITY'))
    findings.push(`the neighbour is ${neighbour}`);
  if (['BUS_FAULT', 'UNKNOWN', 'CONFIG_FAULT', 'POWER_LOST'].includes(verdict)) findings.push(`verdict ${verdict}`);
  if (!complete && verdict === 'REACHABLE' && alarms === 0)
    findings.push('rows are missing, and nothing is said of it');
  const entering = ['AARQ', 'proof', 'counter', 'ciphered GET', 'SNRM'].includes(request);
  if (verdict === 'SECURITY_FAULT' && !entering) findings.push('SECURITY_FAULT, although it let us in');
  const identifying = ['device name', 'serial number', 'clock', 'disconnector', 'ciphered GET'];
  if (verdict === 'IDENTITY_MISMATCH' && !identifying.includes(request))
    findings.push('IDENTITY_MISMATCH, although it is the one');
}

export interface Cell {
  readonly link: Link;
  readonly request: string;
  readonly attack: AttackName;
}
/** No pair is left out. */
export const matrix: readonly Cell[] = links.flatMap((link) =>
  requestsOf(link).flatMap((request) => attacks.map((attack): Cell => ({ link, request, attack }))),
);
