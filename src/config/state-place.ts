/** Where the state of a gateway cannot lie, by the path alone. */

/** Folders that are the system's, or do not outlive a restart of the machine. */
const notOurs =
  /^\/(bin|boot|dev|etc|home|lib|lib64|media|mnt|opt|proc|root|run|sbin|srv|sys|tmp|usr|var|var\/lib|var\/run|var\/tmp)?$/;
const volatile = /^\/(proc|sys|dev|run|var\/run)\//;

/** What is wrong with this folder, which has no detours in it; undefined where nothing is. */
export function unfitForState(directory: string): string | undefined {
  if (notOurs.test(directory)) return `${directory} is no folder for one gateway alone`;
  if (volatile.test(directory)) return `what lies in ${directory} does not outlive a restart of this machine`;
  return undefined;
}
