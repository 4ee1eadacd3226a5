/**
 * Whether this gateway has a configuration. Only one that never had any is in its first run: a file that is lost, empty or cannot be
 * read belonged to a gateway that polled meters, and its page says so instead of beginning anew.
 */
import { existsSync, lstatSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readToml } from '../base/toml.ts';

export type Standing =
  | { readonly kind: 'none' | 'there' }
  | { readonly kind: 'lost'; readonly message: string; readonly next: string };

/** Of what was entered in a first run; while it is there, the first run is not over. */
export const draftName = 'first-run.json';
const marker = 'provisioned.json';
const lost = (message: string): Standing => ({
  kind: 'lost',
  message,
  next: 'Put a copy of the file back. To set this gateway up anew, move its state away first: it is of the configuration that is lost.',
});

/** `holding`: where a first run stores what it holds; under the unit that is the state directory too. */
export function standingOf(path: string, holding: string): Standing {
  const had = existsSync(join(holding, marker)) && !existsSync(join(holding, draftName));
  try {
    if (lstatSync(path, { throwIfNoEntry: false }) === undefined)
      return had ? lost(`${path} is missing, and this gateway has the state of an earlier one`) : { kind: 'none' };
    if (!lstatSync(path).isFile()) return { kind: 'there' };
    const text = readFileSync(path, 'utf8');
    if (text.trim() === '')
      return lost(`${path} is empty: a power cut or a full disk may have taken what was written into it`);
    const { value, problems } = readToml(text);
    if (problems.length > 0 || Object.keys(value).length > 0) return { kind: 'there' };
    return had
      ? lost(`${path} has no value in force, and this gateway has the state of an earlier one`)
      : { kind: 'none' };
  } catch {
    // What cannot be looked at is judged as a file, which says why.
    return { kind: 'there' };
  }
}
