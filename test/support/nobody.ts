/** The user who may nothing, for tests of what is refused: root becomes it, and it must be able to enter the checkout. */
import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

export const nobody = 65_534;

/** The first folder above the checkout, or the checkout itself, that others may not enter. */
function closedFolder(): string | undefined {
  for (let folder = fileURLToPath(new URL('../..', import.meta.url)); ; folder = dirname(folder)) {
    if ((statSync(folder).mode & 0o001) === 0) return folder;
    if (dirname(folder) === folder) return undefined;
  }
}
const closed = closedFolder();
/** Why no test can become that user; undefined where one can. */
export const notAsNobody: string | undefined =
  process.getuid?.() !== 0
    ? 'NOT RUN: only root becomes another user'
    : closed === undefined
      ? undefined
      : `NOT RUN: another user may not enter ${closed} (mode 0700, as mktemp -d makes it)`;
/** What a test throws that needs it, and tells its summary. */
export class NotRun extends Error {}
/** Behind the name of a test that needs it. */
export const ifNobody = notAsNobody === undefined ? '' : ` (${notAsNobody})`;
