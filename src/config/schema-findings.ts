/** What the schema says of a file, in words; and the file without it, so that everything else is judged as well. */
import * as v from 'valibot';
import { mayBeLeftOut, schemaFault } from '../base/schema-words.ts';
import { type Path, pathText } from '../base/toml.ts';
import { configExample } from './example.ts';
import type { Noted } from './findings.ts';
import { type Config, configSchema } from './schema.ts';

/** A line of the example with this key, in the table that it belongs to. */
function exampleOf(path: Path): string | undefined {
  const names = path.filter((key) => typeof key === 'string');
  const key = String(names.at(-1));
  const [first] = names;
  const isLine = first === 'port' || first === 'listen';
  if (names.length === 1 && isLine) return `[[${first}]]`;
  if (names.length === 2 && key === 'meter') return `[[${first}.meter]]`;
  const table = isLine ? (names[1] === 'meter' ? `[[${first}.meter]]` : `[[${first}]]`) : `[${first}]`;
  if (names.length === 1) return table;
  const from = configExample.indexOf(`\n${table}\n`);
  const next = configExample.indexOf('\n[', from + 2);
  const part = configExample.slice(from, next < 0 ? undefined : next);
  const found = new RegExp(`(?:^|[{,] )(?:# *)?${key} *= ("[^"]*"|\\[\\{.*\\}\\]|\\{.*\\}|[^,\\s#}]+)`, 'm').exec(part);
  return found ? `${key} = ${found[1]}` : undefined;
}
const asInExample = (path: Path): string => {
  const example = exampleOf(path);
  return example === undefined ? 'See meter-gateway config example.' : `For example: ${example}`;
};

/** Somebody may have written the secret itself there: it is not repeated into logs. Nor what stands before the @ of a URL. */
const secrets = new Set([
  'secret',
  'password',
  'key',
  'encryption_key',
  'authentication_key',
  'next_encryption_key',
  'next_authentication_key',
  'signing_key',
]);
function givenText(path: Path, received: string): string {
  if (path.some((key) => secrets.has(String(key)))) return '';
  const shown = received.replace(/\/\/.*@/, '//…@');
  return shown.length > 80 ? `${shown.slice(0, 80)}…` : shown;
}

interface Issue {
  readonly noted: Noted;
  /** What is put in its place, or left out, so that the rest can be judged. */
  readonly mend: Path;
  /** Keys whose value says nothing, also that which an unknown key was meant to be. */
  readonly wrong: readonly Path[];
}
function issueOf(issue: v.BaseIssue<unknown>, value: unknown): Issue {
  const { kind, path, message, meant, known = [] } = schemaFault(configSchema, issue, value, givenText);
  const noted = (next: string): Noted => ({ severity: 'error', code: 'config-invalid', path, message, next });
  if (kind === 'unknown') {
    const above = path.slice(0, -1);
    const table = above.length === 0 ? 'the file' : pathText(above);
    const next = `${meant === undefined ? 'Leave it out' : `Write ${meant}, or leave it out`}; ${table} has ${known.join(', ')}.`;
    return { noted: noted(next), mend: path, wrong: meant === undefined ? [] : [[...above, meant]] };
  }
  const example = asInExample(path);
  return { noted: noted(kind === 'missing' ? `Add it. ${example}` : example), mend: path, wrong: [path] };
}

type Tables = Record<string | number, unknown>;
const holder = (value: unknown, path: Path): Tables | undefined =>
  path.slice(0, -1).reduce<unknown>((at, key) => (at as Tables | undefined)?.[key], value) as Tables | undefined;

/** Something that fits and is nobody's, for a key that must stand. */
function standIn(path: Path, number: number): unknown {
  switch (path.at(-1)) {
    case 'gateway':
      return { id: 'left-out', tenant: 'left-out' };
    case 'mqtt':
      return { url: 'mqtts://left-out.invalid' };
    case 'port':
      return [
        {
          name: 'left-out',
          device: '/dev/left-out',
          meter: [{ id: 'left-out', point: 'left out', serial: 'left out' }],
        },
      ];
    case 'meter':
      return [{ id: `left-out-${number}`, point: `left out ${number}`, serial: `left out ${number}` }];
    case 'url':
      return 'mqtts://left-out.invalid';
    case 'device':
      return `/dev/left-out-${number}`;
    case 'at':
      return '2099-01-01T00:00:00Z';
    case 'obis':
      return `0-0:${number % 256}.${number >> 8}.0*255`;
    default:
      return typeof path.at(-1) === 'number' ? {} : `left-out-${number}`;
  }
}

/** Rounds after which what is left of a file counts as not to be judged: the schema tells one unknown key of a table at a time. */
const maxRounds = 100;

export interface SchemaJudged {
  /** What fits; with stand-ins where the schema found something, and then only to look for what else is wrong. */
  readonly config: Config | undefined;
  readonly found: readonly Noted[];
  readonly wrong: readonly Path[];
}
export function judgeSchema(value: Record<string, unknown>): SchemaJudged {
  const found = new Map<string, Issue>();
  const mended = structuredClone(value);
  for (let round = 0; round < maxRounds; round++) {
    const { success, output, issues = [] } = v.safeParse(configSchema, mended);
    if (success) {
      const all = [...found.values()];
      return { config: output, found: all.map(({ noted }) => noted), wrong: all.flatMap(({ wrong }) => wrong) };
    }
    issues.forEach((issue, i) => {
      const described = issueOf(issue, mended);
      const { path } = described.noted;
      // What a stand-in lacks is nobody's fault; and of one key the first complaint is enough.
      const isOwn = round === 0 || (issue.type === 'strict_object' && issue.expected === 'never');
      if (isOwn && !found.has(pathText(path))) found.set(pathText(path), described);
      const table = holder(mended, described.mend);
      const key = described.mend.at(-1);
      if (table === undefined || key === undefined) return;
      if (mayBeLeftOut(configSchema, described.mend, mended) === false)
        table[key] = standIn(described.mend, round * 100 + i);
      else delete table[key];
    });
  }
  const all = [...found.values()];
  return { config: undefined, found: all.map(({ noted }) => noted), wrong: all.flatMap(({ wrong }) => wrong) };
}
