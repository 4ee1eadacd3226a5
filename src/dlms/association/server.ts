/** The application association, server side: what a meter does. Every APDU gets a well-formed answer or none at all. */
import { encode } from '../../base/codec.ts';
import { concat } from '../../base/cursor.ts';
import { Failure } from '../../base/errors.ts';
import { type AcseApdu, decodeAcse, isAcse } from '../acse/apdu.ts';
import { type Data, dataCodec, nullData } from '../axdr/data.ts';
import { accessResult, type AssociationFacts } from '../cosem/server-object.ts';
import {
  actionResults,
  type Apdu,
  type ApduKind,
  type ApduOf,
  decodeApdu,
  encodeApdu,
  type GetResult,
  getResults,
  readResults,
} from '../xdlms/apdu.ts';
import { type HlsMechanism, hlsProof, hlsVerify, type Proving } from '../security/hls.ts';
import { type Conformance, has } from '../xdlms/conformance.ts';
import { BlockTransfer } from './block-transfer.ts';
import { Ciphering } from './ciphering.ts';
import type { ActionResult } from './exchange.ts';
import {
  asBlock,
  type Block,
  blockRefused,
  type BlocksFor,
  isSet,
  type LongAnswer,
  longAnswer,
  type LongKind,
  stopped,
  takeBlock,
  valuesOf,
} from './server-blocks.ts';
import { blocksOf, neededFor } from './server-conformance.ts';
import { enter, type Entered, type EntrySettings, released } from './server-entry.ts';
import {
  accessItems,
  getAttribute,
  invoke,
  type MethodOf,
  readVariable,
  setAttribute,
  writeVariable,
} from './server-objects.ts';

/** How the association stands while a service is answered. */
export interface Standing {
  /** Octets of an APDU before protection that the client takes. */
  readonly room: number;
  /** HLS: the mechanism by which the client must still prove itself. */
  readonly proving: HlsMechanism | undefined;
  /** The highest invocation counter of the client under its global key: when it was let in, and now. */
  readonly counters: { readonly atEntry: number; readonly heard: number };
}
/** What stands around a server, sees what comes, and may answer otherwise: a simulated meter deviates from the books here. */
export interface Around {
  /** A whole APDU as it came, protected or not; no octets are silence. What comes in general blocks is not shown. */
  readonly octets?: (
    request: Uint8Array,
    answer: (request: Uint8Array) => Uint8Array | undefined,
  ) => Uint8Array | undefined;
  /** A service in the clear. */
  readonly service?: (request: Apdu, answer: (request: Apdu) => Apdu, standing: Standing) => Apdu;
}
export interface ServerSettings extends EntrySettings {
  /** The highest invocation counter of each client SAP; a meter keeps it through power cuts. */
  readonly heard?: Map<number, number>;
  /** General block transfer: blocks that we take in one go. */
  readonly transferWindow?: number;
  readonly around?: Around;
}
type Exception = ApduOf<'exception-response'>;
const exception = (stateError: number, serviceError: number): Exception => ({
  kind: 'exception-response',
  stateError,
  serviceError,
});
/** Without an association, or a service that it did not negotiate; an APDU of another tag or length than can be. */
const notAllowed = exception(1, 1);
const notSupported = exception(1, 2);
const otherReason = exception(2, 3);
const pduTooLong = exception(2, 4);

interface LongValue {
  readonly what: BlocksFor;
  readonly parts: Uint8Array[];
  octets: number;
  number: number;
}
/** The longest value that a client may build up in blocks. */
const incomingLimit = 1 << 16;

/** Requests that do not end a value that is being sent in blocks. */
const goesOn: ReadonlySet<ApduKind> = new Set([
  'get-request-next',
  'action-request-next-pblock',
  // It holds a block number where it goes on.
  'read-request',
]);

export class ServerAssociation {
  private readonly settings: ServerSettings;
  private entered: Entered | undefined;
  private long: LongAnswer | undefined;
  private incoming: LongValue | undefined;
  /** HLS: the proof that must come before anything else. */
  private awaited: Proving | undefined;
  private readonly heard: Map<number, number>;
  private readonly transfer: BlockTransfer;

  constructor(settings: ServerSettings) {
    this.settings = settings;
    this.heard = settings.heard ?? new Map<number, number>();
    this.transfer = new BlockTransfer('server', settings.transferWindow ?? 1, incomingLimit);
  }
  get associated(): boolean {
    return this.entered !== undefined;
  }
  reset(): void {
    this.entered = undefined;
    this.awaited = undefined;
    this.incoming = undefined;
    this.long = undefined;
    this.transfer.restart();
  }
  private get negotiated(): Conformance {
    return this.entered?.facts.conformance ?? 0;
  }
  private get clientMaxPdu(): number {
    return this.entered?.facts.maxSendPdu ?? 0xffff;
  }
  private get ciphering(): Ciphering | undefined {
    return this.entered?.ciphering;
  }
  /** The association is of one client; another one has none. */
  private serves(sap: number): boolean {
    return this.entered?.facts.clientSap === sap;
  }

  /** What answers one APDU from this client SAP: one APDU, several blocks of one, or nothing. */
  answer(octets: Uint8Array, sap: number): Uint8Array[] {
    if (octets[0] !== 0xe0) {
      if (this.serves(sap)) this.transfer.restart();
      const answer = (request: Uint8Array) => this.answerWhole(request, sap);
      const { octets: around } = this.settings.around ?? {};
      return this.blocked(around ? around(octets, answer) : answer(octets), false);
    }
    if (!this.serves(sap)) return [encodeApdu(notAllowed)];
    if (!has(this.negotiated, 'general-block-transfer')) return [encodeApdu(notSupported)];
    try {
      const { apdu } = decodeApdu(octets);
      if (apdu.kind !== 'general-block-transfer') return [encodeApdu(otherReason)];
      const { whole, out } = this.transfer.receive(apdu);
      return whole ? this.blocked(this.answerWhole(whole, sap, true), true) : out;
    } catch {
      return [encodeApdu(otherReason)];
    }
  }

  /** In general blocks where the client asked so, or where the answer is too long and blocks are negotiated. */
  private blocked(answer: Uint8Array | undefined, asked: boolean): Uint8Array[] {
    if (!answer) return [];
    const long = answer.length > this.clientMaxPdu && has(this.negotiated, 'general-block-transfer');
    return asked || long ? this.transfer.send(answer, this.clientMaxPdu) : [answer];
  }

  private answerWhole(octets: Uint8Array, sap: number, inBlocks = false): Uint8Array | undefined {
    const acse = isAcse(octets[0] ?? 0);
    let apdu: Apdu | AcseApdu;
    let outer: Apdu | undefined;
    try {
      if (!acse && !inBlocks && octets.length > this.settings.maxPdu) return encodeApdu(pduTooLong);
      if (acse) apdu = decodeAcse(octets);
      else {
        const came = decodeApdu(octets).apdu;
        apdu = came;
        if (!this.serves(sap)) return encodeApdu(notAllowed);
        if (this.ciphering) {
          outer = came;
          if (!Ciphering.isCiphered(came)) return encodeApdu(exception(1, 5));
          apdu = decodeApdu(this.ciphering.unwrap(came)).apdu;
          this.heard.set(sap, this.ciphering.heardGlobal);
        }
      }
    } catch (error) {
      if (error instanceof Failure && error.code === 'replayed-counter') {
        const invocationCounter = (this.ciphering?.heardGlobal ?? 0) + 1;
        return encodeApdu({ ...exception(2, 6), invocationCounter });
      }
      if (error instanceof Failure) return encodeApdu(exception(2, 5));
      // service unknown where the tag is none of ours, other reason where the body is damaged
      return encodeApdu(otherReason);
    }
    switch (apdu.kind) {
      case 'aarq':
        return this.associate(apdu, sap);
      case 'rlrq':
        return this.entered && this.serves(sap) ? this.release(apdu, this.entered) : undefined;
      case 'aare':
      case 'rlre':
        return undefined;
      default:
        if (!this.entered) return encodeApdu(notAllowed);
        return this.wrapped(encodeApdu(this.answered(apdu, this.entered)), outer);
    }
  }

  private answered(apdu: Apdu, entered: Entered): Apdu {
    const { awaited } = this;
    const answer = (request: Apdu) =>
      this.awaited ? this.prove(request, entered, this.awaited) : this.served(request, entered);
    const { service } = this.settings.around ?? {};
    if (!service) return answer(apdu);
    const counters = { atEntry: entered.counterAtEntry, heard: this.ciphering?.heardGlobal ?? -1 };
    return service(apdu, answer, { room: this.room, proving: awaited?.mechanism, counters });
  }

  private wrapped(plain: Uint8Array, like: Apdu | undefined): Uint8Array {
    // Exceptions stay in the clear: the client may not be able to read anything else.
    return this.ciphering && plain[0] !== 0xd8 ? this.ciphering.wrap(plain, like) : plain;
  }

  private associate(aarq: AcseApdu & { kind: 'aarq' }, sap: number): Uint8Array {
    this.reset();
    const { answer, entered } = enter(aarq, sap, this.settings, this.heard);
    this.entered = entered;
    this.awaited = entered?.proving;
    return answer;
  }

  private release(rlrq: { readonly userInformation?: Uint8Array }, entered: Entered): Uint8Array | undefined {
    const answer = released(rlrq, entered, this.settings, this.heard);
    if (answer) this.reset();
    return answer;
  }

  /** Passes 3 and 4 of HLS: the client's proof, then ours. */
  private prove(apdu: Apdu, { client }: Entered, { mechanism, party }: Proving): Apdu {
    const isReply = apdu.kind === 'action-request-normal' && apdu.method.classId === 15 && apdu.method.method === 1;
    if (!isReply) return notAllowed;
    const proof = apdu.parameters?.type === 'octet-string' ? apdu.parameters.value : new Uint8Array(0);
    if (!hlsVerify(mechanism, proof, party)) {
      return {
        kind: 'action-response-normal',
        invokeId: apdu.invokeId,
        response: { result: accessResult['read-write-denied'] },
      };
    }
    this.awaited = undefined;
    const counter = mechanism === 'hls-gmac' ? (client.ciphering?.nextCounter() ?? 0) : 0;
    const returned: GetResult = { data: { type: 'octet-string', value: hlsProof(mechanism, party, counter) } };
    return { kind: 'action-response-normal', invokeId: apdu.invokeId, response: { result: 0, returned } };
  }

  /** No service that was not negotiated, and no answer that is longer than the client takes. */
  private served(apdu: Apdu, { facts }: Entered): Apdu {
    const needed = neededFor(apdu);
    if (!needed?.every((name) => has(this.negotiated, name))) return notSupported;
    const answer = this.serve(apdu, facts);
    if (this.fits(answer)) return answer;
    const refused = accessResult['other-reason'];
    if (answer.kind === 'get-response-normal') return { ...answer, result: { refused } };
    return answer.kind === 'action-response-normal' ? { ...answer, response: { result: refused } } : pduTooLong;
  }

  private serve(apdu: Apdu, facts: AssociationFacts): Apdu {
    // A value that is being sent in blocks ends with the next request, but for those that go on with it.
    if (!goesOn.has(apdu.kind)) this.long = undefined;
    switch (apdu.kind) {
      case 'get-request-normal':
        return this.getOne(apdu, facts);
      case 'get-request-with-list': {
        const results = apdu.attributes.map(({ selection, ...attribute }) => getAttribute(facts, attribute, selection));
        const response: Apdu = { kind: 'get-response-with-list', invokeId: apdu.invokeId, results };
        return this.orBlocks(response, 'get', apdu.invokeId, () => encode(getResults, results));
      }
      case 'get-request-next':
        return this.next('get', apdu.invokeId, apdu.number);
      case 'set-request-normal': {
        const result = setAttribute(facts, { ...apdu.attribute, selection: apdu.selection }, apdu.value);
        return { kind: 'set-response-normal', invokeId: apdu.invokeId, result };
      }
      case 'set-request-with-list': {
        if (apdu.attributes.length !== apdu.values.length) return otherReason;
        const results = apdu.attributes.map((attribute, i) =>
          setAttribute(facts, attribute, apdu.values[i] ?? nullData),
        );
        return { kind: 'set-response-with-list', invokeId: apdu.invokeId, results };
      }
      case 'action-request-normal':
        return this.acted(apdu.invokeId, invoke(facts, apdu.method, apdu.parameters));
      case 'action-request-with-list': {
        if (apdu.methods.length !== apdu.parameters.length) return otherReason;
        return this.actedAll(apdu.invokeId, apdu.methods, apdu.parameters, facts);
      }
      case 'action-request-next-pblock':
        return this.next('action', apdu.invokeId, apdu.number);
      case 'access-request':
        return apdu.specifications.length === apdu.data.length ? accessItems(facts, apdu) : otherReason;
      case 'read-request': {
        const [first] = apdu.variables;
        if (first?.kind === 'block-number-access') return this.next('read', 0, first.value);
        this.long = undefined;
        const results = apdu.variables.map((one) => readVariable(facts, one));
        return this.orBlocks({ kind: 'read-response', results }, 'read', 0, () => encode(readResults, results));
      }
      case 'write-request':
        if (apdu.variables.length !== apdu.values.length) return otherReason;
        return {
          kind: 'write-response',
          results: apdu.variables.map((one, i) => writeVariable(facts, one, apdu.values[i] ?? nullData)),
        };
      case 'set-request-with-first-datablock':
        return this.takeFirst(apdu, { attribute: { ...apdu.attribute, selection: apdu.selection } }, facts);
      case 'set-request-with-list-and-first-datablock':
        return this.takeFirst(apdu, { attributes: apdu.attributes }, facts);
      case 'action-request-with-first-pblock':
        return this.takeFirst(apdu, { method: apdu.method }, facts);
      case 'action-request-with-list-and-first-pblock':
        return this.takeFirst(apdu, { methods: apdu.methods }, facts);
      case 'set-request-with-datablock':
      case 'action-request-with-pblock':
        return this.take(apdu.invokeId, apdu.block, facts);
      default:
        return notSupported;
    }
  }

  /** An answer as it is, or in the blocks of its service where it is too long and they were negotiated. */
  private orBlocks(whole: Apdu, kind: LongKind, invokeId: number, octets: () => Uint8Array): Apdu {
    if (this.fits(whole) || !has(this.negotiated, blocksOf[kind])) return whole;
    this.long = longAnswer(kind, octets());
    return this.nextBlock(this.long, invokeId);
  }

  private takeFirst(
    { invokeId, block }: { readonly invokeId: number; readonly block: Block },
    what: BlocksFor,
    facts: AssociationFacts,
  ): Apdu {
    this.incoming = { what, parts: [], octets: 0, number: 0 };
    return this.take(invokeId, block, facts);
  }
  /** One block of a long value; the last one does what was asked. */
  private take(invokeId: number, block: Block, facts: AssociationFacts): Apdu {
    const { incoming } = this;
    if (!incoming) return notSupported;
    const { what } = incoming;
    const stop = (result: number): Apdu => {
      this.incoming = undefined;
      return stopped(what, invokeId, result, block.number);
    };
    incoming.octets += block.raw.length;
    if (block.number !== incoming.number + 1) return stop(19);
    if (incoming.octets > incomingLimit) return stop(accessResult['other-reason']);
    incoming.number = block.number;
    incoming.parts.push(block.raw);
    if (!block.last) {
      return isSet(what)
        ? { kind: 'set-response-datablock', invokeId, number: block.number }
        : { kind: 'action-response-next-pblock', invokeId, number: block.number };
    }
    const values = valuesOf(what, concat(incoming.parts));
    if (!values) return stop(accessResult['type-unmatched']);
    this.incoming = undefined;
    const [value = nullData] = values;
    if ('attribute' in what) return stop(setAttribute(facts, what.attribute, value));
    if ('method' in what) return this.acted(invokeId, invoke(facts, what.method, value));
    if ('methods' in what) return this.actedAll(invokeId, what.methods, values, facts);
    const results = what.attributes.map((attribute, i) => setAttribute(facts, attribute, values[i] ?? nullData));
    return { kind: 'set-response-last-datablock-with-list', invokeId, results, number: block.number };
  }
  /** The results of a list of methods, in blocks where they are too long. */
  private actedAll(
    invokeId: number,
    methods: readonly MethodOf[],
    parameters: readonly Data[],
    facts: AssociationFacts,
  ): Apdu {
    const responses = methods.map((method, i) => invoke(facts, method, parameters[i]));
    const whole: Apdu = { kind: 'action-response-with-list', invokeId, responses };
    return this.orBlocks(whole, 'action', invokeId, () => encode(actionResults, responses));
  }

  /** The result of one method, in blocks where it is too long. */
  private acted(invokeId: number, response: ActionResult): Apdu {
    const whole: Apdu = { kind: 'action-response-normal', invokeId, response };
    return this.orBlocks(whole, 'action', invokeId, () => encode(actionResults, [response]));
  }

  /** General blocks carry any length. */
  private fits(apdu: Apdu): boolean {
    return has(this.negotiated, 'general-block-transfer') || encodeApdu(apdu).length <= this.room;
  }
  /** Octets of an APDU before protection that the client takes. */
  private get room(): number {
    return Math.max(13, this.clientMaxPdu - (this.ciphering?.overhead ?? 0));
  }

  private getOne(apdu: ApduOf<'get-request-normal'>, facts: AssociationFacts): Apdu {
    const { invokeId, attribute } = apdu;
    const result = getAttribute(facts, attribute, apdu.selection);
    if ('refused' in result) return { kind: 'get-response-normal', invokeId, result };
    const whole: Apdu = { kind: 'get-response-normal', invokeId, result };
    return this.orBlocks(whole, 'get', invokeId, () => encode(dataCodec, result.data));
  }

  private next(kind: LongKind, invokeId: number, number: number): Apdu {
    const { long } = this;
    if (long?.kind === kind && number === long.number) return this.nextBlock(long, invokeId);
    this.long = undefined;
    return blockRefused(kind, invokeId, number, long !== undefined);
  }

  private nextBlock(long: LongAnswer, invokeId: number): Apdu {
    const block = takeBlock(long, this.room);
    if (block.last) this.long = undefined;
    return asBlock(long.kind, invokeId, block);
  }
}
