/** A recorded exchange as a meter: asked the same, it answers as it did then; asked anything else, it says so and invents nothing. */
import { concat } from '../base/cursor.ts';
import { Failure } from '../base/errors.ts';
import { parseExchange, type RecordedLine } from '../base/exchange-file.ts';
import { toHex } from '../base/hex.ts';
import { Deframer } from '../dlms/hdlc/deframer.ts';
import type { HdlcAddress } from '../dlms/hdlc/frame.ts';
import { decodeApdu, encodeApdu } from '../dlms/xdlms/apdu.ts';
import { Unwrapper } from '../dlms/wrapper/wrapper.ts';

interface Exchange {
  readonly request: Uint8Array;
  /** undefined: silence. */
  readonly answer: Uint8Array | undefined;
}
export interface Recording {
  readonly link: 'hdlc' | 'wrapper';
  readonly logical: number;
  readonly physical: number | undefined;
  readonly exchanges: readonly Exchange[];
}

type Passed = { readonly toMeter: boolean; readonly apdu: Uint8Array };
const flag = 0x7e;
const llcOctets = 3;

function overHdlc(lines: readonly RecordedLine[]): {
  readonly passed: Passed[];
  readonly server: HdlcAddress | undefined;
} {
  const sides = [false, true].map(() => ({ deframer: new Deframer(), held: [] as Uint8Array[] }));
  const passed: Passed[] = [];
  let server: HdlcAddress | undefined;
  for (const { direction, octets } of lines) {
    const toMeter = direction === 'to-meter';
    const side = sides[Number(toMeter)] as (typeof sides)[number];
    for (const { control, information, segmented, source, destination } of side.deframer.push(octets)) {
      server ??= toMeter ? destination : source;
      if (control.kind !== 'I') continue;
      side.held.push(information);
      if (segmented) continue;
      passed.push({ toMeter, apdu: concat(side.held.splice(0)).subarray(llcOctets) });
    }
  }
  return { passed, server };
}
function overWrapper(lines: readonly RecordedLine[]): {
  readonly passed: Passed[];
  readonly server: number | undefined;
} {
  const sides = [new Unwrapper(), new Unwrapper()];
  let server: number | undefined;
  const passed = lines.flatMap(({ direction, octets }) => {
    const toMeter = direction === 'to-meter';
    return (sides[Number(toMeter)] as Unwrapper).push(octets).map(({ apdu, source, destination }) => {
      server ??= toMeter ? destination : source;
      return { toMeter, apdu };
    });
  });
  return { passed, server };
}

/** Failure `input-unreadable` where it is no exchange that a meter could be made of. */
export function parseRecording(text: string): Recording {
  const lines = parseExchange(text).filter(
    (one): one is RecordedLine => 'octets' in one && one.direction !== 'unknown',
  );
  const isHdlc = lines.some(({ direction, octets }) => direction === 'to-meter' && octets[0] === flag);
  const { passed, server } = isHdlc ? overHdlc(lines) : overWrapper(lines);
  const exchanges = passed.flatMap(({ toMeter, apdu }, i): Exchange[] => {
    const next = passed[i + 1];
    return toMeter ? [{ request: apdu, answer: next && !next.toMeter ? next.apdu : undefined }] : [];
  });
  if (server === undefined || exchanges.every(({ answer }) => answer === undefined))
    throw new Failure('input-unreadable', 'this recording holds no request of a client with an answer of a meter');
  const { logical, physical } = typeof server === 'number' ? { logical: server, physical: undefined } : server;
  return { link: isHdlc ? 'hdlc' : 'wrapper', logical, physical, exchanges };
}

const aarq = 0x60;
/** GET, SET, ACTION and their answers carry an invoke id in the third octet, which the client chooses. */
const carriesId = (apdu: Uint8Array): boolean => [0xc0, 0xc1, 0xc3, 0xc4, 0xc5, 0xc7].includes(apdu[0] as number);
function withId(apdu: Uint8Array, id: number): Uint8Array {
  if (!carriesId(apdu)) return apdu;
  // A copy also of a Buffer, whose slice is a view.
  const changed = Uint8Array.from(apdu);
  changed[2] = id;
  return changed;
}
const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(withId(a, 0), withId(b, 0)) === 0;
/** exception-response: service unknown, other reason. */
const notRecorded = encodeApdu({ kind: 'exception-response', stateError: 2, serviceError: 3 });

/** What was asked, in words as far as it can be read. */
function wordsOf(request: Uint8Array): string {
  try {
    const { apdu } = decodeApdu(request);
    const attribute = 'attribute' in apdu ? apdu.attribute : undefined;
    if (typeof attribute === 'object' && attribute !== null && 'logicalName' in attribute)
      return `${apdu.kind} ${attribute.classId} ${attribute.logicalName} ${attribute.attribute}`;
    return `${apdu.kind} ${toHex(request)}`;
  } catch {
    return toHex(request);
  }
}

/**
 * Answers out of a recording. The same request is looked for behind the one before, so that blocks and values that changed come
 * in their order, and then from the beginning. An AARQ of another client gets the recorded answer as well. What is not there goes
 * to `missing`, in words.
 */
export function replayer({ exchanges }: Recording, missing: (what: string) => void) {
  let at = 0;
  const found = (fits: (request: Uint8Array) => boolean): Exchange | undefined => {
    const turned = [...exchanges.slice(at), ...exchanges.slice(0, at)];
    // A request that was repeated has its answer where it came.
    const all = turned.filter(({ request }) => fits(request));
    const chosen = all.find(({ answer }) => answer !== undefined) ?? all[0];
    if (chosen) at = exchanges.indexOf(chosen) + 1;
    return chosen;
  };
  return (request: Uint8Array): Uint8Array | undefined => {
    let exchange = found((one) => same(one, request));
    if (!exchange && request[0] === aarq) {
      exchange = found((one) => one[0] === aarq);
      if (exchange) missing('another AARQ than was recorded; it is answered as that one was');
    }
    if (exchange) return exchange.answer && withId(exchange.answer, request[2] as number);
    missing(wordsOf(request));
    return notRecorded;
  };
}
