/** Octets of a file or of standard input, as they come: slow pipes, terminals, files of any length. */
import { createReadStream, statSync } from 'node:fs';
import { addAbortSignal, type Readable } from 'node:stream';
import { Failure, messageOf } from '../base/errors.ts';
import { clearProgress, progress } from './terminal.ts';

export interface Source {
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Octets; nothing where nobody knows beforehand. */
  readonly size?: number;
}
export function openSource(file: string, stop: AbortSignal): Source {
  if (file === '-') return { chunks: untilStopped(process.stdin, stop) };
  let size: number | undefined;
  try {
    const stat = statSync(file);
    if (stat.isDirectory()) throw new Failure('file-unusable', `${file} is a directory, not a recording`);
    if (stat.isFile()) ({ size } = stat);
  } catch (error) {
    throw error instanceof Failure ? error : new Failure('file-unusable', messageOf(error));
  }
  const chunks = untilStopped(createReadStream(file, { highWaterMark: 1 << 16 }), stop);
  return { chunks, ...(size !== undefined && { size }) };
}
async function* untilStopped(stream: Readable, stop: AbortSignal): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of addAbortSignal(stop, stream)) yield chunk as Uint8Array;
  } catch (error) {
    if (stop.aborted) return;
    throw new Failure('file-unusable', messageOf(error));
  }
}

const progressEvery = 1 << 22;
/** On a terminal: how far the reading is, where it takes long. */
export function progressOf(size: number | undefined): (octets: number) => void {
  let next = progressEvery;
  return (octets) => {
    if (octets < next) return;
    next = octets + progressEvery;
    const all = size === undefined ? '' : ` of ${Math.ceil(size / 1e6)} MB, ${Math.floor((octets / size) * 100)} %`;
    progress(`${Math.floor(octets / 1e6)}${size === undefined ? ' MB' : all} read `);
    if (size !== undefined && octets >= size) clearProgress();
  };
}
