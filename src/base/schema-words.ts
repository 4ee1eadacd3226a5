/** What a schema of valibot finds wrong with a file, in words for whoever wrote it. */
import type * as v from 'valibot';
import { nearest } from './nearest.ts';
import type { Path } from './toml.ts';

/** What is looked at in a schema; its own types are one for each kind. */
interface Node {
  readonly type: string;
  readonly wrapped?: Node;
  readonly item?: Node;
  readonly entries?: Readonly<Record<string, Node>>;
  /** Of a variant its schemas, of a picklist its values. */
  readonly options?: readonly unknown[];
  /** Of a variant: the key that tells which schema holds. */
  readonly key?: string;
}
const inner = (node: Node | undefined): Node | undefined => (node?.type === 'optional' ? inner(node.wrapped) : node);

const holds = (option: Node, key: string, value: unknown): boolean => {
  const entry = option.entries?.[key] as
    | { readonly literal?: unknown; readonly options?: readonly unknown[] }
    | undefined;
  return entry?.literal === value || entry?.options?.includes(value) === true;
};
type Values = Readonly<Record<string | number, unknown>> | undefined;
/** Of a variant the schema that this value has. */
function table(node: Node | undefined, value: unknown): Node | undefined {
  const at = inner(node);
  if (at?.type !== 'variant') return at;
  const { key = '' } = at;
  return (at.options as readonly Node[]).find((option) => holds(option, key, (value as Values)?.[key]));
}
function walk(
  schema: v.GenericSchema,
  path: Path,
  value: unknown,
): { readonly node: Node | undefined; readonly value: unknown } {
  let node = schema as unknown as Node | undefined;
  let at: unknown = value;
  for (const key of path) {
    const around = table(node, at);
    node =
      typeof key === 'number'
        ? around?.item
        : Object.hasOwn(around?.entries ?? {}, key)
          ? around?.entries?.[key]
          : undefined;
    at = (at as Values)?.[key];
  }
  return { node, value: at };
}
/** Whether the schema knows this key, and a file may do without it. */
export const mayBeLeftOut = (schema: v.GenericSchema, path: Path, value: unknown): boolean | undefined => {
  const { node } = walk(schema, path, value);
  return node && node.type === 'optional';
};
/** The values that may stand there, where they are a list. */
export function choicesAt(schema: v.GenericSchema, path: Path, value: unknown): readonly (string | number)[] {
  const node = inner(walk(schema, path, value).node);
  return node?.type === 'picklist' ? ((node.options ?? []) as (string | number)[]) : [];
}

/** Where the schema has no words of its own. */
const kinds: Readonly<Record<string, string>> = {
  Object: 'a table is expected',
  Array: 'a list is expected',
  string: 'a text in quotes is expected',
  number: 'a number is expected',
  boolean: 'true or false',
};

/** The words of the schema library name what came as well. */
const bare = (message: string): string =>
  message.replace(/^Invalid [a-z]+: Expected (.+) but received .*$/s, '$1 is expected');

export interface SchemaFault {
  /** list: a list stands where a table is expected; value: everything else. */
  readonly kind: 'list' | 'unknown' | 'missing' | 'value';
  readonly path: Path;
  readonly message: string;
  /** unknown: the key that was meant, and the keys that the table has. */
  readonly meant?: string | undefined;
  readonly known?: readonly string[];
}
export function schemaFault(
  schema: v.GenericSchema,
  issue: v.BaseIssue<unknown>,
  value: unknown,
  given: (path: Path, received: string) => string,
): SchemaFault {
  const path = (issue.path ?? []).map((item) => item.key as string | number);
  const above = path.slice(0, -1);
  if (issue.type === 'strict_object' && issue.expected === 'never') {
    // A list counts as a table with numbers for keys.
    if (Array.isArray(issue.path?.at(-1)?.input))
      return { kind: 'list', path: above, message: 'a table is expected, not a list' };
    const around = walk(schema, above, value);
    const known = Object.keys(table(around.node, around.value)?.entries ?? {});
    const meant = nearest(String(path.at(-1)), known);
    const hint = meant === undefined ? '' : `; did you mean '${meant}'?`;
    return { kind: 'unknown', path, message: `unknown key${hint}`, meant, known };
  }
  if (issue.type === 'strict_object' && issue.received === 'undefined')
    return { kind: 'missing', path, message: 'missing' };
  const expected = kinds[issue.message.startsWith('Invalid type') ? (issue.expected ?? '') : ''] ?? bare(issue.message);
  const shown = given(path, issue.received);
  // What is expected, or what is wrong with it.
  const joint = /^(this|no|not|must) /.test(expected) ? ': ' : ', not ';
  return { kind: 'value', path, message: shown === '' ? expected : `${expected}${joint}${shown}` };
}
