/** Where a first run stores what it holds, and what it names. */
import { dirname, join } from 'node:path';

export interface Place {
  readonly config: string;
  /** Where a first run stores what it holds: under the unit the state directory, else beside the configuration. */
  readonly holding: string;
  /** The unit passes secrets as credentials when it starts the process. */
  readonly isService: boolean;
}
export function placeOf(config: string, stateFolder: string | undefined): Place {
  return { config, holding: stateFolder ?? dirname(config), isService: stateFolder !== undefined };
}
export const secretFolder = (config: string): string => join(dirname(config), 'secrets');
