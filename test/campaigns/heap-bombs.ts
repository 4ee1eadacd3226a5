/**
 * Values of small elements that are a hundred times as large in memory. Each is the answer of one meter to one kind of
 * question, in the whole house and under the heap that the unit gives (`--max-old-space-size=64`): the meter beside it must
 * be read all the same. Run as a program it tries all of them and prints a line for each; memory that runs out ends it.
 */
import { concat, Writer } from '../../src/base/cursor.ts';
import { fromHex, toHex } from '../../src/base/hex.ts';
import { millis } from '../../src/base/time.ts';
import { parseExchange } from '../../src/base/exchange-file.ts';
import { explain } from '../../src/recording/reader.ts';
import { messageXml } from '../../src/cli/xml.ts';
import { writeLength } from '../../src/dlms/axdr/length.ts';
import { encodeFrame } from '../../src/dlms/hdlc/frame.ts';
import { NotificationReceiver } from '../../src/dlms/stack/notification.ts';
import { encodeApdu } from '../../src/dlms/xdlms/apdu.ts';
import { encodeWrapper } from '../../src/dlms/wrapper/wrapper.ts';
import { heardList } from '../../src/reading/p1-list.ts';
import { pushedListJson } from '../../src/reading/pushed-list.ts';
import { virtualHouse } from '../support/virtual-house.ts';
import { type Attack, requestOf, takeOver, valueAttack } from './hostile-answers.ts';

/** Just below what is held of one answer: the elements must be what is refused, not the octets. */
const maxOctets = 1_000_000;
/** An array of so many of the same element as fit. */
function arrayOf(element: readonly number[], most: number): Uint8Array {
  const count = Math.floor(most / element.length);
  const w = new Writer(most + 16);
  w.u8(1);
  writeLength(w, count);
  const octets = Uint8Array.from(element);
  for (let i = 0; i < count; i++) w.put(octets);
  return w.octets();
}
function sized(tag: number, length: number, octets: number, fill = 0x41): Uint8Array {
  const w = new Writer(octets + 16);
  w.u8(tag);
  writeLength(w, length);
  w.put(new Uint8Array(octets).fill(fill));
  return w.octets();
}
/** compact-array of this description over so many octets of contents. */
function compact(description: readonly number[], octets: number): Uint8Array {
  const w = new Writer(octets + 64);
  w.u8(0x13);
  w.put(Uint8Array.from(description));
  writeLength(w, octets);
  w.put(new Uint8Array(octets).fill(1));
  return w.octets();
}
const stamp = [0x07, 0xea, 0x0b, 0x18, 0x02, 0x0c, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00];
const nested = (depth: number, leaf: readonly number[]): number[] =>
  depth === 0 ? [...leaf] : [2, 1, ...nested(depth - 1, leaf)];

export const bombs: Readonly<Record<string, (most: number) => Uint8Array>> = {
  booleans: (most) => arrayOf([3, 1], most),
  nulls: (most) => arrayOf([0], most),
  'bit-string': (most) => sized(4, most * 8, most, 0xaa),
  'bit-strings of one bit': (most) => arrayOf([4, 1, 0x80], most),
  'compact-array of arrays of null': (most) => compact([2, 2, 1, 0xff, 0xff, 0, 17], most / 10),
  'compact-array, arrays in arrays': (most) =>
    compact([2, 2, 1, 0xff, 0xff, 1, 0xff, 0xff, 1, 0xff, 0xff, 0, 17], most / 50),
  'compact-array of octets': (most) => compact([2, 1, 17], most),
  'compact-array of a large description': (most) =>
    compact([2, 0x83, 1, 0, 0, ...Array.from({ length: 65_536 }, () => 17)], most),
  'capture objects': (most) => arrayOf([2, 4, 18, 0, 3, 9, 6, 1, 0, 1, 8, 0, 255, 15, 2, 18, 0, 0], most),
  rows: (most) => arrayOf([2, 4, 0, 0, 0, 0], most),
  'rows with stamps': (most) => arrayOf([2, 4, 9, 12, ...stamp, 17, 0, 6, 0, 0, 0, 1, 6, 0, 0, 0, 1], most),
  'rows that have no end': (most) => arrayOf([2, 0x84, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0], most),
  'log entries': (most) => arrayOf([2, 2, 9, 12, ...stamp, 17, 3], 4 * most),
  'log entries of other stamps': (most) => {
    const count = Math.floor(most / 5);
    const w = new Writer(4 * most);
    w.u8(1);
    writeLength(w, count);
    for (let i = 0; i < count; i++) {
      const at = [
        0x07,
        0xea,
        0x0b,
        1 + (Math.floor(i / 86_400) % 24),
        0xff,
        Math.floor(i / 3600) % 24,
        Math.floor(i / 60) % 60,
        i % 60,
      ];
      w.put(Uint8Array.from([2, 2, 9, 12, ...at, 0, 0, 0, 0, 17, 3]));
    }
    return w.octets();
  },
  // Siblings of those nine.
  structures: (most) => arrayOf([2, 0], most),
  'structures in structures': (most) => arrayOf(nested(13, [17, 1]), most),
  'deeper than anything': () => Uint8Array.from(nested(2000, [0])),
  'empty octet-strings': (most) => arrayOf([9, 0], most),
  'UTF-8 text': (most) => sized(12, most, most),
  'UTF-8 text of two octets each': (most) =>
    sized(12, most, most, 0x41).map((octet, i) => (i < 5 ? octet : i % 2 === 1 ? 0xc3 : 0xa4)),
  'visible text': (most) => sized(10, most, most),
  'visible texts': (most) => arrayOf([10, 1, 0x41], most),
  'octet-string': (most) => sized(9, most, most),
  'long64 numbers': (most) => arrayOf([20, 1, 2, 3, 4, 5, 6, 7, 8], most),
  'arrays of nulls as cells': (most) =>
    arrayOf([2, 4, 1, 0x82, 0x0f, 0xa0, ...Array.from({ length: 4000 }, () => 0), 0, 0, 0], most),
};

/** What the daemon asks a meter, by the attribute. */
export const questions: Readonly<Record<string, (classId: number, attribute: number, logicalName: string) => boolean>> =
  {
    name: (classId, attribute, name) => classId === 1 && attribute === 2 && name === '0.0.42.0.0.255',
    clock: (classId, attribute) => classId === 8 && attribute === 2,
    'capture objects': (classId, attribute) => classId === 7 && attribute === 3,
    'capture period': (classId, attribute) => classId === 7 && attribute === 4,
    scaler: (classId, attribute) => classId === 3 && attribute === 3,
    register: (classId, attribute) => classId === 3 && attribute === 2,
    buffer: (classId, attribute, name) => classId === 7 && attribute === 2 && name === '1.0.99.1.0.255',
    log: (classId, attribute, name) => classId === 7 && attribute === 2 && name !== '1.0.99.1.0.255',
  };

/** Ways to fill memory that are no value: messages of a session, one after the other. */
export const storms: Readonly<Record<string, () => Attack>> = {
  'blocks of one octet': () => valueAttack((classId) => (classId === 8 ? bombOf('nulls', 300_000) : undefined), 1),
  'rows in blocks of one octet': () =>
    valueAttack((...what) => (questions['buffer']?.(...what) ? bombOf('rows', 100_000) : undefined), 1),
  'a list of refusals': () => (request, honest) => {
    const apdu = requestOf(request);
    if (apdu?.kind !== 'get-request-with-list' && apdu?.kind !== 'get-request-normal') return honest();
    const w = new Writer(1 << 16);
    w.put(Uint8Array.of(0xc4, 3, apdu.invokeId));
    writeLength(w, 30_000);
    for (let i = 0; i < 30_000; i++) w.put(Uint8Array.of(1, 4));
    return [w.octets()];
  },
  'general blocks that nobody asked for': () => {
    let number = 0;
    return (request, honest) => {
      if (requestOf(request)?.kind !== 'get-request-normal') return honest();
      return Array.from({ length: 300 }, () =>
        encodeApdu({
          kind: 'general-block-transfer',
          control: 0x40,
          number: ++number & 0xffff,
          acknowledged: 0,
          content: new Uint8Array(100),
        }),
      );
    };
  },
  'notifications before every answer': () => (request, honest) => {
    if (request[0] !== 0xc0) return honest();
    const body = dataNotification(bombOf('nulls', 30_000));
    return [...Array.from({ length: 20 }, () => body), ...honest()];
  },
  'an AARE of 60 000 octets': () => (request, honest) =>
    request[0] === 0x60
      ? [concat([Uint8Array.of(0x61, 0x82, 0xea, 0x60), new Uint8Array(60_000).fill(0xbe)])]
      : honest(),
  'a name of 60 000 characters': () =>
    valueAttack((classId, attribute, name) =>
      classId === 1 && attribute === 2 && name.startsWith('0.0.') ? sized(10, 60_000, 60_000, 0x1b) : undefined,
    ),
};
const dataNotification = (body: Uint8Array): Uint8Array => concat([fromHex('0f0000000100'), body]);

/** One meter answers the question with the bomb; whether the one beside it has all its rows, and what is said of both. */
export async function explode(
  attack: Attack,
): Promise<{ complete: boolean; verdict: string; error: string | null; neighbour: string; heapMiB: number }> {
  const it = await virtualHouse({ bus: { baud: 0 }, meters: { count: 2 } }, { days: 0 });
  const [hostile, honest] = it.simulated.meters;
  if (!hostile || !honest) throw new Error('two meters are there');
  takeOver(hostile, attack);
  it.broker.connect();
  await it.run(20 * 60_000);
  const { ports } = await it.house.snapshot();
  const [first, second] = ports[0]?.meters ?? [];
  const { expected, right, wrong } = it.compare(15 * 60_000).get(1) as {
    expected: number;
    right: number;
    wrong: string[];
  };
  const heapMiB = Math.round(process.memoryUsage().heapUsed / 2 ** 20);
  const stopping = it.house.stop();
  await it.clock.complete(stopping);
  return {
    complete: expected > 10 && right === expected && wrong.length === 0,
    verdict: first?.verdict ?? '',
    error: first?.lastError ?? null,
    neighbour: second?.verdict ?? '',
    heapMiB,
  };
}

const bombOf = (bomb: string, most: number) => (bombs[bomb] as (most: number) => Uint8Array)(most);

/** The same as a list that a meter sends unasked: what `listen` makes of it. */
export function push(bomb: string): string {
  const body = bombOf(bomb, 60_000);
  const receiver = new NotificationReceiver({
    link: 'hdlc',
    quietMs: 5000,
    patienceMs: 30_000,
    reassemblyLimit: 1 << 16,
    senderLimit: 64,
  });
  const information = concat([fromHex('e6e7000f0000000100'), body]);
  const seen: string[] = [];
  for (let at = 0; at < information.length; at += 1900) {
    receiver.receive(
      encodeFrame({
        destination: { logical: 16, size: 1 },
        source: { logical: 1, size: 1 },
        control: { kind: 'UI', pollFinal: false },
        segmented: at + 1900 < information.length,
        information: information.subarray(at, at + 1900),
      }),
      millis(at),
    );
    for (let event = receiver.pollEvent(); event; event = receiver.pollEvent())
      seen.push(
        event.kind === 'unreadable'
          ? event.error.code
          : JSON.stringify(pushedListJson(heardList(event, { deviationMin: 0 }))).slice(0, 60),
      );
  }
  return seen.join(' ');
}

/** The same in a recording: what `decode` makes of it. */
export function recorded(bomb: string): string {
  const attack = valueAttack(() => bombOf(bomb, 900_000), 60_000);
  const lines: string[] = [];
  let request = fromHex('c001c100070100630100ff0200');
  for (let block = 0; block < 200; block++) {
    const [answer] = attack(request, () => []);
    if (!answer) break;
    for (const [arrow, apdu, source, destination] of [
      ['->', request, 16, 1],
      ['<-', answer, 1, 16],
    ] as const) {
      const octets = encodeWrapper({ source, destination, apdu });
      lines.push(`${block} ${arrow} ${octets.length} ${toHex(octets)}`);
    }
    if (answer[1] !== 2 || answer[3] === 1) break;
    request = concat([fromHex('c002c1'), answer.subarray(4, 8)]);
  }
  const { frames, problems } = explain(parseExchange(lines.join('\n')));
  for (const frame of frames) messageXml(frame);
  return `${frames.length} frames, ${problems.length} problems`;
}

/** Every bomb once: where it would come, or in the places of the meter in turn. All of them in all places are the campaign. */
function dose(): [string, string][] {
  const places = Object.keys(questions);
  const own: Readonly<Record<string, string>> = { 'capture objects': 'capture objects' };
  return Object.keys(bombs).map((bomb, i): [string, string] => {
    const turn = places[i % places.length] as string;
    return [bomb, own[bomb] ?? (bomb.startsWith('log') ? 'log' : /row|cells/.test(bomb) ? 'buffer' : turn)];
  });
}

if (process.argv[1] === import.meta.filename) {
  const [, , only, at] = process.argv;
  const all = Object.keys(bombs).flatMap((bomb) =>
    Object.keys(questions).map((place): [string, string] => [bomb, place]),
  );
  const tried =
    only === 'dose' ? dose() : all.filter(([bomb, place]) => (!only || bomb === only) && (!at || place === at));
  const print = (line: object) => void process.stdout.write(`${JSON.stringify(line)}\n`);
  for (const [bomb, place] of tried) {
    const before = performance.now();
    print({ bomb, place });
    const asks = questions[place] as (typeof questions)[string];
    const octets = bombOf(bomb, maxOctets);
    const outcome = await explode(valueAttack((...what) => (asks(...what) ? octets : undefined)));
    print({ bomb, place, ...outcome, ms: Math.round(performance.now() - before) });
  }
  for (const [storm, attack] of Object.entries(storms)) {
    if (only !== undefined && only !== 'dose' && only !== storm) continue;
    const before = performance.now();
    print({ bomb: storm });
    print({ bomb: storm, ...(await explode(attack())), ms: Math.round(performance.now() - before) });
  }
  for (const bomb of new Set(tried.map(([name]) => name))) {
    print({ bomb, place: 'push' });
    print({ bomb, place: 'push', seen: push(bomb) });
    print({ bomb, place: 'recording' });
    print({ bomb, place: 'recording', seen: recorded(bomb) });
  }
}
