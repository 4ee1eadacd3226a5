/** The file of the local door: taken only where nobody else's file is in the way, opened to one group. */
import { chmodSync, chownSync, lstatSync, rmSync, type Stats } from 'node:fs';
import { request } from 'node:http';
import { dirname } from 'node:path';
import { Failure, messageOf } from '../base/errors.ts';
import { groupNumber } from '../config/group.ts';

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

const lookAt = (path: string): Stats | undefined => {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch (error) {
    throw new Failure('config-invalid', `status_socket ${path}: ${messageOf(error)}`);
  }
};

/** Whether anybody accepts connections there. A socket that a killed process left refuses them. */
const isServed = (path: string): Promise<boolean> =>
  new Promise((resolve, reject) => {
    const probe = request({ socketPath: path, path: '/v1/status', method: 'HEAD', timeout: probeMs, agent: false });
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
        return reject(new Failure('config-invalid', `status_socket ${path}: ${error.message}`));
      resolve(true);
    });
    probe.end();
  });

/**
 * Makes room for the socket. The only thing that is ever removed is a socket that nobody serves any more; a file, a
 * folder or a symbolic link belongs to somebody and is refused by name.
 */
export async function claimSocketPath(path: string): Promise<void> {
  if (Buffer.byteLength(path) > longestPath)
    throw new Failure('config-invalid', `status_socket ${path}: a socket's path has at most ${longestPath} octets`);
  const folder = dirname(path);
  if (!lookAt(folder))
    throw new Failure(
      'config-invalid',
      `status_socket ${path}: there is no folder ${folder} (RuntimeDirectory= in the unit makes one under /run)`,
    );
  const found = lookAt(path);
  if (!found) return;
  if (!found.isSocket())
    throw new Failure(
      'config-invalid',
      `status_socket ${path}: ${kindOf(found)} of that name is there and is left alone; move it or name another path`,
    );
  if (await isServed(path))
    throw new Failure('socket-taken', `status_socket ${path}: another process answers there already`);
  // What was looked at is what is removed: somebody may have put another socket there meanwhile.
  if (lookAt(path)?.ino === found.ino) rmSync(path);
}

/** Owner and group may connect; without `group`, the group that the process has. */
export function openToGroup(path: string, group: string | undefined, key = 'status_group'): void {
  chmodSync(path, 0o600);
  if (group !== undefined) {
    const number = groupNumber(group, key);
    try {
      chownSync(path, -1, number);
    } catch (error) {
      throw new Failure(
        'config-invalid',
        `${key} ${group}: ${messageOf(error)}; the service must be in that group (SupplementaryGroups=${group} in the unit)`,
      );
    }
  }
  chmodSync(path, 0o660);
}
