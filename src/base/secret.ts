import { createSecretKey, type KeyObject } from 'node:crypto';

/**
 * Octets that cannot be printed by accident: not by a log, a template, JSON or the inspector. They lie in a KeyObject: in
 * no heap of V8, so in no snapshot of one, and OpenSSL overwrites them when nobody holds the secret any more.
 */
export class Secret {
  /** For ciphers: they take it as it is. */
  readonly key: KeyObject;
  readonly length: number;
  constructor(octets: Uint8Array) {
    this.key = createSecretKey(octets);
    this.length = octets.length;
  }
  /** A copy of the octets, where something takes nothing else: a password on the line, a hash, what is authenticated. */
  reveal(): Uint8Array {
    const octets = this.key.export();
    return new Uint8Array(octets.buffer, octets.byteOffset, octets.length);
  }
  toString(): string {
    return '[redacted]';
  }
  toJSON(): string {
    return '[redacted]';
  }
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return '[redacted]';
  }
}
