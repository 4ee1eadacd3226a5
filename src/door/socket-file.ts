/** The file of a door: taken only where nobody else's file is in the way. */
import { lstatSync, rmSync, type Stats } from 'node:fs';
import { request } from 'node:http';
import { dirname } from 'node:path';
import { Failure, messageOf } from '../base/errors.ts';

/** sun_path of unix(7), less its final zero. */
const longestPath = 107;
const probeMs = 2000;

const kindOf = (found: Stats): string =>
  found.isFile()
    ? 'a file'
    : found.isDirectory()
      ? 'a folder'
      : found.isSymbolicLink()
        ? 'a symbolic link'
        : 'neither a file nor a socket';

const lookAt = (path: string, key: string): Stats | undefined => {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch (error) {
    throw new Failure('config-invalid', `${key} ${path}: ${messageOf(error)}`);
  }
};

/** Whether anybody accepts connections there. A socket that a killed process left refuses them. */
const isServed = (path: string, key: string): Promise<boolean> =>
  new Promise((resolve, reject) => {
    const probe = request({ socketPath: path, path: '/', method: 'HEAD', timeout: probeMs, agent: false });
    const end = (served: boolean) => {
      probe.destroy();
      resolve(served);
    };
    probe.on('response', () => end(true));
    // Whoever accepts and does not answer is there all the same.
    probe.on('timeout', () => end(true));
    probe.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') return resolve(false);
      if (error.code === 'EACCES' || error.code === 'EPERM')
        return reject(new Failure('config-invalid', `${key} ${path}: ${error.message}`));
      resolve(true);
    });
    probe.end();
  });

/**
 * Makes room for the socket that `key` of the configuration, or an option, names. The only thing that is ever removed is a socket that nobody serves any more; a file, a
 * folder or a symbolic link belongs to somebody and is refused by name.
 */
export async function claimSocketPath(path: string, key: string): Promise<void> {
  if (Buffer.byteLength(path) > longestPath)
    throw new Failure('config-invalid', `${key} ${path}: a socket's path has at most ${longestPath} octets`);
  const folder = dirname(path);
  if (!lookAt(folder, key))
    throw new Failure(
      'config-invalid',
      `${key} ${path}: there is no folder ${folder} (RuntimeDirectory= in the unit makes one under /run)`,
    );
  const found = lookAt(path, key);
  if (!found) return;
  if (!found.isSocket())
    throw new Failure(
      'config-invalid',
      `${key} ${path}: ${kindOf(found)} of that name is there and is left alone; move it or name another path`,
    );
  if (await isServed(path, key))
    throw new Failure('socket-taken', `${key} ${path}: another process answers there already`);
  // What was looked at is what is removed: somebody may have put another socket there meanwhile.
  if (lookAt(path, key)?.ino === found.ino) rmSync(path);
}
