/** The place of each key, in every form that TOML has; the values as another parser reads them. */
import * as fc from 'fast-check';
import { parse as otherParse } from 'smol-toml';
import { describe, expect, test } from 'vitest';
import { parseToml, type Path, readToml } from '../../src/base/toml.ts';
import { configExample } from '../../src/config/example.ts';

const placed = (text: string, path: Path): string => {
  const { line, column } = readToml(text).place(path);
  return `${line}:${column}`;
};
const problemsOf = (text: string): string[] =>
  readToml(text).problems.map(({ line, column, message }) => `${line}:${column} ${message}`);

describe('where a key stands', () => {
  test.each<[string, string, Path, string]>([
    ['a bare key', 'x = 1\n\n# c\n  a = 1', ['a'], '4:3'],
    ['a key of a table', '[t]\n# [t]\nk = 1', ['t', 'k'], '3:1'],
    ['a table', '# [t]\n [ t ]\nk = 1', ['t'], '2:4'],
    ['a quoted key', '"a b" = 1\n\'c.d\' = 2', ['c.d'], '2:1'],
    ['a dotted key', '[t]\na."b c".d = 1', ['t', 'a', 'b c', 'd'], '2:9'],
    ['a table that a dotted key made', 'x = 1\na.b = 1\na.c = 2', ['a'], '2:1'],
    ['an inline table', 'x = 1\nt = { a = 1, b = { c = 2 } }', ['t', 'b', 'c'], '2:20'],
    ['an array of inline tables', 'l = [\n  { o = 1 },\n  { o = 2, p = 3 },\n]', ['l', 1, 'p'], '3:12'],
    ['an element', 'l = [1,\n 2]', ['l', 1], '2:2'],
    ['the second of an array of tables', '[[p]]\nn = 1\n[[p]]\nn = 2', ['p', 1, 'n'], '4:1'],
    ['its header', '[[p]]\nn = 1\n[[p]]\nn = 2', ['p', 1], '3:3'],
    ['the first of the second', '[[p]]\n[[p.m]]\ni=1\n[[p.m]]\ni=2\n[[p]]\n[[p.m]]\ni=3', ['p', 1, 'm', 0, 'i'], '8:1'],
    ['a table inside an array of tables', '[[p]]\n[p.s]\nk = 1', ['p', 0, 's', 'k'], '3:1'],
    ['behind a text of several lines', 'a = """\n[x]\nb = 1\n"""\nb = 2', ['b'], '5:1'],
    ['behind a literal text of several lines', "a = '''\n\"\"\"\nb = 1\n'''\nb = 2", ['b'], '5:1'],
    ['behind a text with a sign of a comment', 'a = "# \\" ["\nb = 2', ['b'], '2:1'],
    ['with CRLF', 'a = 1\r\n\r\n[t]\r\nb = 2\r\n', ['t', 'b'], '4:1'],
    ['with a byte order mark', '\u{feff}a = 1\nb = 2', ['a'], '1:1'],
    ['indented by a tab', '[t]\n\tb = 2', ['t', 'b'], '2:2'],
    ['a key that is not there: its table', '[t]\na = 1\n[u]\nb = 1', ['u', 'missing'], '3:2'],
    ['nothing of it is there', 'a = 1', ['mqtt', 'url'], '1:1'],
    ['a name of JavaScript', '[t]\nconstructor.__proto__ = 1', ['t', 'constructor', '__proto__'], '2:13'],
  ])('%s', (_, text, path, expected) => {
    expect(readToml(text).problems).toEqual([]);
    expect(placed(text, path)).toBe(expected);
  });
});

test('nothing reaches the prototypes', () => {
  const value = parseToml('__proto__.polluted = 1\n[constructor.prototype]\npolluted = 1\n[a]\n__proto__ = 2');
  expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  expect(Object.keys(value)).toEqual(['__proto__', 'constructor', 'a']);
});

describe('what is wrong is told with its line, all of it', () => {
  test.each<[string, string, string[]]>([
    ['no value', 'a = 1\nid = \nb = 2', ['2:5 the value is missing']],
    ['twice', 'a = 1\nb = 2\na = 3', ['3:1 this key or table stands here once more; it may stand once']],
    ['a table twice', '[a]\nx = 1\n[a]\ny = 2', ['3:2 this key or table stands here once more; it may stand once']],
    ['no value, and a comment', 'a = 1\nid = # later\n\n# c\n  b = 2', ['2:5 the value is missing']],
    ['no value at the end', 'a = 1\nid =', ['2:5']],
    ['no quotation marks', 'a = 1\nurl = mqtt://h', ['2:7']],
    ['a text that does not end', 'a = "x\nb = 1', ['1:7 the text does not end: a quotation mark is missing']],
    ['a header that does not end', '[[p]\nx = 1\n', ['1:5']],
    ['a list that does not end', 'a = 1\nb = [1,\n\n', ['2:8 the value is missing']],
    ['two in one line', 'a = 1 b = 2', ['1:7 one key and its value are a line; something follows here']],
    ['a zero before a number', 'serial = 0123', ['1:10 a number does not begin with 0']],
    ['a day that is none', 'since = 2026-02-30T00:00:00Z', ['1:18 this day or time does not exist']],
    ['a number that loses digits', 'a = 9007199254740993', ['1:5 a number that large loses digits']],
    ['three of them', 'a = \n[t]\nb = x\nc = 1\nd = "', ['1:4', '3:5', '5:']],
    ['too deep', `a = ${'['.repeat(50_000)}${']'.repeat(50_000)}`, ['1:1 is nested too deep']],
  ])('%s', (_, text, expected) => {
    const found = problemsOf(text);
    expect(found).toHaveLength(expected.length);
    found.forEach((one, i) => expect(one).toContain(expected[i]));
  });
  test('what can be read of it is read, and a table whose head is broken goes into no other one', () => {
    expect(readToml('a = 1\nb = \n[[p]]\nx = 1\n[[p]\nx = 2\n[q]\ny = 3').value).toEqual({
      a: 1,
      p: [{ x: 1 }],
      q: { y: 3 },
    });
  });
  test('a secret in the wrong place is not repeated', () => {
    expect(problemsOf('secret = hunter22\npassword = "hunter22').join()).not.toContain('hunter');
    expect(() => parseToml('secret = hunter22')).toThrow(/^line 1:10: /);
  });
});

describe('values are those that another parser reads', () => {
  const names = fc.constantFrom('a', 'b', '"q r"', "'l.m'", '__proto__', 'constructor');
  const scalars = fc.constantFrom(
    '1',
    '-2',
    '0x1f',
    '1_000',
    '1.5',
    '1e3',
    'true',
    '"t # [ \\" \\u00e9"',
    "'\\x'",
    '"""\nm\n"""',
    "'''\nn'''",
  );
  const value = fc.oneof(
    scalars,
    fc.array(scalars, { maxLength: 3 }).map((all) => `[ ${all.join(',\n # c\n ')} ]`),
    fc.uniqueArray(names, { maxLength: 2 }).map((all) => `{ ${all.map((name, i) => `${name} = ${i}`).join(', ')} }`),
  );
  const line = fc.oneof(
    fc.tuple(names, value).map(([name, one]) => `${name} = ${one}`),
    fc.tuple(names, names, value).map(([a, b, one]) => `${a}.${b} = ${one} # c`),
    fc.tuple(names, names).map(([a, b]) => `[${a} . ${b}]`),
    names.map((name) => `[${name}]`),
    names.map((name) => `[[${name}]]`),
    fc.tuple(names, names).map(([a, b]) => `[[${a}.${b}]]`),
    fc.constant(''),
  );
  const document = fc.tuple(fc.array(line, { maxLength: 8 }), fc.constantFrom('\n', '\r\n'));
  test('of what both take; each key has the line that it stands in', () => {
    let taken = 0;
    fc.assert(
      fc.property(document, ([lines, end]) => {
        const text = lines.join('\n').replaceAll('\n', end);
        let expected: unknown;
        try {
          expected = otherParse(text);
        } catch {
          return;
        }
        const toml = readToml(text);
        if (toml.problems.length > 0) return;
        taken++;
        // Line ends within a text may be told as either.
        expect(JSON.stringify(toml.value)).toBe(JSON.stringify(expected).replaceAll('\\r\\n', '\\n'));
        const at = text.split(/\r?\n/);
        const walk = (one: unknown, path: (string | number)[]): void => {
          if (typeof one !== 'object' || one === null) return;
          for (const [key, inner] of Object.entries(one)) {
            const here = [...path, Array.isArray(one) ? Number(key) : key];
            const { line } = toml.place(here);
            if (!Array.isArray(one)) expect(at[line - 1]).toContain(key);
            walk(inner, here);
          }
        };
        walk(toml.value, []);
      }),
      { numRuns: 2000, seed: 13 },
    );
    expect(taken).toBeGreaterThan(500);
  });
  test('of the example', () => {
    expect(parseToml(configExample)).toEqual(otherParse(configExample));
  });
});
