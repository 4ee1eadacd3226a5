/** Who may open the sockets of the desk: the process itself and one group. */
import { chmodSync, chownSync } from 'node:fs';
import { dirname } from 'node:path';
import { Failure, messageOf } from '../base/errors.ts';
import { groupNumber, handsGroupOn } from '../config/group.ts';

/** Owner and group may connect; without `group`, the group that the process has. */
export function openToGroup(path: string, group: string | undefined, key = 'status_group'): void {
  chmodSync(path, 0o600);
  // In a folder that hands its group on, the socket has it already: the unit may make one, and may not give files away.
  if (group !== undefined && !handsGroupOn(dirname(path))) {
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
