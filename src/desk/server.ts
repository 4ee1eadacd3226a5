/** The sockets of the desk. */
import type { Log } from '../base/log.ts';
import type { Permission } from '../door/rows.ts';
import { serveDoor } from '../door/server.ts';
import { type LocalAnswers, routes } from './routes.ts';
import { openToGroup } from './socket-group.ts';

export interface DoorSettings {
  /** The group whose members may connect; without it the group of the process. */
  readonly group?: string | undefined;
  readonly log?: Log | undefined;
  /** How long who is answered may take nothing of it, ms. */
  readonly takeMs?: number;
  /** The key of the configuration that names the group. */
  readonly groupKey?: string;
  /** `look`: rows that act are refused here. Left out: all rows. */
  readonly may?: () => Permission;
}
const looksOnly = 'at this socket one may only look; what acts is asked at the desk socket (desk.sock)';

/** Serves until the returned function is called. Failure `config-invalid` where the path cannot be taken. */
export const serveStatus = (
  path: string,
  house: () => LocalAnswers,
  { group, groupKey, log, takeMs, may }: DoorSettings = {},
): Promise<() => Promise<void>> =>
  serveDoor(path, {
    key: 'status_socket',
    rows: routes,
    house,
    open: (socket) => openToGroup(socket, group, groupKey),
    log,
    takeMs,
    may: may && { permission: may, refusal: looksOnly },
  });
