/**
 * Objects on which a verdict hangs (clock, serial number, logical device name, disconnector, capture period): what a meter
 * refused in a list is asked for alone, once more, before anything is concluded from its absence.
 */
import { refusalName } from '../dlms/association/client.ts';
import type { Attribute, GetResult } from '../dlms/xdlms/apdu.ts';
import type { Session } from './session.ts';

/** data-access-result: object-undefined and object-unavailable. Such an object is not there, whoever asks. */
const absent: ReadonlySet<number> = new Set([4, 11]);

/** The results, where one of them was refused with what it gave alone. `always`: also what is said not to be there. */
export async function askedAgain(
  session: Session,
  attributes: readonly Attribute[],
  results: readonly (GetResult | undefined)[],
  always = false,
): Promise<(GetResult | undefined)[]> {
  const all = [...results];
  for (const [i, attribute] of attributes.entries()) {
    const result = all[i];
    if (result && 'data' in result && result.data.type !== 'null-data') continue;
    if (!always && result && 'refused' in result && absent.has(result.refused)) continue;
    [all[i]] = await session.get([attribute]);
  }
  return all;
}

/** What could not be read although it was asked for twice. */
export interface Unreadable {
  readonly object: 'clock' | 'serial number' | 'logical device name' | 'disconnector';
  readonly why: string;
  /** data-access-result; undefined where the meter answered with something else. */
  readonly refused: number | undefined;
}
/** `why`: what is wrong with the value that came. */
export function unreadable(object: Unreadable['object'], result: GetResult | undefined, why: string): Unreadable {
  const refused = result && 'refused' in result ? result.refused : undefined;
  return { object, why: refused === undefined ? why : `refused: ${refusalName(refused)}`, refused };
}
export const isAbsent = ({ refused }: Unreadable): boolean => refused !== undefined && absent.has(refused);
