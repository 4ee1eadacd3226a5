/**
 * Files of the configuration, put into their places: by this process where it may, else by root. The service has a user of its
 * own and cannot write under /etc; what it lays into the hand-over folder of its state is judged again and taken by
 * meter-gateway-take.service (`meter-gateway config take`), which a path unit starts.
 */
import {
  closeSync,
  existsSync,
  fchmodSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { randomBytes } from 'node:crypto';
import { basename, dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { Failure, messageOf } from '../base/errors.ts';

export const handOverFolder = 'hand-over';
/** The last file that is laid there: what lies beside it is whole. */
export const readyFile = 'ready';
/** Why nothing was taken, for whoever waits. */
export const refusedFile = 'refused';
const waitMs = 15_000;
const stepMs = 200;
const denied: ReadonlySet<string> = new Set(['EROFS', 'EACCES', 'EPERM']);

export interface HandedOver {
  /** The configuration, and where it belongs. */
  readonly file: string;
  readonly text: string;
  /** Secrets by the name of their credential. */
  readonly secrets: ReadonlyMap<string, string>;
  /** Certificates beside it, by the names of their files; no secrets. */
  readonly certificates?: ReadonlyMap<string, string>;
}
/** What a first run may bring beside the configuration. */
export const certificateNames: readonly string[] = ['ca.pem', 'client.pem'];

function writeDurably(path: string, text: string, mode: number): void {
  // New, and by no link: somebody else may have put one there.
  const descriptor = openSync(path, 'wx', mode);
  try {
    // Whatever the umask is: the service reads its configuration as a user of its own.
    fchmodSync(descriptor, mode);
    writeFileSync(descriptor, text);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
/** Whole or not at all. Throws what the system says. */
export function putFile(path: string, text: string, mode: number): void {
  const unfinished = join(dirname(path), `.${basename(path)}.${randomBytes(8).toString('hex')}`);
  try {
    writeDurably(unfinished, text, mode);
    renameSync(unfinished, path);
  } finally {
    rmSync(unfinished, { force: true });
  }
}

const contentOf = (path: string): string | undefined => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
};

/** Root takes it. Failure `not-permitted` where it does not, with `why` this process cannot; `config-invalid` where it refuses. */
export async function handOver(
  { file, text, secrets, certificates = new Map() }: HandedOver,
  stateDirectory: string,
  why: string,
): Promise<void> {
  const folder = join(stateDirectory, handOverFolder);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(join(folder, 'secrets'), { recursive: true, mode: 0o700 });
  for (const [name, secret] of secrets) writeDurably(join(folder, 'secrets', name), secret, 0o600);
  for (const [name, one] of certificates) writeDurably(join(folder, name), one, 0o600);
  writeDurably(join(folder, basename(file)), text, 0o600);
  writeDurably(join(folder, readyFile), '', 0o600);
  for (let waited = 0; waited < waitMs; waited += stepMs) {
    if (contentOf(file) === text && !existsSync(join(folder, readyFile))) return;
    const refused = contentOf(join(folder, refusedFile));
    if (refused !== undefined) {
      rmSync(folder, { recursive: true, force: true });
      throw new Failure('config-invalid', refused);
    }
    await setTimeout(stepMs);
  }
  rmSync(folder, { recursive: true, force: true });
  throw new Failure(
    'not-permitted',
    `${why}, and nobody took what was handed over (systemctl status meter-gateway-take.path)`,
  );
}

/** Failure `not-permitted` where neither this process nor root puts them there; nothing is half done then. */
export async function putInPlace(given: HandedOver, stateDirectory: string, secretFolder: string): Promise<void> {
  try {
    if (given.secrets.size > 0) mkdirSync(secretFolder, { recursive: true, mode: 0o700 });
    for (const [name, secret] of given.secrets) putFile(join(secretFolder, name), secret, 0o600);
    for (const [name, text] of given.certificates ?? []) putFile(join(dirname(given.file), name), text, 0o644);
    putFile(given.file, given.text, 0o640);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined || !denied.has(code))
      throw new Failure('file-unusable', `${given.file}: ${messageOf(error)}`);
    await handOver(given, stateDirectory, `${given.file}: ${messageOf(error)}`);
  }
}
