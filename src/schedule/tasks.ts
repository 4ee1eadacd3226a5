/** What a gateway does beside its lines: the daily account, and room on the disk. Each runs until it is aborted. */
import { Failure, messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { type Clock, dayMs, later, type Millis } from '../base/time.ts';
import { type EventFact, gatewayFact, type ManifestFact } from '../reading/facts.ts';
import type { Store } from '../store/store.ts';
import { type AccountedSeries, manifestOf } from './manifest.ts';
import type { ClockTrust } from './meter-state.ts';
import { type Disk, storageState, type StorageState } from './storage.ts';

export interface TaskSettings {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
}
/** The manifest of a UTC day is made so long after its end. */
const manifestAfterMs = 6 * 3_600_000;
const manifestFirstMs = 3_600_000;
const manifestEveryMs = 10 * 60_000;
/** At most so many days that passed without a manifest get one afterwards. */
const maxMissedDays = 62;
const storageEveryMs = 5000;

export interface ManifestSettings extends TaskSettings {
  /** When the gateway began to read, monotonic. */
  readonly startedAt: Millis;
  readonly clockTrust: () => ClockTrust;
  readonly series: () => readonly AccountedSeries[];
}
/** The account of each UTC day, when the collection of its rows should be over (06:00 of the next day). */
export async function giveManifests(settings: ManifestSettings, signal: AbortSignal): Promise<void> {
  const { clock, store, log, startedAt, clockTrust } = settings;
  // Right after a start much is still to be read.
  await clock.sleepUntil(later(startedAt, manifestFirstMs), signal);
  while (!signal.aborted) {
    const wall = clock.wall();
    const day = Math.floor((wall - manifestAfterMs) / dayMs) * dayMs - dayMs;
    if (clockTrust() !== 'untrusted' && (store.meterLogs('_').manifestDay ?? 0) < day) {
      try {
        await giveManifest(settings, day, wall);
      } catch (error) {
        // Rows that came meanwhile belong into it.
        if (error instanceof Failure && error.code === 'busy') continue;
        log.warn({ error: messageOf(error) }, 'the manifest of the day could not be stored; tried again');
      }
    }
    await clock.sleepUntil(later(clock.now(), manifestEveryMs), signal);
  }
}
async function giveManifest({ store, series }: ManifestSettings, day: number, wall: Millis): Promise<void> {
  const afterMarks = store.marksVersion;
  const logs = store.meterLogs('_');
  const all = series();
  // Days that passed while nobody could account for them, and days that changed since their account was given.
  const lastGiven = Math.max(logs.manifestDay ?? day - dayMs, day - maxMissedDays * dayMs);
  const days: number[] = [];
  for (let missed = lastGiven + dayMs; missed < day; missed += dayMs) days.push(missed);
  days.push(...(logs.staleDays ?? []), day);
  const facts: ManifestFact[] = [];
  for (const one of days) facts.push(...(await manifestOf(store, all, one, wall)));
  const given = { ...logs, manifestDay: day, staleDays: [] };
  await store.commit({ meter: '_', entryClass: 0, facts, logs: given, afterMarks });
}

export interface StorageSettings extends TaskSettings {
  readonly disk: () => Disk | null;
  /** Deletes what nobody needs; tells what went. */
  readonly relieve: () => Promise<readonly { readonly what: string; readonly bytes: number }[]>;
  readonly onState: (state: StorageState) => void;
}
const storageEvents = { ok: 'STORAGE_OK', low: 'STORAGE_LOW', full: 'STORAGE_FULL' } as const;
/** What the disk has left, and what was deleted to make room, are events (R22). */
export async function watchStorage(settings: StorageSettings, signal: AbortSignal): Promise<void> {
  const { clock, store, log, disk: left, relieve, onState } = settings;
  let state: StorageState = 'ok';
  const pending: ((wall: Millis) => EventFact)[] = [];
  while (!signal.aborted) {
    const disk = left();
    const next: StorageState = disk ? storageState(disk, state) : state;
    if (disk && next !== state) {
      log.warn({ ...disk, storage: next }, 'room on the disk');
      pending.push((wall) => gatewayFact(wall, storageEvents[next], disk));
      state = next;
      onState(state);
    }
    if (state !== 'ok') {
      const freed = await relieve().catch((error: unknown) => {
        log.warn({ error: messageOf(error) }, 'no room could be made on the disk');
        return [];
      });
      for (const { what, bytes } of freed) pending.push((wall) => gatewayFact(wall, 'STORAGE_FREED', { what, bytes }));
    }
    try {
      for (; pending[0]; pending.shift()) {
        await store.commit({ meter: '_', entryClass: 0, facts: [pending[0](clock.wall())] });
      }
    } catch (error) {
      // It is stored when there is room for it, and a time of day.
      log.warn({ error: messageOf(error) }, 'state of the disk not stored');
    }
    await clock.sleepUntil(later(clock.now(), storageEveryMs), signal);
  }
}
