/**
 * What a scan was answered, on disk after each probe: a line with its check sum. A scan that was cut, by Ctrl-C or with the power,
 * goes on behind the last whole line.
 */
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { Failure, messageOf } from '../base/errors.ts';
import type { Answers, ProbeAnswer, ScanPlan } from './scan-plan.ts';

const format = 'meter-gateway scan journal 1';
const { O_CREAT, O_NOFOLLOW, O_RDWR } = constants;

export interface ScanJournal {
  readonly path: string;
  /** What was answered before this scan was cut. */
  readonly answers: Answers;
  /** Why it begins anew although there was something. */
  readonly remark: string | undefined;
  /** Resolves when it is on the disk. */
  add(answer: ProbeAnswer): Promise<void>;
  /** Nothing is left to be asked: the next scan begins anew. */
  end(): Promise<void>;
  close(): Promise<void>;
}
/** Another list, line or way to ask is another scan. */
const keyOf = ({ entries, blind, line, baud, link }: ScanPlan): string =>
  createHash('sha256')
    .update(JSON.stringify([entries, blind, line, baud, link]))
    .digest('hex')
    .slice(0, 32);

const lineOf = (value: unknown): string => {
  const text = JSON.stringify(value);
  return `${crc32(text).toString(16).padStart(8, '0')} ${text}\n`;
};
const damaged = Symbol('damaged');
function valueOf(line: string): unknown {
  const text = line.slice(9);
  if (line.slice(0, 8) !== crc32(text).toString(16).padStart(8, '0')) return damaged;
  return JSON.parse(text) as unknown;
}

interface Before {
  readonly answers: Answers;
  /** Octets up to the end of the last whole line; 0: it begins anew. */
  readonly length: number;
  readonly remark?: string;
}
/** What stands in the file, as far as this scan can use it. */
function readBefore(path: string, text: string, key: string): Before {
  const anew = (remark?: string): Before => ({ answers: new Map(), length: 0, ...(remark && { remark }) });
  const [head = '', ...lines] = text.split('\n');
  if (text === '' || (lines.length === 0 && format.startsWith(head))) return anew();
  if (head !== format) throw new Failure('file-unusable', `${path} is no journal of a scan, and is left as it is`);
  // Behind the last end of a line stands what was cut off while it was written.
  const whole = lines.slice(0, -1).map(valueOf);
  if (whole.includes(damaged)) return anew(`${path} is damaged: the scan begins anew`);
  const [first, ...rest] = whole as [{ readonly key: string } | undefined, ...(ProbeAnswer | { readonly end: true })[]];
  if (!first) return anew();
  if (first.key !== key) return anew(`${path} is of another list, line or way to scan: it begins anew`);
  if (rest.some((one) => 'end' in one)) return anew();
  const answers: Answers = new Map((rest as ProbeAnswer[]).map((one) => [one.probe.id, one]));
  const length = Buffer.byteLength(text.slice(0, text.lastIndexOf('\n') + 1));
  return { answers, length };
}

/** Failure `file-unusable` where the file cannot be written, or is something else. `fresh`: what was answered before is left. */
export async function openJournal(path: string, plan: ScanPlan, fresh: boolean): Promise<ScanJournal> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0o600);
    const key = keyOf(plan);
    const found = readBefore(path, await file.readFile('utf8'), key);
    const before: Before = fresh ? { answers: new Map(), length: 0 } : found;
    await file.truncate(before.length);
    let at = before.length;
    const write = async (text: string): Promise<void> => {
      const octets = Buffer.from(text);
      await (file as FileHandle).write(octets, 0, octets.length, at);
      at += octets.length;
      await (file as FileHandle).datasync();
    };
    if (at === 0) await write(`${format}\n${lineOf({ key })}`);
    return {
      path,
      answers: before.answers,
      remark: before.remark,
      add: (answer) => write(lineOf(answer)),
      end: () => write(lineOf({ end: true })),
      close: () => (file as FileHandle).close(),
    };
  } catch (error) {
    await file?.close();
    throw error instanceof Failure ? error : new Failure('file-unusable', `${path}: ${messageOf(error)}`);
  }
}
