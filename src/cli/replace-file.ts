/** A person's file is changed as a whole or not at all; its owner, its mode and the way to it stay as they are. */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  type Stats,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { Failure, messageOf } from '../base/errors.ts';

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_RDONLY, O_WRONLY } = constants;
const maxBackups = 1000;

function failed(path: string, error: unknown, replaced: boolean): Failure {
  if (error instanceof Failure) return error;
  const { code } = error as NodeJS.ErrnoException;
  return new Failure(
    code === 'EACCES' || code === 'EPERM' ? 'not-permitted' : 'file-unusable',
    `${path}: ${messageOf(error)}; ${replaced ? 'the file is changed, and a power cut may still undo that' : 'the file is as it was'}`,
  );
}

function withDescriptor<T>(path: string, flags: number, work: (descriptor: number) => T): T {
  const descriptor = openSync(path, flags, 0o600);
  try {
    return work(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** What the path leads to, and what is in it. Only a regular file is a configuration. */
function contentOf(path: string): { readonly text: string; readonly stats: Stats } {
  return withDescriptor(path, O_RDONLY | O_NOFOLLOW, (descriptor) => {
    const stats = fstatSync(descriptor);
    if (!stats.isFile()) throw new Failure('file-unusable', `${path} is no regular file`);
    const octets = readFileSync(descriptor);
    const text = octets.toString('utf8');
    // Written back, octets that are no UTF-8 would be others.
    if (!Buffer.from(text).equals(octets)) throw new Failure('config-invalid', `${path} is not UTF-8`);
    return { text, stats };
  });
}

/** A new file, with the owner and mode of the one it stands for: never one that somebody put there before. */
function create(path: string, text: string, { uid, gid, mode }: Stats): void {
  withDescriptor(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, (descriptor) => {
    try {
      const own = fstatSync(descriptor);
      if (own.uid !== uid || own.gid !== gid) fchownSync(descriptor, uid, gid);
      fchmodSync(descriptor, mode & 0o7777);
      writeFileSync(descriptor, text);
      fsyncSync(descriptor);
    } catch (error) {
      rmSync(path, { force: true });
      throw error;
    }
  });
}

/** The first free of NAME.before-swap-1, -2, …: no earlier one is lost, and what was planted there is passed by. */
function backUp(path: string, suffix: string, text: string, stats: Stats): string {
  for (let number = 1; number <= maxBackups; number++) {
    const backup = `${path}.${suffix}-${number}`;
    try {
      create(backup, text, stats);
      return backup;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'EEXIST' && code !== 'ELOOP') throw error;
    }
  }
  throw new Failure('file-unusable', `there are ${maxBackups} copies ${path}.${suffix}-N already: delete some`);
}

/**
 * Changes a text file. A symbolic link stays one: what it leads to is changed. Returns where the text before it is kept.
 * Where it fails, the message says whether the file is as it was.
 */
export function changeFile(path: string, suffix: string, change: (text: string) => string): string {
  let temporary: string | undefined;
  let backup: string | undefined;
  let replaced = false;
  try {
    const target = realpathSync(path);
    const { text, stats } = contentOf(target);
    const changed = change(text);
    backup = backUp(target, suffix, text, stats);
    const name = join(dirname(target), `.${basename(target)}.${randomBytes(8).toString('hex')}`);
    create(name, changed, stats);
    temporary = name;
    const now = contentOf(target);
    if (now.text !== text || now.stats.ino !== stats.ino)
      throw new Failure(
        'config-invalid',
        `${target} was changed by somebody else meanwhile: look at it, and try again`,
      );
    renameSync(name, target);
    temporary = undefined;
    replaced = true;
    const before = backup;
    backup = undefined;
    withDescriptor(dirname(target), O_RDONLY | O_DIRECTORY, fsyncSync);
    return before;
  } catch (error) {
    for (const left of [temporary, backup]) if (left !== undefined) rmSync(left, { force: true });
    throw failed(path, error, replaced);
  }
}
