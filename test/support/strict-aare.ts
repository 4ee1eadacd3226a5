/** AARE, element by element in the order of its grammar (Green Book 9.4.2), and the InitiateResponse in it. */
import { Octets, Strictness } from './strict-octets.ts';

/** Tags of AARE in the order of the grammar. */
const order = [0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0x88, 0x89, 0xaa, 0xbe];
const nameStart = [0x60, 0x85, 0x74, 0x05, 0x08];

export interface StrictAare {
  readonly context: number;
  readonly result: number;
  readonly title: Uint8Array | undefined;
  /** Still in its protection. */
  readonly information: Uint8Array | undefined;
}
const integer = (o: Octets): number => {
  o.expect(2, 'INTEGER');
  o.expect(1, 'of one octet');
  const value = o.u8();
  o.end('an INTEGER');
  return value;
};
/** An explicit tag around one string. */
const wrapped = (o: Octets | undefined, tag: number, what: string): Uint8Array | undefined => {
  if (!o) return undefined;
  o.expect(tag, what);
  const octets = Uint8Array.from(o.string());
  o.end(what);
  return octets;
};

function highLevel(elements: ReadonlyMap<number, Octets>, code: number): void {
  const challenge = wrapped(elements.get(0xaa), 0x80, 'challenge');
  if (!challenge) {
    if (code !== 0) throw new Strictness(`accepted with diagnostic ${code}`);
    return;
  }
  if (code !== 14) throw new Strictness(`a challenge with diagnostic ${code}`);
  if (challenge.length < 8 || challenge.length > 64) throw new Strictness(`a challenge of ${challenge.length} octets`);
  const name = elements.get(0x89);
  if (!name || !elements.has(0x88)) throw new Strictness('a challenge without mechanism or ACSE requirements');
  for (const octet of [...nameStart, 2]) name.expect(octet, 'mechanism name');
}

export function strictAare(octets: Uint8Array): StrictAare {
  const o = new Octets(octets);
  o.expect(0x61, 'AARE');
  if (o.length() !== o.left) o.fail('length of the AARE');
  const elements = new Map<number, Octets>();
  let before = -1;
  while (o.left > 0) {
    const tag = o.u8();
    const at = order.indexOf(tag);
    if (at <= before) o.fail(`element ${tag.toString(16)} of AARE out of its order`);
    before = at;
    elements.set(tag, new Octets(o.string()));
  }
  const part = (tag: number): Octets => elements.get(tag) ?? o.fail(`AARE without ${tag.toString(16)}`);
  const name = part(0xa1);
  for (const octet of [6, 7, ...nameStart, 1]) name.expect(octet, 'application context name');
  const context = name.u8();
  name.end('the application context name');
  const result = integer(part(0xa2));
  const diagnostic = part(0xa3);
  const source = diagnostic.u8();
  if (source !== 0xa1 && source !== 0xa2) diagnostic.fail('source of the diagnostic');
  const code = integer(new Octets(diagnostic.string()));
  diagnostic.end('the diagnostic');
  const title = wrapped(elements.get(0xa4), 4, 'responding AP title');
  if (title && title.length !== 8) o.fail('a system title that has not 8 octets');
  const information = wrapped(elements.get(0xbe), 4, 'user-information');
  if (result === 0) highLevel(elements, code);
  if (result === 0 && !information) o.fail('AARE without user-information');
  return { context, result, title, information };
}

/** The conformance that was agreed, or that is only told where the meter refuses. */
export function strictInitiateResponse(octets: Uint8Array, shortNamed: boolean): number {
  const o = new Octets(octets);
  o.expect(0x08, 'InitiateResponse');
  if (o.flag('quality of service')) o.u8();
  o.expect(6, 'DLMS version');
  for (const octet of [0x5f, 0x1f, 4, 0]) o.expect(octet, 'conformance');
  const agreed = o.number(3);
  if (o.number(2) < 64) o.fail('server-max-receive-pdu-size');
  const vaa = o.number(2);
  if (vaa !== (shortNamed ? 0xfa00 : 7)) o.fail(`vaa-name ${vaa.toString(16)}`);
  o.end('InitiateResponse');
  return agreed;
}
