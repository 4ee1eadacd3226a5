/** What a quirk of a simulated meter is made of, and the small tools that several of them use. */
import { concat } from '../base/cursor.ts';
import type { CipheringSettings } from '../dlms/association/ciphering.ts';
import type { Data } from '../dlms/axdr/data.ts';
import type { CaptureObject } from '../dlms/cosem/profile-generic.ts';
import type { ServerObject } from '../dlms/cosem/server-object.ts';
import { cutFrame, type Frame } from '../dlms/hdlc/frame.ts';
import type { Selection } from '../dlms/xdlms/apdu.ts';
import type { Deviations } from './deviations.ts';
import type { VirtualRow } from './load-curve.ts';
import type { SignOnDeviations } from './sign-on-deviations.ts';

/** What a quirk may remember between its calls, for one meter. */
export type Memory = Record<string, number>;
/** Octets of the meter with the silence before them. */
export interface Piece {
  readonly octets: Uint8Array;
  readonly pauseMs: number;
}
export interface Quirk {
  /** Number in the field list. */
  readonly number: number;
  readonly what: string;
  /** What the client does about it. */
  readonly client: string;
  /** Fields of the meter that come with it. */
  readonly meter?: { readonly maxInfo?: number; readonly maxPdu?: number };
  /** The octets of one transmission; none = silence. */
  readonly transmit?: (octets: Uint8Array, memory: Memory) => readonly Piece[];
  /** Whether the meter accepts these octets. `age`: milliseconds since the simulation began. */
  readonly accepts?: (octets: Uint8Array, memory: Memory, age: number) => boolean;
  /** The answer to an APDU; none = silence. */
  readonly answer?: (answer: Uint8Array, request: Uint8Array, memory: Memory) => Uint8Array | undefined;
  /** The rows that the meter has: the truth. */
  readonly rows?: (rows: VirtualRow[]) => VirtualRow[];
  /** Rows as they are sent: order, doubles. */
  readonly sent?: (rows: VirtualRow[]) => VirtualRow[];
  /** The value of the buffer as it is sent. */
  readonly buffer?: (buffer: Data) => Data | { refused: number };
  /** What is made of every stamp: of rows, of the clock, of entries of logs, of pushes. */
  readonly stamp?: (octets: Uint8Array) => Uint8Array;
  /** What is made of the clock's stamp. */
  readonly clock?: (octets: Uint8Array) => Uint8Array;
  /** The columns of the profile, and the cells of a row in their order. */
  readonly profile?: {
    readonly columns: (columns: readonly CaptureObject[]) => readonly CaptureObject[];
    readonly cells: (cells: readonly Data[], row: VirtualRow) => readonly Data[];
  };
  /** What is made of a selection from an event log. */
  readonly selectLog?: (selection: Selection) => Selection | { refused: number };
  /** An entry that stands in the standard log so often, six hours before the simulation begins. */
  readonly logged?: { readonly code: number; readonly times: number };
  /** The entries of an event log as they are sent. */
  readonly log?: (entries: Data) => Data;
  /** Objects that the meter has besides. */
  readonly objects?: readonly ServerObject[];
  /** scaler_unit of the registers. */
  readonly scalerUnit?: (value: Data) => Data | { refused: number };
  /** What is made of a selection. */
  readonly select?: (selection: Selection) => Selection | { refused: number };
  /** What is done with a list that the meter sends unasked. */
  readonly push?: {
    /** The list from {description, values …}. */
    readonly list?: (described: Data) => Data;
    readonly apdu?: (octets: Uint8Array) => Uint8Array;
    /** Octets of one information field. */
    readonly maxInfo?: number;
    /** General blocks of so many octets. */
    readonly block?: number;
    /** Ciphered, whatever the scenario says, and so. */
    readonly protection?: Pick<CipheringSettings, 'policy' | 'suite'>;
  };
  /** Whether the TCP connection is closed with this answer. */
  readonly hangsUp?: (answer: Uint8Array) => boolean;
  /** A new TCP connection to the meter. */
  readonly connected?: (memory: Memory) => void;
  /** How its server deviates from the books. */
  readonly deviations?: Deviations;
  readonly signOn?: SignOnDeviations;
}
export const one = (octets: Uint8Array, pauseMs = 0): Piece[] => [{ octets, pauseMs }];
export function frameOf(octets: Uint8Array): Frame | undefined {
  const cut = octets[0] === 0x7e ? cutFrame(octets, 1, octets.length) : undefined;
  return cut?.is === 'frame' ? cut.frame : undefined;
}
/** Only frames of a kind are changed. */
export const onFrame =
  (change: (frame: Frame, octets: Uint8Array, memory: Memory) => readonly Piece[], kind?: Frame['control']['kind']) =>
  (octets: Uint8Array, memory: Memory): readonly Piece[] => {
    const frame = frameOf(octets);
    return frame && (kind === undefined || frame.control.kind === kind) ? change(frame, octets, memory) : one(octets);
  };
export const count = (memory: Memory, name: string): number => {
  memory[name] = (memory[name] ?? 0) + 1;
  return memory[name];
};
export const isListRequest = (apdu: Uint8Array): boolean => apdu[0] === 0xc0 && apdu[1] === 3;
/** Silence from a request on, until the link is opened anew. */
export const hangsAt = (hangsUp: (request: Uint8Array) => boolean): Pick<Quirk, 'answer' | 'accepts'> => ({
  answer: (apdu, request, memory) => {
    if (!hangsUp(request)) return apdu;
    memory['hung'] = 1;
    return undefined;
  },
  accepts: (octets, memory) => {
    const kind = frameOf(octets)?.control.kind;
    if (kind === 'SNRM' || octets[8] === 0x60) memory['hung'] = 0;
    return memory['hung'] !== 1;
  },
});
/** Within the octets of an answer. */
export function replaced(octets: Uint8Array, before: readonly number[], after: readonly number[]): Uint8Array {
  const at = Buffer.from(octets).indexOf(Uint8Array.from(before));
  return at < 0
    ? octets
    : concat([octets.subarray(0, at), Uint8Array.from(after), octets.subarray(at + before.length)]);
}
export const isBlock = (apdu: Uint8Array): boolean => apdu[0] === 0xc4 && apdu[1] === 2;
export const isValue = (apdu: Uint8Array): boolean => apdu[0] === 0xc4 && apdu[1] === 1 && apdu[3] === 0;
export const cellsOf = (row: Data | undefined): readonly Data[] => (row?.type === 'structure' ? row.value : []);
