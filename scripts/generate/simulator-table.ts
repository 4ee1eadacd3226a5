/** Writes the tables of docs/simulator.md from the schema of the scenario; `--check` compares instead. */
import { controlRows } from '../../src/simulator/control.ts';
import { injectedKinds } from '../../src/simulator/line-fault.ts';
import { quirkNames } from '../../src/simulator/quirks.ts';
import { faultSchemas, meterDefaults, scenarioSchema } from '../../src/simulator/scenario.ts';
import { generatedPart } from './generated.ts';
import { cell, rowsOf, type SchemaRow } from './schema-rows.ts';

const rows = rowsOf(scenarioSchema);
const ofAll: Readonly<Record<string, unknown>> = scenarioSchema.entries.meters.wrapped.entries;
const ofOne: Readonly<Record<string, unknown>> = scenarioSchema.entries.meter.wrapped.item.entries;
/** What may stand in both tables is one schema in both. */
const shared = new Set(Object.keys(ofOne).filter((key) => ofOne[key] === ofAll[key]));
const isDefaulted = (key: string): key is keyof typeof meterDefaults => key in meterDefaults;
const fallbackOf = ({ key, optional, fallback }: SchemaRow): string => {
  if (!optional) return '**must stand**';
  const value = fallback ?? (isDefaulted(key) ? meterDefaults[key] : undefined);
  return value === undefined ? 'left out' : `\`${JSON.stringify(value)}\``;
};
function table(own: readonly SchemaRow[]): string {
  const lines = own.map((row) => {
    if (row.what === undefined && row.key !== 'kind') throw new Error(`${row.path} has no description`);
    const values = row.key === 'quirks' ? 'list of names' : row.values;
    return `| ${[`\`${row.key}\``, row.what ?? 'the fault', values, fallbackOf(row)].map(cell).join(' | ')} |`;
  });
  return `| key | meaning | values | default |\n|---|---|---|---|\n${lines.join('\n')}\n`;
}
const below = (from: string): SchemaRow[] => rows.filter(({ path, key }) => path === `${from}.${key}`);
const faults = faultSchemas.map((schema) => {
  const own = rowsOf(schema);
  const kinds = own.find(({ key }) => key === 'kind')?.values.replaceAll(', ', ' or ') ?? '';
  return `\`kind\` = ${kinds}\n\n${table(own.filter(({ key }) => key !== 'kind'))}`;
});
const text = `## At the top

${table(rows.filter(({ path }) => path === 'seed'))}
## \`[bus]\`

${table(below('bus'))}
## \`[meters]\`: all of them

${table(below('meters').filter(({ key }) => !shared.has(key)))}
## \`[meters]\`, or \`[[meter]]\` for one of them

A \`[[meter]]\` names its meter by \`index\` (from 0), and may carry each of these keys; what it does not carry is as in \`[meters]\`.

${table(below('meter[]').filter(({ key }) => shared.has(key)))}
## \`[[meter]]\` alone

${table(below('meter[]').filter(({ key }) => !shared.has(key)))}
## \`[[fault]]\`

${faults.join('\n')}
## Acts at the control socket

| act | meaning | HTTP |
|---|---|---|
${controlRows
  .map(({ method, path, meaning }) => `| \`${path.slice('/v1/'.length)}\` | ${meaning} | \`${method} ${path}\` |`)
  .join('\n')}

## Events of faults

\`--events FILE\` writes a line of JSON for each fault that was really injected: \`time\` (time of day of the simulation), \`kind\`,
\`meter\` (from 0; null: the whole bus), its \`serial\`, and where they mean something \`fault\` (its number) and \`octets\`.

| kind | what happened |
|---|---|
${Object.entries(injectedKinds)
  .map(([kind, what]) => `| \`${kind}\` | ${what} |`)
  .join('\n')}

## Quirks

There are ${quirkNames.length} switches for \`quirks\`. [QUIRKS.md](../hardware/meters/QUIRKS.md) says of each what the simulated meter does, what the
client does about it, and which test shows that.
`;
generatedPart('docs/simulator.md', 'scenario', text, 'node scripts/generate/simulator-table.ts');
