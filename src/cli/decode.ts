/** `meter-gateway decode`: explains recordings of any format, while they come. */
import type { Recorded } from '../base/exchange-file.ts';
import { Failure } from '../base/errors.ts';
import type { MeterModel } from '../meter/model.ts';
import { rowJson } from '../reading/load-profile-row.ts';
import type { Explained, FoundRow, Reading } from '../recording/explained.ts';
import { explainedJson } from '../recording/explained-json.ts';
import type { FormatName, InputFormat, InputItem } from '../recording/input/item.ts';
import { openInput } from '../recording/input/open.ts';
import { RecordingReader } from '../recording/reader.ts';
import { bad, instant, modelNamed, stampDeviation } from './connection.ts';
import { openSource, progressOf } from './decode-input.ts';
import { rewriter } from './rewrite.ts';
import { decodeKeys } from './secret.ts';
import { clearProgress, note, type Output } from './terminal.ts';
import { messageXml, xmlEnd, xmlHead } from './xml.ts';

export interface DecodeOptions {
  readonly json?: boolean;
  readonly rows?: boolean;
  readonly xml?: boolean;
  readonly keys?: string;
  readonly model?: string;
  readonly format?: FormatName;
  readonly port?: readonly string[];
  /** Minutes from UTC to the meters' standard time, where their stamps leave it open. */
  readonly standardOffset?: string;
  /** Only what this meter said or was asked: its address, as the frames show it. */
  readonly meter?: string;
  /** Rows with stamps from here on, both bounds included. */
  readonly from?: string;
  /** pcapng or tap: written anew. Else the last stamp of rows. */
  readonly to?: string;
}
const rewritten = ['pcapng', 'tap'] as const;
const rewriteOf = ({ to }: DecodeOptions): (typeof rewritten)[number] | undefined =>
  rewritten.find((one) => one === to);

/** Which rows and frames are shown. */
interface Chosen {
  readonly meter: string | undefined;
  readonly from: number;
  readonly to: number;
}
function chosenOf(options: DecodeOptions): Chosen {
  const from = options.from === undefined ? Number.NEGATIVE_INFINITY : instant('--from', options.from);
  const to = options.to === undefined || rewriteOf(options) ? Number.POSITIVE_INFINITY : instant('--to', options.to);
  if (from > to) bad('--from is later than --to');
  return { meter: options.meter, from, to };
}
const isChosen = (chosen: Chosen, { meter, row: { end } }: FoundRow): boolean =>
  (chosen.meter === undefined || chosen.meter === meter) &&
  (end === null
    ? chosen.from === Number.NEGATIVE_INFINITY && chosen.to === Number.POSITIVE_INFINITY
    : end >= chosen.from && end <= chosen.to);

/** The model, and the deviation that is given beside it. */
function modelOf({ model: name, standardOffset }: DecodeOptions): MeterModel {
  const model = modelNamed(name);
  return standardOffset === undefined ? model : { ...model, stamp_deviation_min: stampDeviation(standardOffset) };
}

/** What is done with each part of a recording. */
interface Explainer {
  push(item: Recorded): void;
  /** Whether anything was found. */
  end(): boolean;
}

function frameLines({ time, direction, text }: Explained): string[] {
  const [first = '', ...rest] = text;
  const arrow = direction === 'to-meter' ? '→' : direction === 'from-meter' ? '←' : ' ';
  return [`${time.padEnd(9)}${arrow} ${first}`, ...rest.map((line) => `${' '.repeat(11)}  ${line}`)];
}
function explainer(options: DecodeOptions, output: Output, problem: (message: string) => void): Explainer {
  const chosen = chosenOf(options);
  const reader = new RecordingReader({ keys: decodeKeys(options.keys, process.env), model: modelOf(options) });
  let found = false;
  const linesOf = (frame: Explained): string[] =>
    options.xml ? messageXml(frame) : options.json ? [JSON.stringify(explainedJson(frame))] : frameLines(frame);
  const show = ({ frames, rows, problems }: Reading): void => {
    if (options.xml && !found && frames.length > 0) for (const line of xmlHead) output.print(line);
    found ||= frames.length > 0;
    const shown = chosen.meter === undefined ? frames : frames.filter(({ meter }) => meter === chosen.meter);
    if (options.rows)
      for (const { row } of rows.filter((one) => isChosen(chosen, one))) output.print(JSON.stringify(rowJson(row)));
    else for (const frame of shown) for (const line of linesOf(frame)) output.print(line);
    for (const message of problems) problem(message);
  };
  return {
    push: (item) => show(reader.push(item)),
    end: () => {
      show(reader.end());
      if (options.xml && found) output.print(xmlEnd);
      return found;
    },
  };
}

const portsOf = (texts: readonly string[] = []): Set<number> =>
  new Set(
    texts
      .flatMap((text) => text.split(','))
      .map((text) => {
        const port = Number(text);
        return Number.isInteger(port) && port > 0 && port < 65_536
          ? port
          : bad(`--port takes 1 to 65535, not '${text}'`);
      }),
  );

/** 0: all was understood; 1: something was not, and is named with its line and offset. */
export async function decodeInput(
  file: string,
  options: DecodeOptions,
  output: Output,
  stop: AbortSignal,
): Promise<number> {
  const { format } = options;
  let problems = 0;
  const problem = (message: string): void => {
    problems++;
    clearProgress();
    note(message);
  };
  const rewrite = rewriteOf(options);
  const explained = rewrite ? rewriter(rewrite, output) : explainer(options, output, problem);
  const input = openInput({ ports: portsOf(options.port), ...(format !== undefined && { format }) });
  let formats = 0;
  const sayFormat = ({ line, format }: InputFormat): void =>
    note(formats++ === 0 ? `format: ${format}` : `line ${line}: format ${format} as well`);
  const take = (items: readonly InputItem[]): void => {
    for (const item of items) {
      if ('problem' in item) problem(`line ${item.line}, offset ${item.offset}: ${item.problem}`);
      else if ('format' in item) sayFormat(item);
      else if ('ignored' in item) note(`left out: ${item.ignored}`);
      else explained.push(item);
    }
  };
  const { chunks, size } = openSource(file, stop);
  const progressed = progressOf(size);
  let octets = 0;
  for await (const chunk of chunks) {
    octets += chunk.length;
    // A large piece makes much output: whoever reads it sets the pace.
    for (let at = 0; at < chunk.length; at += pieceOctets) {
      take(input.push(chunk.subarray(at, at + pieceOctets)));
      await output.flush();
    }
    progressed(octets);
  }
  clearProgress();
  if (stop.aborted) note(`stopped after ${octets} octets of the input`);
  else take(input.end());
  const found = explained.end();
  await output.flush();
  if (stop.aborted) return 130;
  if (!found) throw new Failure('input-unreadable', 'offset 0: no frame, APDU or value found in the input');
  return problems > 0 ? 1 : 0;
}
const pieceOctets = 1 << 14;
