/** Judges a scenario, a fault or a swap by its schema, and says all that is wrong at once, with its line where there is a file. */
import * as v from 'valibot';
import { Failure } from '../base/errors.ts';
import { nearest } from '../base/nearest.ts';
import { mayBeLeftOut, choicesAt, schemaFault } from '../base/schema-words.ts';
import { type Path, pathText, type Place } from '../base/toml.ts';

/** More names than these are not listed: QUIRKS.md has them. */
const maxListed = 12;
/** The schema finds one unknown key of a table at a time. */
const maxRounds = 50;

type Tables = Record<string | number, unknown>;
const holder = (value: unknown, path: Path): Tables | undefined =>
  path.slice(0, -1).reduce<unknown>((at, key) => (at as Tables | undefined)?.[key], value) as Tables | undefined;

/** Passwords and keys of virtual meters are no secrets. */
const given = (_: Path, received: string): string => (received.length > 80 ? `${received.slice(0, 80)}…` : received);

/** Of a value that is one of several: those, or the one that was meant. */
function choiceWords(
  schema: v.GenericSchema,
  issue: v.BaseIssue<unknown>,
  path: Path,
  value: unknown,
): string | undefined {
  const choices = issue.type === 'picklist' ? choicesAt(schema, path, value) : kindsOf(issue);
  if (choices.length === 0) return undefined;
  if (issue.input === undefined) return `missing; there are ${choices.join(', ')}`;
  const meant = typeof issue.input === 'string' ? nearest(issue.input, choices.map(String)) : undefined;
  if (meant !== undefined) return `no ${given(path, issue.received)}; did you mean '${meant}'?`;
  const listed = choices.length > maxListed ? '' : `; there are ${choices.join(', ')}`;
  return `no ${given(path, issue.received)}${listed}`;
}
/** The values that tell the schemas of a variant apart, out of its own words for them. */
const kindsOf = ({ type, expected }: v.BaseIssue<unknown>): string[] =>
  type === 'variant' ? [...(expected ?? '').matchAll(/"([^"]+)"/g)].map(([, name]) => name as string) : [];

/** What is left out so that the rest can be judged: the nearest key around it that a file may do without. */
function leftOut(schema: v.GenericSchema, path: Path, value: unknown): Path {
  let mend = path;
  while (mend.length > 0 && mayBeLeftOut(schema, mend, value) !== true) mend = mend.slice(0, -1);
  return mend;
}
interface Located {
  readonly file: string;
  readonly place: (path: Path) => Place;
}
function faultsOf(
  schema: v.GenericSchema,
  value: unknown,
): ReadonlyMap<string, { readonly path: Path; readonly words: string }> {
  const found = new Map<string, { path: Path; words: string }>();
  const mended = structuredClone(value);
  for (let round = 0; round < maxRounds; round++) {
    const { success, issues = [] } = v.safeParse(schema, mended);
    if (success) break;
    const described = issues.map((issue) => {
      const fault = schemaFault(schema, issue, mended, given);
      return { ...fault, words: choiceWords(schema, issue, fault.path, mended) ?? fault.message };
    });
    for (const { path, words, kind } of described) {
      const text = pathText(path);
      // What comes to light once something was left out is only looked at for other unknown keys.
      if (!found.has(text) && (round === 0 || kind === 'unknown')) found.set(text, { path, words });
    }
    for (const { path, kind } of described) {
      const mend = kind === 'unknown' ? path : leftOut(schema, path, mended);
      const table = holder(mended, mend);
      const key = mend.at(-1);
      if (table !== undefined && key !== undefined) delete table[key];
    }
  }
  return found;
}

/** The value in the shape of its schema. Failure `input-unreadable` with a line for everything that is wrong. */
export function judged<S extends v.GenericSchema>(
  what: string,
  schema: S,
  value: unknown,
  at?: Located,
): v.InferOutput<S> {
  const result = v.safeParse(schema, value);
  if (result.success) return result.output;
  const lines = [...faultsOf(schema, value).values()].map(({ path, words }) => {
    const { line, column } = at?.place(path) ?? {};
    const where = at ? `${at.file}:${line}:${column}` : what;
    return { line: line ?? 0, text: [where, ...(path.length === 0 ? [] : [pathText(path)]), words].join(': ') };
  });
  throw new Failure(
    'input-unreadable',
    lines
      .toSorted((a, b) => a.line - b.line)
      .map(({ text }) => text)
      .join('\n'),
  );
}
