/** The application association, server side: what a meter does. Every APDU gets a well-formed answer or none at all. */
import { decode } from '../../base/codec.ts';
import { concat, Writer } from '../../base/cursor.ts';
import { Failure } from '../../base/errors.ts';
import { Secret } from '../../base/secret.ts';
import { type AcseApdu, applicationContext, decodeAcse, encodeAcse, isAcse, mechanism } from '../acse/apdu.ts';
import { type Data, dataCodec, writeData } from '../axdr/data.ts';
import { accessResult, objectListData, type ServerObject } from '../cosem/server-object.ts';
import {
  type Apdu,
  type ApduOf,
  decodeApdu,
  encodeApdu,
  type GetResult,
  getResults,
  type Selection,
} from '../xdlms/apdu.ts';
import { type HlsMechanism, type HlsParty, hlsProof, hlsVerify } from '../security/hls.ts';
import { type Conformance, conformance, has } from '../xdlms/conformance.ts';
import { Ciphering, type CipheringSettings } from './ciphering.ts';

export interface ServerClient {
  readonly mechanism: 'none' | 'lls' | HlsMechanism;
  readonly secret?: Secret;
  /** This client must use a ciphered context. */
  readonly ciphering?: Omit<CipheringSettings, 'ownTitle' | 'dedicated'>;
  /** Which objects this client sees; default all. */
  readonly objects?: (object: ServerObject) => boolean;
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
  readonly invokeId: number;
  readonly octets: Uint8Array;
  sent: number;
  number: number;
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

  constructor(settings: ServerSettings) {
    this.settings = settings;
    this.heard = settings.heard ?? new Map<number, number>();
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
  }

  /** The answer to one APDU from this client SAP; undefined where the protocol answers nothing. */
  answer(octets: Uint8Array, sap: number): Uint8Array | undefined {
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
    if (!hlsVerify(chosen, proof, party)) {
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

  private associate(aarq: AcseApdu & { kind: 'aarq' }, sap: number): Uint8Array {
    this.reset();
    const { settings } = this;
    const client = settings.clients.get(sap);
    const context = applicationContext[client?.ciphering ? 'logical-name-ciphered' : 'logical-name'];
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
        suite: client.ciphering?.suite ?? 0,
      };
    }
    const { negotiated } = this;
    const response: Apdu = {
      kind: 'initiate-response',
      version: 6,
      conformance: negotiated,
      maxPdu: settings.maxPdu,
      vaaName: 7,
    };
    return answer(response, 0, hls ? 14 : 0, challenge);
  }

  private serve(apdu: Apdu): Apdu {
    switch (apdu.kind) {
      case 'get-request-normal':
        return this.getOne(apdu);
      case 'get-request-with-list': {
        this.long = undefined;
        if (!has(this.negotiated, 'multiple-references')) break;
        const results = apdu.attributes.map(({ selection, ...attribute }) => this.get(attribute, selection));
        const response: Apdu = { kind: 'get-response-with-list', invokeId: apdu.invokeId, results };
        if (this.fits(response)) return response;
        const w = new Writer();
        getResults.write(w, results);
        return this.startLong(apdu.invokeId, w.octets());
      }
      case 'get-request-next':
        return this.next(apdu);
      case 'set-request-normal':
        this.long = undefined;
        return { kind: 'set-response-normal', invokeId: apdu.invokeId, result: this.set(apdu.attribute, apdu.value) };
      case 'action-request-normal':
        this.long = undefined;
        return {
          kind: 'action-response-normal',
          invokeId: apdu.invokeId,
          response: this.act(apdu.method, apdu.parameters),
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
    return { kind: 'action-response-normal', invokeId, response: this.act(what.method, value) };
  }

  private set({ classId, logicalName, attribute }: AttributeOf, value: Data): number {
    const { object, refused } = this.find(classId, logicalName);
    if (!object) return refused as number;
    return object.attributes.find(({ id }) => id === attribute)?.set?.(value) ?? accessResult['read-write-denied'];
  }

  private act(
    { classId, logicalName, method }: MethodOf,
    parameters: Data | undefined,
  ): { result: number; returned?: GetResult } {
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
    const found = object.attributes.find(({ id }) => id === attribute);
    if (!found?.get || (found.access & 1) === 0) return { refused: accessResult['read-write-denied'] };
    if (selection && (!has(this.negotiated, 'selective-access') || !found.selectors?.includes(selection.selector))) {
      return { refused: accessResult['scope-of-access-violated'] };
    }
    const value = found.get(selection);
    return 'refused' in value ? value : { data: value };
  }

  private fits(apdu: Apdu): boolean {
    return encodeApdu(apdu).length <= this.clientMaxPdu;
  }

  private getOne(apdu: ApduOf<'get-request-normal'>): Apdu {
    this.long = undefined;
    const result = this.get(apdu.attribute, apdu.selection);
    const response: Apdu = { kind: 'get-response-normal', invokeId: apdu.invokeId, result };
    if ('refused' in result || this.fits(response)) return response;
    const w = new Writer(4096);
    writeData(w, result.data);
    return this.startLong(apdu.invokeId, w.octets());
  }

  private startLong(invokeId: number, octets: Uint8Array): Apdu {
    if (!has(this.negotiated, 'block-transfer-with-get-or-read')) {
      return { kind: 'get-response-normal', invokeId, result: { refused: accessResult['other-reason'] } };
    }
    this.long = { invokeId, octets, sent: 0, number: 0 };
    return this.nextBlock(invokeId);
  }

  private next(apdu: ApduOf<'get-request-next'>): Apdu {
    const { long } = this;
    if (!long || apdu.number !== long.number) {
      const refused = long ? 19 : 16;
      this.long = undefined;
      return {
        kind: 'get-response-with-datablock',
        invokeId: apdu.invokeId,
        last: true,
        number: apdu.number,
        result: { refused },
      };
    }
    return this.nextBlock(apdu.invokeId);
  }

  private nextBlock(invokeId: number): Apdu {
    const long = this.long as LongGet;
    // Tag, choice, invoke-id, last, number, result choice and a length of three octets stand before the raw data.
    const size = Math.max(1, this.clientMaxPdu - 12);
    const raw = long.octets.subarray(long.sent, long.sent + size);
    long.sent += raw.length;
    long.number += 1;
    const last = long.sent >= long.octets.length;
    if (last) this.long = undefined;
    return { kind: 'get-response-with-datablock', invokeId, last, number: long.number, result: { raw } };
  }
}
