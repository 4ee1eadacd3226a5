/** The application association, server side: what a meter does. Every APDU gets a well-formed answer or none at all. */
import { decode, encode } from '../../base/codec.ts';
import { concat } from '../../base/cursor.ts';
import { Failure } from '../../base/errors.ts';
import { Secret } from '../../base/secret.ts';
import { type AcseApdu, applicationContext, decodeAcse, encodeAcse, isAcse, mechanism } from '../acse/apdu.ts';
import { type Data, dataCodec, nullData } from '../axdr/data.ts';
import type { LogicalName } from '../cosem/logical-name.ts';
import { accessResult, nameData, objectListData, type ServerObject, structure } from '../cosem/server-object.ts';
import { associationBaseName, memberOf } from '../cosem/short-name.ts';
import {
  actionResults,
  type Apdu,
  type ApduOf,
  decodeApdu,
  encodeApdu,
  type GetResult,
  getResults,
  type ReadResult,
  readResults,
  type Selection,
  type Variable,
} from '../xdlms/apdu.ts';
import { type HlsMechanism, type HlsParty, hlsProof, hlsVerify } from '../security/hls.ts';
import { type Conformance, conformance, has } from '../xdlms/conformance.ts';
import { BlockTransfer } from './block-transfer.ts';
import { Ciphering, type CipheringSettings, type PublicKeys } from './ciphering.ts';
import type { ActionResult } from './exchange.ts';

export interface ServerClient {
  readonly mechanism: 'none' | 'lls' | HlsMechanism;
  readonly secret?: Secret;
  /** This client must use a ciphered context. */
  readonly ciphering?: Omit<CipheringSettings, 'ownTitle' | 'dedicated'>;
  /** HLS by ECDSA: our private and the client's public signing key. */
  readonly signing?: { readonly suite: 1 | 2; readonly keys: NonNullable<PublicKeys['signing']> };
  /** Which objects this client sees; default all. */
  readonly objects?: (object: ServerObject) => boolean;
}
/** How a server of a simulation breaks the rules on purpose; none of it in a meter that behaves. */
export interface ServerMischief {
  readonly firstBlock?: 'zero' | 'goes-on';
  readonly emptyBlock?: 'middle' | 'last';
  readonly gmacCounter?: 'must-advance' | 'must-not-advance';
  readonly listLimit?: number;
  readonly abortsSet?: boolean;
  /** Other octets for a value than its A-XDR. */
  readonly value?: (classId: number, attribute: number, value: Data) => Uint8Array | undefined;
  /** Other octets for an answer; none = silence. */
  readonly answer?: (answer: Uint8Array, request: Uint8Array) => Uint8Array | undefined;
}
export interface ServerSettings {
  /** Client SAPs that may associate. */
  readonly clients: ReadonlyMap<number, ServerClient>;
  readonly objects: readonly ServerObject[];
  readonly conformance: Conformance;
  readonly maxPdu: number;
  readonly systemTitle?: Uint8Array;
  /** A fresh challenge for HLS. */
  readonly challenge?: () => Uint8Array;
  /** The highest invocation counter of each client SAP; a meter keeps it through power cuts. */
  readonly heard?: Map<number, number>;
  /** General block transfer: blocks that we take in one go. */
  readonly transferWindow?: number;
  /** Short-name referencing: base names of the objects. */
  readonly shortNames?: ReadonlyMap<LogicalName, number>;
  readonly mischief?: ServerMischief;
}
export const serverConformance: Conformance = conformance(
  'block-transfer-with-get-or-read',
  'block-transfer-with-set-or-write',
  'block-transfer-with-action',
  'multiple-references',
  'get',
  'set',
  'selective-access',
  'action',
);

/** A value that comes in blocks. */
interface LongValue {
  readonly what: { readonly attribute: AttributeOf } | { readonly method: MethodOf };
  readonly parts: Uint8Array[];
  octets: number;
  number: number;
}
type AttributeOf = ApduOf<'set-request-normal'>['attribute'];
type MethodOf = ApduOf<'action-request-normal'>['method'];
/** The longest value that a client may build up in blocks. */
const incomingLimit = 1 << 16;

interface LongGet {
  readonly kind: 'get' | 'action' | 'read';
  readonly invokeId: number;
  readonly octets: Uint8Array;
  sent: number;
  number: number;
  /** The empty block of a meter that sends one is gone out. */
  empty: boolean;
}
const user = 'acse-service-user';

export class ServerAssociation {
  private readonly settings: ServerSettings;
  private client: ServerClient | undefined;
  private negotiated: Conformance = 0;
  private clientMaxPdu = 0xffff;
  private long: LongGet | undefined;
  private incoming: LongValue | undefined;
  private objects: readonly ServerObject[] = [];
  private ciphering: Ciphering | undefined;
  /** HLS: the proof that must come before anything else. */
  private awaited: HlsParty | undefined;
  private readonly heard: Map<number, number>;
  private heardAtAssociation = -1;
  private blockCounter = 0;
  private readonly transfer: BlockTransfer;

  constructor(settings: ServerSettings) {
    this.settings = settings;
    this.heard = settings.heard ?? new Map<number, number>();
    this.transfer = new BlockTransfer('server', settings.transferWindow ?? 1, incomingLimit);
  }
  get associated(): boolean {
    return this.client !== undefined;
  }
  reset(): void {
    this.client = undefined;
    this.ciphering = undefined;
    this.awaited = undefined;
    this.incoming = undefined;
    this.long = undefined;
    this.transfer.restart();
  }

  /** What answers one APDU from this client SAP: one APDU, several blocks of one, or nothing. */
  answer(octets: Uint8Array, sap: number): Uint8Array[] {
    if (octets[0] !== 0xe0) {
      if (this.client) this.transfer.restart();
      const answer = this.answerWhole(octets, sap);
      const { mischief } = this.settings;
      return this.blocked(answer && mischief?.answer ? mischief.answer(answer, octets) : answer, false);
    }
    try {
      const { apdu } = decodeApdu(octets);
      if (!this.client) return [encodeApdu({ kind: 'exception-response', stateError: 1, serviceError: 1 })];
      const { whole, out } = this.transfer.receive(apdu as ApduOf<'general-block-transfer'>);
      return whole ? this.blocked(this.answerWhole(whole, sap), true) : out;
    } catch {
      return [encodeApdu({ kind: 'exception-response', stateError: 2, serviceError: 3 })];
    }
  }

  /** In general blocks where the client asked so, or where the answer is too long and blocks are negotiated. */
  private blocked(answer: Uint8Array | undefined, asked: boolean): Uint8Array[] {
    if (!answer) return [];
    const long = answer.length > this.clientMaxPdu && has(this.negotiated, 'general-block-transfer');
    return asked || long ? this.transfer.send(answer, this.clientMaxPdu) : [answer];
  }

  private answerWhole(octets: Uint8Array, sap: number): Uint8Array | undefined {
    let apdu: Apdu | AcseApdu;
    let outer: Apdu | undefined;
    try {
      apdu = isAcse(octets[0] ?? 0) ? decodeAcse(octets) : decodeApdu(octets).apdu;
      if (this.ciphering && !isAcse(octets[0] ?? 0)) {
        outer = apdu as Apdu;
        if (!Ciphering.isCiphered(outer))
          return encodeApdu({ kind: 'exception-response', stateError: 1, serviceError: 5 });
        apdu = decodeApdu(this.ciphering.unwrap(outer)).apdu;
        this.heard.set(sap, this.ciphering.heardGlobal);
      }
    } catch (error) {
      if (error instanceof Failure && error.code === 'replayed-counter') {
        const invocationCounter = (this.ciphering?.heardGlobal ?? 0) + 1;
        return encodeApdu({ kind: 'exception-response', stateError: 2, serviceError: 6, invocationCounter });
      }
      if (error instanceof Failure) return encodeApdu({ kind: 'exception-response', stateError: 2, serviceError: 5 });
      // service unknown where the tag is none of ours, other reason where the body is damaged
      return encodeApdu({ kind: 'exception-response', stateError: 2, serviceError: 3 });
    }
    switch (apdu.kind) {
      case 'aarq':
        return this.associate(apdu, sap);
      case 'rlrq':
        if (!this.client) return undefined;
        this.reset();
        return encodeAcse({ kind: 'rlre', reason: 0 });
      case 'aare':
      case 'rlre':
        return undefined;
      default:
        if (!this.client) return encodeApdu({ kind: 'exception-response', stateError: 1, serviceError: 1 });
        return this.wrapped(encodeApdu(this.awaited ? this.prove(apdu) : this.serve(apdu)), outer);
    }
  }

  private wrapped(plain: Uint8Array, like: Apdu | undefined): Uint8Array {
    // Exceptions stay in the clear: the client may not be able to read anything else.
    return this.ciphering && plain[0] !== 0xd8 ? this.ciphering.wrap(plain, like) : plain;
  }

  /** Passes 3 and 4 of HLS: the client's proof, then ours. */
  private prove(apdu: Apdu): Apdu {
    const party = this.awaited as HlsParty;
    const chosen = this.client?.mechanism as HlsMechanism;
    const isReply = apdu.kind === 'action-request-normal' && apdu.method.classId === 15 && apdu.method.method === 1;
    if (!isReply) return { kind: 'exception-response', stateError: 1, serviceError: 1 };
    const proof = apdu.parameters?.type === 'octet-string' ? apdu.parameters.value : new Uint8Array(0);
    if (!hlsVerify(chosen, proof, party) || !this.counterPleases(proof)) {
      return {
        kind: 'action-response-normal',
        invokeId: apdu.invokeId,
        response: { result: accessResult['read-write-denied'] },
      };
    }
    this.awaited = undefined;
    const counter = chosen === 'hls-gmac' ? (this.client?.ciphering?.nextCounter() ?? 0) : 0;
    const returned: GetResult = { data: { type: 'octet-string', value: hlsProof(chosen, party, counter) } };
    return { kind: 'action-response-normal', invokeId: apdu.invokeId, response: { result: 0, returned } };
  }

  /** Meters differ in what they want of the counter inside of a GMAC proof (meter-quirks 40). */
  private counterPleases(proof: Uint8Array): boolean {
    const { gmacCounter } = this.settings.mischief ?? {};
    if (!gmacCounter || this.client?.mechanism !== 'hls-gmac') return true;
    const counter = Buffer.from(proof).readUInt32BE(1);
    const outer = this.ciphering?.heardGlobal ?? -1;
    return gmacCounter === 'must-advance' ? counter > this.heardAtAssociation && counter < outer : counter === outer;
  }

  private associate(aarq: AcseApdu & { kind: 'aarq' }, sap: number): Uint8Array {
    this.reset();
    const { settings } = this;
    const client = settings.clients.get(sap);
    const naming = settings.shortNames ? 'short-name' : 'logical-name';
    const context = applicationContext[`${naming}${client?.ciphering ? '-ciphered' : ''}`];
    const title = settings.systemTitle;
    const refuse = (code: number): Uint8Array =>
      encodeAcse({ kind: 'aare', applicationContext: context, result: 1, diagnostic: { source: user, code } });
    if (!client) return refuse(1);
    if (aarq.applicationContext !== context) return refuse(2);
    const asked = aarq.mechanism ?? 0;
    if (asked !== mechanism[client.mechanism]) {
      return refuse(asked === 0 ? 14 : asked > mechanism.lls ? 11 : 13);
    }
    const given = aarq.authenticationValue ?? new Uint8Array(0);
    if (client.mechanism === 'lls' && Buffer.compare(given, client.secret?.reveal() ?? new Uint8Array(0)) !== 0)
      return refuse(13);
    const hls = client.mechanism !== 'none' && client.mechanism !== 'lls';
    if (hls && (given.length < 8 || given.length > 64)) return refuse(13);

    let ciphering: Ciphering | undefined;
    let initiate: Apdu | undefined;
    try {
      initiate = decodeApdu(aarq.userInformation ?? new Uint8Array(0)).apdu;
      if (client.ciphering) {
        if (aarq.callingApTitle?.length !== 8 || !title) return refuse(3);
        ciphering = new Ciphering({ ...client.ciphering, ownTitle: title });
        ciphering.peerTitle = aarq.callingApTitle;
        ciphering.startAfter(this.heard.get(sap) ?? -1);
        if (!Ciphering.isCiphered(initiate)) return refuse(1);
        initiate = decodeApdu(ciphering.unwrap(initiate)).apdu;
        this.heard.set(sap, ciphering.heardGlobal);
      }
    } catch {
      return refuse(1);
    }
    if (initiate.kind !== 'initiate-request') return refuse(1);
    const answer = (apdu: Apdu, result: number, code: number, challenge?: Uint8Array): Uint8Array =>
      encodeAcse({
        kind: 'aare',
        applicationContext: context,
        result,
        diagnostic: { source: user, code },
        ...(title && { respondingApTitle: title }),
        ...(challenge && { authentication: true, mechanism: asked, authenticationValue: challenge }),
        userInformation: ciphering ? ciphering.wrapInitiate(encodeApdu(apdu)) : encodeApdu(apdu),
      });
    if (initiate.version < 6) return answer({ kind: 'confirmed-service-error', service: 1, error: 6, value: 1 }, 1, 1);
    if (initiate.maxPdu !== 0 && initiate.maxPdu < 12) {
      return answer({ kind: 'confirmed-service-error', service: 1, error: 6, value: 3 }, 1, 1);
    }
    this.client = client;
    this.ciphering = ciphering;
    this.heardAtAssociation = ciphering?.heardGlobal ?? -1;
    if (ciphering && initiate.dedicatedKey) ciphering.dedicated = new Secret(initiate.dedicatedKey);
    this.objects = client.objects ? settings.objects.filter(client.objects) : settings.objects;
    this.negotiated = initiate.conformance & settings.conformance;
    this.clientMaxPdu = initiate.maxPdu === 0 ? 0xffff : initiate.maxPdu;
    const challenge = hls ? settings.challenge?.() : undefined;
    if (hls) {
      this.awaited = {
        secret: client.secret,
        ownTitle: title ?? new Uint8Array(0),
        peerTitle: aarq.callingApTitle ?? new Uint8Array(0),
        peerChallenge: given,
        ownChallenge: challenge ?? new Uint8Array(0),
        keys: client.ciphering?.keys,
        suite: client.signing?.suite ?? client.ciphering?.suite ?? 0,
        signing: client.signing?.keys,
      };
    }
    const { negotiated } = this;
    const response: Apdu = {
      kind: 'initiate-response',
      version: 6,
      conformance: negotiated,
      maxPdu: settings.maxPdu,
      vaaName: settings.shortNames ? associationBaseName : 7,
    };
    return answer(response, 0, hls ? 14 : 0, challenge);
  }

  private serve(apdu: Apdu): Apdu {
    const { settings } = this;
    switch (apdu.kind) {
      case 'get-request-normal':
        return this.getOne(apdu);
      case 'get-request-with-list': {
        this.long = undefined;
        if (!has(this.negotiated, 'multiple-references')) break;
        if (apdu.attributes.length > (settings.mischief?.listLimit ?? 255)) break;
        const results = apdu.attributes.map(({ selection, ...attribute }) => this.get(attribute, selection));
        const response: Apdu = { kind: 'get-response-with-list', invokeId: apdu.invokeId, results };
        if (this.fits(response)) return response;
        return this.startLong('get', apdu.invokeId, encode(getResults, results));
      }
      case 'get-request-next':
        return this.next('get', apdu.invokeId, apdu.number);
      case 'set-request-normal':
        this.long = undefined;
        return { kind: 'set-response-normal', invokeId: apdu.invokeId, result: this.set(apdu.attribute, apdu.value) };
      case 'set-request-with-list': {
        this.long = undefined;
        if (!has(this.negotiated, 'multiple-references') || apdu.attributes.length !== apdu.values.length) break;
        const results = apdu.attributes.map((attribute, i) => this.set(attribute, apdu.values[i] as Data));
        return { kind: 'set-response-with-list', invokeId: apdu.invokeId, results };
      }
      case 'action-request-normal':
        this.long = undefined;
        return this.acted(apdu.invokeId, this.act(apdu.method, apdu.parameters));
      case 'action-request-with-list': {
        this.long = undefined;
        if (!has(this.negotiated, 'multiple-references') || apdu.methods.length !== apdu.parameters.length) break;
        const responses = apdu.methods.map((method, i) => this.act(method, apdu.parameters[i]));
        const response: Apdu = { kind: 'action-response-with-list', invokeId: apdu.invokeId, responses };
        if (this.fits(response)) return response;
        return this.startLong('action', apdu.invokeId, encode(actionResults, responses));
      }
      case 'action-request-next-pblock':
        return this.next('action', apdu.invokeId, apdu.number);
      case 'access-request':
        if (!has(this.negotiated, 'access') || apdu.specifications.length !== apdu.data.length) break;
        return this.access(apdu);
      case 'read-request':
        if (!has(this.negotiated, 'read')) break;
        return this.read(apdu);
      case 'write-request':
        if (!has(this.negotiated, 'write') || apdu.variables.length !== apdu.values.length) break;
        return {
          kind: 'write-response',
          results: apdu.variables.map((one, i) => this.write(one, apdu.values[i] as Data)),
        };
      case 'set-request-with-first-datablock':
        this.incoming = { what: { attribute: apdu.attribute }, parts: [], octets: 0, number: 0 };
        return this.take(apdu.invokeId, apdu.block);
      case 'action-request-with-first-pblock':
        this.incoming = { what: { method: apdu.method }, parts: [], octets: 0, number: 0 };
        return this.take(apdu.invokeId, apdu.block);
      case 'set-request-with-datablock':
      case 'action-request-with-pblock':
        return this.take(apdu.invokeId, apdu.block);
      default:
        break;
    }
    // A service that this association did not negotiate.
    return { kind: 'exception-response', stateError: 1, serviceError: 2 };
  }

  /** One block of a long value; the last one does what was asked. */
  private take(
    invokeId: number,
    block: { readonly last: boolean; readonly number: number; readonly raw: Uint8Array },
  ): Apdu {
    const { incoming } = this;
    if (!incoming) return { kind: 'exception-response', stateError: 1, serviceError: 2 };
    const { what } = incoming;
    const stop = (result: number): Apdu => {
      this.incoming = undefined;
      return 'attribute' in what
        ? { kind: 'set-response-last-datablock', invokeId, result, number: block.number }
        : { kind: 'action-response-normal', invokeId, response: { result } };
    };
    incoming.octets += block.raw.length;
    if (this.settings.mischief?.abortsSet === true && 'attribute' in what) return stop(17);
    if (block.number !== incoming.number + 1) return stop(19);
    if (incoming.octets > incomingLimit) return stop(accessResult['other-reason']);
    incoming.number = block.number;
    incoming.parts.push(block.raw);
    if (!block.last) {
      return 'attribute' in what
        ? { kind: 'set-response-datablock', invokeId, number: block.number }
        : { kind: 'action-response-next-pblock', invokeId, number: block.number };
    }
    let value: Data;
    try {
      value = decode(dataCodec, concat(incoming.parts));
    } catch {
      return stop(accessResult['type-unmatched']);
    }
    this.incoming = undefined;
    if ('attribute' in what) return stop(this.set(what.attribute, value));
    return this.acted(invokeId, this.act(what.method, value));
  }

  /** The result of one method, in blocks where it is too long. */
  private acted(invokeId: number, response: ActionResult): Apdu {
    const whole: Apdu = { kind: 'action-response-normal', invokeId, response };
    if (this.fits(whole) || !has(this.negotiated, 'block-transfer-with-action')) return whole;
    return this.startLong('action', invokeId, encode(actionResults, [response]));
  }

  private access(apdu: ApduOf<'access-request'>): Apdu {
    const data: Data[] = [];
    const results: ApduOf<'access-response'>['results'] = [];
    apdu.specifications.forEach((specification, i) => {
      const given = apdu.data[i] as Data;
      const got = (result: GetResult, kind: 'get' | 'action', code: number) => {
        data.push('data' in result ? result.data : nullData);
        results.push({ kind, value: 'data' in result ? code : result.refused });
      };
      switch (specification.kind) {
        case 'get':
          return got(this.get(specification.value, undefined), 'get', 0);
        case 'get-with-selection':
          return got(this.get(specification.value.attribute, specification.value.selection), 'get', 0);
        case 'set':
        case 'set-with-selection': {
          const attribute = specification.kind === 'set' ? specification.value : specification.value.attribute;
          data.push(nullData);
          results.push({ kind: 'set', value: this.set(attribute, given) });
          return;
        }
        case 'action': {
          const { result, returned } = this.act(specification.value, given);
          return got(returned ?? { data: nullData }, 'action', result);
        }
      }
    });
    return { kind: 'access-response', longInvokeId: apdu.longInvokeId, dateTime: new Uint8Array(0), data, results };
  }

  /** The object and its member that a short name stands for. */
  private named(name: number): { object: ServerObject; attribute?: number; method?: number } | undefined {
    for (const object of this.objects) {
      const base = this.settings.shortNames?.get(object.logicalName);
      if (base === undefined || name < base || name >= base + 0x100) continue;
      const member = memberOf(
        name - base,
        object.classId,
        object.attributes.map(({ id }) => id),
      );
      if (member) return { object, ...member };
    }
    return undefined;
  }

  private read(apdu: ApduOf<'read-request'>): Apdu {
    const [first] = apdu.variables;
    if (first?.kind === 'block-number-access') return this.next('read', 0, first.value);
    this.long = undefined;
    const results = apdu.variables.map((one): ReadResult => {
      const name = one.kind === 'variable-name' ? one.value : one.kind === 'parameterized-access' ? one.value.name : -1;
      const found = this.named(name);
      if (!found || found.attribute === undefined) return { kind: 'refused', value: accessResult['object-undefined'] };
      const { classId, logicalName } = found.object;
      const selection =
        one.kind === 'parameterized-access'
          ? { selector: one.value.selector, parameters: one.value.parameter }
          : undefined;
      const result = this.get({ classId, logicalName, attribute: found.attribute }, selection);
      return 'data' in result ? { kind: 'data', value: result.data } : { kind: 'refused', value: result.refused };
    });
    const response: Apdu = { kind: 'read-response', results };
    return this.fits(response) ? response : this.startLong('read', 0, encode(readResults, results));
  }

  private write(one: Variable, value: Data): ApduOf<'write-response'>['results'][number] {
    const found = one.kind === 'variable-name' ? this.named(one.value) : undefined;
    if (!found) return { kind: 'refused', value: accessResult['object-undefined'] };
    const { classId, logicalName } = found.object;
    const result =
      found.method === undefined
        ? this.set({ classId, logicalName, attribute: found.attribute as number }, value)
        : this.act({ classId, logicalName, method: found.method }, value).result;
    return result === 0 ? { kind: 'success', value: null } : { kind: 'refused', value: result };
  }

  private set({ classId, logicalName, attribute }: AttributeOf, value: Data): number {
    const { object, refused } = this.find(classId, logicalName);
    if (!object) return refused as number;
    return object.attributes.find(({ id }) => id === attribute)?.set?.(value) ?? accessResult['read-write-denied'];
  }

  private act({ classId, logicalName, method }: MethodOf, parameters: Data | undefined): ActionResult {
    const { object, refused } = this.find(classId, logicalName);
    if (!object) return { result: refused as number };
    const found = object.methods?.find(({ id }) => id === method);
    return found ? found.act(parameters) : { result: accessResult['read-write-denied'] };
  }

  private find(classId: number, logicalName: string): { object?: ServerObject; refused?: number } {
    const named = this.objects.filter((object) => object.logicalName === logicalName);
    if (named.length === 0) return { refused: accessResult['object-undefined'] };
    const object = named.find((candidate) => candidate.classId === classId);
    return object ? { object } : { refused: accessResult['object-class-inconsistent'] };
  }

  private get(
    { classId, logicalName, attribute }: { classId: number; logicalName: string; attribute: number },
    selection: Selection | undefined,
  ): GetResult {
    const { object, refused } = this.find(classId, logicalName);
    if (!object) return { refused: refused as number };
    if (attribute === 1) {
      return { data: { type: 'octet-string', value: Uint8Array.from(logicalName.split('.').map(Number)) } };
    }
    if (classId === 15 && attribute === 2) return { data: objectListData(this.objects) };
    if (classId === 12 && attribute === 2) return { data: this.shortNameList() };
    const found = object.attributes.find(({ id }) => id === attribute);
    if (!found?.get || (found.access & 1) === 0) return { refused: accessResult['read-write-denied'] };
    const selective = has(this.negotiated, this.settings.shortNames ? 'parameterized-access' : 'selective-access');
    if (selection && (!selective || !found.selectors?.includes(selection.selector))) {
      return { refused: accessResult['scope-of-access-violated'] };
    }
    const value = found.get(selection);
    return 'refused' in value ? value : { data: value };
  }

  private shortNameList(): Data {
    const value = this.objects.flatMap((object): Data[] => {
      const base = this.settings.shortNames?.get(object.logicalName);
      if (base === undefined) return [];
      return [
        structure(
          { type: 'long', value: (base << 16) >> 16 },
          { type: 'long-unsigned', value: object.classId },
          { type: 'unsigned', value: object.version },
          nameData(object.logicalName),
        ),
      ];
    });
    return { type: 'array', value };
  }

  /** General blocks carry any length. */
  private fits(apdu: Apdu): boolean {
    return has(this.negotiated, 'general-block-transfer') || encodeApdu(apdu).length <= this.room;
  }
  /** Octets of an APDU before protection that the client takes. */
  private get room(): number {
    return Math.max(16, this.clientMaxPdu - (this.ciphering?.overhead ?? 0));
  }

  private getOne(apdu: ApduOf<'get-request-normal'>): Apdu {
    this.long = undefined;
    const result = this.get(apdu.attribute, apdu.selection);
    const response: Apdu = { kind: 'get-response-normal', invokeId: apdu.invokeId, result };
    const { classId, attribute } = apdu.attribute;
    const odd = 'data' in result ? this.settings.mischief?.value?.(classId, attribute, result.data) : undefined;
    if (odd) return this.startLong('get', apdu.invokeId, odd);
    if ('refused' in result || this.fits(response)) return response;
    return this.startLong('get', apdu.invokeId, encode(dataCodec, result.data));
  }

  private startLong(kind: LongGet['kind'], invokeId: number, octets: Uint8Array): Apdu {
    if (kind === 'get' && !has(this.negotiated, 'block-transfer-with-get-or-read')) {
      return { kind: 'get-response-normal', invokeId, result: { refused: accessResult['other-reason'] } };
    }
    const { firstBlock } = this.settings.mischief ?? {};
    const number = firstBlock === 'zero' ? -1 : firstBlock === 'goes-on' ? this.blockCounter : 0;
    this.long = { kind, invokeId, octets, sent: 0, number, empty: false };
    return this.nextBlock(kind, invokeId);
  }

  private next(kind: LongGet['kind'], invokeId: number, number: number): Apdu {
    const { long } = this;
    if (long && long.kind === kind && number === long.number) return this.nextBlock(kind, invokeId);
    const refused = long ? 19 : 16;
    this.long = undefined;
    switch (kind) {
      case 'get':
        return { kind: 'get-response-with-datablock', invokeId, last: true, number, result: { refused } };
      case 'action':
        return { kind: 'action-response-normal', invokeId, response: { result: refused } };
      case 'read':
        return { kind: 'read-response', results: [{ kind: 'refused', value: refused }] };
    }
  }

  private nextBlock(kind: LongGet['kind'], invokeId: number): Apdu {
    const long = this.long as LongGet;
    // Tag, choice, invoke-id, last, number, result choice and a length of three octets stand before the raw data.
    const size = Math.max(1, this.room - 12);
    const { emptyBlock } = this.settings.mischief ?? {};
    const emptyNow = emptyBlock === 'middle' && long.sent > 0 && !long.empty;
    if (emptyNow) long.empty = true;
    const raw = long.octets.subarray(long.sent, emptyNow ? long.sent : long.sent + size);
    long.sent += raw.length;
    long.number += 1;
    const { number } = long;
    this.blockCounter = number;
    const last = long.sent >= long.octets.length && (emptyBlock !== 'last' || raw.length === 0);
    if (last) this.long = undefined;
    switch (kind) {
      case 'get':
        return { kind: 'get-response-with-datablock', invokeId, last, number, result: { raw } };
      case 'action':
        return { kind: 'action-response-with-pblock', invokeId, block: { last, number, raw } };
      case 'read':
        return { kind: 'read-response', results: [{ kind: 'data-block', value: { last, number, raw } }] };
    }
  }
}
