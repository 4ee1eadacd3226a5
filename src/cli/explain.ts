/** Explains a recorded exchange frame by frame and gathers the profile rows in it. Shared by `decode` and its tests. */
import { concat } from '../base/cursor.ts';
import { CodecError, Failure, messageOf } from '../base/errors.ts';
import { toHex } from '../base/hex.ts';
import { Secret } from '../base/secret.ts';
import { type AcseApdu, applicationContext, decodeAcse, isAcse, mechanism, userDiagnostic } from '../dlms/acse/apdu.ts';
import { type Data, dataCodec } from '../dlms/axdr/data.ts';
import { dataJson } from '../dlms/axdr/print.ts';
import { decode, encode } from '../base/codec.ts';
import { refusalName } from '../dlms/association/client.ts';
import { dataWords } from '../dlms/cosem/value-names.ts';
import { describeError } from '../dlms/association/exchange.ts';
import { attributeName, className, scalerUnitAttribute } from '../dlms/cosem/class-table.ts';
import { type LogicalName, obis } from '../dlms/cosem/logical-name.ts';
import { type CaptureObject, captureObjectsOf, clockColumn } from '../dlms/cosem/profile-generic.ts';
import { holdsSecret } from '../dlms/cosem/secrets.ts';
import { Deframer } from '../dlms/hdlc/deframer.ts';
import { addressText, type Frame, parseParameters } from '../dlms/hdlc/frame.ts';
import { stripParity } from '../dlms/iec62056-21/parity.ts';
import { type HlsMechanism, hlsVerify } from '../dlms/security/hls.ts';
import { type ProtectionKeys, securityControl, unprotect } from '../dlms/security/protection.ts';
import { Unwrapper, type WrapperFrame } from '../dlms/wrapper/wrapper.ts';
import { type Apdu, type Attribute, decodeApdu, type GetResult, getResults } from '../dlms/xdlms/apdu.ts';
import { conformanceNames } from '../dlms/xdlms/conformance.ts';
import { statusOf } from '../meter/profile-layout.ts';
import { rowReading } from '../meter/stamp-reading.ts';
import { genericModel, type MeterModel } from '../meter/model.ts';
import { capturePeriodMsOf, type LoadProfileRow, type ScalerUnit, scalerUnitOf } from '../reading/load-profile-row.ts';
import { ProfileReader } from '../reading/profile-reader.ts';
import type { Recorded, RecordedLine } from '../base/exchange-file.ts';
import { objectWords } from './object-words.ts';
import { withheld, withholding } from './withhold.ts';

export interface Explained {
  readonly line: number;
  readonly time: string;
  readonly direction: RecordedLine['direction'];
  /** One line for the frame, one for each APDU or value in it. */
  readonly text: readonly string[];
  readonly apdu?: Apdu | AcseApdu;
}
export interface Explanation {
  readonly frames: readonly Explained[];
  readonly rows: readonly LoadProfileRow[];
  /** What could not be read: a message with line and offset each. */
  readonly problems: readonly string[];
}

interface Side {
  hdlc: Deframer;
  wrapper: Unwrapper;
  kind: 'hdlc' | 'wrapper' | undefined;
  parts: Map<string, Uint8Array[]>;
}
interface Asked {
  readonly attributes: readonly Attribute[];
  blocks: Uint8Array[];
}

function frameText(frame: Frame): string {
  const { control } = frame;
  const numbers = control.kind === 'I' ? ` S${control.ns} R${control.nr}` : 'nr' in control ? ` R${control.nr}` : '';
  const route = `${addressText(frame.source)} → ${addressText(frame.destination)}`;
  const flags = `${control.pollFinal ? ' P/F' : ''}${frame.segmented ? ' segmented' : ''}`;
  let note = frame.information.length > 0 ? ` ${frame.information.length} octets` : '';
  if ((control.kind === 'SNRM' || control.kind === 'UA') && frame.information.length > 0) {
    const p = parseParameters(frame.information);
    note = ` max info ${p.maxInfoTransmit}/${p.maxInfoReceive}, window ${p.windowTransmit}/${p.windowReceive}`;
  }
  return `HDLC ${control.kind}${numbers}${flags} ${route}${note}`;
}

const short = (text: string): string => (text.length > 160 ? `${text.slice(0, 157)}...` : text);
const attributeText = (a: Attribute): string =>
  `${obis(a.logicalName)} ${className(a.classId)}.${attributeName(a.classId, a.attribute)}`;
/** A value for people, by what is known of the attribute that it is of. */
type Words = (data: Data, of?: Attribute) => string;
const resultText = (result: GetResult, words: Words, of?: Attribute): string =>
  'data' in result ? short(words(result.data, of)) : `refused: ${refusalName(result.refused)}`;
const nameOf = (names: Readonly<Record<string, number>>, value: number): string =>
  Object.entries(names).find(([, number]) => number === value)?.[0] ?? `unknown: ${value}`;
/** Security control (Green Book 9.2.7.2.4.1): the suite, and what was done with the text. */
function controlWords(control: number): string {
  const done = ['authenticated', 'encrypted', 'broadcast key', 'compressed'].filter(
    (_, i) => (control & (0x10 << i)) !== 0,
  );
  return [`suite ${control & 0x0f}`, ...(done.length > 0 ? done : ['neither encrypted nor authenticated'])].join(', ');
}
/** Release-request-reason and release-response-reason (Green Book 9.4.2.1). */
const releaseReasons: Readonly<Record<number, string>> = {
  0: 'normal',
  1: 'urgent or not finished',
  30: 'user defined',
};

function acseText(apdu: AcseApdu): string {
  let user = '';
  if ('userInformation' in apdu && apdu.userInformation) {
    try {
      user = `; ${apduText(decodeApdu(apdu.userInformation).apdu)}`;
    } catch {
      // Not in hex: a key may be in it.
      user = `; user-information, unreadable, ${apdu.userInformation.length} octets`;
    }
  }
  switch (apdu.kind) {
    case 'aarq':
      return `AARQ context ${nameOf(applicationContext, apdu.applicationContext)}, mechanism ${nameOf(mechanism, apdu.mechanism ?? 0)}${user}`;
    case 'aare': {
      const { source, code } = apdu.diagnostic ?? { source: 'acse-service-user', code: 0 };
      const why = source === 'acse-service-user' ? (userDiagnostic[code] ?? String(code)) : `provider ${code}`;
      return `AARE ${apdu.result === 0 ? 'accepted' : 'refused'}${code === 0 ? '' : `: ${why} (${code})`}${user}`;
    }
    default:
      return `${apdu.kind.toUpperCase()}${apdu.reason === undefined ? '' : ` reason ${releaseReasons[apdu.reason] ?? `unknown: ${apdu.reason}`}`}${user}`;
  }
}

/** `asked`: the attributes that an answer is about. */
function apduText(apdu: Apdu, asked: readonly Attribute[] = [], words: Words = dataWords): string {
  const id = 'invokeId' in apdu ? ` #${apdu.invokeId & 0x0f}` : '';
  switch (apdu.kind) {
    case 'initiate-request':
    case 'initiate-response':
      return `${apdu.kind} version ${apdu.version}, max PDU ${apdu.maxPdu}, ${conformanceNames(apdu.conformance).join(' ')}`;
    case 'get-request-normal':
    case 'set-request-normal': {
      const selection = apdu.selection
        ? ` by ${apdu.selection.selector === 1 ? 'range' : apdu.selection.selector === 2 ? 'entry' : `selector ${apdu.selection.selector}`}`
        : '';
      const value = 'value' in apdu ? ` = ${short(words(apdu.value, apdu.attribute))}` : '';
      return `${apdu.kind}${id} ${attributeText(apdu.attribute)}${selection}${value}`;
    }
    case 'get-request-with-list':
      return `${apdu.kind}${id} ${apdu.attributes.map(attributeText).join('; ')}`;
    case 'get-request-next':
      return `${apdu.kind}${id} block ${apdu.number}`;
    case 'get-response-normal':
      return `${apdu.kind}${id} ${resultText(apdu.result, words, asked[0])}`;
    case 'get-response-with-list':
      return `${apdu.kind}${id} ${apdu.results.map((result, i) => resultText(result, words, asked[i])).join('; ')}`;
    case 'get-response-with-datablock': {
      const content =
        'raw' in apdu.result ? `${apdu.result.raw.length} octets` : `refused: ${refusalName(apdu.result.refused)}`;
      return `${apdu.kind}${id} block ${apdu.number}${apdu.last ? ' last' : ''}, ${content}`;
    }
    case 'set-response-normal':
      return `${apdu.kind}${id} ${refusalName(apdu.result)}`;
    case 'action-request-normal':
      return `${apdu.kind}${id} ${obis(apdu.method.logicalName)} ${className(apdu.method.classId)} method ${apdu.method.method}`;
    case 'action-response-normal':
      return `${apdu.kind}${id} ${refusalName(apdu.response.result, true)}`;
    case 'exception-response':
    case 'confirmed-service-error':
      return describeError(apdu);
    default:
      if ('content' in apdu) {
        const title = 'systemTitle' in apdu ? `, system title ${toHex(apdu.systemTitle)}` : '';
        return `${apdu.kind}${title}, ciphered, ${apdu.content.length} octets`;
      }
      return `${apdu.kind}${id}`;
  }
}

/** Columns of rows whose capture objects are not in the recording: the stamp, a status octet, the rest by position. */
function guessColumns(row: Data): CaptureObject[] | undefined {
  if (row.type !== 'structure') return undefined;
  const [first] = row.value;
  if (first?.type !== 'octet-string' || first.value.length !== 12) return undefined;
  return row.value.map((cell, i): CaptureObject => {
    if (i === 0) return clockColumn;
    if (i === 1 && cell.type === 'unsigned')
      return { classId: 1, logicalName: '0.0.96.10.1.255', attribute: 2, dataIndex: 0 };
    return { classId: 3, logicalName: `255.255.255.255.255.${i}`, attribute: 2, dataIndex: 0 };
  });
}

/** What deciphering takes; every part may be missing. */
export interface DecodeKeys {
  readonly encryption?: Secret;
  readonly authentication?: Secret;
  /** Password of HLS by MD5, SHA-1, SHA-256 and of the recorded manufacturer's mechanism. */
  readonly secret?: Secret;
}
interface SessionSecurity {
  clientTitle: Uint8Array;
  serverTitle: Uint8Array;
  mechanism: HlsMechanism | undefined;
  clientChallenge: Uint8Array;
  serverChallenge: Uint8Array;
  proofAwaited: boolean;
}
const noOctets = new Uint8Array(0);
const freshSecurity = (): SessionSecurity => ({
  clientTitle: noOctets,
  serverTitle: noOctets,
  mechanism: undefined,
  clientChallenge: noOctets,
  serverChallenge: noOctets,
  proofAwaited: false,
});
const hlsByNumber: Readonly<Record<number, HlsMechanism>> = {
  2: 'hls-manufacturer',
  3: 'hls-md5',
  4: 'hls-sha1',
  5: 'hls-gmac',
  6: 'hls-sha256',
};

/** `model`: how the meter stamps its rows, and where their status stands. */
export function explain(
  recorded: readonly Recorded[],
  keys: DecodeKeys = {},
  model: MeterModel = genericModel,
): Explanation {
  const { encryption, authentication, secret } = keys;
  const protection: ProtectionKeys | undefined = encryption && {
    encryption,
    authentication: authentication ?? new Secret(noOctets),
  };
  let security = freshSecurity();
  const frames: Explained[] = [];
  const problems: string[] = [];
  const scalers = new Map<LogicalName, ScalerUnit>();
  const periods = new Map<LogicalName, number>();
  const columns = new Map<LogicalName, CaptureObject[]>();
  const buffers: { name: LogicalName | undefined; data: Data; line: number }[] = [];
  let sides = new Map<string, Side>();
  let asked: Asked | undefined;
  let orphan: Uint8Array[] = [];

  const secretBuffer = ({ classId, logicalName, attribute }: Attribute): boolean =>
    classId === 7 && attribute === 2 && holdsSecret(columns.get(logicalName) ?? []);
  let withhold = withholding(secretBuffer);

  const note = (line: number, message: string) => problems.push(`line ${line}, ${message}`);

  const learn = (attribute: Attribute | undefined, result: GetResult, line: number): void => {
    if (!('data' in result)) return;
    const { data } = result;
    if (!attribute) {
      if (data.type === 'array' && data.value[0] && guessColumns(data.value[0]))
        buffers.push({ name: undefined, data, line });
      return;
    }
    const { classId, logicalName: name, attribute: id } = attribute;
    try {
      if (classId === 7 && id === 2) buffers.push({ name, data, line });
      else if (classId === 7 && id === 3) columns.set(name, captureObjectsOf(data));
      else if (classId === 7 && id === 4) periods.set(name, capturePeriodMsOf(data));
      else if (id === scalerUnitAttribute(classId)) {
        const scalerUnit = scalerUnitOf(data);
        if (scalerUnit) scalers.set(name, scalerUnit);
      }
    } catch (error) {
      note(line, messageOf(error));
    }
  };

  const follow = (apdu: Apdu, line: number): void => {
    switch (apdu.kind) {
      case 'get-request-normal':
        asked = { attributes: [apdu.attribute], blocks: [] };
        break;
      case 'get-request-with-list':
        asked = { attributes: apdu.attributes, blocks: [] };
        break;
      case 'get-response-normal':
        learn(asked?.attributes[0], apdu.result, line);
        break;
      case 'get-response-with-list':
        apdu.results.forEach((result, i) => learn(asked?.attributes[i], result, line));
        break;
      case 'get-response-with-datablock': {
        if (!('raw' in apdu.result)) break;
        const blocks = asked ? asked.blocks : orphan;
        blocks.push(apdu.result.raw);
        if (!apdu.last) break;
        const raw = concat(blocks);
        blocks.length = 0;
        try {
          if (asked && asked.attributes.length > 1) {
            decode(getResults, raw, () => {}).forEach((result, i) => learn(asked?.attributes[i], result, line));
          } else learn(asked?.attributes[0], { data: decode(dataCodec, raw, () => {}) }, line);
        } catch (error) {
          note(line, `value in blocks: ${messageOf(error)}`);
        }
        break;
      }
      default:
        break;
    }
  };

  /** Titles, challenges and mechanism, as the association tells them. */
  const learnAssociation = (apdu: AcseApdu): void => {
    if (apdu.kind === 'aarq') {
      security = {
        ...freshSecurity(),
        clientTitle: apdu.callingApTitle ?? noOctets,
        clientChallenge: apdu.authenticationValue ?? noOctets,
        mechanism: hlsByNumber[apdu.mechanism ?? 0],
      };
    } else if (apdu.kind === 'aare') {
      security.serverTitle = apdu.respondingApTitle ?? noOctets;
      security.serverChallenge = apdu.authenticationValue ?? noOctets;
    }
  };

  /** The second pass of HLS: whether the proofs fit keys or secret, where we have them. */
  const hlsText = (apdu: Apdu, line: number): string[] => {
    const { mechanism: used, clientTitle, serverTitle, clientChallenge, serverChallenge } = security;
    const verdict = (who: string, proof: Data | undefined, byClient: boolean): string[] => {
      if (proof?.type !== 'octet-string' || !used) return [];
      if (used === 'hls-gmac' ? !protection || !authentication : !secret) return [];
      const right = hlsVerify(used, proof.value, {
        secret,
        keys: protection,
        suite: 0,
        ownTitle: byClient ? serverTitle : clientTitle,
        peerTitle: byClient ? clientTitle : serverTitle,
        ownChallenge: byClient ? serverChallenge : clientChallenge,
        peerChallenge: byClient ? clientChallenge : serverChallenge,
      });
      if (!right) note(line, `offset 0: the ${who}'s ${used} proof does not fit the keys`);
      return [`${used}: proof of the ${who} ${right ? 'verified' : 'is WRONG'}`];
    };
    if (apdu.kind === 'action-request-normal' && apdu.method.classId === 15 && apdu.method.method === 1) {
      security.proofAwaited = true;
      return verdict('client', apdu.parameters, true);
    }
    if (apdu.kind === 'action-response-normal' && security.proofAwaited) {
      security.proofAwaited = false;
      const { returned } = apdu.response;
      return verdict('meter', returned && 'data' in returned ? returned.data : undefined, false);
    }
    return [];
  };

  /** Deciphers an APDU and explains what is inside; undefined where it is not ciphered or there is no key. */
  const decipher = (apdu: Apdu, at: RecordedLine): { text: string[]; apdu?: Apdu | AcseApdu } | undefined => {
    if (!protection || !('content' in apdu) || apdu.kind === 'general-block-transfer') return undefined;
    const byDirection = at.direction === 'to-meter' ? security.clientTitle : security.serverTitle;
    const title = 'systemTitle' in apdu && apdu.systemTitle.length === 8 ? apdu.systemTitle : byDirection;
    try {
      const { control, counter, text } = unprotect(apdu.content, title, protection);
      const inside = apduOf(text, at);
      const shows = `${controlWords(control)}; ${proofText(control)}`;
      const head = `${apdu.kind}, system title ${toHex(title)}, security control 0x${control.toString(16)} (${shows}), counter ${counter}`;
      return { ...inside, text: [head, ...inside.text] };
    } catch (error) {
      note(at.line, `offset 0: ${apdu.kind}: ${messageOf(error)}`);
      return undefined;
    }
  };

  const words: Words = (data, of) => (of ? objectWords(of, data, model, scalers.get(of.logicalName)) : dataWords(data));

  const apduOf = (octets: Uint8Array, at: RecordedLine): { text: string[]; apdu?: Apdu | AcseApdu } => {
    try {
      if (octets.length > 0 && isAcse(octets[0] as number)) {
        const apdu = withhold.strike(decodeAcse(octets));
        learnAssociation(apdu);
        // The initiate inside may be ciphered on its own.
        const inside = 'userInformation' in apdu && apdu.userInformation ? decodeUser(apdu.userInformation, at) : [];
        return { text: [acseText(apdu), ...inside], apdu };
      }
      const { apdu, trailing } = decodeApdu(octets);
      const deciphered = decipher(apdu, at);
      if (deciphered) return deciphered;
      follow(apdu, at.line);
      const proof = hlsText(apdu, at.line);
      const padding = trailing > 0 ? [`${trailing} octets after the APDU, ignored`] : [];
      const shown = withhold.strike(apdu);
      return { text: [apduText(shown, asked?.attributes, words), ...proof, ...padding], apdu: shown };
    } catch (error) {
      if (!(error instanceof CodecError || error instanceof Failure)) throw error;
      note(at.line, messageOf(error));
      const shown = withhold.mayShow(octets) ? short(toHex(octets, ' ')) : `${octets.length} octets, ${withheld}`;
      return { text: [`unreadable APDU: ${messageOf(error)}: ${shown}`] };
    }
  };

  const decodeUser = (octets: Uint8Array, at: RecordedLine): string[] => {
    try {
      return decipher(decodeApdu(octets).apdu, at)?.text ?? [];
    } catch {
      return [];
    }
  };

  const push = (at: RecordedLine, text: string[], apdu?: Apdu | AcseApdu) => {
    const { line, time, direction } = at;
    frames.push(apdu ? { line, time, direction, text, apdu } : { line, time, direction, text });
  };

  const onHdlc = (frame: Frame, at: RecordedLine, side: Side): void => {
    let text: string;
    try {
      text = frameText(frame);
    } catch (error) {
      note(at.line, messageOf(error));
      text = `HDLC ${frame.control.kind}: ${messageOf(error)}`;
    }
    if (frame.control.kind !== 'I' && frame.control.kind !== 'UI') return push(at, [text]);
    const key = `${addressText(frame.source)}>${addressText(frame.destination)}`;
    const parts = side.parts.get(key) ?? [];
    parts.push(frame.information);
    side.parts.set(key, parts);
    if (frame.segmented) return push(at, [text]);
    side.parts.delete(key);
    const information = concat(parts);
    if (information[0] !== 0xe6) {
      note(at.line, 'offset 0: no LLC header E6 E6/E7 00');
      return push(at, [text, 'no LLC header']);
    }
    const inner = apduOf(information.subarray(3), at);
    push(at, [text, ...inner.text], inner.apdu);
  };

  const onWrapper = (frame: WrapperFrame, at: RecordedLine): void => {
    const inner = apduOf(frame.apdu, at);
    push(
      at,
      [`wrapper ${frame.source} → ${frame.destination}, ${frame.apdu.length} octets`, ...inner.text],
      inner.apdu,
    );
  };

  for (const item of recorded) {
    if ('session' in item) {
      sides = new Map();
      asked = undefined;
      security = freshSecurity();
      withhold = withholding(secretBuffer);
      orphan = [];
      continue;
    }
    const { octets } = item;
    const side: Side = sides.get(item.direction) ?? {
      hdlc: new Deframer(),
      wrapper: new Unwrapper(),
      kind: undefined,
      parts: new Map(),
    };
    sides.set(item.direction, side);
    const first = octets[0] as number;
    const signOn = stripParity(octets).octets;
    if (side.kind === undefined) {
      if (first === 0x7e) side.kind = 'hdlc';
      else if (first === 0 && octets[1] === 1) side.kind = 'wrapper';
      else if (signOn[0] === 0x2f || signOn[0] === 0x06) {
        push(item, [`sign-on ${JSON.stringify(Buffer.from(signOn).toString('latin1'))}`]);
        continue;
      } else {
        const bare = apduOrData(octets);
        if (bare) {
          learn(undefined, { data: bare }, item.line);
          push(item, [`value ${short(dataWords(bare))}`]);
        } else {
          const inner = apduOf(octets, item);
          push(item, inner.text, inner.apdu);
        }
        continue;
      }
    }
    if (side.kind === 'hdlc') {
      const before = side.hdlc.damaged;
      const dropped = side.hdlc.dropped;
      for (const frame of side.hdlc.push(octets)) onHdlc(frame, item, side);
      if (side.hdlc.damaged > before) note(item.line, `offset 0: damaged frame (${side.hdlc.lastDamage})`);
      if (side.hdlc.dropped > dropped)
        note(item.line, `offset 0: ${side.hdlc.dropped - dropped} octets outside of frames`);
    } else {
      try {
        for (const frame of side.wrapper.push(octets)) onWrapper(frame, item);
      } catch (error) {
        note(item.line, `offset 0: ${messageOf(error)}`);
      }
    }
  }
  const lastLine = recorded.at(-1)?.line ?? 0;
  for (const side of sides.values()) {
    if (side.hdlc.pending || side.wrapper.pending) note(lastLine, 'the recording ends inside a frame');
  }

  const rows: LoadProfileRow[] = [];
  for (const { name, data, line } of buffers) {
    const known = name === undefined ? undefined : columns.get(name);
    const first = data.type === 'array' ? data.value[0] : undefined;
    if (!first && data.type === 'array') continue;
    const layout = known ?? (first && guessColumns(first));
    if (!layout) {
      note(line, `profile ${name === undefined ? '' : obis(name)}: capture objects are not in the recording`);
      continue;
    }
    if (holdsSecret(layout)) {
      note(line, `profile ${name === undefined ? '' : obis(name)}: a column holds a secret; its rows are withheld`);
      continue;
    }
    const period = (name === undefined ? undefined : periods.get(name)) ?? 0;
    try {
      const reader = new ProfileReader(
        { columns: layout, capturePeriodMs: period, scalers, ...statusOf(model) },
        rowReading(model),
      );
      reader.push(encode(dataCodec, data), rows);
      reader.end();
    } catch (error) {
      note(line, messageOf(error));
    }
  }
  return { frames, rows, problems };
}

/** A bare A-XDR value, as in a file of values; undefined where the octets are an APDU. */
function apduOrData(octets: Uint8Array): Data | undefined {
  if (octets[0] !== 1 && octets[0] !== 2) return undefined;
  try {
    return decode(dataCodec, octets);
  } catch {
    return undefined;
  }
}

export function explainedJson(explained: Explained): Record<string, unknown> {
  const plain = (value: unknown): unknown => {
    if (value instanceof Uint8Array) return toHex(value);
    if (typeof value === 'bigint') return value.toString();
    if (Array.isArray(value)) return value.map(plain);
    if (value && typeof value === 'object') {
      if ('type' in value) return dataJson(value as Data);
      return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]));
    }
    return value;
  };
  const { apdu } = explained;
  // Struck out already; said plainly here.
  const secretive =
    apdu?.kind === 'aarq' && apdu.mechanism === mechanism.lls
      ? { ...apdu, authenticationValue: withheld }
      : apdu?.kind === 'initiate-request' && apdu.dedicatedKey
        ? { ...apdu, dedicatedKey: withheld }
        : apdu;
  return { ...explained, apdu: plain(secretive) };
}

/** What deciphering shows of the sender: without a tag anybody may have changed the octets, and with a wrong key they are others. */
function proofText(control: number): string {
  if ((control & securityControl.authentication) !== 0) return 'the tag fits';
  return (control & securityControl.encryption) !== 0 ? 'decrypted, not authenticated' : 'nothing proves who sent it';
}

export function requireReadable(explanation: Explanation): void {
  if (explanation.frames.length > 0) return;
  throw new Failure('input-unreadable', 'offset 0: no frame, APDU or value found in the input');
}
