/** `status --watch`: the snapshot redrawn in place on a terminal; elsewhere one after the other. */
import type { Snapshot } from '../status/snapshot.ts';
import { snapshotText } from '../status/status-text.ts';
import { screenWidth } from './terminal.ts';

/** Home without clearing: what stays the same does not flicker, and the scroll-back is not filled. */
const home = '\x1b[H';
const restOfLine = '\x1b[K';
const restOfScreen = '\x1b[J';

export async function showAgain(
  snapshots: AsyncIterable<Snapshot>,
  json: boolean,
  print: (line: string) => void,
): Promise<void> {
  const { stdout } = process;
  if (stdout.isTTY && !json) stdout.write('\x1b[2J');
  for await (const snapshot of snapshots) {
    if (json) print(JSON.stringify(snapshot));
    else if (stdout.isTTY) {
      const fits = snapshotText(snapshot, screenWidth()).slice(0, Math.max(1, stdout.rows - 1));
      stdout.write(`${home}${fits.map((line) => `${line}${restOfLine}\n`).join('')}${restOfScreen}`);
    } else for (const line of [...snapshotText(snapshot, screenWidth()), '']) print(line);
  }
}
