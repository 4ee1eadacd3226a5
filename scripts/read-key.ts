/**
 * What stands in a store or in the counters of a state directory: `node scripts/read-key.ts FOLDER [BEGINNING OF A KEY]`.
 * A copy is opened, so nothing of it changes, and the gateway may run. Keys: src/store/keys.ts.
 */
import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Level } from 'level';
import { visible } from '../src/base/visible.ts';
import { decodeOutbox } from '../src/store/outbox-record.ts';
import { unsealed } from '../src/store/record.ts';

const [folder, beginning = ''] = process.argv.slice(2);
if (folder === undefined || !existsSync(join(folder, 'CURRENT'))) {
  process.stderr.write(
    'node scripts/read-key.ts FOLDER [BEGINNING OF A KEY]; a folder of LevelDB, for example STATE/store\n',
  );
  process.exit(2);
}
function wordsOf(key: string, octets: Uint8Array): string[] {
  const record = decodeOutbox(key, octets);
  if (record)
    return record.entries.flatMap(({ sequence, head, text }) => [
      `  ${sequence} ${JSON.stringify(head)}`,
      `    ${text}`,
    ]);
  const opened = unsealed(key, octets);
  if (!opened) return ['  damaged, or not sealed'];
  const text = opened.content.toString('utf8');
  return [/^[[{"]/.test(text) ? `  ${text}` : `  ${opened.content.length} octets: ${opened.content.toString('hex')}`];
}

const copy = mkdtempSync(join(tmpdir(), 'read-key-'));
try {
  cpSync(folder, copy, { recursive: true, filter: (path) => !path.endsWith('/LOCK') });
  const options = { createIfMissing: false, keyEncoding: 'utf8', valueEncoding: 'view' } as const;
  const database = new Level<string, Uint8Array>(copy, options);
  for await (const [key, octets] of database.iterator({ gte: beginning, lt: `${beginning}\uffff` }))
    process.stdout.write(`${visible(key)}\n${wordsOf(key, octets).map(visible).join('\n')}\n`);
  await database.close();
} finally {
  rmSync(copy, { recursive: true, force: true });
}
