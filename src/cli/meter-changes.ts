/** `meter add`, `meter remove`, `attach`: changes of a person that need no line. */
import { createInterface } from 'node:readline';
import { Failure } from '../base/errors.ts';
import { iso, type Millis } from '../base/time.ts';
import { type EntryKeys, type Judge, proposalsOf } from '../commission/candidates.ts';
import { siteFolder } from '../commission/site-folder.ts';
import { judgeText, requirePlan } from '../config/judge.ts';
import { withMeter, withoutMeter } from '../config/meter-block.ts';
import { meterModels } from '../config/meter-models.ts';
import { checkSources } from '../config/sources.ts';
import { placesOf, type PortOptions, portOf, type SiteOptions } from './site-options.ts';
import { bad, whole } from './connection.ts';
import { answerTo } from './question.ts';
import { changeFile } from './replace-file.ts';

export interface EntryOptions extends PortOptions {
  readonly like?: string;
  readonly client?: string;
  readonly auth?: string;
  readonly secret?: string;
  readonly encryptionKey?: string;
  readonly authenticationKey?: string;
  readonly model?: string;
  readonly period?: string;
  readonly profile?: string;
}
export interface AddOptions extends EntryOptions {
  readonly config: string;
  readonly point: string;
  readonly id?: string;
  readonly physical?: string;
}
export interface RemoveOptions {
  readonly config: string;
  readonly yes?: boolean;
}
export interface AttachOptions extends SiteOptions {
  readonly note?: string;
}
type Door = (stateDirectory: string) => string;

export const entryKeysOf = (options: EntryOptions): EntryKeys => ({
  ...(options.client !== undefined && { client: whole('--client', options.client, 1, 127) }),
  ...(options.auth !== undefined && { auth: options.auth }),
  ...(options.secret !== undefined && { secret: options.secret }),
  ...(options.encryptionKey !== undefined && { encryption_key: options.encryptionKey }),
  ...(options.authenticationKey !== undefined && { authentication_key: options.authenticationKey }),
  ...(options.model !== undefined && { model: options.model }),
});

export const judgeOf = (door: Door): Judge => ({ models: meterModels(), sources: checkSources, door });

export function addMeter(serial: string, options: AddOptions, door: Door, print: (line: string) => void): number {
  const { config: file, point, id, physical } = options;
  const judge = judgeOf(door);
  const backup = changeFile(file, 'before-add', (text) => {
    const port = portOf(text, options);
    const entry = {
      line: 1,
      point,
      serial,
      place: '',
      ...(physical !== undefined && { physical: whole('--physical', physical, 0, 16_383) }),
    };
    const [proposal] = proposalsOf(text, port, [entry], {
      entry: entryKeysOf(options),
      like: options.like,
      periodS: whole('--period', options.period ?? '3600', 300, 86_400),
      profile: options.profile,
      models: judge.models ?? meterModels(),
    });
    const written = withMeter(text, port, { ...proposal?.keys, ...(id !== undefined && { id }) });
    requirePlan(judgeText(written, { ...judge, name: file }), file);
    return written;
  });
  print(`${id ?? `m-${serial}`} written into ${file}; the file as it was: ${backup}`);
  print(`next: meter-gateway commission ${id ?? `m-${serial}`} --config ${file}, then meter-gateway reload`);
  return 0;
}

async function isSure(meter: string): Promise<boolean> {
  if (!process.stdin.isTTY) return bad('--yes is missing, and there is no terminal to ask at');
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return (await answerTo(lines, `Take ${meter} out of the configuration? Its series ends. (yes) `)).trim() === 'yes';
  } finally {
    lines.close();
  }
}

export async function removeMeter(
  meter: string,
  { config: file, yes }: RemoveOptions,
  { now, door }: { readonly now: Millis; readonly door: Door },
  print: (line: string) => void,
): Promise<number> {
  if (yes !== true && !(await isSure(meter)))
    throw new Failure('bad-argument', `${meter} stays: the answer was not yes`);
  const judge = judgeOf(door);
  const backup = changeFile(file, 'before-remove', (text) => {
    const written = withoutMeter(
      text,
      meter,
      `${iso(now).slice(0, 10)}: meter ${meter} was taken out by meter-gateway meter remove`,
    );
    requirePlan(judgeText(written, { ...judge, name: file }), file);
    return written;
  });
  print(`${meter} is taken out of ${file}; the file as it was: ${backup}`);
  print('next: meter-gateway reload');
  return 0;
}

export function attachTo(
  meter: string,
  file: string | undefined,
  options: AttachOptions,
  now: Millis,
  print: (line: string) => void,
): number {
  const one = siteFolder(placesOf(options).site).attach(meter, file, options.note, iso(now));
  print(
    one.file === null
      ? `${meter}: the note stands in its record`
      : `${meter}: ${one.bytes} octets, SHA-256 ${one.sha256}; it stays on this gateway until the site is signed off`,
  );
  return 0;
}
