import type { Codec } from '../../base/codec.ts';
import type { Reader, Writer } from '../../base/cursor.ts';

/** Length and count of A-XDR (IEC 61334-6) and BER: one octet below 128, else 0x80+n and n octets. Non-minimal is read. */
export function readLength(reader: Reader): number {
  const first = reader.u8();
  if (first < 0x80) return first;
  const count = first & 0x7f;
  if (count === 0 || count > 4) reader.fail(`length in ${count} octets`);
  let value = 0;
  for (let i = 0; i < count; i++) value = value * 256 + reader.u8();
  return value;
}

export function writeLength(writer: Writer, value: number): void {
  if (value < 0x80) writer.u8(value);
  else if (value < 0x100) {
    writer.u8(0x81);
    writer.u8(value);
  } else if (value < 0x1_0000) {
    writer.u8(0x82);
    writer.u16(value);
  } else {
    writer.u8(0x84);
    writer.u32(value);
  }
}

/** OCTET STRING with its length. */
export const octetString: Codec<Uint8Array> = {
  read: (r) => r.take(readLength(r)),
  write: (w, value) => {
    writeLength(w, value.length);
    w.put(value);
  },
};

/** SEQUENCE OF. Every element of this protocol takes an octet at least, which bounds the count by what is left. */
export function sequenceOf<T>(element: Codec<T>): Codec<T[]> {
  return {
    read: (r) => {
      const count = readLength(r);
      if (count > r.remaining) r.fail(`${count} elements announced, ${r.remaining} octets left`);
      r.spend(count);
      const values: T[] = [];
      for (let i = 0; i < count; i++) values.push(element.read(r));
      return values;
    },
    write: (w, values) => {
      writeLength(w, values.length);
      for (const value of values) element.write(w, value);
    },
  };
}
