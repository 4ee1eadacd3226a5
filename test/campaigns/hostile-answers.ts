/** Takes over what a simulated meter answers: an attack gets each request and what the meter would say to it. */
import { Writer } from '../../src/base/cursor.ts';
import { writeLength } from '../../src/dlms/axdr/length.ts';
import type { ServerStack } from '../../src/dlms/stack/server.ts';
import { type Apdu, decodeApdu } from '../../src/dlms/xdlms/apdu.ts';
import type { VirtualMeter } from '../../src/simulator/virtual-meter.ts';

/** APDUs for one request; `honest` asks the meter itself. */
export type Attack = (request: Uint8Array, honest: () => Uint8Array[]) => Uint8Array[];

export function takeOver(meter: VirtualMeter, attack: Attack): void {
  const arm = (stack: ServerStack): ServerStack => {
    const { association } = stack;
    const answer = association.answer.bind(association);
    association.answer = (octets, sap) => attack(octets, () => answer(octets, sap));
    return stack;
  };
  // Power that comes back makes a new stack.
  const own = meter as unknown as { newStack(): ServerStack; stack: ServerStack };
  const make = own.newStack.bind(meter);
  own.newStack = () => arm(make());
  own.stack = arm(own.stack);
}

export function requestOf(octets: Uint8Array): Apdu | undefined {
  try {
    return decodeApdu(octets).apdu;
  } catch {
    return undefined;
  }
}

/** A GET answered with these octets as its value, in blocks where they are long. `value` is asked for each attribute. */
export function valueAttack(
  value: (classId: number, attribute: number, logicalName: string) => Uint8Array | undefined,
  blockOctets = 1900,
): Attack {
  let raw: Uint8Array | undefined;
  let sent = 0;
  let number = 0;
  const block = (invokeId: number): Uint8Array[] => {
    const octets = raw as Uint8Array;
    const part = octets.subarray(sent, sent + blockOctets);
    sent += part.length;
    number++;
    const w = new Writer(part.length + 16);
    w.put(Uint8Array.of(0xc4, 2, invokeId, sent >= octets.length ? 1 : 0));
    w.u32(number);
    w.u8(0);
    writeLength(w, part.length);
    w.put(part);
    return [w.octets()];
  };
  return (request, honest) => {
    const apdu = requestOf(request);
    if (apdu?.kind === 'get-request-next' && raw) return block(apdu.invokeId);
    const attributes =
      apdu?.kind === 'get-request-normal'
        ? [apdu.attribute]
        : apdu?.kind === 'get-request-with-list'
          ? apdu.attributes
          : [];
    const values = attributes.map(({ classId, attribute, logicalName }) => value(classId, attribute, logicalName));
    raw = undefined;
    if (!values.some((one) => one !== undefined)) return honest();
    const { invokeId } = apdu as { invokeId: number };
    const list = apdu?.kind === 'get-request-with-list';
    const w = new Writer(4096);
    if (list) writeLength(w, values.length);
    for (const one of values) {
      // What is not attacked is refused: object-unavailable.
      if (!one) w.put(Uint8Array.of(1, 11));
      else {
        if (list) w.u8(0);
        w.put(one);
      }
    }
    raw = w.octets();
    sent = number = 0;
    if (raw.length > blockOctets) return block(invokeId);
    return [Uint8Array.from([0xc4, list ? 3 : 1, invokeId, ...(list ? [] : [0]), ...raw])];
  };
}
