import type { Millis } from '../base/time.ts';

/** An open line to meters. One owner at a time; octets go out whole and come in any chunking. */
export interface Port {
  readonly device: string;
  /** A connection costs little to make anew, and belongs to one conversation; a serial line is there for good. */
  readonly connection: boolean;
  /** Closed or lost already, while nobody used it. */
  readonly closed: boolean;
  /** Resolves when the octets have been handed to the device. */
  write(octets: Uint8Array): Promise<void>;
  /** The octets received since the last call; undefined when the deadline passes first. Throws Failure `port-lost` or `connection-lost`. */
  read(until: Millis | undefined): Promise<Uint8Array | undefined>;
  /** Serial only; TCP converters keep their own speed. */
  setBaud(baud: number): Promise<void>;
  close(): Promise<void>;
}

export type Trace = (direction: '->' | '<-', octets: Uint8Array) => void;
