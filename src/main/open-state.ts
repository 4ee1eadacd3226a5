/** Opens what the gateway keeps. It may take minutes, where the store is to be mended, and may be asked to stop meanwhile. */
import { Failure } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { fitFact } from '../forward/fit.ts';
import { systemClock } from '../line/system-clock.ts';
import type { Fact } from '../reading/facts.ts';
import { Counters } from '../store/counters.ts';
import { Store } from '../store/store.ts';
import { doubtIfCopied } from './counters-home.ts';
import type { ServiceNotifier } from './notifier.ts';
import type { TurnRecord } from '../schedule/turn-record.ts';
import { type StateDirectory, stateDirectory } from '../disk/state-directory.ts';
import { turnFile } from '../disk/turn-file.ts';

export interface OpenState {
  readonly folder: StateDirectory;
  readonly store: Store;
  readonly counters: Counters;
  /** Who is on turn; what ended the process unasked is known by it. */
  readonly turns: TurnRecord;
}
const startExtensionMs = 5 * 60_000;

/** Says what was found damaged. */
async function tellDamage({ folder, store, counters }: OpenState, directory: string, log: Log): Promise<void> {
  log.info({ directory, epoch: store.epoch, created: folder.created }, 'state directory');
  const { damage } = await store.status();
  if (damage.quarantined + damage.missing + damage.log.length > 0)
    log.error(
      { ...damage },
      'the store was damaged; all series are read again, as far back as the meters still have them',
    );
  if (counters.foundDoubtful)
    log.error(
      {},
      'the invocation counters were damaged; each meter with keys is asked for its own before the first use',
    );
}

/** undefined where the process was asked to stop; then everything is closed, and the start counts as none. */
export async function openState(
  directory: string,
  context: {
    readonly log: Log;
    readonly notifier: ServiceNotifier;
    readonly stop: AbortSignal;
    /** How long a stop may take. */
    readonly stopLimitMs: number;
    /** Why the time of day cannot be right. */
    readonly timeImpossible: () => string | undefined;
    /** What was stored, for whoever shows it on the spot. */
    readonly stored?: (facts: readonly Fact[]) => void;
  },
): Promise<OpenState | undefined> {
  const { log, notifier, stop, stopLimitMs, timeImpossible, stored } = context;
  let folder: StateDirectory | undefined;
  let store: Store | undefined;
  // Damage of a store with a year in it takes minutes to mend; a start that is killed meanwhile begins with that again.
  notifier.starting(startExtensionMs);
  const extending = setInterval(() => notifier.starting(startExtensionMs), startExtensionMs / 10).unref();
  const hurry = () => {
    log.info({ signal: stop.reason as string }, 'stopping: the start is given up');
    notifier.stopping();
    // What is half mended is begun again at the next start.
    setTimeout(() => {
      folder?.notCounted();
      process.exit(0);
    }, stopLimitMs).unref();
  };
  stop.addEventListener('abort', hurry, { once: true });
  const given = async (): Promise<undefined> => {
    await store?.close();
    folder?.notCounted();
    return undefined;
  };
  try {
    stop.throwIfAborted();
    folder = await stateDirectory(directory, Date.now(), stop, (trouble) => log.error({}, trouble));
    store = await Store.open({
      ...folder.store,
      clock: systemClock,
      fit: (fact) => fitFact(fact, systemClock.wall()),
      timeImpossible,
      ...(stored && { stored }),
    });
    if (stop.aborted) return await given();
    const counters = await Counters.open(folder.counters);
    const state = { folder, store, counters, turns: turnFile(directory, log) };
    if (stop.aborted) {
      await counters.close();
      return await given();
    }
    await tellDamage(state, directory, log);
    await doubtIfCopied(directory, counters, log);
    return state;
  } catch (error) {
    if (stop.aborted) return await given();
    // Another try in this process finds them free.
    await store?.close();
    // Nothing was opened that could have ended the process: another one has it, or the disk does not take or give.
    if (error instanceof Failure && ['store-locked', 'store-failed', 'store-too-new'].includes(error.code))
      folder?.notCounted();
    throw error;
  } finally {
    clearInterval(extending);
    stop.removeEventListener('abort', hurry);
  }
}
