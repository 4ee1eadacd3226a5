import type { Millis } from './time.ts';

/** A protocol layer without I/O: it never waits and never reads a clock. */
export interface Machine<Request, Event> {
  /** Our side wants something. A LocalError leaves the state unchanged. */
  request(request: Request, now: Millis): void;
  /** Octets from the peer, in any chunking. */
  receive(octets: Uint8Array, now: Millis): void;
  /** Time passed; harmless when early. */
  wake(now: Millis): void;
  /** Drain these two after every call above. */
  pollTransmit(): Uint8Array | undefined;
  pollEvent(): Event | undefined;
  /** When wake() must be called next. */
  deadline(): Millis | undefined;
}
