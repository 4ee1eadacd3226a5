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
  lstatSync,
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
import { fitSecretName } from '../config/secrets.ts';
import { putWhole } from '../disk/put-whole.ts';
import { certificateNames, handOverFolder, readyFile, refusedFile } from './hand-over.ts';

const maxConfig = 4 << 20;
const maxSecret = 64 << 10;

/** A regular file of a bounded size, and none that a link leads to. */
function contentOf(path: string, most: number): string {
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const found = fstatSync(descriptor);
    if (!found.isFile() || found.nlink !== 1 || found.size > most)
      throw new Failure('file-unusable', `${basename(path)} is no file of its own of at most ${most} octets`);
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

/**
 * Work within a folder of the service's that is opened by no link. Its files are named by the open folder: whatever the service puts in
 * its place meanwhile, this one stays.
 */
function within<T>(path: string, work: (folder: string) => T): T {
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  try {
    return work(`/proc/self/fd/${descriptor}`);
  } finally {
    closeSync(descriptor);
  }
}

function secretsIn(folder: string): Map<string, string> {
  const names = readdirSync(folder);
  const unfit = names.find((name) => !fitSecretName.test(name));
  if (unfit !== undefined)
    throw new Failure('bad-argument', 'the name of a secret has other than letters, digits, . _ -');
  return new Map(names.map((name) => [name, contentOf(join(folder, name), maxSecret)]));
}

/** Everything is read and judged before the first file is written. */
function take(folder: string, file: string): void {
  const text = contentOf(join(folder, basename(file)), maxConfig);
  const before = existsSync(file) ? contentOf(file, maxConfig) : undefined;
  requireAllowed(before, text, file);
  const secrets = existsSync(join(folder, 'secrets'))
    ? within(join(folder, 'secrets'), secretsIn)
    : new Map<string, string>();
  const certificates = certificateNames.filter((name) => existsSync(join(folder, name)));
  if (secrets.size + certificates.length > 0 && before !== undefined && !isEmpty(before))
    throw new Failure('not-permitted', 'secrets are set by meter-gateway secret set, once there is a configuration');
  const texts = certificates.map((name) => [name, contentOf(join(folder, name), maxSecret)] as const);
  for (const [name, secret] of secrets) {
    const path = join(dirname(file), 'secrets', name);
    putWhole(path, secret, 0o600);
    chownSync(path, 0, 0);
  }
  for (const [name, one] of texts) putWhole(join(dirname(file), name), one, 0o644);
  if (before === undefined) putWhole(file, text, 0o644);
  else changeFile(file, 'before-page', () => text);
}

/** `state`: the state directory of the service. Nothing to take is no error. */
export function takeHandOver(state: string, file: string): number {
  if (lstatSync(join(state, handOverFolder), { throwIfNoEntry: false }) === undefined) return 0;
  return within(join(state, handOverFolder), (folder) => {
    if (!existsSync(join(folder, readyFile))) return 0;
    try {
      take(folder, file);
      rmSync(join(folder, 'secrets'), { recursive: true, force: true });
      for (const name of [basename(file), ...certificateNames]) rmSync(join(folder, name), { force: true });
      // What waits sees that it was taken when this one is gone.
      rmSync(join(folder, readyFile), { force: true });
      return 0;
    } catch (error) {
      rmSync(join(folder, readyFile), { force: true });
      putWhole(join(folder, refusedFile), messageOf(error), 0o644);
      throw error;
    }
  });
}
