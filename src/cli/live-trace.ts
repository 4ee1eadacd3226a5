/** `meter-gateway trace`: what goes over the lines of the running gateway, explained while it goes. */
import { fromHex } from '../base/hex.ts';
import type { TraceEvent } from '../status/line-trace.ts';
import { genericModel } from '../meter/model.ts';
import { RecordingReader } from '../recording/reader.ts';
import { pcapngWriter } from './pcapng.ts';
import { note } from './terminal.ts';

export interface LiveTraceOptions {
  readonly json?: boolean;
  /** Text of a file that `decode` reads. */
  readonly save?: (line: string) => void;
  /** Packets of a pcapng file. */
  readonly capture?: (event: Extract<TraceEvent, { octets: string }>) => void;
}

export async function showTrace(
  events: AsyncIterable<TraceEvent>,
  { json, save, capture }: LiveTraceOptions,
  print: (line: string) => void,
): Promise<void> {
  const reader = new RecordingReader({ keys: {}, model: genericModel });
  /** Whose turn it is on each port: an answer is known by its question. */
  const turns = new Map<string, string>();
  for await (const event of events) {
    if (json) print(JSON.stringify(event));
    if ('lost' in event) {
      note(`${event.lost} lines were lost: the screen does not keep up`);
      turns.clear();
      continue;
    }
    const { at, port, meter, direction, octets } = event;
    capture?.(event);
    const of = meter ?? 'nobody on turn';
    if (turns.get(port) !== of) {
      turns.set(port, of);
      reader.push({ line: 0, session: of, channel: port });
      save?.(`# connect ${port} ${of} ${at}\n`);
      if (!json) print(`${at.slice(11, 19)} ${port}: ${of}`);
    }
    save?.(`${at} ${direction} ${octets.length / 2} ${octets}\n`);
    if (json) continue;
    const { frames } = reader.push({
      line: 0,
      time: at.slice(11, 23),
      direction: direction === '->' ? 'to-meter' : 'from-meter',
      octets: fromHex(octets),
      channel: port,
    });
    for (const frame of frames)
      for (const [i, text] of frame.text.entries())
        print(`${i === 0 ? frame.time : ' '.repeat(12)} ${frame.direction === 'to-meter' ? '→' : '←'} ${text}`);
  }
}

/** Packets of pcapng, out of what is traced. */
export function captureTo(write: (octets: Uint8Array) => void): NonNullable<LiveTraceOptions['capture']> {
  const writer = pcapngWriter(write);
  return ({ at, port, direction, octets }) =>
    writer.add({ at: Date.parse(at), port, direction, octets: fromHex(octets) });
}
