/** `status --watch`: the snapshot redrawn in place on a terminal; elsewhere one after the other. */
import type { Snapshot } from '../status/snapshot.ts';
import { snapshotText } from '../status/status-text.ts';
import { clearScreen, isScreen, redraw, screenWidth } from './terminal.ts';

export async function showAgain(
  snapshots: AsyncIterable<Snapshot>,
  json: boolean,
  print: (line: string) => void,
): Promise<void> {
  const drawn = isScreen() && !json;
  if (drawn) clearScreen();
  for await (const snapshot of snapshots) {
    if (json) print(JSON.stringify(snapshot));
    else if (drawn) redraw(snapshotText(snapshot, screenWidth()));
    else for (const line of [...snapshotText(snapshot, screenWidth()), '']) print(line);
  }
}
