/** What the readers of formats give: what was recorded, in its order, and what they could not understand. */
import type { Recorded } from '../../base/exchange-file.ts';

/** In the order in which they stand in the help and in docs/decode.md. */
export const formatNames = [
  'tap',
  'hex',
  'log',
  'xxd',
  'hexdump',
  'od',
  'wireshark',
  'tcpdump',
  'strace',
  'python',
  'numbers',
  'base64',
  'raw',
  'pcap',
  'pcapng',
] as const;
export type FormatName = (typeof formatNames)[number];

/** Octets or a line that cannot be understood; what follows is read all the same. */
export interface InputProblem {
  readonly line: number;
  readonly offset: number;
  readonly problem: string;
}
/** From this line on a format was found that was not there before. */
export interface InputFormat {
  readonly line: number;
  readonly format: FormatName;
}
/** Lines, packets or connections that hold nothing of DLMS: no fault of theirs. */
export interface InputIgnored {
  readonly line: number;
  readonly ignored: string;
}
export type InputItem = Recorded | InputProblem | InputFormat | InputIgnored;

/** Takes octets in any pieces; the same octets give the same items however they are cut. */
export interface InputReader {
  push(octets: Uint8Array): InputItem[];
  end(): InputItem[];
}
export interface InputSettings {
  /** Ports of TCP and UDP; without any, 4059 and what looks like HDLC or the wrapper. */
  readonly ports: ReadonlySet<number>;
}
