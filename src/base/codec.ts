/**
 * Grammar as values: encoder, decoder, type and bounds fall out of one description. Decoding throws CodecError with the
 * offset and the path of field names; encoding a value outside its bounds throws RangeError (our bug, not the peer's).
 */
import { type Budget, Reader, Writer } from './cursor.ts';
import { CodecError } from './errors.ts';

export interface Codec<T> {
  read(reader: Reader): T;
  write(writer: Writer, value: T): void;
}
export type Of<C> = C extends Codec<infer T> ? T : never;
/** A codec of whatever type, in constraints only. */
// oxlint-disable-next-line typescript/no-explicit-any
export type AnyCodec = Codec<any>;

export function unsigned(size: 1 | 2 | 4): Codec<number> {
  const limit = 2 ** (size * 8);
  return {
    read: (r) => (size === 1 ? r.u8() : size === 2 ? r.u16() : r.u32()),
    write: (w, value) => {
      if (!Number.isInteger(value) || value < 0 || value >= limit) {
        throw new RangeError(`${value} does not fit ${size} octets unsigned`);
      }
      if (size === 1) w.u8(value);
      else if (size === 2) w.u16(value);
      else w.u32(value);
    },
  };
}

export const boolean: Codec<boolean> = {
  read: (r) => r.u8() !== 0,
  write: (w, value) => w.u8(value ? 1 : 0),
};

/** Exactly `size` octets. */
export function fixed(size: number): Codec<Uint8Array> {
  return {
    read: (r) => r.take(size),
    write: (w, value) => {
      if (value.length !== size) throw new RangeError(`${value.length} octets where ${size} are needed`);
      w.put(value);
    },
  };
}

export function mapped<A, B>(codec: Codec<A>, from: (a: A, r: Reader) => B, to: (b: B) => A): Codec<B> {
  return { read: (r) => from(codec.read(r), r), write: (w, value) => codec.write(w, to(value)) };
}

type Fields = Record<string, AnyCodec>;
type OptionalNames<F extends Fields> = { [K in keyof F]: undefined extends Of<F[K]> ? K : never }[keyof F];
type Sequence<F extends Fields> = { [K in Exclude<keyof F, OptionalNames<F>>]: Of<F[K]> } & {
  [K in OptionalNames<F>]?: Of<F[K]>;
};

/** SEQUENCE: the fields one after the other. */
export function sequence<F extends Fields>(fields: F): Codec<Sequence<F>> {
  const entries = Object.entries(fields);
  return {
    read: (r) => {
      const value: Record<string, unknown> = {};
      let at = '';
      try {
        for (const [name, codec] of entries) {
          at = name;
          const field = codec.read(r);
          if (field !== undefined) value[name] = field;
        }
      } catch (error) {
        if (error instanceof CodecError) error.path.push(at);
        throw error;
      }
      return value as never;
    },
    write: (w, value) => {
      for (const [name, codec] of entries) codec.write(w, (value as Record<string, unknown>)[name]);
    },
  };
}

/** OPTIONAL in A-XDR: a presence octet (IEC 61334-6, 6.14), then the value. */
export function optional<T>(codec: Codec<T>): Codec<T | undefined> {
  return {
    read: (r) => (r.u8() === 0 ? undefined : codec.read(r)),
    write: (w, value) => {
      w.u8(value === undefined ? 0 : 1);
      if (value !== undefined) codec.write(w, value);
    },
  };
}

export function encode<T>(codec: Codec<T>, value: T): Uint8Array {
  const writer = new Writer();
  codec.write(writer, value);
  return writer.octets();
}

/** Decodes a whole value. Octets after it are a CodecError unless the caller takes them (`trailing`). */
export function decode<T>(
  codec: Codec<T>,
  octets: Uint8Array,
  trailing?: (rest: Uint8Array) => void,
  budget?: Budget,
): T {
  const reader = new Reader(octets, 0, octets.length, budget);
  const value = codec.read(reader);
  if (reader.remaining > 0) {
    if (trailing) trailing(reader.rest());
    else reader.fail(`${reader.remaining} octets after the end`);
  }
  return value;
}
