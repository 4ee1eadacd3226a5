/**
 * Judges a configuration file whole: its text, its schema, what excludes each other, and what it refers to. `config check`,
 * the start and a reload all stand on this, so all of them say the same, all at once.
 */
import { isUtf8 } from 'node:buffer';
import { readFileSync } from 'node:fs';
import { Failure } from '../base/errors.ts';
import { type Path, readToml, type Toml } from '../base/toml.ts';
import type { MeterModel } from '../meter/model.ts';
import { crossCheck } from './cross-check.ts';
import {
  type Finding,
  Findings,
  isFault,
  type Located,
  located,
  type Noted,
  refusal,
  type Sources,
} from './findings.ts';
import { readModels } from './meter-models.ts';
import { type GatewayPlan, resolve } from './resolve.ts';
import type { Config } from './schema.ts';
import { judgeSchema } from './schema-findings.ts';
import { regular, unreadable } from './secrets.ts';

export interface Judged {
  /** undefined where something stands in the way of the whole. */
  readonly plan: GatewayPlan | undefined;
  readonly config: Config | undefined;
  readonly findings: readonly Finding[];
  /** For what is found out of the file: the line that it stands in. */
  readonly locate: (noted: Noted) => Finding;
}
export interface JudgeContext {
  /** The name of the file, as it was given. */
  readonly name: string;
  readonly models?: ReadonlyMap<string, MeterModel>;
  /** Left out: only the text itself is judged. */
  readonly sources?: Sources | undefined;
  /** Where the status socket is when the file names none. */
  readonly door?: ((stateDirectory: string) => string) | undefined;
  /** The plan of the gateway that runs and is to take this file. */
  readonly inForce?: GatewayPlan | undefined;
}

const isWithin = (path: Path, outer: Path): boolean => outer.every((key, i) => path[i] === key);

/** Findings on the keys that are wrong themselves, or that rest on one, would be of the stand-ins. */
const notOf =
  (wrong: readonly Path[]) =>
  ({ path, restsOn = [] }: Noted): boolean =>
    ![path, ...restsOn].some((one) => wrong.some((outer) => isWithin(one, outer) || isWithin(outer, one)));

const inOrder = (a: Finding, b: Finding): number =>
  (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0) || Number(isFault(b)) - Number(isFault(a));

/** Where the text is no TOML, what can be read of it is held against the schema; what seems to be missing may stand there. */
function judgeBroken(toml: Toml, at: Located): Judged {
  const broken: readonly Finding[] = toml.problems.map(({ line, column, message }) => ({
    ...located(
      {
        severity: 'error',
        code: 'config-invalid',
        path: [],
        message: `is no TOML: ${message}`,
        next: 'Correct this line.',
      },
      at,
    ),
    line,
    column,
  }));
  const others = judgeSchema(toml.value).found.filter(({ message }) => message !== 'missing');
  return {
    plan: undefined,
    config: undefined,
    findings: [...broken, ...others.map((one) => located(one, at))].toSorted(inOrder),
    locate: (noted) => located(noted, at),
  };
}

/** What a gateway cannot take while it runs. */
function judgeChange({ gateway }: Config, { gateway: before }: Config, findings: Findings): void {
  if (gateway.state_directory !== before.state_directory)
    findings.add('error', ['gateway', 'state_directory'], `is ${before.state_directory} while the gateway runs`, {
      code: 'restart-needed',
      next: 'Stop the gateway, move the folder, start it: systemctl restart meter-gateway.',
    });
}

export function judgeText(text: string, context: JudgeContext): Judged {
  const { name, sources, door, inForce } = context;
  const toml = readToml(text);
  const at: Located = { file: name, value: toml.value, place: toml.place };
  if (toml.problems.length > 0) return judgeBroken(toml, at);
  const { models, broken } = context.models ? { models: context.models, broken: [] } : readModels();
  const { config, found, wrong } = judgeSchema(toml.value);
  const findings = new Findings();
  const resolved = (of: Config): GatewayPlan | undefined => {
    if (inForce) judgeChange(of, inForce.config, findings);
    crossCheck(of, { models, findings, device: sources?.device });
    return sources && resolve(of, { models, sources, findings, door: door?.(of.gateway.state_directory) });
  };
  const plan = config && resolved(config);
  const others = findings.all.filter(wrong.length === 0 && found.length === 0 ? () => true : notOf(wrong));
  const all = [...broken, ...[...found, ...others].map((one) => located(one, at)).toSorted(inOrder)];
  const sound = found.length === 0 && broken.length === 0;
  const whole = sound && all.every(({ severity }) => severity !== 'error');
  return {
    plan: whole && plan ? { ...plan, findings: all } : undefined,
    config: whole ? config : undefined,
    findings: all,
    locate: (noted) => located(noted, at),
  };
}

/** Failure where the file itself cannot be read. */
function textOf(path: string): string {
  let octets: Buffer;
  try {
    regular(path);
    octets = readFileSync(path);
  } catch (error) {
    const { message, detail } = unreadable(path, error, 'config-invalid');
    const next = typeof detail['next'] === 'string' ? `\n    next (operator): ${detail['next']}` : '';
    throw new Failure('config-invalid', `${message}${next}`);
  }
  if (isUtf8(octets)) return octets.toString('utf8');
  throw new Failure('config-invalid', `${path} is no text in UTF-8\n    next (operator): Save it as UTF-8.`);
}
export const judgeFile = (path: string, context: Omit<JudgeContext, 'name'>): Judged =>
  judgeText(textOf(path), { ...context, name: path });

/** The plan of a file, or a Failure that says everything that is wrong with it. */
export function requirePlan({ plan, findings }: Judged, name: string): GatewayPlan {
  if (plan) return plan;
  throw refusal(name, findings);
}

export interface Loaded {
  readonly config: Config;
  readonly findings: readonly Finding[];
}
/** The configuration that a text is, without a look at what it refers to. */
export function parseConfig(text: string, name: string, models?: ReadonlyMap<string, MeterModel>): Loaded {
  const { config, findings } = judgeText(text, { name, ...(models && { models }) });
  if (!config) throw refusal(name, findings);
  return { config, findings };
}
export const loadConfig = (path: string): Loaded => parseConfig(textOf(path), path);
