/**
 * A client that takes nothing but what the books say (Green Book 9.3 to 9.5). Ours is tolerant, so that no test of ours sees a
 * fault of our simulator; this judge goes over what was said on the line and names the first fault of the meter.
 */
import { decodeAcse } from '../../src/dlms/acse/apdu.ts';
import { type Apdu, decodeApdu } from '../../src/dlms/xdlms/apdu.ts';
import { type Conformance, type ConformanceName, has } from '../../src/dlms/xdlms/conformance.ts';
import { strictAare, strictInitiateResponse } from './strict-aare.ts';
import { type Spoken, type SpokenApdu, StrictHdlc, StrictWrapper } from './strict-link.ts';
import { dataResult, datum, type Keys, Octets, opened, Strictness } from './strict-octets.ts';

export interface Judged {
  readonly link: 'hdlc' | 'wrapper';
  /** Ciphered associations: the keys, and the protection that each APDU of the meter must have. */
  readonly keys?: Keys;
  readonly control?: number;
  /** Exceptions are no fault: the client asked for what it may not have. */
  readonly exceptions?: true;
}
/** What the judge saw, so that a test can tell that something was judged. */
export interface Verdict {
  readonly fault: string | undefined;
  /** Kinds of the meter's APDUs, and how many of each. */
  readonly seen: ReadonlyMap<string, number>;
  /** Data in the answers to GET and READ. */
  readonly values: number;
  readonly conformance: Conformance;
}

/** Global and dedicated tags, and the plain one that each holds. */
const plainOf: ReadonlyMap<number, number> = new Map([
  [0x21, 0x01],
  [0x28, 0x08],
  [0x2e, 0x0e],
  ...[0x05, 0x06, 0x0c, 0x0d].flatMap((tag): [number, number][] => [
    [tag + 0x20, tag],
    [tag + 0x40, tag],
  ]),
  ...[0xc0, 0xc1, 0xc3, 0xc4, 0xc5, 0xc7].flatMap((tag): [number, number][] => [
    [tag + 8, tag],
    [tag + 16, tag],
  ]),
]);

interface Asked {
  readonly apdu: Apdu;
  /** The tag that it was wrapped in. */
  readonly outer: number;
}
/** A value that comes in blocks. */
interface Blocks {
  readonly kind: 'get' | 'action' | 'read';
  readonly of: Apdu;
  next: number;
  readonly parts: Uint8Array[];
}

class StrictClient {
  readonly seen = new Map<string, number>();
  values = 0;
  agreed: Conformance = 0;
  private readonly judged: Judged;
  private proposed: Conformance = 0;
  private context = 0;
  private maxPdu = 0xffff;
  private associated = false;
  private asked: Asked | 'aarq' | 'rlrq' | undefined;
  private title = { client: new Uint8Array(0), meter: new Uint8Array(0) };
  private counter = -1;
  private dedicated: Uint8Array | undefined;
  private releaseCiphered = false;
  private blocks: Blocks | undefined;
  private general: { parts: Uint8Array[]; next: number } = { parts: [], next: 1 };
  private generalAsked: Uint8Array[] = [];
  /** Number of the client's last general block. */
  private generalSent = 0;

  constructor(judged: Judged) {
    this.judged = judged;
  }
  private fail(what: string): never {
    throw new Strictness(what);
  }
  private count(what: string): void {
    this.seen.set(what, (this.seen.get(what) ?? 0) + 1);
  }
  private need(...names: ConformanceName[]): void {
    for (const name of names) if (!has(this.agreed, name)) this.fail(`${name} was not agreed`);
  }

  // — what the client says: taken as it is —

  request(octets: Uint8Array): void {
    const tag = octets[0] as number;
    if (tag === 0x60) return this.aarq(octets);
    if (tag === 0x62) {
      this.asked = 'rlrq';
      const rlrq = decodeAcse(octets);
      this.releaseCiphered = rlrq.kind === 'rlrq' && (rlrq.userInformation?.length ?? 0) > 0;
      return;
    }
    if (tag === 0xe0) {
      const { apdu } = decodeApdu(octets);
      if (apdu.kind !== 'general-block-transfer') return;
      this.generalSent = apdu.number;
      if (apdu.number === 1 && apdu.content.length > 0) this.general = { parts: [], next: 1 };
      this.generalAsked.push(apdu.content);
      const content = Buffer.concat(this.generalAsked);
      if ((apdu.control & 0x80) === 0) return;
      this.generalAsked = [];
      if (content.length === 0) return;
      return this.asks(content);
    }
    this.general = { parts: [], next: 1 };
    this.asks(octets);
  }
  private asks(octets: Uint8Array): void {
    const plain = this.unwrap(octets, 'client');
    this.asked = { apdu: decodeApdu(plain).apdu, outer: octets[0] as number };
    if (!['get-request-next', 'action-request-next-pblock'].includes(this.asked.apdu.kind)) {
      const { apdu } = this.asked;
      const goesOn = apdu.kind === 'read-request' && apdu.variables[0]?.kind === 'block-number-access';
      if (!goesOn) this.blocks = undefined;
    }
  }
  private aarq(octets: Uint8Array): void {
    const aarq = decodeAcse(octets);
    if (aarq.kind !== 'aarq') return;
    this.asked = 'aarq';
    this.associated = false;
    this.context = aarq.applicationContext;
    this.title = { client: Uint8Array.from(aarq.callingApTitle ?? []), meter: new Uint8Array(0) };
    this.dedicated = undefined;
    const initiate = decodeApdu(this.unwrap(aarq.userInformation ?? new Uint8Array(0), 'client')).apdu;
    if (initiate.kind !== 'initiate-request') return;
    this.proposed = initiate.conformance;
    this.maxPdu = initiate.maxPdu === 0 ? 0xffff : initiate.maxPdu;
    this.dedicated = initiate.dedicatedKey;
  }

  /** The octets out of their protection; what is of the meter must have it, with a counter that goes on. */
  private unwrap(octets: Uint8Array, from: Spoken['from']): Uint8Array {
    const tag = octets[0] as number;
    const general = tag === 0xdb || tag === 0xdc;
    if (!general && plainOf.get(tag) === undefined) return octets;
    const { keys } = this.judged;
    if (!keys) return this.fail('ciphered, and the judge has no keys');
    const o = new Octets(octets);
    o.u8();
    const title = general ? o.string() : this.title[from];
    const content = o.string();
    o.end('a ciphered APDU');
    const withDedicated = tag === 0xdc || (tag >= 0xd0 && tag <= 0xd7);
    const encryption = withDedicated ? this.dedicated : keys.encryption;
    if (!encryption) return this.fail('a dedicated key that was not given');
    const { control, counter, plain } = opened(content, title, { ...keys, encryption });
    if (from === 'meter') {
      if (title.length !== 8) this.fail(`a system title of ${title.length} octets`);
      if (general && Buffer.compare(title, this.title.meter) !== 0 && this.associated)
        this.fail('another system title');
      const initiate = tag === 0x28 || tag === 0x2e;
      if (this.judged.control !== undefined && control !== this.judged.control && !initiate)
        this.fail(`security control ${control.toString(16)}, ${this.judged.control.toString(16)} is the policy`);
      if (!withDedicated) {
        if (counter <= this.counter) this.fail(`counter ${counter} after ${this.counter}`);
        this.counter = counter;
      }
    }
    if (!general && plain[0] !== plainOf.get(tag)) this.fail(`tag ${tag.toString(16)} holds ${plain[0]?.toString(16)}`);
    return plain;
  }

  // — what the meter says —

  answer(octets: Uint8Array, unasked: boolean): void {
    const tag = octets[0] as number;
    if (unasked) return this.notification(octets);
    if (this.generalAsked.length > 0) return this.acknowledgement(octets);
    const { asked } = this;
    if (asked === undefined) return this.fail(`tag ${tag.toString(16)} without a request`);
    if (asked === 'aarq') return this.aare(octets);
    if (asked === 'rlrq') return this.rlre(octets);
    if (octets.length > this.maxPdu) this.fail(`an APDU of ${octets.length} octets, ${this.maxPdu} are taken`);
    if (tag === 0xd8) return this.exception(octets);
    if (!this.associated) return this.fail(`tag ${tag.toString(16)} without an association`);
    if (tag !== 0xe0) return this.service(octets, asked);
    this.block(octets, asked);
  }
  /** With user-information where the RLRQ had it (Green Book 9.3.3). */
  private rlre(octets: Uint8Array): void {
    const o = new Octets(octets);
    o.expect(0x63, 'RLRE');
    if (o.length() !== o.left) o.fail('length of the RLRE');
    for (const octet of [0x80, 1, 0]) o.expect(octet, 'reason of the RLRE');
    if (this.releaseCiphered) {
      o.expect(0xbe, 'user-information of the RLRE');
      const information = new Octets(o.string());
      information.expect(4, 'user-information');
      this.initiateResponse(this.unwrap(information.string(), 'meter'), true);
    }
    o.end('the RLRE');
    this.count(this.releaseCiphered ? 'rlre-ciphered' : 'rlre');
    this.associated = false;
    this.asked = undefined;
  }
  /** While the client's request comes in blocks they are acknowledged by empty ones. */
  private acknowledgement(octets: Uint8Array): void {
    this.need('general-block-transfer');
    const o = new Octets(octets);
    o.expect(0xe0, 'acknowledgement');
    o.u8();
    this.numbered(o);
    if (o.number(2) !== this.generalSent) o.fail(`another block than ${this.generalSent} acknowledged`);
    if (o.string().length > 0) o.fail('an acknowledgement with content');
    o.end('an acknowledgement');
  }
  private exception(octets: Uint8Array): void {
    const expected = octets[2] === 6 ? 7 : 3;
    if (octets.length !== expected) this.fail(`exception-response of ${octets.length} octets`);
    if (this.judged.exceptions !== true) this.fail(`exception-response ${Buffer.from(octets).toString('hex')}`);
    this.count('exception-response');
    this.asked = undefined;
  }
  /** Every block of the meter has a number, whatever is in it; a new exchange begins with 1. */
  private numbered(o: Octets): void {
    const number = o.number(2);
    if (number !== this.general.next) o.fail(`general block ${number} where ${this.general.next} comes next`);
    this.general.next++;
  }
  private block(octets: Uint8Array, asked: Asked): void {
    this.need('general-block-transfer');
    const o = new Octets(octets);
    o.u8();
    const control = o.u8();
    this.numbered(o);
    o.number(2);
    const content = o.string();
    o.end('a general block');
    // An empty last block only acknowledges what the client sent.
    if (content.length === 0) return;
    this.general.parts.push(content);
    this.count('general-block');
    if ((control & 0x80) === 0) return;
    const whole = Buffer.concat(this.general.parts);
    this.general.parts = [];
    this.service(whole, asked);
  }

  private aare(octets: Uint8Array): void {
    this.asked = undefined;
    const { context, result, title, information } = strictAare(octets);
    if (title) this.title.meter = Uint8Array.from(title);
    this.count(result === 0 ? 'aare' : 'aare-refused');
    if (!information) return;
    const initiate = this.unwrap(information, 'meter');
    if (initiate[0] === 0x0e && result !== 0) return;
    this.initiateResponse(initiate, result === 0);
    if (result !== 0) return;
    if (context !== this.context) this.fail(`application context ${context}, ${this.context} was asked for`);
    this.associated = true;
  }
  private initiateResponse(octets: Uint8Array, accepted: boolean): void {
    const agreed = strictInitiateResponse(octets, this.context === 2 || this.context === 4);
    if (!accepted) return;
    if ((agreed & ~this.proposed) !== 0)
      this.fail(`conformance ${agreed.toString(16)}, proposed ${this.proposed.toString(16)}`);
    this.agreed = agreed;
  }

  private notification(octets: Uint8Array): void {
    const general = octets[0] === 0xdb;
    const o = new Octets(this.unwrap(octets, 'meter'));
    o.expect(0x0f, 'DataNotification');
    if (this.judged.control !== undefined && !general) this.fail('a push in the clear');
    o.number(4);
    const { length } = o.string();
    if (length !== 0 && length !== 12) o.fail(`date-time of ${length} octets`);
    datum(o);
    o.end('DataNotification');
    this.count('data-notification');
  }

  private service(octets: Uint8Array, { apdu, outer }: Asked): void {
    const tag = octets[0] as number;
    if (
      this.judged.control !== undefined &&
      octets[0] !== 0xd8 &&
      (plainOf.get(tag) ?? -1) < 0 &&
      tag !== 0xdb &&
      tag !== 0xdc
    )
      this.fail(`tag ${tag.toString(16)} in the clear`);
    if ((outer === 0xdb) !== (tag === 0xdb)) this.fail('wrapped in another way than the request');
    const o = new Octets(this.unwrap(octets, 'meter'));
    this.asked = undefined;
    if (o.all[0] === 0xd8) return this.exception(o.all);
    const readers: Readonly<Record<number, () => void>> = {
      0xc4: () => this.got(o, apdu),
      0xc5: () => this.wasSet(o, apdu),
      0xc7: () => this.acted(o, apdu),
      0xda: () => this.accessed(o, apdu),
      0x0c: () => this.read(o, apdu),
      0x0d: () => this.written(o, apdu),
    };
    const reader = readers[o.u8()];
    if (!reader) return this.fail(`no answer has tag ${o.all[0]?.toString(16)}`);
    reader();
    o.end('the answer');
  }
  private echoed(o: Octets, apdu: Apdu): void {
    const given = 'invokeId' in apdu ? apdu.invokeId : -1;
    const got = o.u8();
    if (got !== given) o.fail(`invoke-id and priority ${got.toString(16)}, ${given.toString(16)} was given`);
  }
  private value(one: unknown): void {
    if (one !== undefined) this.values++;
  }
  private raw(
    kind: Blocks['kind'],
    of: Apdu,
    { last, number, raw }: { last: boolean; number: number; raw: Uint8Array },
  ): void {
    this.need(kind === 'action' ? 'block-transfer-with-action' : 'block-transfer-with-get-or-read');
    this.blocks ??= { kind, of, next: 1, parts: [] };
    const { blocks } = this;
    if (number !== blocks.next) this.fail(`block ${number} where ${blocks.next} comes next`);
    if (raw.length === 0) this.fail('a block without content');
    blocks.next++;
    blocks.parts.push(raw);
    this.count('block');
    if (!last) return;
    this.blocks = undefined;
    const o = new Octets(Buffer.concat(blocks.parts));
    if (kind === 'get' && blocks.of.kind === 'get-request-normal') this.value(datum(o));
    else if (kind === 'get')
      this.results(o, blocks.of.kind === 'get-request-with-list' ? blocks.of.attributes.length : -1);
    else if (kind === 'read') this.readResults(o, blocks.of);
    else this.actionResults(o, blocks.of);
    o.end('the value in blocks');
  }
  private results(o: Octets, expected: number): void {
    const results = o.list(() => dataResult(o));
    if (results.length !== expected) o.fail(`${results.length} results for ${expected}`);
    for (const one of results) this.value(one);
  }

  private got(o: Octets, apdu: Apdu): void {
    const choice = o.u8();
    this.need('get');
    this.echoed(o, apdu);
    this.count(`get-response ${choice}`);
    if (choice === 1 && apdu.kind === 'get-request-normal') return this.value(dataResult(o));
    if (choice === 3 && apdu.kind === 'get-request-with-list') {
      this.need('multiple-references');
      return this.results(o, apdu.attributes.length);
    }
    const goesOn = apdu.kind === 'get-request-next';
    if (choice !== 2 || (!goesOn && this.blocks)) return this.fail(`get-response ${choice} to ${apdu.kind}`);
    const last = o.flag('last');
    const number = o.number(4);
    if (o.u8() !== 0) {
      if (!last) o.fail('refused, and more to come');
      o.u8();
      return;
    }
    this.raw('get', this.blocks?.of ?? apdu, { last, number, raw: o.string() });
  }
  private wasSet(o: Octets, apdu: Apdu): void {
    const choice = o.u8();
    this.need('set');
    this.echoed(o, apdu);
    this.count(`set-response ${choice}`);
    const number = 'block' in apdu ? apdu.block.number : -1;
    if (choice === 1 && apdu.kind === 'set-request-normal') o.u8();
    else if (choice === 5 && apdu.kind === 'set-request-with-list') {
      if (o.list(() => o.u8()).length !== apdu.attributes.length) o.fail('results for other than was asked');
    } else if ((choice === 2 || choice === 3) && 'block' in apdu) {
      if ((choice === 3) !== apdu.block.last) o.fail(`set-response ${choice} to a block, last ${apdu.block.last}`);
      if (choice === 3) o.u8();
      if (o.number(4) !== number) o.fail(`another block than ${number} acknowledged`);
    } else this.fail(`set-response ${choice} to ${apdu.kind}`);
  }
  private actionResult(o: Octets): void {
    const result = o.u8();
    if (!o.flag('return parameters')) return;
    if (result !== 0) o.fail('return parameters of what was refused');
    dataResult(o);
  }
  private actionResults(o: Octets, apdu: Apdu): void {
    const expected = apdu.kind === 'action-request-with-list' ? apdu.methods.length : 1;
    if (o.list(() => this.actionResult(o)).length !== expected) o.fail('results for other than was asked');
  }
  private acted(o: Octets, apdu: Apdu): void {
    const choice = o.u8();
    this.echoed(o, apdu);
    this.count(`action-response ${choice}`);
    if (choice === 1) this.actionResult(o);
    else if (choice === 3 && apdu.kind === 'action-request-with-list') this.actionResults(o, apdu);
    else if (choice === 2) {
      const block = { last: o.flag('last'), number: o.number(4), raw: o.string() };
      this.raw('action', this.blocks?.of ?? apdu, block);
    } else if (choice === 4 && 'block' in apdu) {
      if (o.number(4) !== apdu.block.number) o.fail('another block acknowledged');
    } else this.fail(`action-response ${choice} to ${apdu.kind}`);
  }
  private accessed(o: Octets, apdu: Apdu): void {
    this.need('access');
    if (apdu.kind !== 'access-request') return this.fail(`access-response to ${apdu.kind}`);
    if (o.number(4) !== apdu.longInvokeId >>> 0) o.fail('another long-invoke-id');
    const { length } = o.string();
    if (length !== 0 && length !== 12) o.fail(`date-time of ${length} octets`);
    if (o.flag('specification')) o.fail('a specification that was not asked for');
    const data = o.list(() => datum(o));
    const kinds = { get: 1, set: 2, action: 3, 'get-with-selection': 1, 'set-with-selection': 2 };
    const results = o.list(() => [o.u8(), o.u8()]);
    if (data.length !== apdu.specifications.length || results.length !== data.length)
      o.fail('results for other than was asked');
    apdu.specifications.forEach(({ kind }, i) => {
      if (results[i]?.[0] !== kinds[kind]) o.fail(`result ${i} is of another service`);
      if (results[i]?.[1] !== 0 && data[i]?.tag !== 0) o.fail('data of what was refused');
    });
    this.count('access-response');
  }
  private readResults(o: Octets, apdu: Apdu): void {
    const expected = apdu.kind === 'read-request' ? apdu.variables.length : 1;
    const results = o.list(() => dataResult(o));
    if (results.length !== expected) o.fail('results for other than was asked');
    for (const one of results) this.value(one);
  }
  private read(o: Octets, apdu: Apdu): void {
    this.need('read');
    if (apdu.kind !== 'read-request') return this.fail(`read-response to ${apdu.kind}`);
    this.count('read-response');
    if (o.all[2] !== 2) return this.readResults(o, apdu);
    if (o.length() !== 1) o.fail('a block beside other results');
    o.u8();
    this.raw('read', this.blocks?.of ?? apdu, { last: o.flag('last'), number: o.number(2), raw: o.string() });
  }
  private written(o: Octets, apdu: Apdu): void {
    this.need('write');
    if (apdu.kind !== 'write-request') return this.fail(`write-response to ${apdu.kind}`);
    const results = o.list(() => (o.u8() === 0 ? 0 : o.u8()));
    if (results.length !== apdu.values.length) o.fail('results for other than was asked');
    this.count('write-response');
  }
}

/** Goes over what was said until the first fault of the meter. */
export function judge(spoken: readonly Spoken[], judged: Judged): Verdict {
  const line = judged.link === 'hdlc' ? new StrictHdlc() : new StrictWrapper();
  const client = new StrictClient(judged);
  let fault: string | undefined;
  let at = 0;
  try {
    for (const one of spoken) {
      at++;
      const apdus: SpokenApdu[] = line.take(one);
      for (const { from, octets, unasked } of apdus) {
        if (from === 'client') client.request(octets);
        else client.answer(octets, unasked === true);
      }
    }
    line.end();
  } catch (error) {
    if (!(error instanceof Strictness)) throw error;
    fault = `line ${at}: ${error.message}`;
  }
  return { fault, seen: client.seen, values: client.values, conformance: client.agreed };
}
