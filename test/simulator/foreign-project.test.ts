/** Another project that uses the bench: from the package as npm packs it, with its own vitest and its own type check. */
import { execFile } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { folder, node, root } from '../support/programs.ts';

const project = join(folder, 'foreign');
const modules = join(root, 'node_modules');
const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  dependencies: Readonly<Record<string, string>>;
};

const call = (program: string, args: string[], cwd: string): Promise<string> =>
  new Promise((resolve, reject) => {
    execFile(program, args, { cwd, timeout: 120_000, maxBuffer: 1 << 24 }, (error, out, err) =>
      error ? reject(new Error(`${program} ${args.join(' ')}\n${out}${err}`)) : resolve(out),
    );
  });

/** What npm would install is there already, at the pinned versions: no network is needed. */
function link(name: string): void {
  const place = join(project, 'node_modules', name);
  mkdirSync(dirname(place), { recursive: true });
  symlinkSync(join(modules, name), place);
}

const theirTest = `
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, expect, test } from 'vitest';
import { type Bench, type InjectedFault, startBench } from 'meter-gateway/simulator';

let bench: Bench | undefined;
afterEach(() => bench?.close());
const home = dirname(createRequire(import.meta.url).resolve('meter-gateway/package.json'));
const gateway = join(home, 'dist/main/main.js');
const read = (device: string, server: string, ...more: string[]) =>
  promisify(execFile)(process.execPath, [gateway, 'read', device, '--server', server, '--client', '16', '--auth', 'none', ...more]);

test('a bus on a pseudo-terminal, read by its device', async () => {
  bench = await startBench({ meters: { count: 3, first_serial: 70_000_001 } });
  const [device] = bench.devices as [string];
  const [, second] = bench.meters();
  const { stdout } = await read(device, \`1/\${second?.physical}\`);
  expect(stdout).toContain('70000002');
});
test('a disturbance begins when the test says so', async () => {
  const faults: InjectedFault[] = [];
  bench = await startBench({ bus: { kind: 'tcp' } }, { injected: (fault) => faults.push(fault) });
  bench.fault({ kind: 'silence', meter: 0 });
  await expect(read(bench.devices[0] as string, '1', '--timeout', '300', '--retries', '0')).rejects.toThrow('no-answer');
  expect(faults.map(({ kind }) => kind)).toEqual(['fault-on', 'silence']);
});
test('the shipped scenario is there', async () => {
  bench = await startBench(readFileSync(join(home, 'hardware/bench/substation.toml'), 'utf8'));
  expect(bench.meters()).toHaveLength(31);
});
`;

beforeAll(async () => {
  mkdirSync(join(project, 'node_modules/meter-gateway'), { recursive: true });
  await call('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', folder], root);
  const packed = readdirSync(folder).find((name) => name.endsWith('.tgz')) as string;
  await call(
    'tar',
    ['-xzf', join(folder, packed), '-C', join(project, 'node_modules/meter-gateway'), '--strip-components=1'],
    folder,
  );
  for (const name of [...Object.keys(dependencies), 'vitest', 'typescript', '@types/node']) link(name);
  const write = (name: string, text: string) => writeFileSync(join(project, name), text);
  write('package.json', JSON.stringify({ name: 'foreign', private: true, type: 'module' }));
  write('bus.test.ts', theirTest);
  const compilerOptions = { target: 'es2024', module: 'nodenext', strict: true, noEmit: true, types: ['node'] };
  write('tsconfig.json', JSON.stringify({ compilerOptions, include: ['*.ts'] }));
}, 120_000);

test('its vitest starts a bus on a pseudo-terminal, reads it, disturbs it', async () => {
  const report = join(project, 'report.json');
  const vitest = join(modules, 'vitest/vitest.mjs');
  await call(node, [vitest, 'run', '--root', '.', '--reporter=json', `--outputFile=${report}`], project);
  expect(JSON.parse(readFileSync(report, 'utf8'))).toMatchObject({ success: true, numPassedTests: 3 });
}, 120_000);
test('its type check knows the types, down to the keys of a scenario', async () => {
  await call(join(modules, '.bin/tsc'), ['-p', '.'], project);
  writeFileSync(
    join(project, 'wrong.ts'),
    "import { startBench } from 'meter-gateway/simulator';\nawait startBench({ meters: { cuont: 3 } });\n",
  );
  await expect(call(join(modules, '.bin/tsc'), ['-p', '.'], project)).rejects.toThrow(/wrong\.ts.*cuont/);
}, 120_000);
