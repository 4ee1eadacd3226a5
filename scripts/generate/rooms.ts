/**
 * Writes .oxlintrc.json from the order of the rooms: a file imports only from rooms to its left, each door outside
 * belongs to one room, and the pure rooms have no clock, timer or I/O. `--check` fails where the file has drifted.
 */
import { generated } from './generated.ts';

const order = [
  'base',
  'door',
  'dlms',
  'reading',
  'contract',
  'line',
  'meter',
  'recording',
  'store',
  'schedule',
  'listen',
  'disk',
  'forward',
  'command',
  'status',
  'config',
  'commission',
  'desk',
  'setup',
  'page',
  'cli',
  'simulator',
  'central',
  'billing',
  'office',
  'compose',
  'main',
];
/** Programs beside the gateway, and the rooms of it that they see: whatever comes to the left later is none of theirs. */
const seesOnly: Record<string, readonly string[]> = {
  simulator: ['base', 'door', 'dlms'],
  central: ['base', 'door', 'reading', 'contract'],
  // Pure functions over facts: of the other rooms it knows what facts are.
  billing: ['base', 'reading', 'contract', 'central'],
  office: ['base', 'reading', 'contract', 'central', 'billing'],
};
/** What a room may not see although it stands to the left. */
const notEither: Record<string, string[]> = {
  ...Object.fromEntries(
    Object.entries(seesOnly).map(([room, seen]) => [
      room,
      order.slice(0, order.indexOf(room)).filter((left) => !seen.includes(left)),
    ]),
  ),
  compose: ['cli', 'setup', 'simulator', 'central', 'billing', 'office'],
  main: ['simulator', 'central', 'billing', 'office'],
};
/** The files that know all rooms. */
const composing = ['compose.ts', 'house.ts', 'lines.ts', 'listening.ts', 'orders.ts'];
const doors: Record<string, string[]> = {
  serialport: ['line'],
  'node:net': ['door', 'line', 'simulator', 'page'],
  'node:dgram': ['line', 'simulator'],
  'node:http': ['door', 'desk', 'page'],
  'node:https': ['page'],
  mqtt: ['forward', 'central'],
  level: ['disk'],
  'classic-level': ['disk'],
  pino: ['main'],
  jose: ['command'],
  'jose/jws/compact/verify': ['command'],
  koffi: ['line', 'main', 'simulator'],
  'node:tty': ['simulator'],
  'node:sqlite': ['central'],
  pg: ['central'],
};
const pure = ['base', 'dlms', 'reading', 'billing'];

/**
 * The ratchet: 70 lines a function, 500 a file, 5 parameters. What breaks it is named here with its reason, and the list only
 * becomes shorter: whoever takes a name off lowers `maxBeyond` with it.
 */
const limits = {
  'max-lines-per-function': ['error', { max: 70 }],
  'max-lines': ['error', { max: 500 }],
  'max-params': ['error', { max: 5 }],
} as const;
const beyond: Readonly<Record<keyof typeof limits, Readonly<Record<string, string>>>> = {
  'max-lines-per-function': {
    'src/reading/interval-block.ts': 'accountFor: what is said of an interval hangs on all of its neighbours',
    'src/cli/listen.ts': 'what is pushed is explained by the same reader: to be split',
    'src/compose.ts': 'who gets what of whom, in one place',
  },
  'max-lines': {
    'src/reading/profile-reader.ts': 'the fast path, written by hand',
  },
  'max-params': {
    'src/reading/profile-reader.ts': 'the fast path, written by hand',
  },
};
const maxBeyond = 5;
const names = Object.values(beyond).flatMap((files) => Object.keys(files));
if (names.length > maxBeyond)
  throw new Error(`${names.length} names are exempt from the ratchet, at most ${maxBeyond} may be: split what is new`);
const ratchet = Object.entries(beyond).map(([rule, files]) => ({
  files: Object.keys(files),
  rules: { [rule]: 'off' },
}));

const overrides: object[] = order.map((room, i) => {
  const rooms = [...order.slice(i + 1), ...(notEither[room] ?? [])];
  const patterns = rooms.flatMap((other) =>
    other === 'compose' ? composing.map((file) => `../**/${file}`) : [`../**/${other}/**`],
  );
  const paths = Object.entries(doors)
    .filter(([, owners]) => !owners.includes(room))
    .map(([name]) => name);
  if (pure.includes(room)) paths.push('node:fs', 'node:fs/promises', 'node:timers', 'node:child_process');
  return {
    files: [room === 'compose' ? 'src/*.ts' : `src/${room}/**`],
    rules: {
      'no-restricted-imports': ['error', { paths, patterns }],
      ...(pure.includes(room) && {
        'no-restricted-globals': ['error', 'setTimeout', 'setInterval', 'setImmediate', 'performance', 'process'],
        'no-console': 'error',
      }),
    },
  };
});
const config = {
  $schema: './node_modules/oxlint/configuration_schema.json',
  plugins: ['typescript', 'import', 'unicorn', 'promise'],
  jsPlugins: ['./scripts/lint/words.ts'],
  categories: { correctness: 'error', suspicious: 'error' },
  rules: {
    'words/names': 'error',
    'import/no-cycle': ['error', { ignoreTypes: false }],
    'typescript/no-floating-promises': 'error',
    'typescript/no-misused-promises': 'error',
    'typescript/await-thenable': 'error',
    'typescript/no-explicit-any': 'error',
    'no-unused-vars': 'error',
    // Empty listeners and sequential awaits are meant where they stand; one line at a time on a bus.
    'no-await-in-loop': 'off',
    'no-shadow': 'off',
    'typescript/no-unsafe-type-assertion': 'off',
    'typescript/consistent-return': 'off',
    'unicorn/no-array-sort': 'off',
    'unicorn/consistent-function-scoping': 'off',
    'promise/always-return': 'off',
    'promise/catch-or-return': 'off',
    'promise/no-multiple-resolved': 'off',
    'promise/no-promise-in-callback': 'off',
    'promise/no-callback-in-promise': 'off',
    'no-underscore-dangle': 'off',
    'import/no-unassigned-import': 'off',
    'no-control-regex': 'off',
    'typescript/no-unnecessary-type-parameters': 'off',
    'typescript/no-unnecessary-type-arguments': 'off',
  },
  overrides: [...overrides, { files: ['src/**'], rules: { ...limits, 'words/comments': 'error' } }, ...ratchet],
};
const text = `${JSON.stringify(config, null, 2)}\n`;
generated('.oxlintrc.json', text, 'node scripts/generate/rooms.ts');
