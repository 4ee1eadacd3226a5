/**
 * `meter-gateway config take`: root puts into place what the gateway handed over (hand-over.ts). The service is trusted with
 * meters and with the first configuration, and with nothing else: of a configuration that is there only meters may change.
 */
import {
  chownSync,
  closeSync,
  constants,
  existsSync,
  fstatSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { Failure, messageOf } from '../base/errors.ts';
import { readToml } from '../base/toml.ts';
import { changeFile } from '../cli/replace-file.ts';
import { parseConfig } from '../config/judge.ts';
import { handOverFolder, putFile, readyFile, refusedFile } from './hand-over.ts';

const maxConfig = 4 << 20;
const maxSecret = 64 << 10;
const fitName = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$/;

/** A regular file of a bounded size, and none that a link leads to. */
function contentOf(path: string, most: number): string {
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const found = fstatSync(descriptor);
    if (!found.isFile() || found.size > most)
      throw new Failure('file-unusable', `${path} is no file of at most ${most} octets`);
    return readFileSync(descriptor, 'utf8');
  } finally {
    closeSync(descriptor);
  }
}

/** What of a configuration the service may not change: everything but the meters of its lines. */
function fixedPart(text: string): unknown {
  const value = readToml(text).value;
  const ports = Array.isArray(value['port']) ? value['port'] : [];
  return { ...value, port: ports.map((port: unknown) => ({ ...(port as object), meter: undefined })) };
}
const isEmpty = (text: string): boolean => Object.keys(readToml(text).value).length === 0;

function requireAllowed(before: string | undefined, text: string, file: string): void {
  parseConfig(text, file);
  if (before === undefined || isEmpty(before) || isDeepStrictEqual(fixedPart(before), fixedPart(text))) return;
  throw new Failure(
    'not-permitted',
    `${file}: from the page only meters are changed; anything else is changed in the file`,
  );
}

function take(folder: string, file: string): void {
  const text = contentOf(join(folder, basename(file)), maxConfig);
  const before = existsSync(file) ? contentOf(file, maxConfig) : undefined;
  requireAllowed(before, text, file);
  const secrets = join(folder, 'secrets');
  const names = existsSync(secrets) ? readdirSync(secrets) : [];
  if (names.length > 0 && before !== undefined && !isEmpty(before))
    throw new Failure('not-permitted', 'secrets are set by meter-gateway secret set, once there is a configuration');
  for (const name of names) {
    if (!fitName.test(name))
      throw new Failure('bad-argument', 'the name of a secret has other than letters, digits, . _ -');
    const path = join(dirname(file), 'secrets', name);
    putFile(path, contentOf(join(secrets, name), maxSecret), 0o600);
    chownSync(path, 0, 0);
  }
  if (before === undefined) putFile(file, text, 0o644);
  else changeFile(file, 'before-page', () => text);
}

/** `state`: the state directory of the service. Nothing to take is no error. */
export function takeHandOver(state: string, file: string): number {
  const folder = join(state, handOverFolder);
  if (!existsSync(join(folder, readyFile))) return 0;
  try {
    take(folder, file);
    // What waits sees that it was taken when this one is gone.
    rmSync(join(folder, readyFile), { force: true });
    rmSync(folder, { recursive: true, force: true });
    return 0;
  } catch (error) {
    rmSync(join(folder, readyFile), { force: true });
    putFile(join(folder, refusedFile), messageOf(error), 0o644);
    throw error;
  }
}
