/** Examples in the documents: commands are run, messages and scenarios are judged by the schemas of run time. */
import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { orderKeyOf } from '../../src/command/keys.ts';
import { orderPayload } from '../../src/command/order.ts';
import { verifyOrder } from '../../src/command/verify.ts';
import { ackPayload, againPayload, upPayload } from '../../src/contract/payloads.ts';
import { checked, isUnfit } from '../../src/contract/parse.ts';
import { misfitOfEvent } from '../../src/reading/gateway-events.ts';
import { readScenario } from '../../src/simulator/scenario.ts';
import { folder, gateway, node, root, simulator } from '../support/programs.ts';
import { centralKey, publicOf, signed } from '../support/signed-order.ts';
import { type Block, blocksOf, documents } from './documents.ts';

/** A folder that looks like the repository, where commands may write, with the built programs on the path. */
function workshop(): { readonly cwd: string; readonly path: string } {
  const cwd = mkdtempSync(join(folder, 'example-'));
  for (const name of readdirSync(root)) if (name !== '.git') symlinkSync(join(root, name), join(cwd, name));
  const bin = join(cwd, '.bin');
  mkdirSync(bin);
  for (const [name, program] of [
    ['meter-gateway', gateway],
    ['meter-simulator', simulator],
  ] as const) {
    writeFileSync(join(bin, name), `#!/bin/sh\nexec '${node}' '${program}' "$@"\n`);
    chmodSync(join(bin, name), 0o755);
  }
  return { cwd, path: `${bin}:${join(root, 'node_modules/.bin')}:${process.env['PATH'] ?? ''}` };
}
const shell = (text: string): Promise<{ code: number; out: string }> => {
  const { cwd, path } = workshop();
  return new Promise((resolve) => {
    execFile(
      'bash',
      ['-euo', 'pipefail', '-c', text],
      { cwd, env: { ...process.env, PATH: path, COLUMNS: '80' }, timeout: 200_000, maxBuffer: 1 << 24 },
      (error, out, err) => resolve({ code: error ? ((error.code as unknown as number) ?? -1) : 0, out: out + err }),
    );
  });
};

const all = documents.flatMap(blocksOf);
const named = (block: Block, i: number) => ({ name: `${block.document}, ${block.info} ${i + 1}`, ...block });
const runs = all.flatMap((block, i) => (block.info === 'sh run' ? [{ block, after: all[i + 1] }] : []));

test.each(runs.map(({ block, after }, i) => ({ ...named(block, i), after })))(
  '$name runs',
  async ({ document, text, after }) => {
    const { code, out } = await shell(text);
    expect(`${code} ${code === 0 ? '' : out}`).toBe('0 ');
    if (after?.document !== document || after.info !== 'text output') return;
    const words = (line: string) => line.trim().replaceAll(/\s+/g, ' ');
    const printed = out.split('\n').map(words);
    const missing = after.text
      .split('\n')
      .map(words)
      .filter((line) => line !== '' && line !== '…' && !printed.includes(line));
    expect(missing).toEqual([]);
  },
);

const judge: Readonly<Record<string, (text: string) => unknown>> = {
  'json up': (text) => {
    const payload = checked(upPayload, JSON.parse(text));
    if (isUnfit(payload)) return payload;
    const event = payload.kind === 'event' && payload.source === 'gateway' ? payload : undefined;
    return event && misfitOfEvent(event.name, event.detail);
  },
  'json down/ack': (text) => checked(ackPayload, JSON.parse(text)),
  'json order': (text) => checked(orderPayload, JSON.parse(text)),
  'json down/again': (text) => checked(againPayload, JSON.parse(text)),
};
test.each(all.filter(({ info }) => info in judge).map(named))('$name fits the contract', ({ info, text }) => {
  const outcome = judge[info]?.(text);
  expect(isUnfit(outcome) || typeof outcome === 'string' ? outcome : 'fits').toBe('fits');
});
test.each(all.filter(({ info }) => info === 'toml scenario').map(named))('$name is a scenario', ({ text }) => {
  expect(() => readScenario(text)).not.toThrow();
});
test('the order of the documents is what is signed there, and a gateway that pins the key takes it', async () => {
  const text = (info: string) => all.find((block) => block.info === info)?.text.trim() as string;
  const [payload, jws] = [text('json order'), text('jws down/cmd').replaceAll(/\s/g, '')];
  expect(jws).toBe(signed(payload));
  const { kid, key } = orderKeyOf(Buffer.from(JSON.stringify(publicOf(centralKey))), 'key');
  expect(await verifyOrder(Buffer.from(jws), new Map([[kid, key]]))).toMatchObject({
    kind: 'order',
    order: JSON.parse(payload) as object,
  });
});
test('there is something of each kind', () => {
  const count = (info: string) => all.filter((block) => block.info === info).length;
  for (const info of [
    'sh run',
    'json up',
    'json down/ack',
    'json down/again',
    'json order',
    'jws down/cmd',
    'toml scenario',
  ])
    expect(count(info), info).toBeGreaterThan(0);
});
