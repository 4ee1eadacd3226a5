/**
 * Structure-aware fuzzing of everything that takes octets: recorded frames and APDUs and generated ones, mutated. Each
 * target takes one input from a seed and throws on a finding: an exception that is no error of the house, an encoding that
 * does not come back, a result that depends on how the octets were cut. scripts/fuzz runs campaigns.
 */
import { isDeepStrictEqual } from 'node:util';
import { decode, encode } from '../../src/base/codec.ts';
import { concat } from '../../src/base/cursor.ts';
import { CodecError, Failure } from '../../src/base/errors.ts';
import { fromHex, toHex } from '../../src/base/hex.ts';
import { Secret } from '../../src/base/secret.ts';
import { later, type Millis, millis } from '../../src/base/time.ts';
import { parseExchange } from '../../src/base/exchange-file.ts';
import { explain } from '../../src/recording/reader.ts';
import { messageXml } from '../../src/cli/xml.ts';
import { decodeAcse, encodeAcse } from '../../src/dlms/acse/apdu.ts';
import { type Data, dataCodec } from '../../src/dlms/axdr/data.ts';
import type { DataType } from '../../src/dlms/axdr/data-types.ts';
import { dateTimeOctets, inUtc } from '../../src/dlms/cosem/date-time.ts';
import { accessRightsOf } from '../../src/dlms/cosem/object-list.ts';
import { type CaptureObject, clockColumn } from '../../src/dlms/cosem/profile-generic.ts';
import { Deframer } from '../../src/dlms/hdlc/deframer.ts';
import { encodeFrame } from '../../src/dlms/hdlc/frame.ts';
import { ClientStack } from '../../src/dlms/stack/client.ts';
import { NotificationReceiver } from '../../src/dlms/stack/notification.ts';
import { encodeWrapper, Unwrapper } from '../../src/dlms/wrapper/wrapper.ts';
import { decodeApdu, encodeApdu } from '../../src/dlms/xdlms/apdu.ts';
import { parseCertificate } from '../../src/dlms/security/certificate.ts';
import { stackSettings } from '../../src/meter/access.ts';
import type { LoadProfileRow } from '../../src/reading/load-profile-row.ts';
import { logReader } from '../../src/reading/log-reader.ts';
import { ProfileReader } from '../../src/reading/profile-reader.ts';
import { heardList } from '../../src/reading/p1-list.ts';
import { pushedMeaning } from '../../src/reading/pushed-meaning.ts';
import { seriesKey } from '../../src/reading/series-key.ts';
import type { Random } from '../../src/simulator/random.ts';
import { buildBus } from '../../src/simulator/build-bus.ts';
import { parseScenario } from '../../src/simulator/scenario.ts';
import { lineAccess } from '../support/meter-world.ts';
import { recordingTargets } from './fuzz-recordings.ts';
import { apdusOf, isHdlc, linesOf, traceNames, vectorText } from '../support/recorded.ts';

const start = millis(Date.UTC(2026, 10, 24, 12));
const pick = <T>(random: Random, items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;
const whole = (random: Random, below: number): number => Math.floor(random() * below);

// ---- Inputs

const lines = traceNames.flatMap((name) => linesOf(name).map((line) => ({ ...line, hdlc: isHdlc(name) })));
const frames = lines.filter(({ hdlc }) => hdlc).map(({ octets }) => octets);
const apdus = traceNames.flatMap((name) => apdusOf(name)).map(({ octets }) => octets);
const acse = apdus.filter(([first]) => first !== undefined && first >= 0x60 && first <= 0x63);
const xdlms = apdus.filter(([first]) => first !== undefined && (first < 0x60 || first > 0x63));
const certificate = fromHex(vectorText('certificate-p256.hex').replaceAll('\n', ''));

/** Octets that mean something where they stand. */
const telling = [0, 1, 2, 0x7e, 0x7f, 0x80, 0x81, 0x82, 0x84, 0xff, 0x09, 0x13, 0xe0, 0xc4, 0xa0, 0x60];

export function mutate(octets: Uint8Array, random: Random, most = 4): Uint8Array {
  const out = [...octets];
  const times = 1 + whole(random, most);
  for (let i = 0; i < times; i++) {
    const at = whole(random, Math.max(1, out.length));
    switch (whole(random, 7)) {
      case 0:
        out[at] = whole(random, 256);
        break;
      case 1:
        out[at] = (out[at] ?? 0) ^ (1 << whole(random, 8));
        break;
      case 2:
        out.splice(at, 1 + whole(random, 8));
        break;
      case 3:
        out.splice(at, 0, ...Array.from({ length: 1 + whole(random, 8) }, () => whole(random, 256)));
        break;
      case 4:
        out.splice(at, 0, ...out.slice(at, at + 20));
        break;
      case 5:
        out[at] = pick(random, telling);
        break;
      default:
        out.length = Math.min(out.length, at);
    }
  }
  return Uint8Array.from(out);
}

const leaves: readonly DataType[] = [
  'null-data',
  'boolean',
  'bit-string',
  'double-long',
  'double-long-unsigned',
  'octet-string',
  'visible-string',
  'utf8-string',
  'bcd',
  'integer',
  'long',
  'unsigned',
  'long-unsigned',
  'long64',
  'long64-unsigned',
  'enum',
  'float32',
  'float64',
  'date-time',
  'date',
  'time',
  'delta-integer',
  'delta-long',
  'delta-double-long',
  'delta-unsigned',
  'delta-long-unsigned',
  'delta-double-long-unsigned',
  'dont-care',
];
const bounds: Partial<Record<DataType, readonly [number, number]>> = {
  'double-long': [-(2 ** 31), 2 ** 31 - 1],
  'double-long-unsigned': [0, 2 ** 32 - 1],
  bcd: [-128, 127],
  integer: [-128, 127],
  long: [-32_768, 32_767],
  unsigned: [0, 255],
  'long-unsigned': [0, 65_535],
  enum: [0, 255],
  'delta-integer': [-128, 127],
  'delta-long': [-32_768, 32_767],
  'delta-double-long': [-(2 ** 31), 2 ** 31 - 1],
  'delta-unsigned': [0, 255],
  'delta-long-unsigned': [0, 65_535],
  'delta-double-long-unsigned': [0, 2 ** 32 - 1],
};
const someOctets = (random: Random, length: number) => Uint8Array.from({ length }, () => whole(random, 256));

/** Any value of the grammar, at most so deep. */
export function anyData(random: Random, depth = 4): Data {
  const kind = random();
  if (depth > 0 && kind < 0.3) {
    const value = Array.from({ length: whole(random, 5) }, () => anyData(random, depth - 1));
    return { type: random() < 0.5 ? 'array' : 'structure', value };
  }
  if (depth > 0 && kind < 0.35) {
    const element = pick(random, ['unsigned', 'long-unsigned', 'double-long-unsigned'] as const);
    const value = Array.from({ length: whole(random, 6) }, () => leaf(random, element));
    return { type: 'compact-array', description: { type: element }, value };
  }
  return leaf(random, pick(random, leaves));
}
export function leaf(random: Random, type: DataType): Data {
  const range = bounds[type];
  if (range) {
    const [low, high] = range;
    const value = random() < 0.3 ? pick(random, [low, high, Math.max(low, 0)]) : low + whole(random, high - low + 1);
    return { type, value } as Data;
  }
  switch (type) {
    case 'boolean':
      return { type, value: random() < 0.5 };
    case 'bit-string':
      return { type, value: Array.from({ length: whole(random, 20) }, () => (random() < 0.5 ? '0' : '1')).join('') };
    case 'octet-string':
      return { type, value: someOctets(random, pick(random, [0, 1, 5, 6, 12, 130, 300])) };
    case 'visible-string':
      return { type, value: Buffer.from(someOctets(random, whole(random, 10))).toString('latin1') };
    case 'utf8-string':
      return { type, value: pick(random, ['', 'kWh', 'käyttöpaikka', '電']) };
    case 'long64':
      return { type, value: BigInt.asIntN(64, BigInt(whole(random, 2 ** 32)) * BigInt(whole(random, 2 ** 32))) };
    case 'long64-unsigned':
      return { type, value: BigInt.asUintN(64, BigInt(whole(random, 2 ** 32)) * BigInt(whole(random, 2 ** 32))) };
    case 'float32':
      return { type, value: Math.fround(random() * 1e6) };
    case 'float64':
      return { type, value: random() * 1e6 };
    case 'date-time':
      return { type, value: someOctets(random, 12) };
    case 'date':
      return { type, value: someOctets(random, 5) };
    case 'time':
      return { type, value: someOctets(random, 4) };
    case 'dont-care':
      return { type };
    default:
      return { type: 'null-data' };
  }
}
/** A recorded APDU whose value, if it has one, is replaced by any other. */
function anyApdu(random: Random): Uint8Array {
  const octets = pick(random, xdlms);
  if (random() < 0.4) return octets;
  try {
    const { apdu } = decodeApdu(octets);
    const replaced = Object.fromEntries(
      Object.entries(apdu).map(([field, value]) => [
        field,
        value && typeof value === 'object' && 'type' in value
          ? anyData(random)
          : field === 'result' && value && typeof value === 'object' && 'data' in value
            ? { data: anyData(random) }
            : value,
      ]),
    );
    return encodeApdu(replaced as never);
  } catch {
    return octets;
  }
}
const chunks = (octets: Uint8Array, random: Random): Uint8Array[] => {
  const parts: Uint8Array[] = [];
  for (let at = 0; at < octets.length; ) {
    const next = at + 1 + whole(random, 40);
    parts.push(octets.slice(at, next));
    at = next;
  }
  return parts;
};

// ---- Targets

class Finding extends Error {}
/** What the house says of bad octets; everything else is a finding. */
const expected = (error: unknown): boolean => error instanceof CodecError || error instanceof Failure;
function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (!expected(error)) throw error;
    return undefined;
  }
}
const demand = (condition: boolean, message: string): void => {
  if (!condition) throw new Finding(message);
};
/** NaN in float32 has many forms: compared by their octets. */
const sameValue = (a: unknown, b: unknown): boolean => isDeepStrictEqual(a, b);

const columns: readonly CaptureObject[] = [
  clockColumn,
  { classId: 1, logicalName: '0.0.96.10.1.255' as const, attribute: 2, dataIndex: 0 },
  ...[1, 2, 3, 4].map(
    (c): CaptureObject => ({ classId: 3, logicalName: `1.0.${c}.8.0.255`, attribute: 2, dataIndex: 0 }),
  ),
];
const rowValues = ['data24', 'apdu24'].map((name) => fromHex(vectorText(`${name}.hex`).trim()));
const bufferOctets = rowValues[0] as Uint8Array;

const meters = (['hdlc', 'wrapper'] as const).map((link) => {
  const house = buildBus(
    parseScenario({ bus: { link, baud: 0 }, meters: { password: 'Gurux', history_days: 3 } }),
    start,
  );
  return { link, meter: house.meters[0] as (typeof house.meters)[0] };
});
let meterTime: Millis = start;

/** One input each; throws where something is wrong. */
const meaningSettings = {
  series: [900, 3600].map((periodS) => ({
    series: seriesKey('1.0.99.1.0.255', periodS),
    profile: '1.0.99.1.0.255' as const,
    periodMs: periodS * 1000,
  })),
  toleranceMs: 30_000,
  companion: 'idis',
} as const;
export const targets: Readonly<Record<string, (random: Random) => void>> = {
  frame(random) {
    const recorded = Array.from({ length: 1 + whole(random, 4) }, () => pick(random, frames));
    const octets = mutate(concat(recorded), random);
    const deframe = (parts: readonly Uint8Array[]) => {
      const deframer = new Deframer();
      const found = parts.flatMap((part) => deframer.push(part));
      found.push(...deframer.flush());
      return found.map((frame) => {
        const again = new Deframer().push(encodeFrame(frame));
        demand(again.length === 1 && sameValue(again[0], frame), 'a frame does not come back');
        return toHex(encodeFrame(frame));
      });
    };
    demand(sameValue(deframe([octets]), deframe(chunks(octets, random))), 'frames depend on how the octets were cut');
  },
  wrapper(random) {
    const sent = Array.from({ length: 1 + whole(random, 3) }, () =>
      encodeWrapper({ source: 1, destination: 16, apdu: pick(random, apdus) }),
    );
    const octets = random() < 0.3 ? concat(sent) : mutate(concat(sent), random);
    const unwrap = (parts: readonly Uint8Array[]) => {
      const unwrapper = new Unwrapper();
      const found: string[] = [];
      attempt(() => {
        for (const part of parts) for (const frame of unwrapper.push(part)) found.push(toHex(encodeWrapper(frame)));
      });
      return found;
    };
    const [one, cut] = [unwrap([octets]), unwrap(chunks(octets, random))];
    // A wrong header ends the stream at once: what came before it in the same piece may be lost with it.
    demand(
      one.every((frame, i) => frame === cut[i]),
      'frames depend on how the octets were cut',
    );
  },
  apdu(random) {
    const octets = random() < 0.2 ? anyApdu(random) : mutate(anyApdu(random), random);
    const decoded = attempt(() => decodeApdu(octets));
    if (!decoded) return;
    const again = encodeApdu(decoded.apdu);
    demand(sameValue(encodeApdu(decodeApdu(again).apdu), again), `decode∘encode: ${toHex(again)}`);
  },
  axdr(random) {
    const value = anyData(random);
    const octets = encode(dataCodec, value);
    demand(sameValue(encode(dataCodec, decode(dataCodec, octets)), octets), `encode∘decode: ${toHex(octets)}`);
    for (let cut = 0; cut < Math.min(octets.length, 64); cut++)
      demand(
        attempt(() => decode(dataCodec, octets.subarray(0, cut))) === undefined,
        `cut at ${cut}: ${toHex(octets)}`,
      );
    const changed = mutate(octets, random);
    const read = attempt(() => decode(dataCodec, changed, () => {}));
    if (!read) return;
    const written = encode(dataCodec, read);
    demand(sameValue(encode(dataCodec, decode(dataCodec, written)), written), `decode∘encode: ${toHex(written)}`);
  },
  acse(random) {
    const octets = mutate(pick(random, acse), random);
    const decoded = attempt(() => decodeAcse(octets));
    if (!decoded) return;
    const again = encodeAcse(decoded);
    demand(sameValue(encodeAcse(decodeAcse(again)), again), `decode∘encode: ${toHex(again)}`);
  },
  rows(random) {
    const octets = random() < 0.3 ? encode(dataCodec, anyData(random)) : mutate(bufferOctets, random);
    const read = (parts: readonly Uint8Array[]) => {
      const reader = new ProfileReader({ columns, capturePeriodMs: 3_600_000, scalers: new Map() });
      const rows: LoadProfileRow[] = [];
      const ended = attempt(() => {
        for (const part of parts) reader.push(part, rows);
        reader.end();
        return true;
      });
      demand(reader.held <= octets.length, 'more held than came');
      return { ended, rows: rows.map(({ end, status, cells }) => ({ end, status, cells: [...cells] })) };
    };
    const [one, cut] = [read([octets]), read(chunks(octets, random))];
    demand(
      one.ended === cut.ended && (!one.ended || sameValue(one.rows, cut.rows)),
      'rows depend on how they were cut',
    );
  },
  log(random) {
    const rows = Array.from(
      { length: whole(random, 30) },
      (): Data => ({
        type: 'structure',
        value: [
          { type: 'octet-string', value: dateTimeOctets(later(start, whole(random, 1e9)), inUtc) },
          leaf(random, 'unsigned'),
        ],
      }),
    );
    const value = encode(dataCodec, { type: 'array', value: rows });
    const octets = random() < 0.2 ? encode(dataCodec, anyData(random)) : mutate(value, random);
    const read = (parts: readonly Uint8Array[]) => {
      const found: (readonly [number, number])[] = [];
      const reader = logReader({}, (at, code) => void found.push([at, code]));
      const ended = attempt(() => {
        for (const part of parts) reader.push(part);
        return reader.complete;
      });
      return { ended, found };
    };
    demand(sameValue(read([octets]), read(chunks(octets, random))), 'entries depend on how they were cut');
  },
  objects(random) {
    const list = pick(
      random,
      xdlms.filter(({ length }) => length > 100),
    );
    attempt(() => accessRightsOf(mutate(list.subarray(whole(random, 20)), random)));
  },
  notification(random) {
    const receiver = new NotificationReceiver({
      link: 'hdlc',
      quietMs: 100,
      patienceMs: 1000,
      reassemblyLimit: 2048,
      senderLimit: 4,
      swappedObis: random() < 0.5,
    });
    const information = concat([fromHex('e6e700'), mutate(anyApdu(random), random)]);
    const parts = chunks(information, random);
    parts.forEach((part, i) => {
      receiver.receive(
        encodeFrame({
          destination: { logical: 16, size: 1 },
          source: { logical: 1 + whole(random, 6), size: 1 },
          control: { kind: 'UI', pollFinal: false },
          segmented: i < parts.length - 1,
          information: part,
        }),
        later(start, i),
      );
    });
    receiver.wake(later(start, 10_000));
    for (let event = receiver.pollEvent(); event; event = receiver.pollEvent())
      if (event.kind !== 'unreadable') pushedMeaning(heardList(event, { deviationMin: 0 }), meaningSettings);
    demand(receiver.deadline() === undefined, 'something is still waited for');
  },
  explain(random) {
    const some = Array.from({ length: 4 }, () => pick(random, lines));
    const text = some
      .map(({ octets, direction }) => {
        const sent = mutate(octets, random, 2);
        return `0 ${direction === 'to-meter' ? '->' : '<-'} ${sent.length} ${toHex(sent)}`;
      })
      .join('\n');
    const explained = attempt(() => explain(parseExchange(text)));
    for (const frame of explained?.frames ?? []) messageXml(frame);
  },
  certificate(random) {
    attempt(() => parseCertificate(mutate(certificate, random)));
  },
  server(random) {
    const { link, meter } = pick(random, meters);
    const pool = lines.filter(({ hdlc, direction }) => hdlc === (link === 'hdlc') && direction === 'to-meter');
    const from = whole(random, pool.length);
    for (const { octets } of pool.slice(from, from + 12)) {
      meterTime = later(meterTime, 10);
      meter.receive(random() < 0.6 ? octets : mutate(octets, random), meterTime);
      let answers = 0;
      while (meter.pollTransmit()) demand(++answers < 1000, 'answers without end');
    }
    meterTime = later(meterTime, 130_000);
    meter.wake(meterTime);
    while (meter.pollTransmit());
    if (link === 'wrapper') meter.powerUp();
  },
  client(random) {
    const link = random() < 0.5 ? 'hdlc' : 'wrapper';
    const pool = lines.filter(({ hdlc, direction }) => hdlc === (link === 'hdlc') && direction === 'from-meter');
    const stack = new ClientStack(
      stackSettings(
        lineAccess({
          link,
          secret: new Secret(Buffer.from('Gurux')),
          timed: false,
          answerTimeoutMs: 1000,
          retries: 1,
        }),
      ),
    );
    let now: Millis = start;
    const follow = random() < 0.7;
    let script = 0;
    stack.request({ kind: 'connect' }, now);
    for (let steps = 0; steps < 500; steps++) {
      let sent = false;
      while (stack.pollTransmit()) sent = true;
      for (let event = stack.pollEvent(); event; event = stack.pollEvent()) {
        if (event.kind === 'failed' || event.kind === 'got' || event.kind === 'closed') return;
        if (event.kind === 'connected')
          stack.request(
            { kind: 'get', attributes: [{ classId: 15, logicalName: '0.0.40.0.0.255' as const, attribute: 2 }] },
            now,
          );
      }
      if (sent || random() < 0.1) {
        const { octets } = follow ? (pool[script++ % 30] as { octets: Uint8Array }) : pick(random, pool);
        stack.receive(random() < 0.7 ? octets : mutate(octets, random), now);
        continue;
      }
      const deadline = stack.deadline();
      if (deadline === undefined) {
        demand(
          stack.pollTransmit() !== undefined || stack.pollEvent() !== undefined,
          'a request without end: nothing is awaited',
        );
        return;
      }
      now = millis(Math.max(now + 1, deadline));
      stack.wake(now);
    }
    throw new Finding('a request without end: 500 steps');
  },
  ...recordingTargets,
};
