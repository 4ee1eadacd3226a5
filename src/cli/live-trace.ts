/** `meter-gateway trace`: what goes over the lines of the running gateway, explained while it goes. */
import { fromHex } from '../base/hex.ts';
import type { TraceEvent } from '../status/line-trace.ts';
import type { Recorded } from '../base/exchange-file.ts';
import { explain } from './explain.ts';
import { note } from './terminal.ts';

export interface LiveTraceOptions {
  readonly json?: boolean;
  /** Text of a file that `decode` reads. */
  readonly save?: (line: string) => void;
  /** Packets of a pcapng file. */
  readonly capture?: (event: Extract<TraceEvent, { octets: string }>) => void;
}

/** All frames of one session are explained together, because an answer is known by its question. */
interface Session {
  readonly of: string;
  readonly recorded: Recorded[];
  shown: number;
}
/** A session that goes on and on is explained from here on anew. */
const maxLines = 2000;

export async function showTrace(
  events: AsyncIterable<TraceEvent>,
  { json, save, capture }: LiveTraceOptions,
  print: (line: string) => void,
): Promise<void> {
  const sessions = new Map<string, Session>();
  for await (const event of events) {
    if (json) print(JSON.stringify(event));
    if ('lost' in event) {
      note(`${event.lost} lines were lost: the screen does not keep up`);
      sessions.clear();
      continue;
    }
    const { at, port, meter, direction, octets } = event;
    capture?.(event);
    const of = meter ?? 'nobody on turn';
    let session = sessions.get(port);
    if (session?.of !== of || session.recorded.length > maxLines) {
      sessions.set(port, (session = { of, recorded: [], shown: 0 }));
      save?.(`# connect ${port} ${of} ${at}\n`);
      if (!json) print(`${at.slice(11, 19)} ${port}: ${of}`);
    }
    save?.(`${at} ${direction} ${octets.length / 2} ${octets}\n`);
    if (json) continue;
    session.recorded.push({
      line: session.recorded.length + 1,
      time: at.slice(11, 23),
      direction: direction === '->' ? 'to-meter' : 'from-meter',
      octets: fromHex(octets),
    });
    const { frames } = explain(session.recorded);
    for (const frame of frames.slice(session.shown))
      for (const [i, text] of frame.text.entries())
        print(`${i === 0 ? frame.time : ' '.repeat(12)} ${frame.direction === 'to-meter' ? '→' : '←'} ${text}`);
    session.shown = frames.length;
  }
}
