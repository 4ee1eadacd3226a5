/** TOML with the place of each key, so that a finding about a value names its line. No finding repeats the text itself. */
import { type AST, ParseError, parseTOML } from 'toml-eslint-parser';

export interface Place {
  /** Line and column are counted from 1. */
  readonly line: number;
  readonly column: number;
}
export interface TomlProblem extends Place {
  readonly message: string;
}
export type Path = readonly (string | number)[];
const bare = /^[A-Za-z0-9_-]+$/;
/** As people write it: `port[0].meter[1].secret`. */
export const pathText = (path: Path): string =>
  path
    .map((key, i) => {
      if (typeof key === 'number') return `[${key}]`;
      return `${i === 0 ? '' : '.'}${bare.test(key) ? key : JSON.stringify(key)}`;
    })
    .join('');

export interface Toml {
  /** What could be read of it. */
  readonly value: Record<string, unknown>;
  readonly problems: readonly TomlProblem[];
  /** Where the key at this path stands; or the nearest table around it, where the file does not have that key. */
  readonly place: (path: Path) => Place;
}

type Table = Record<string, unknown>;
/** Problems that are gathered; one slip of the pen can look like many. */
const maxProblems = 20;

/** In other words than those of the parser, for whoever wrote the file. */
const words: readonly (readonly [says: RegExp, words: string])[] = [
  [/^Defining a key multiple/, 'this key or table stands here once more; it may stand once'],
  [/^Unspecified values/, 'the value is missing'],
  [
    /^Unexpected (character|token)/,
    'this sign cannot stand here: texts need quotation marks, keys consist of letters, digits, - and _',
  ],
  [/^Unterminated string/, 'the text does not end: a quotation mark is missing'],
  [/^Unterminated (array|table-key)/, 'a closing bracket is missing: ]'],
  [/^Unterminated inline/, 'a closing bracket is missing: }'],
  [/^Must be a newline/, 'one key and its value are a line; something follows here'],
  [/^The key, equals sign/, 'a bracket or a sign of equality is missing in this line, or its value'],
  [/^Expected equal/, 'the sign of equality behind the key is missing'],
  [/^Expected comma/, 'a comma is missing'],
  [
    /^Leading zeros/,
    'a number does not begin with 0; a number such as a serial number is a text and needs quotation marks',
  ],
  [/^Unexpected invalid (date|time)/, 'this day or time does not exist'],
  [
    /^Invalid character in escape/,
    'a backslash in a text needs another one, or write the text in single quotation marks',
  ],
  [/^Empty bare keys/, 'the key is missing'],
];
const wordsOf = (message: string): string => words.find(([says]) => says.test(message))?.[1] ?? message;

/** Where the parser was when it gave up; at the beginning of a line that is what ended the line before. */
function problemOf({ message, lineNumber, column }: ParseError, lines: readonly string[]): TomlProblem {
  let before = Math.min(lineNumber - 1, lines.length);
  while (before > 1 && /^\s*(#.*)?$/.test(lines[before - 1] as string)) before--;
  const code = (lines[before - 1] ?? '').replace(/#.*$/, '').trimEnd();
  const isAtBegin = (lines[lineNumber - 1] ?? '').slice(0, column).trim() === '';
  // The parser took the next line for the value.
  const noValue = isAtBegin && code.endsWith('=');
  if (noValue || (column === 0 && !/^(Defining|Unexpected|Empty)/.test(message)))
    return { line: before, column: code.length + 1, message: noValue ? 'the value is missing' : wordsOf(message) };
  return { line: lineNumber, column: column + 1, message: wordsOf(message) };
}

/** A line that does not parse is left out, so that the others can be judged; a header becomes that of a table nobody asks for. */
const without = (line: string, number: number): string => (/^\s*\[/.test(line) ? `["left out ${number}"]` : '');
const isLeftOut = (key: string): boolean => /^left out \d+$/.test(key);

function parsed(text: string): { readonly program: AST.TOMLProgram | undefined; readonly problems: TomlProblem[] } {
  const lines = text.split('\n');
  const problems: TomlProblem[] = [];
  for (;;) {
    try {
      return { program: parseTOML(lines.join('\n')), problems };
    } catch (error) {
      if (error instanceof RangeError)
        return { program: undefined, problems: [...problems, { line: 1, column: 1, message: 'is nested too deep' }] };
      if (!(error instanceof ParseError)) throw error;
      const problem = problemOf(error, lines);
      const { line } = problem;
      // What is found further up is a consequence of the line that was left out.
      const again = problems.some((one) => one.line >= line);
      if (!again) problems.push(problem);
      if (again || problems.length === maxProblems) return { program: undefined, problems };
      lines[line - 1] = without(lines[line - 1] as string, line);
    }
  }
}

const keyOf = (path: Path): string => JSON.stringify(path);

/** Builds the value from the tree, and notes where each key stood first. */
function builder(problems: TomlProblem[]) {
  const places = new Map<string, Place>();
  const note = (path: Path, { loc }: AST.TOMLNode): void => {
    const key = keyOf(path);
    if (!places.has(key)) places.set(key, { line: loc.start.line, column: loc.start.column + 1 });
  };
  // A key such as __proto__ is one like all others.
  const put = (table: Table, key: string, value: unknown): void => {
    Object.defineProperty(table, key, { value, enumerable: true, writable: true, configurable: true });
  };
  const inside = (table: Table, key: string): Table => {
    const found = Object.hasOwn(table, key) ? table[key] : undefined;
    if (Array.isArray(found)) return found.at(-1) as Table;
    if (found !== undefined) return found as Table;
    const fresh: Table = {};
    put(table, key, fresh);
    return fresh;
  };
  const nameOf = (key: AST.TOMLBare | AST.TOMLQuoted): string => (key.type === 'TOMLBare' ? key.name : key.value);

  const content = (node: AST.TOMLContentNode, path: Path): unknown => {
    if (node.type === 'TOMLArray')
      return node.elements.map((element, i) => {
        note([...path, i], element);
        return content(element, [...path, i]);
      });
    if (node.type === 'TOMLInlineTable') {
      const table: Table = {};
      for (const pair of node.body) keyValue(table, pair, path);
      return table;
    }
    if (node.kind === 'integer' && !Number.isSafeInteger(Number(node.bigint)))
      problems.push({
        line: node.loc.start.line,
        column: node.loc.start.column + 1,
        message: 'a number that large loses digits; write it as a text, in quotation marks',
      });
    return node.value;
  };
  const keyValue = (table: Table, { key: { keys }, value }: AST.TOMLKeyValue, path: Path): void => {
    let at = table;
    let here = path;
    keys.forEach((key, i) => {
      const name = nameOf(key);
      here = [...here, name];
      note(here, key);
      if (i < keys.length - 1) at = inside(at, name);
      else put(at, name, content(value, here));
    });
  };
  const header = (root: Table, node: AST.TOMLTable): Table => {
    let at = root;
    let here: Path = [];
    const names = node.key.keys.map((key) => ({ key, name: nameOf(key) }));
    names.forEach(({ key, name }, i) => {
      here = [...here, name];
      note(here, key);
      if (i === names.length - 1 && node.kind === 'array') {
        if (!Object.hasOwn(at, name)) put(at, name, []);
        (at[name] as Table[]).push({});
      }
      at = inside(at, name);
      const list = node.resolvedKey[here.length];
      if (typeof list === 'number') here = [...here, list];
      note(here, key);
    });
    return at;
  };
  return { places, keyValue, header };
}

/** Reads all of a text that can be read, and says everything that is wrong with it. */
export function readToml(given: string): Toml {
  const { program, problems } = parsed(given.replace(/^\u{feff}/u, ''));
  const value: Table = {};
  const { places, keyValue, header } = builder(problems);
  for (const node of program?.body[0].body ?? []) {
    if (node.type === 'TOMLKeyValue') keyValue(value, node, []);
    else {
      const table = header(value, node);
      for (const pair of node.body) keyValue(table, pair, node.resolvedKey);
    }
  }
  for (const key of Object.keys(value)) if (isLeftOut(key)) delete value[key];
  const place = (path: Path): Place => {
    for (let length = path.length; length > 0; length--) {
      const found = places.get(keyOf(path.slice(0, length)));
      if (found) return found;
    }
    return { line: 1, column: 1 };
  };
  return { value, problems: problems.toSorted((a, b) => a.line - b.line || a.column - b.column), place };
}

/** The value of a text that must be sound. Throws an Error that names each line that is not, and repeats nothing of it. */
export function parseToml(text: string): Record<string, unknown> {
  const { value, problems } = readToml(text);
  if (problems.length === 0) return value;
  throw new Error(problems.map(({ line, column, message }) => `line ${line}:${column}: ${message}`).join('; '));
}
