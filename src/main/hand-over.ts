/**
 * Files of the configuration, put into their places: by this process where it may, else by root. The service has a user of its
 * own and cannot write under /etc; what it lays into the hand-over folder of its state is judged again and taken by
 * meter-gateway-take.service (`meter-gateway config take`), which a path unit starts.
 */
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { Failure, messageOf } from '../base/errors.ts';
import { putNew, putWhole } from '../disk/put-whole.ts';

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
  for (const [name, secret] of secrets) putNew(join(folder, 'secrets', name), secret, 0o600);
  for (const [name, one] of certificates) putNew(join(folder, name), one, 0o600);
  putNew(join(folder, basename(file)), text, 0o600);
  putNew(join(folder, readyFile), '', 0o600);
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
    for (const [name, secret] of given.secrets) putWhole(join(secretFolder, name), secret, 0o600);
    for (const [name, text] of given.certificates ?? []) putWhole(join(dirname(given.file), name), text, 0o644);
    putWhole(given.file, given.text, 0o640);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined || !denied.has(code))
      throw new Failure('file-unusable', `${given.file}: ${messageOf(error)}`);
    await handOver(given, stateDirectory, `${given.file}: ${messageOf(error)}`);
  }
}
