/** Writes the tables of docs/contract.md from the schemas of the payloads; `--check` compares instead. */
import type * as v from 'valibot';
import { orderLimit, orderPayloads } from '../../src/command/order.ts';
import { birthFilter, upFilter } from '../../src/contract/topics.ts';
import { payloadLimit } from '../../src/contract/parse.ts';
import { orderRefusals } from '../../src/reading/order-words.ts';
import { kinds, meaningOf, meanings, usedMeanings } from './contract-kinds.ts';
import { generatedPart } from './generated.ts';
import { cell, rowsOf } from './schema-rows.ts';

function table(kind: string, schema: v.GenericSchema): string {
  const lines = rowsOf(schema).map(({ path, key, values, optional }) => {
    const may = optional ? ', or left out' : '';
    return `| \`${path}\` | ${cell(values)}${may} | ${cell(meaningOf(kind, path, key))} |`;
  });
  return `| field | values | meaning |\n|---|---|---|\n${lines.join('\n')}\n`;
}
const text = `A head-end subscribes to \`${upFilter('<tenant>')}\` and \`${birthFilter('<tenant>')}\`. No payload is longer than ${payloadLimit / 1024} KiB.

| topic | payload | when |
|---|---|---|
${kinds.map(([kind, topic, title]) => `| \`${topic.replace(', ', '`, `')}\` | [${kind}](#${kind.replace('/', '')}) | ${title} |`).join('\n')}

${kinds.map(([kind, , title, schema]) => `### ${kind}\n\n${title[0]?.toUpperCase()}${title.slice(1)}.\n\n${table(kind, schema)}`).join('\n')}`;
/** What each action needs of the configuration, and what its result says in `detail`. */
const acts: Readonly<Record<keyof typeof orderPayloads, readonly [what: string, enabled: string, detail: string]>> = {
  read: [
    'reads registers, clock and switch now, and the newest rows',
    'always',
    'readAt, registers, clockDeviationS; the reading itself comes before, as `reading`',
  ],
  again: ['says a span again from the ledger, or reads it from the meter', 'always', 'intervals'],
  'set-clock': [
    'sets the clock of the meter within the limits of R30, also by more than a minute',
    '`set_clocks`',
    'beforeS, afterS: deviations',
  ],
  disconnect: [
    'opens the switch of the meter',
    '`enable_disconnect`',
    'beforeOutput, beforeControlState, beforeControl, and the same with after; controlMode',
  ],
  reconnect: ['closes it, or makes it ready for that', '`enable_disconnect`', 'the same'],
  firmware: [
    'brings an image to the meter, in slices between the polls',
    '`enable_firmware`',
    'blocks, sessions, activated, image',
  ],
  'change-keys': [
    'gives the meter the next keys that are configured for it on the gateway (key_transfer of its security setup), and enters it with them',
    '`enable_key_change`',
    'changed, entered: the serial number that answered with the next keys',
  ],
  trace: [
    'listens to the line for a while, in the turns of this meter; passwords and keys are struck out',
    'always',
    'frames, leftOut, and frame01 to frame60: when, direction, octets in hex; 16 KiB of them at most, from the beginning',
  ],
  version: ['says which program runs', 'always', 'version, boot, configHash, since, upS, actions'],
};
const commonKeys = new Set(rowsOf(orderPayloads.read).map(({ key }) => key));
const orderLines = rowsOf(orderPayloads.read).map(
  ({ key, values }) =>
    `| \`${key}\` | ${key === 'action' ? 'one of the table below' : cell(values)} | ${cell(meaningOf('order', key, key))} |`,
);
const actLines = Object.entries(acts).map(([action, [what, enabled, detail]]) => {
  const schema = orderPayloads[action as keyof typeof orderPayloads];
  const more = rowsOf(schema)
    .filter(({ path, key }) => path === key && !commonKeys.has(key))
    .map(({ key, values }) => `\`${key}\` (${values}): ${meaningOf(action, key, key)}`);
  const without = 'meter' in schema.entries ? '' : 'without `meter`, `serial`, `point`';
  return `| \`${action}\` | ${what} | ${cell([...more, without].filter((one) => one !== '').join('; '))} | ${enabled} | ${detail} |`;
});
const orderText = `No order is longer than ${orderLimit / 1024} KiB. Its payload has these members and no other:

| member | values | meaning |
|---|---|---|
${orderLines.join('\n')}

| action | what it does | more members | enabled by | \`detail\` of the result |
|---|---|---|---|---|
${actLines.join('\n')}

| \`reason\` of a refusal | what it means, and what to do |
|---|---|
${Object.entries(orderRefusals)
  .map(([reason, says]) => `| \`${reason}\` | ${cell(says)} |`)
  .join('\n')}
`;
const superfluous = Object.keys(meanings).filter((name) => !usedMeanings.has(name));
if (superfluous.length > 0) throw new Error(`meanings of no field: ${superfluous.join(', ')}`);
generatedPart('docs/contract.md', 'payloads', text, 'node scripts/generate/contract-table.ts');
generatedPart('docs/contract.md', 'orders', orderText, 'node scripts/generate/contract-table.ts');
