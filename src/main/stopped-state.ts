/** Commands that work on the state directory while the gateway is stopped. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Failure } from '../base/errors.ts';
import { asOwner } from './as-owner.ts';
import { type StateDirectory, stateDirectory } from '../disk/state-directory.ts';

/** Failure `store-locked` while a gateway has it. That it was opened here is no unclean end, and takes none away. */
export function withStoppedState<T>(directory: string, work: (folder: StateDirectory) => Promise<T>): Promise<T> {
  if (!existsSync(join(directory, 'provisioned.json')))
    throw new Failure('no-gateway', `no gateway runs, and ${directory} holds no state of one`);
  const unclean = join(directory, 'unclean');
  return asOwner(directory, async () => {
    const before = existsSync(unclean) ? readFileSync(unclean) : undefined;
    const folder = await stateDirectory(directory, Date.now());
    try {
      return await work(folder);
    } finally {
      if (before) writeFileSync(unclean, before);
      else folder.settled();
    }
  });
}
