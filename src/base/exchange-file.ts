/** Recorded exchanges and plain hex: `time -> n hex`, `push n hex`, or hex alone, one message a line. */
import { CodecError, Failure } from './errors.ts';
import { fromHex } from './hex.ts';

export interface RecordedLine {
  readonly line: number;
  readonly time: string;
  readonly direction: 'to-meter' | 'from-meter' | 'unknown';
  readonly octets: Uint8Array;
  /** Which line, connection or pair of ports it went over, where the recording tells. */
  readonly channel?: string;
}
/** A connection begins, or a line is opened anew. */
export interface RecordedSession {
  readonly line: number;
  readonly session: string;
  readonly channel?: string;
}
export type Recorded = RecordedLine | RecordedSession;

export function parseExchange(text: string): Recorded[] {
  const recorded: Recorded[] = [];
  text.split(/\r?\n/).forEach((content, i) => {
    const line = i + 1;
    const trimmed = content.trim();
    if (trimmed === '') return;
    if (trimmed.startsWith('#')) {
      if (trimmed.startsWith('# connect')) recorded.push({ line, session: trimmed.slice(2) });
      return;
    }
    const tapped = /^(\S+)\s+(->|<-)\s+(\d+)\s+(.*)$/.exec(trimmed) ?? /^(push)\s+()(\d+)\s+(.*)$/.exec(trimmed);
    const hex = tapped ? (tapped[4] as string) : trimmed;
    let octets: Uint8Array;
    try {
      octets = fromHex(hex);
    } catch (error) {
      const at = error instanceof CodecError ? error.offset + content.indexOf(hex) : 0;
      throw new Failure('input-unreadable', `line ${line}, offset ${at}: ${(error as Error).message}`);
    }
    if (tapped && octets.length !== Number(tapped[3])) {
      throw new Failure(
        'input-unreadable',
        `line ${line}, offset ${octets.length}: ${octets.length} octets where the line says ${tapped[3]}`,
      );
    }
    const direction = tapped?.[2] === '->' ? 'to-meter' : tapped ? 'from-meter' : 'unknown';
    recorded.push({ line, time: tapped?.[1] ?? '', direction, octets });
  });
  return recorded;
}
