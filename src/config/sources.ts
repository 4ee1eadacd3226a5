/** What the configuration refers to, on this machine: files, secrets, the folder of the socket, devices. */
import { randomBytes } from 'node:crypto';
import {
  accessSync,
  constants,
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  realpathSync,
  type Stats,
  statSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { Failure, messageOf } from '../base/errors.ts';
import type { Sources } from './findings.ts';
import { groupNumber, handsGroupOn } from './group.ts';
import { regular, secretOf, unreadable } from './secrets.ts';
import { unfitForState } from './state-place.ts';

/** systemd makes these for the service; whoever checks a file may see neither. */
const madeByTheUnit = /^\/(run|var\/lib)\/meter-gateway\//;

function file(path: string): Uint8Array {
  try {
    regular(path);
    return readFileSync(path);
  } catch (error) {
    throw unreadable(path, error, 'config-invalid');
  }
}

/** undefined where nothing is there, also no folder for it. */
function found(path: string, look: (path: string) => Stats): Stats | undefined {
  try {
    return look(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw new Failure(
      'config-invalid',
      `${path} cannot be looked at by uid ${process.getuid?.() ?? '?'}: ${messageOf(error)}`,
    );
  }
}

function socket(path: string, ours: boolean): void {
  const existing = found(path, lstatSync);
  if (existing && !existing.isSocket())
    throw new Failure('config-invalid', `${path} is something else than a socket, and is left as it is`, {
      next: 'Move it away, or name another path.',
    });
  // The start makes the state directory; where that cannot be it is said of state_directory.
  if (ours && found(dirname(path), statSync)?.isDirectory() !== true) return;
  try {
    accessSync(dirname(path), constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new Failure('config-invalid', `no socket can be made in ${dirname(path)}: ${messageOf(error)}`, {
      next: 'Make that folder for the service: RuntimeDirectory= in the unit makes one under /run; or name another.',
    });
  }
}

/** Root may give a file to any group, everybody else to the own ones. */
function group(name: string, key: string): void {
  const number = groupNumber(name, key);
  const runtime = process.env['RUNTIME_DIRECTORY'];
  // The unit makes a folder for the desk whose group every file in it gets.
  if (key === 'technician_group' && runtime !== undefined && handsGroupOn(join(runtime, 'desk'))) return;
  const own = [process.getgid?.(), ...(process.getgroups?.() ?? [])];
  if (process.getuid?.() !== 0 && !own.includes(number))
    throw new Failure('config-invalid', `the service is not in ${name}`, {
      next: `Write Group=${name} or SupplementaryGroups=${name} into the unit.`,
    });
}

function device(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    // An adapter that is not plugged in is reported by its port, and is no fault of the configuration.
    return path;
  }
}

/** 'MGW' as the maker, and five octets that no other life has. */
const lifeTitle = Buffer.concat([Buffer.from('MGW'), randomBytes(5)]);

/** The folder itself, or the nearest one above it that is there. */
function standing(path: string): { readonly path: string; readonly isFolder: boolean } {
  for (let at = path; ; at = dirname(at)) {
    const there = found(at, statSync);
    if (there) return { path: at, isFolder: there.isDirectory() };
  }
}
/** Written when the databases were made. */
const marker = 'provisioned.json';
function state(directory: string): void {
  const { path, isFolder } = standing(directory);
  if (!isFolder) throw new Failure('config-invalid', `${path} is no folder`);
  // A link may lead to where none may be.
  const unfit = path === directory ? unfitForState(realpathSync(path)) : undefined;
  if (unfit !== undefined) throw new Failure('config-invalid', `${directory} is a link: ${unfit}`);
  for (let above = dirname(directory); above !== '/'; above = dirname(above))
    if (existsSync(join(above, marker)))
      throw new Failure(
        'config-invalid',
        `${directory} lies inside of ${above}, which is the state of another gateway`,
      );
  const inner = path === directory ? readdirSync(path).find((name) => existsSync(join(path, name, marker))) : undefined;
  if (inner !== undefined && !existsSync(join(path, marker)))
    throw new Failure('config-invalid', `the state of another gateway lies inside of it, in ${join(path, inner)}`);
  try {
    accessSync(path, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new Failure(
      'config-invalid',
      `${path} cannot be written by uid ${process.getuid?.() ?? '?'}: ${messageOf(error)}`,
      {
        next: `Give it to the user of the service: chown, or StateDirectory= in the unit for a folder under /var/lib.`,
      },
    );
  }
}

/** Files and credentials as the service sees them. */
export const serviceSources: Sources = {
  secret: secretOf,
  file,
  socket,
  group,
  state,
  device,
  lifeTitle,
  now: () => Date.now(),
};

const unjudged = (message: string) =>
  new Failure('config-invalid', message, {
    unjudged: true,
    next: 'The service says it at its start, and config check --live as far as the unit tells; or check as its user.',
  });
/** Files as somebody sees them who checks a configuration: what only the service can see is not judged. */
export const checkSources: Sources = {
  ...serviceSources,
  secret(reference) {
    if (reference.startsWith('credential:') && process.env['CREDENTIALS_DIRECTORY'] === undefined)
      throw unjudged(`${reference} is seen by the service only: LoadCredential= in the unit`);
    return secretOf(reference);
  },
  socket(path, ours) {
    try {
      socket(path, ours);
    } catch (error) {
      if (madeByTheUnit.test(path)) throw unjudged(`systemd makes ${dirname(path)} for the service`);
      throw error;
    }
  },
  group: (name, key) => void groupNumber(name, key),
  state(directory) {
    try {
      state(directory);
    } catch (error) {
      // Another user than the service's, or a folder that systemd makes.
      const denied = error instanceof Failure && /cannot be (written|looked at)/.test(error.message);
      if (denied) throw unjudged(`whether the service may write ${directory}`);
      throw error;
    }
  },
};
