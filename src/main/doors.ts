/**
 * The local doors: the one that the plan names, and under systemd always the one in /run, where `systemctl reload` finds
 * the gateway whatever the file says.
 */
import { join } from 'node:path';
import type { Log } from '../base/log.ts';
import type { GatewayPlan } from '../config/resolve.ts';
import { deskBeside } from '../desk/client.ts';
import { serveStatus } from '../desk/server.ts';
import { openToGroup } from '../desk/socket-group.ts';
import type { LocalAnswers } from '../desk/routes.ts';

/** Whoever asked for the reload at a door that closes gets the answer there. */
const lingerMs = 2000;

const runDoor = (): string | undefined => {
  const folder = process.env['RUNTIME_DIRECTORY'];
  return folder === undefined ? undefined : join(folder, 'status.sock');
};
/** Where the door is when the file names none: in /run, which the operators' group can enter, or in the state directory. */
export const defaultDoor = (stateDirectory: string): string => runDoor() ?? join(stateDirectory, 'status.sock');
interface Door {
  readonly path: string;
  readonly group: string | undefined;
  readonly groupKey: string;
  readonly may: 'look' | 'act';
}
/** Where technicians have a group of their own, the status sockets only look, and beside each is a desk. */
function doorsOf({ statusSocket, config }: GatewayPlan): Door[] {
  const { status_group, technician_group } = config.gateway;
  const paths = [...new Set([statusSocket, runDoor() ?? statusSocket])];
  const own = technician_group !== undefined;
  return paths.flatMap((path): Door[] => [
    { path, group: status_group, groupKey: 'status_group', may: own ? 'look' : 'act' },
    ...(own
      ? [{ path: deskBeside(path), group: technician_group, groupKey: 'technician_group', may: 'act' as const }]
      : []),
  ]);
}

export interface Doors {
  /** Opens what this plan has and is not open. `keep` closes what it does not have; `undo` closes what was opened. */
  move(to: GatewayPlan): Promise<{ keep(): void; undo(): Promise<void> }>;
  close(): Promise<void>;
}

export function newDoors(answers: () => LocalAnswers, log: Log): Doors {
  const open = new Map<string, Door & { readonly close: () => Promise<void> }>();
  const shut = async (path: string): Promise<void> => {
    const door = open.get(path);
    open.delete(path);
    await door?.close();
  };
  const move: Doors['move'] = async (to) => {
    const undoing: (() => void | Promise<void>)[] = [];
    const undo = async () => {
      for (const step of undoing.toReversed()) await step();
    };
    try {
      for (const planned of doorsOf(to)) {
        const { path, group, groupKey } = planned;
        const door = open.get(path);
        if (door) {
          if (door.group !== group) openToGroup(path, group, groupKey);
          open.set(path, { ...planned, close: door.close });
          undoing.push(() => {
            if (door.group !== group) openToGroup(path, door.group, door.groupKey);
            open.set(path, door);
          });
        } else {
          const may = () => open.get(path)?.may ?? planned.may;
          open.set(path, { ...planned, close: await serveStatus(path, answers, { group, groupKey, log, may }) });
          undoing.push(() => shut(path));
        }
      }
    } catch (error) {
      await undo();
      throw error;
    }
    const keep = () => {
      const spare = [...open.keys()].filter((path) => !doorsOf(to).some((door) => door.path === path));
      setTimeout(() => {
        for (const path of spare) void shut(path);
      }, lingerMs).unref();
    };
    return { keep, undo };
  };
  return {
    move,
    async close() {
      for (const path of open.keys()) await shut(path);
    },
  };
}
