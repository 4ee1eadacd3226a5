/** What the outbox has read from the store and not sent yet, by class: live rows, and back-fill. */
import type { EntryClass } from '../store/keys.ts';
import type { OutboxEntry } from '../store/outbox-record.ts';
import type { Store } from '../store/store.ts';

const readAhead = 500;

/** Entries of a class that were read from the store and not sent yet. */
interface Lane {
  readonly entries: OutboxEntry[];
  /** The last number that was read. */
  after: number;
  /** There was nothing after it; a commit may have added something since. */
  dry: boolean;
  fetching: Promise<void> | undefined;
}
export type Lanes = Readonly<Record<EntryClass, Lane>>;
const newLane = (): Lane => ({ entries: [], after: 0, dry: false, fetching: undefined });
export const newLanes = (): Lanes => ({ 0: newLane(), 1: newLane() });

/**
 * The next entry: live before back-fill, or `inOrder` of the numbers, so that none is missing before those that were sent.
 */
export async function nextEntry(lanes: Lanes, store: Store, inOrder: boolean): Promise<OutboxEntry | undefined> {
  for (const entryClass of [0, 1] as const)
    if (lanes[entryClass].entries.length === 0) await fetch(lanes[entryClass], store, entryClass);
  const [live, backFill] = [lanes[0].entries[0], lanes[1].entries[0]];
  const entryClass = live && (!backFill || !inOrder || live.sequence < backFill.sequence) ? 0 : 1;
  const lane = lanes[entryClass];
  const entry = lane.entries.shift();
  // While entries are being sent, those after them are read. Where that fails, it fails again where it is waited for.
  if (lane.entries.length <= readAhead / 2) fetch(lane, store, entryClass).catch(() => {});
  return entry;
}

/** Reads more of a class from the store, once at a time. */
function fetch(lane: Lane, store: Store, entryClass: EntryClass): Promise<void> {
  if (lane.dry) return Promise.resolve();
  lane.fetching ??= (async () => {
    try {
      lane.dry = true;
      const more = await store.outbox(entryClass, lane.after, readAhead);
      lane.entries.push(...more);
      lane.after = more.at(-1)?.sequence ?? lane.after;
      if (more.length > 0) lane.dry = false;
    } catch (error) {
      lane.dry = false;
      throw error;
    } finally {
      lane.fetching = undefined;
    }
  })();
  return lane.fetching;
}
