/** A gateway that goes away while it answers. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { askBackup, askBrowse, watchLog, watchStatus } from '../../src/desk/client.ts';

const folder = mkdtempSync(join(tmpdir(), 'desk-client-'));
const path = join(folder, 'status.sock');
/** Sends the beginning of an answer, and is gone. */
const server = createServer((_asked, response) => {
  response.writeHead(200);
  response.write('{"line":"the first"}\n', () => response.socket?.destroy());
});
beforeAll(async () => {
  server.listen(path);
  await once(server, 'listening');
});
afterAll(() => {
  server.close();
  rmSync(folder, { recursive: true });
});

const all = async (given: AsyncIterable<unknown>) => {
  for await (const one of given) expect(one).toBeDefined();
};

test('incident: whoever watched a gateway that was stopped was told "aborted", with code 1 and no next step', async () => {
  const gone = { code: 'no-gateway', message: `the gateway at ${path} hung up in the midst of it` };
  await expect(all(watchStatus(path))).rejects.toMatchObject(gone);
  await expect(all(watchLog(path, true))).rejects.toMatchObject(gone);
  await expect(all(askBrowse(path, 'm1', { rows: '0' }))).rejects.toMatchObject(gone);
  await expect(askBackup(path).then(all)).rejects.toMatchObject(gone);
});
