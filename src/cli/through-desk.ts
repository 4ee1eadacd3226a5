/** `read` and `browse` of a configured meter: the running gateway does the work in its own sessions. */
import { iso } from '../base/time.ts';
import { askBrowse, askObjects } from '../desk/client.ts';
import type { OutputEvent } from '../desk/routes.ts';
import type { SnapshotObject } from '../dlms/cosem/snapshot.ts';
import { systemClock } from '../line/system-clock.ts';
import { type BrowseOptions, saveSnapshot } from './browse.ts';
import { bad } from './connection.ts';
import type { ReadOptions } from './read.ts';
import { note, progress } from './terminal.ts';

/** A line has a path or an address; the id of a meter has neither. */
export const isLine = (text: string): boolean => /[/:]|^COM\d+$/i.test(text);

const readOptions = ['object', 'class', 'profile', 'from', 'to', 'entries', 'json', 'socket', 'config'];
const browseOptions = ['only', 'rows', 'save', 'json', 'socket', 'config'];
/** How a configured meter is reached and entered stands in the configuration. */
function requireOnly(given: readonly string[], known: readonly string[]): void {
  const others = given.filter((name) => !known.includes(name));
  const names = others.map((name) => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`);
  if (names.length > 0)
    bad(`${names.join(', ')}: a meter is read by its id as it is configured; name its line to say otherwise`);
}

async function show(
  events: AsyncIterable<OutputEvent>,
  print: (line: string) => void,
  found: (object: SnapshotObject) => void = () => {},
): Promise<void> {
  for await (const event of events) {
    if ('line' in event) print(event.line);
    else if ('note' in event) note(event.note);
    else if ('progress' in event) progress(event.progress);
    else found(event.object);
  }
}

export async function readThroughDesk(
  meter: string,
  options: ReadOptions,
  given: readonly string[],
  print: (line: string) => void,
): Promise<void> {
  requireOnly(given, readOptions);
  const { object, class: classId, profile, from, to, entries, json } = options;
  const wishes = { object, class: classId, profile, from, to, entries, json };
  await show(askObjects(options.socket, meter, wishes as Parameters<typeof askObjects>[2]), print);
}

export async function browseThroughDesk(
  meter: string,
  options: BrowseOptions,
  given: readonly string[],
  print: (line: string) => void,
): Promise<void> {
  requireOnly(given, browseOptions);
  const { only, rows, json, save } = options;
  const objects: SnapshotObject[] = [];
  const wishes = { only, rows, json } as Parameters<typeof askBrowse>[2];
  await show(askBrowse(options.socket, meter, wishes), print, (object) => void objects.push(object));
  if (save !== undefined) saveSnapshot(save, objects, iso(systemClock.wall()));
}
