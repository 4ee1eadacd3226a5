/** Octets that cannot be printed by accident: not by a log, a template, JSON or the inspector. */
export class Secret {
  readonly #octets: Uint8Array;
  constructor(octets: Uint8Array) {
    this.#octets = Uint8Array.from(octets);
  }
  /** The octets themselves, for the cipher and for nothing else. */
  reveal(): Uint8Array {
    return this.#octets;
  }
  get length(): number {
    return this.#octets.length;
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
