/**
 * Decode benchmark on test/vectors (inputs of the peers' figures in the README). Level A: frames in memory → value tree.
 * Level B: A and rows with real UTC dates, by the functions that the daemon uses. One iteration = fresh state, all frames
 * fed in order; CPU time of this thread, responses per second, median of five. Then the use of the line (bench-bus.ts);
 * `--decode` leaves that out, `--json` prints everything as one object.
 */
import { readFileSync } from 'node:fs';
import { concat } from '../../src/base/cursor.ts';
import { decode } from '../../src/base/codec.ts';
import { fromHex } from '../../src/base/hex.ts';
import { Secret } from '../../src/base/secret.ts';
import { type Data, dataCodec } from '../../src/dlms/axdr/data.ts';
import { type CaptureObject, clockColumn } from '../../src/dlms/cosem/profile-generic.ts';
import { Deframer } from '../../src/dlms/hdlc/deframer.ts';
import { unprotect } from '../../src/dlms/security/protection.ts';
import { Unwrapper } from '../../src/dlms/wrapper/wrapper.ts';
import { decodeApdu, getResponseOctets } from '../../src/dlms/xdlms/apdu.ts';
import type { LoadProfileRow } from '../../src/reading/load-profile-row.ts';
import { ProfileReader, type RowLayout } from '../../src/reading/profile-reader.ts';
import { busFigures, dayFigures } from './bench-bus.ts';
import type { LogicalName } from '../../src/dlms/cosem/logical-name.ts';

const linesOf = (name: string): Uint8Array[] =>
  readFileSync(new URL(`../vectors/${name}.hex`, import.meta.url), 'latin1')
    .trim()
    .split('\n')
    .map(fromHex);
const keys = {
  encryption: new Secret(fromHex('000102030405060708090A0B0C0D0E0F')),
  authentication: new Secret(fromHex('D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF')),
};
const column = (classId: number, logicalName: LogicalName): CaptureObject => ({
  classId,
  logicalName,
  attribute: 2,
  dataIndex: 0,
});
const columns = [clockColumn, column(1, '0.0.96.10.1.255'), ...[1, 2, 3, 4].map((c) => column(3, `1.0.${c}.8.0.255`))];

type Frames = readonly Uint8Array[];
/** Level A: one value tree. Level B: rows, as a session hands them on. Both take the APDUs of one answer. */
interface Answer {
  take(apdu: Uint8Array): void;
}
class Tree implements Answer {
  value: Data | undefined;
  private readonly blocks: Uint8Array[] = [];
  take(octets: Uint8Array): void {
    const { apdu } = decodeApdu(octets);
    if (apdu.kind === 'get-response-normal' && 'data' in apdu.result) this.value = apdu.result.data;
    else if (apdu.kind === 'get-response-with-datablock' && 'raw' in apdu.result) {
      this.blocks.push(apdu.result.raw);
      if (apdu.last) this.value = decode(dataCodec, concat(this.blocks), () => {});
    }
  }
}
class Rows implements Answer {
  readonly rows: LoadProfileRow[] = [];
  private readonly reader = new ProfileReader(layout);
  take(octets: Uint8Array): void {
    const whole = getResponseOctets(octets);
    if (whole) return this.add(whole.octets);
    const { apdu } = decodeApdu(octets);
    if (apdu.kind === 'get-response-with-datablock' && 'raw' in apdu.result) this.add(apdu.result.raw);
  }
  private add(octets: Uint8Array): void {
    this.reader.push(octets, this.rows);
  }
}
const layout: RowLayout = { columns, capturePeriodMs: 3_600_000, scalers: new Map() };

const wrapped = (frames: Frames, answer: Answer): void => {
  const unwrapper = new Unwrapper();
  for (const octets of frames) for (const { apdu } of unwrapper.push(octets)) answer.take(apdu);
};
const hdlc = (frames: Frames, answer: Answer): void => {
  const deframer = new Deframer();
  let parts: Uint8Array[] = [];
  for (const octets of frames) {
    for (const frame of deframer.push(octets)) {
      parts.push(frame.information);
      if (frame.segmented) continue;
      answer.take((parts.length === 1 ? frame.information : concat(parts)).subarray(3));
      parts = [];
    }
  }
};
const ciphered = (frames: Frames, answer: Answer): void => {
  const [frame] = new Unwrapper().push(frames[0] as Uint8Array);
  const { apdu } = decodeApdu((frame as { apdu: Uint8Array }).apdu);
  if (apdu.kind !== 'general-glo-ciphering') throw new Error(apdu.kind);
  answer.take(unprotect(apdu.content, apdu.systemTitle, keys).text);
};
const inputs: [string, (frames: Frames, answer: Answer) => void][] = [
  ['wrap24', wrapped],
  ['wrapblk24', wrapped],
  ['hdlc24', hdlc],
  ['glo24', ciphered],
  ['wrap744', wrapped],
  ['wrapblk744', wrapped],
  ['glo744', ciphered],
];
/** Responses per second of the fastest other implementation, level A and B (bench/README of the inputs). */
const peers: Record<string, { A?: number; B: number }> = {
  wrap24: { A: 248_809, B: 67_113 },
  wrapblk24: { B: 65_138 },
  hdlc24: { B: 19_119 },
  glo24: { B: 47_613 },
  wrap744: { B: 2353 },
  wrapblk744: { B: 2067 },
  glo744: { B: 1804 },
};

function perSecond(work: () => void): number {
  const cpu = () => {
    const { user, system } = process.threadCpuUsage();
    return (user + system) / 1e6;
  };
  let count = 1;
  for (;;) {
    const from = cpu();
    for (let i = 0; i < count; i++) work();
    if (cpu() - from > 0.15) break;
    count *= 2;
  }
  const rates = Array.from({ length: 5 }, () => {
    const from = cpu();
    for (let i = 0; i < count; i++) work();
    return count / (cpu() - from);
  }).toSorted((a, b) => a - b);
  return Math.round(rates[2] as number);
}

const result: Record<string, { A: number; B: number }> = {};
let sink = 0;
for (const [name, decoder] of inputs) {
  const frames = linesOf(name);
  const count = name.endsWith('744') ? 744 : 24;
  const level = { A: () => new Tree(), B: () => new Rows() };
  const check = level.B();
  decoder(frames, check);
  if (check.rows.length !== count || check.rows.some(({ end }) => end === null))
    throw new Error(`${name} decodes to ${check.rows.length} rows`);
  result[name] = {
    A: perSecond(() => {
      const answer = level.A();
      decoder(frames, answer);
      sink += answer.value?.type.length ?? 0;
    }),
    B: perSecond(() => {
      const answer = level.B();
      decoder(frames, answer);
      sink += answer.rows.length;
    }),
  };
}

/** HDLC frames cut and checked, GCM APDUs deciphered, octets of heap that one row takes on its way to the daemon. */
const frames = linesOf('hdlc24');
const [globally] = new Unwrapper().push(linesOf('glo24')[0] as Uint8Array);
const { apdu: sealed } = decodeApdu((globally as { apdu: Uint8Array }).apdu);
if (sealed.kind !== 'general-glo-ciphering') throw new Error(sealed.kind);
const hdlcFrames =
  frames.length *
  perSecond(() => {
    const deframer = new Deframer();
    for (const octets of frames) sink += deframer.push(octets).length;
  });
const gcmApdus = perSecond(() => {
  sink += unprotect(sealed.content, sealed.systemTitle, keys).text.length;
});
function heapOctetsPerRow(): number {
  const one = linesOf('wrap24');
  // Few enough that nothing is collected in between; the median of many tries.
  const tries = Array.from({ length: 201 }, () => {
    const before = process.memoryUsage().heapUsed;
    for (let i = 0; i < 8; i++) {
      const answer = new Rows();
      wrapped(one, answer);
      sink += answer.rows.length;
    }
    return (process.memoryUsage().heapUsed - before) / (8 * 24);
  });
  return Math.round(tries.toSorted((a, b) => a - b)[100] as number);
}
const heapPerRow = heapOctetsPerRow();
if (sink < 0) process.stdout.write('');

const json = process.argv.includes('--json');
const decodeOnly = process.argv.includes('--decode');
if (!json) {
  process.stdout.write('input        level A/s   level B/s   best peer B/s   ratio B\n');
  for (const [name, { A, B }] of Object.entries(result)) {
    const peer = (peers[name] as { B: number }).B;
    process.stdout.write(
      `${name.padEnd(12)} ${String(A).padStart(9)} ${String(B).padStart(11)} ${String(peer).padStart(15)} ${(B / peer).toFixed(1).padStart(9)}\n`,
    );
  }
  process.stdout.write(
    `HDLC frames ${hdlcFrames}/s   GCM APDUs of 918 octets ${gcmApdus}/s   heap for a row ${heapPerRow} octets\n`,
  );
}
const days = decodeOnly ? [] : await dayFigures();
const bus = decodeOnly ? [] : await busFigures();
if (json) {
  process.stdout.write(
    `${JSON.stringify({ decode: result, hdlcFrames, gcmApdus, heapOctetsPerRow: heapPerRow, bus, meterDay: days })}\n`,
  );
} else if (!decodeOnly) {
  process.stdout.write(
    '\nmeter-day of 24 rows                                              turns   sent  received  line time\n',
  );
  for (const { what, turns, sent, received, seconds } of days) {
    process.stdout.write(
      `${what.padEnd(66)} ${String(turns).padStart(4)} ${String(sent).padStart(6)} ${String(received ?? '').padStart(9)} ${seconds === null ? '' : `${seconds.toFixed(2)} s`.padStart(10)}\n`,
    );
  }
  process.stdout.write(
    '\npayload/s at 9600 Bd against the bound of one block a turn\nline     turn-around  block  window  rows  payload/s  bound/s  ratio\n',
  );
  for (const { line, turnaroundMs, block, window, rows, payloadPerSecond, boundPerSecond, ratio } of bus) {
    process.stdout.write(
      `${line.padEnd(8)} ${`${turnaroundMs} ms`.padStart(11)} ${String(block).padStart(6)} ${String(window).padStart(7)} ${String(rows).padStart(5)} ${String(Math.round(payloadPerSecond)).padStart(10)} ${String(Math.round(boundPerSecond)).padStart(8)} ${ratio.toFixed(2).padStart(6)}\n`,
    );
  }
}
