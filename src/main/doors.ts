/**
 * The local doors: the one that the plan names, and under systemd always the one in /run, where `systemctl reload` finds
 * the gateway whatever the file says.
 */
import { join } from 'node:path';
import type { Log } from '../base/log.ts';
import type { GatewayPlan } from '../config/resolve.ts';
import { serveStatus } from '../status/local-server.ts';
import { openToGroup } from '../status/local-socket.ts';
import type { LocalAnswers } from '../status/routes.ts';

/** Whoever asked for the reload at a door that closes gets the answer there. */
const lingerMs = 2000;

const runDoor = (): string | undefined => {
  const folder = process.env['RUNTIME_DIRECTORY'];
  return folder === undefined ? undefined : join(folder, 'status.sock');
};
/** Where the door is when the file names none: in /run, which the operators' group can enter, or in the state directory. */
export const defaultDoor = (stateDirectory: string): string => runDoor() ?? join(stateDirectory, 'status.sock');
const pathsOf = ({ statusSocket }: GatewayPlan): string[] => [...new Set([statusSocket, runDoor() ?? statusSocket])];

export interface Doors {
  /** Opens what this plan has and is not open. `keep` closes what it does not have; `undo` closes what was opened. */
  move(to: GatewayPlan): Promise<{ keep(): void; undo(): Promise<void> }>;
  close(): Promise<void>;
}

export function newDoors(answers: () => LocalAnswers, log: Log): Doors {
  const open = new Map<string, { readonly group: string | undefined; readonly close: () => Promise<void> }>();
  const shut = async (path: string): Promise<void> => {
    const door = open.get(path);
    open.delete(path);
    await door?.close();
  };
  const move: Doors['move'] = async (to) => {
    const { status_group: group } = to.config.gateway;
    const undoing: (() => void | Promise<void>)[] = [];
    const undo = async () => {
      for (const step of undoing.toReversed()) await step();
    };
    try {
      for (const path of pathsOf(to)) {
        const door = open.get(path);
        if (door && door.group !== group) {
          openToGroup(path, group);
          open.set(path, { ...door, group });
          undoing.push(() => {
            openToGroup(path, door.group);
            open.set(path, door);
          });
        } else if (!door) {
          open.set(path, { group, close: await serveStatus(path, answers, { group, log }) });
          undoing.push(() => shut(path));
        }
      }
    } catch (error) {
      await undo();
      throw error;
    }
    const keep = () => {
      const spare = [...open.keys()].filter((path) => !pathsOf(to).includes(path));
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
