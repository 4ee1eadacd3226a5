/** `meter-gateway decode`: explains hex and recorded exchanges. */
import { readFileSync } from 'node:fs';
import { Failure, messageOf } from '../base/errors.ts';
import { meterModels } from '../config/meter-models.ts';
import { genericModel } from '../meter/model.ts';
import { rowJson } from '../reading/load-profile-row.ts';
import { bad } from './connection.ts';
import { parseExchange } from '../base/exchange-file.ts';
import { explainedJson } from '../recording/explained-json.ts';
import { explain, requireReadable } from '../recording/reader.ts';
import { decodeKeys } from './secret.ts';
import { note } from './terminal.ts';
import { messageXml, xmlEnd, xmlHead } from './xml.ts';

/** Larger than any recording of a session. */
const inputLimit = 64 << 20;

export interface DecodeOptions {
  readonly json?: boolean;
  readonly rows?: boolean;
  readonly xml?: boolean;
  readonly keys?: string;
  readonly model?: string;
}
export function decodeInput(file: string, options: DecodeOptions, print: (line: string) => void): number {
  let octets: Buffer;
  try {
    octets = readFileSync(file === '-' ? 0 : file);
  } catch (error) {
    throw new Failure('file-unusable', messageOf(error));
  }
  if (octets.length > inputLimit) throw new Failure('input-unreadable', `${file}: more than ${inputLimit} octets`);
  const models = meterModels();
  const model = options.model === undefined ? genericModel : models.get(options.model);
  if (!model) return bad(`no model '${options.model}'; there are ${[...models.keys()].join(', ')}`);
  const exchange = parseExchange(octets.toString('latin1'));
  const explanation = explain(exchange, decodeKeys(options.keys, process.env), model);
  requireReadable(explanation);
  if (options.rows) for (const row of explanation.rows) print(JSON.stringify(rowJson(row)));
  else if (options.xml) {
    for (const line of [...xmlHead, ...explanation.frames.flatMap(messageXml), xmlEnd]) print(line);
  } else {
    for (const frame of explanation.frames) {
      if (options.json) print(JSON.stringify(explainedJson(frame)));
      else {
        const [first = '', ...rest] = frame.text;
        const arrow = frame.direction === 'to-meter' ? '→' : frame.direction === 'from-meter' ? '←' : ' ';
        print(`${frame.time.padEnd(9)}${arrow} ${first}`);
        for (const line of rest) print(`${' '.repeat(11)}  ${line}`);
      }
    }
  }
  for (const problem of explanation.problems) note(problem);
  return explanation.problems.length > 0 ? 1 : 0;
}
