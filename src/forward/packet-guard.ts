/**
 * Stands between the octets of a broker and the parser of MQTT packets, which keeps whatever a packet says it will be long:
 * no packet may be longer than agreed, of a kind that no broker sends to us, or kill what reads it.
 */
import type { Duplex, Writable } from 'node:stream';

/** MQTT 5, 2.1.2: CONNACK, PUBLISH, PUBACK, SUBACK, UNSUBACK, PINGRESP, DISCONNECT. Nothing else answers what we send. */
const fromBroker = new Set([2, 3, 4, 9, 11, 13, 14]);
const publish = 3;

export interface PacketGuard {
  /** Why the connection must end; undefined as long as all is well. */
  take(octets: Uint8Array): string | undefined;
}
export function packetGuard(limit: number): PacketGuard {
  /** Octets of the packet that are still to come; -1: a packet begins, -2: its length is being read. */
  let rest = -1;
  let length = 0;
  let shift = 0;
  const header = (octet: number): string | undefined => {
    const kind = octet >> 4;
    if (!fromBroker.has(kind)) return `a packet of type ${kind}, which no broker sends`;
    if (kind === publish && (octet & 0b100) !== 0) return 'a message of QoS 2, which was not subscribed';
    [rest, length, shift] = [-2, 0, 0];
    return undefined;
  };
  const lengthOctet = (octet: number): string | undefined => {
    length += (octet & 0x7f) * 2 ** shift;
    shift += 7;
    if (length > limit) return `a packet of more than ${limit} octets`;
    if ((octet & 0x80) === 0) rest = length === 0 ? -1 : length;
    else if (shift > 21) return 'a packet whose length is none';
    return undefined;
  };
  return {
    take(octets) {
      for (let at = 0; at < octets.length; ) {
        if (rest > 0) {
          const step = Math.min(rest, octets.length - at);
          rest = rest === step ? -1 : rest - step;
          at += step;
          continue;
        }
        const octet = octets[at++] as number;
        const wrong = rest === -1 ? header(octet) : lengthOctet(octet);
        if (wrong !== undefined) return wrong;
      }
      return undefined;
    },
  };
}

/** Written to a broker and not taken by its end of the line: who does not read what we answer must not fill our memory. */
const unreadLimit = 8 * 1024 * 1024;

/** A stream whose octets are looked at before whatever it is piped into reads them. `onWrong` gets the reason why it ends. */
export function guarded(stream: Duplex, limit: number, onWrong: (why: string) => void): Duplex {
  const guard = packetGuard(limit);
  const pipe = stream.pipe.bind(stream);
  const wrap = (target: Writable): void => {
    const write = target._write.bind(target);
    target._write = (chunk: Uint8Array, encoding, done) => {
      let wrong = stream.destroyed ? '' : guard.take(chunk);
      if (wrong === undefined && stream.writableLength > unreadLimit) wrong = 'nothing of what we send is read';
      try {
        if (wrong === undefined) return write(chunk, encoding, done);
      } catch (error) {
        wrong = `a packet that cannot be read (${(error as Error).message.slice(0, 80)})`;
      }
      // What comes after a packet that ends the connection is not looked at.
      if (wrong !== undefined && wrong !== '') onWrong(wrong);
      stream.destroy();
      done();
    };
  };
  stream.pipe = ((target: Writable, options?: { end?: boolean }) => {
    wrap(target);
    return pipe(target, options);
  }) as typeof stream.pipe;
  return stream;
}
