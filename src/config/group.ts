/** Groups of the machine. */
import { readFileSync, statSync } from 'node:fs';
import { Failure } from '../base/errors.ts';

/** The number of a group of /etc/group, or the number itself. */
export function groupNumber(group: string, key: string): number {
  if (/^\d{1,9}$/.test(group)) return Number(group);
  const line = readFileSync('/etc/group', 'utf8')
    .split('\n')
    .find((one) => one.startsWith(`${group}:`));
  const number = Number(line?.split(':')[2]);
  if (!line || !Number.isSafeInteger(number))
    throw new Failure(
      'config-invalid',
      `${key}: /etc/group has no '${group}'; groupadd --system ${group}, or give the group's number`,
    );
  return number;
}

const setGroupId = 0o2000;
/** What is made in this folder belongs to the group of the folder. */
export const handsGroupOn = (folder: string): boolean =>
  ((statSync(folder, { throwIfNoEntry: false })?.mode ?? 0) & setGroupId) !== 0;
