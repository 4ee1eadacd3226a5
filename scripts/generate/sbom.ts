/**
 * What is delivered, and under which licences: docs/sbom.cdx.json (CycloneDX, of `npm sbom`) and docs/licences.md, both
 * from package-lock.json, without a network and without what differs from run to run. `--check` compares instead, and
 * either way a licence that nobody has allowed yet is refused.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { generated } from './generated.ts';

interface Component {
  readonly 'bom-ref': string;
  readonly name: string;
  readonly version: string;
  readonly scope?: string;
  readonly licenses?: readonly { readonly license?: { readonly id?: string }; readonly expression?: string }[];
}
interface Bom {
  readonly metadata: { readonly component: Component };
  readonly components: readonly Component[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
}
interface Inside {
  readonly name: string;
  readonly version: string;
  readonly licence: string;
  readonly inside: string;
  /** Where its licence stands under node_modules. */
  readonly file?: string;
}

const root = new URL('../../', import.meta.url).pathname;
const allowed = new Set([
  'MIT',
  'ISC',
  '0BSD',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'Apache-2.0',
  'Zlib',
  'MIT AND OFL-1.1',
]);
const jsonOf = (path: string): Record<string, unknown> =>
  JSON.parse(readFileSync(join(root, path), 'utf8')) as Record<string, unknown>;
const own = jsonOf('package.json') as { name: string; version: string };
const runtime = (jsonOf('tools/runtime/package.json') as { version: string }).version;

const versionOf = (name: string): string =>
  (jsonOf('package.json') as { devDependencies: Record<string, string> }).devDependencies[name] ?? 'unknown';

/** What npm does not know: the runtime, and libraries compiled into addons. */
const inside: readonly Inside[] = [
  {
    name: 'node',
    version: runtime,
    licence: 'MIT',
    inside: 'the runtime; its LICENSE lists V8, OpenSSL, ICU, libuv …',
  },
  {
    name: 'leveldb',
    version: '1.20',
    licence: 'BSD-3-Clause',
    inside: 'classic-level',
    file: 'classic-level/deps/leveldb/leveldb-1.20/LICENSE',
  },
  {
    name: 'snappy',
    version: 'as in classic-level',
    licence: 'BSD-3-Clause',
    inside: 'classic-level',
    file: 'classic-level/deps/snappy/snappy/COPYING',
  },
  {
    name: 'preact',
    version: versionOf('preact'),
    licence: 'MIT',
    inside: 'the page (dist/page)',
    file: 'preact/LICENSE',
  },
  {
    name: 'uplot',
    version: versionOf('uplot'),
    licence: 'MIT',
    inside: 'the page (dist/page)',
    file: 'uplot/LICENSE',
  },
];
/** Licences that stand in the package, but not where npm looks for them. */
const foundByHand: Readonly<Record<string, string>> = { 'systemd-notify': 'MIT', 'png-js': 'MIT' };

function bomOfNpm(): Bom {
  const text = execFileSync('npm', ['sbom', '--sbom-format', 'cyclonedx', '--omit', 'dev', '--package-lock-only'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 1 << 26,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return JSON.parse(text) as Bom;
}

const licenceOf = ({ name, licenses = [] }: Component): string =>
  licenses.map(({ license, expression }) => license?.id ?? expression ?? '').find((id) => id !== '') ??
  foundByHand[name] ??
  'unknown';

/** The same on every machine: no serial number, no time, no version of npm, and not the name of the folder. */
function sbomText(bom: Bom): string {
  const {
    serialNumber: _,
    metadata,
    ...rest
  } = bom as Bom & { serialNumber: string; metadata: { component: Component; lifecycles?: unknown } };
  const more = inside.map(({ name, version, licence, inside: where, file }) => ({
    'bom-ref': `${name}@${version}`,
    type: file === undefined ? 'platform' : 'library',
    name,
    version,
    scope: 'required',
    licenses: [{ license: { id: licence } }],
    properties: [{ name: 'inside', value: where }],
  }));
  const components = bom.components.map((component) =>
    component.licenses ? component : { ...component, licenses: [{ license: { id: licenceOf(component) } }] },
  );
  const byRef = (a: { 'bom-ref': string }, b: { 'bom-ref': string }) => (a['bom-ref'] < b['bom-ref'] ? -1 : 1);
  const sorted = {
    ...rest,
    metadata: {
      lifecycles: metadata.lifecycles,
      component: { ...metadata.component, type: 'application', name: own.name },
    },
    components: [...components, ...more].toSorted(byRef),
    dependencies: bom.dependencies
      .map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.toSorted() }))
      .toSorted((a, b) => (a.ref < b.ref ? -1 : 1)),
  };
  return `${JSON.stringify(sorted, undefined, 1)}\n`;
}

/** Packages of one binary for each platform: only that of this machine is installed, all are in the lock. */
const platform = /^(@koromix\/koffi)-[a-z0-9-]+$/;

/** Who holds the rights, as the licence file of the package says it. */
function holders(folder: string): string {
  if (!existsSync(folder)) return '';
  const file = readdirSync(folder).find((name) => /^(licen[cs]e|copying)/i.test(name));
  return file === undefined ? '' : holdersIn(join(folder, file));
}
function holdersIn(file: string): string {
  const lines = readFileSync(file, 'utf8').match(/^[\s*#/]*(?:copyright|©)\s.*$/gim) ?? [];
  const names = lines
    .map((line) => line.replace(/^[\s*#/]*copyright\s*/i, '').replace(/all rights reserved\.?/i, ''))
    .map((line) =>
      line
        .replaceAll(/\(c\)|©|[|<>]/gi, ' ')
        .replaceAll(/\s+/g, ' ')
        .trim(),
    )
    .filter((line) => /[a-z]/i.test(line) && !/\[yyyy\]|\byear\b|notice|holder/i.test(line));
  return [...new Set(names)].slice(0, 4).join('; ');
}

/** The package of package.json through which a package comes. */
function roots(bom: Bom): Map<string, Set<string>> {
  const next = new Map(bom.dependencies.map(({ ref, dependsOn }) => [ref, dependsOn]));
  const name = (ref: string) => ref.slice(0, ref.lastIndexOf('@'));
  const found = new Map<string, Set<string>>();
  for (const direct of next.get(bom.metadata.component['bom-ref']) ?? []) {
    const waiting = [direct];
    for (let ref = waiting.pop(); ref !== undefined; ref = waiting.pop()) {
      const through = found.get(ref) ?? new Set();
      if (through.has(name(direct))) continue;
      found.set(ref, through.add(name(direct)));
      waiting.push(...(next.get(ref) ?? []));
    }
  }
  return found;
}

function licencesText(bom: Bom): string {
  const through = roots(bom);
  const places = new Map(
    Object.entries((jsonOf('package-lock.json') as { packages: Record<string, { version?: string }> }).packages).map(
      ([path, { version }]) => [`${path.slice(path.lastIndexOf('node_modules/') + 13)}@${version}`, path],
    ),
  );
  const rows = new Map<string, string>();
  for (const component of bom.components) {
    const { name, version } = component;
    const family = platform.exec(name)?.[1];
    const shown = family === undefined ? name : `${family}-* (one for each platform)`;
    const place = family === undefined ? places.get(`${name}@${version}`) : undefined;
    const by = place === undefined ? '' : holders(join(root, place));
    const why = [...(through.get(component['bom-ref']) ?? [])].toSorted().join(', ');
    rows.set(`${shown}@${version}`, `| ${shown} | ${version} | ${licenceOf(component)} | ${by} | ${why} |`);
  }
  for (const { name, version, licence, inside: where, file } of inside) {
    const by = file === undefined ? 'Node.js contributors' : holdersIn(join(root, 'node_modules', file));
    rows.set(`${name}@${version}`, `| ${name} | ${version} | ${licence} | ${by} | ${where} |`);
  }
  const sorted = [...rows].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row);
  return `# Licences of what is delivered

Generated by \`node scripts/generate/sbom.ts\` from package-lock.json; \`scripts/test\` fails where it has drifted. The machine's
form of the same is [sbom.cdx.json](sbom.cdx.json) (CycloneDX, by \`npm sbom --omit dev\`). Every package keeps its licence file
under \`node_modules\`, and the runtime its own beside it: the notices travel with what is delivered. Allowed are
${[...allowed].join(', ')}; anything else is refused until somebody has read it. What only builds and tests is not listed.

| package | version | licence | copyright | comes with |
|---|---|---|---|---|
${sorted.join('\n')}
`;
}

const bom = bomOfNpm();
const refused = [
  ...bom.components.map((component) => [component['bom-ref'], licenceOf(component)] as const),
  ...inside.map(({ name, licence }) => [name, licence] as const),
].filter(([, licence]) => !allowed.has(licence));
for (const [ref, licence] of refused)
  process.stderr.write(`${ref}: licence ${licence} is not among the allowed ones\n`);
if (refused.length > 0) process.exitCode = 1;
generated('docs/sbom.cdx.json', sbomText(bom), 'node scripts/generate/sbom.ts');
generated('docs/licences.md', licencesText(bom), 'node scripts/generate/sbom.ts');
