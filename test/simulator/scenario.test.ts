/** A scenario with mistakes: everything that is wrong is said at once, with its line and what was meant. */
import { expect, test } from 'vitest';
import { parseLineFault, parseSwap, readScenario } from '../../src/simulator/scenario.ts';

const wordsOf = (act: () => unknown): string[] => {
  try {
    act();
  } catch (error) {
    return (error as Error).message.split('\n');
  }
  return [];
};

test('each mistake has its line, in their order, and the key or the name that was meant', () => {
  const text = `
seed = 7
sed = 8
[bus]
kind = "ptty"
boud = 9600
[meters]
cuont = 8
period_s = 1000
[[meter]]
index = 1
sreial = 3
quirks = ["disc-dm", "lifoo"]
[[meter]]
physical = "x"
[[fault]]
kind = "flipp"
[[fault]]
kind = "flip"
rte = 0.5
`;
  expect(wordsOf(() => readScenario(text, 'bench.toml'))).toEqual([
    "bench.toml:3:1: sed: unknown key; did you mean 'seed'?",
    `bench.toml:5:1: bus.kind: no "ptty"; did you mean 'pty'?`,
    "bench.toml:6:1: bus.boud: unknown key; did you mean 'baud'?",
    "bench.toml:8:1: meters.cuont: unknown key; did you mean 'count'?",
    'bench.toml:9:1: meters.period_s: no 1000; there are 300, 600, 900, 1800, 3600, 86400',
    "bench.toml:12:1: meter[0].sreial: unknown key; did you mean 'serial'?",
    `bench.toml:13:22: meter[0].quirks[1]: no "lifoo"; did you mean 'lifo'?`,
    'bench.toml:14:3: meter[1].index: missing',
    'bench.toml:15:1: meter[1].physical: a number is expected, not "x"',
    `bench.toml:17:1: fault[0].kind: no "flipp"; did you mean 'flip'?`,
    'bench.toml:18:3: fault[1].rate: missing',
    "bench.toml:20:1: fault[1].rte: unknown key; did you mean 'rate'?",
  ]);
});
test.each([
  [
    'no TOML',
    'seed = \n[bus\n',
    ['s:1:7: is no TOML: the value is missing', 's:2:5: is no TOML: a closing bracket is missing: ]'],
  ],
  ['a value for a table', 'bus = 3', ['s:1:1: bus: a table is expected, not 3']],
  ['a list for a table', '[[meters]]\ncount = 3', ['s:1:3: meters: a table is expected, not a list']],
  ['a table for a list', '[meter]\nindex = 3', ['s:1:2: meter: a list is expected, not Object']],
  ['out of range', '[meters]\ncount = 5000', ['s:2:1: meters.count: <=1000 is expected, not 5000']],
  ['another port of the network', '[bus]\nbind = "all"', ['s:2:1: bus.bind: an IP address, not "all"']],
])('%s', (_, text, words) => {
  expect(wordsOf(() => readScenario(text, 's'))).toEqual(words);
});
test('what is no file has its path alone', () => {
  expect(wordsOf(() => parseLineFault({ kind: 'silense' }))).toEqual([
    `fault: kind: no "silense"; did you mean 'silence'?`,
  ]);
  expect(wordsOf(() => parseLineFault({ kind: 'flip', rate: 2 }))[0]).toContain('fault: rate: ');
  expect(wordsOf(() => parseLineFault({}))[0]).toContain('fault: kind: missing; there are silence, drop, flip');
  expect(wordsOf(() => parseSwap({ quirks: ['lifo'] }))).toEqual(['swap: serial: missing']);
});
