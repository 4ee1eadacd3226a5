import { readFileSync } from 'node:fs';
import * as v from 'valibot';
import { Failure, messageOf } from '../base/errors.ts';
import { parseToml } from '../base/toml.ts';
import type { MeterModel } from '../meter/model.ts';
import { meterModels } from './meter-models.ts';
import { type Config, configSchema, crossCheck } from './schema.ts';

export interface Loaded {
  readonly config: Config;
  readonly warnings: readonly string[];
}

/** Edits between two words, for "did you mean"; the words are short. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(
        Math.min(
          (row[j] as number) + 1,
          (next[j - 1] as number) + 1,
          (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1),
        ),
      );
    }
    row = next;
  }
  return row[b.length] as number;
}

const pathText = (path: readonly (string | number)[]): string =>
  path.map((key, i) => (typeof key === 'number' ? `[${key}]` : i === 0 ? key : `.${key}`)).join('');

/** The keys that the schema knows at a path. */
function keysAt(path: readonly (string | number)[]): string[] {
  let schema: unknown = configSchema;
  const inner = (of: unknown): Record<string, unknown> => {
    let at = of as Record<string, unknown>;
    while (at['type'] === 'optional') at = at['wrapped'] as Record<string, unknown>;
    return at;
  };
  for (const key of path) {
    const at = inner(schema);
    schema = typeof key === 'number' ? at['item'] : (at['entries'] as Record<string, unknown> | undefined)?.[key];
    if (schema === undefined) return [];
  }
  return Object.keys((inner(schema)['entries'] as object | undefined) ?? {});
}

function problemOf(issue: v.BaseIssue<unknown>): string {
  const path = (issue.path ?? []).map((item) => item.key as string | number);
  const at = pathText(path);
  if (issue.type === 'strict_object' && issue.expected === 'never') {
    const key = String(path.at(-1));
    const [best] = keysAt(path.slice(0, -1)).sort((a, b) => distance(key, a) - distance(key, b));
    const hint = best && distance(key, best) <= Math.max(2, key.length / 3) ? `; did you mean '${best}'?` : '';
    return `${at}: unknown key${hint}`;
  }
  if (issue.type === 'strict_object' && issue.received === 'undefined') return `${at}: missing`;
  // Somebody may have written the secret itself there: it is not repeated into logs.
  const secret = ['secret', 'password', 'key', 'encryption_key', 'authentication_key', 'signing_key'].includes(
    String(path.at(-1)),
  );
  // Nor what stands before the @ of a URL.
  const received = issue.received.replace(/\/\/.*@/, '//…@');
  const given = secret ? '' : `, not ${received}`;
  return `${at || '(top)'}: ${issue.message}${given}`;
}

export function parseConfig(
  text: string,
  name: string,
  models: ReadonlyMap<string, MeterModel> = meterModels(),
): Loaded {
  let table: unknown;
  try {
    table = parseToml(text);
  } catch (error) {
    throw new Failure('config-invalid', `${name}: ${messageOf(error)}`);
  }
  const result = v.safeParse(configSchema, table);
  if (!result.success) {
    throw new Failure(
      'config-invalid',
      [`${name}:`, ...result.issues.map((issue) => `  ${problemOf(issue)}`)].join('\n'),
    );
  }
  const { errors, warnings } = crossCheck(result.output, models);
  if (errors.length > 0) {
    throw new Failure(
      'config-invalid',
      [`${name}:`, ...errors.map(({ path, message }) => `  ${path}: ${message}`)].join('\n'),
    );
  }
  return { config: result.output, warnings: warnings.map(({ path, message }) => `${path}: ${message}`) };
}

export function loadConfig(path: string): Loaded {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const denied = (error as NodeJS.ErrnoException).code === 'EACCES';
    const why = denied ? `; it holds no secrets: chmod 644 ${path}, and 755 for its folder` : '';
    throw new Failure('config-invalid', `${messageOf(error)} (uid ${process.getuid?.() ?? '?'})${why}`);
  }
  return parseConfig(text, path);
}
