/** The application association, server side: what a meter does. Every APDU gets a well-formed answer or none at all. */
import { Writer } from '../../base/cursor.ts';
import { type AcseApdu, applicationContext, decodeAcse, encodeAcse, isAcse, mechanism } from '../acse/apdu.ts';
import { writeData } from '../axdr/data.ts';
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
import { type Conformance, conformance, has } from '../xdlms/conformance.ts';

export interface ServerClient {
  readonly mechanism: 'none' | 'lls';
  readonly secret?: Uint8Array;
  /** Which objects this client sees; default all. */
  readonly objects?: (object: ServerObject) => boolean;
}
export interface ServerSettings {
  /** Client SAPs that may associate. */
  readonly clients: ReadonlyMap<number, ServerClient>;
  readonly objects: readonly ServerObject[];
  readonly conformance: Conformance;
  readonly maxPdu: number;
}
export const serverConformance: Conformance = conformance(
  'block-transfer-with-get-or-read',
  'multiple-references',
  'get',
  'set',
  'selective-access',
  'action',
);

interface LongGet {
  readonly invokeId: number;
  readonly octets: Uint8Array;
  sent: number;
  number: number;
}
const refusedAssociation = { user: 'acse-service-user', permanent: 1 } as const;

export class ServerAssociation {
  private readonly settings: ServerSettings;
  private client: ServerClient | undefined;
  private negotiated: Conformance = 0;
  private clientMaxPdu = 0xffff;
  private long: LongGet | undefined;
  private objects: readonly ServerObject[] = [];

  constructor(settings: ServerSettings) {
    this.settings = settings;
  }
  get associated(): boolean {
    return this.client !== undefined;
  }
  reset(): void {
    this.client = undefined;
    this.long = undefined;
  }

  /** The answer to one APDU from this client SAP; undefined where the protocol answers nothing. */
  answer(octets: Uint8Array, sap: number): Uint8Array | undefined {
    let apdu: Apdu | AcseApdu;
    try {
      apdu = isAcse(octets[0] ?? 0) ? decodeAcse(octets) : decodeApdu(octets).apdu;
    } catch {
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
        return encodeApdu(this.serve(apdu));
    }
  }

  private associate(aarq: AcseApdu & { kind: 'aarq' }, sap: number): Uint8Array {
    this.reset();
    const context = applicationContext['logical-name'];
    const refuse = (code: number, result: number = refusedAssociation.permanent): Uint8Array =>
      encodeAcse({
        kind: 'aare',
        applicationContext: context,
        result,
        diagnostic: { source: refusedAssociation.user, code },
      });
    if (aarq.applicationContext !== context) return refuse(2);
    const client = this.settings.clients.get(sap);
    if (!client) return refuse(1);
    const asked = aarq.mechanism ?? 0;
    if (asked !== mechanism[client.mechanism]) {
      return refuse(asked === 0 ? 14 : asked > mechanism.lls ? 11 : 13);
    }
    if (client.mechanism === 'lls') {
      const given = aarq.authenticationValue ?? new Uint8Array(0);
      if (Buffer.compare(given, client.secret ?? new Uint8Array(0)) !== 0) return refuse(13);
    }
    let initiate: Apdu | undefined;
    try {
      initiate = decodeApdu(aarq.userInformation ?? new Uint8Array(0)).apdu;
    } catch {
      return refuse(1);
    }
    if (initiate.kind !== 'initiate-request') return refuse(1);
    const accepted = { kind: 'aare', applicationContext: context } as const;
    const user = (apdu: Apdu, result: number): Uint8Array =>
      encodeAcse({
        ...accepted,
        result,
        diagnostic: { source: refusedAssociation.user, code: result === 0 ? 0 : 1 },
        userInformation: encodeApdu(apdu),
      });
    if (initiate.version < 6) return user({ kind: 'confirmed-service-error', service: 1, error: 6, value: 1 }, 1);
    if (initiate.maxPdu !== 0 && initiate.maxPdu < 12) {
      return user({ kind: 'confirmed-service-error', service: 1, error: 6, value: 3 }, 1);
    }
    this.client = client;
    this.objects = client.objects ? this.settings.objects.filter(client.objects) : this.settings.objects;
    this.negotiated = initiate.conformance & this.settings.conformance;
    this.clientMaxPdu = initiate.maxPdu === 0 ? 0xffff : initiate.maxPdu;
    return user(
      {
        kind: 'initiate-response',
        version: 6,
        conformance: this.negotiated,
        maxPdu: this.settings.maxPdu,
        vaaName: 7,
      },
      0,
    );
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
      case 'set-request-normal': {
        this.long = undefined;
        const { classId, logicalName, attribute } = apdu.attribute;
        const { object, refused } = this.find(classId, logicalName);
        const found = object?.attributes.find(({ id }) => id === attribute);
        const result = !object
          ? (refused as number)
          : found?.set
            ? found.set(apdu.value)
            : accessResult['read-write-denied'];
        return { kind: 'set-response-normal', invokeId: apdu.invokeId, result };
      }
      case 'action-request-normal': {
        this.long = undefined;
        const { classId, logicalName, method } = apdu.method;
        const { object, refused } = this.find(classId, logicalName);
        const found = object?.methods?.find(({ id }) => id === method);
        const response = !object
          ? { result: refused as number }
          : found
            ? found.act(apdu.parameters)
            : { result: accessResult['read-write-denied'] };
        return { kind: 'action-response-normal', invokeId: apdu.invokeId, response };
      }
      default:
        break;
    }
    // A service that this association did not negotiate.
    return { kind: 'exception-response', stateError: 1, serviceError: 2 };
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
