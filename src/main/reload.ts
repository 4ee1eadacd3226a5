/**
 * Another configuration for a running gateway. The house in force is stopped only for a plan that is complete and for
 * which the local door is open; if the new house does not stand all the same, the old plan is built again. The
 * outcome is the answer to whoever asked, and is an event.
 */
import { Failure, messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { iso, type Millis } from '../base/time.ts';
import type { House } from '../house.ts';
import type { GatewayPlan } from '../config/resolve.ts';
import type { ReloadAnswer } from '../desk/routes.ts';
import type { Doors } from './doors.ts';

export interface ReadPlan {
  readonly plan: GatewayPlan;
  readonly warnings: readonly string[];
}
export interface ReloadSettings {
  readonly log: Log;
  readonly wall: () => Millis;
  /** Reads and judges the file. */
  readonly read: (inForce: GatewayPlan) => ReadPlan;
  /** `before`: the house that has stopped for it. */
  readonly build: (plan: GatewayPlan, before: House) => House;
  readonly doors: Pick<Doors, 'move'>;
  /** So long a new house is watched before it counts as standing. */
  readonly probationMs: number;
  readonly sleep: (ms: number) => Promise<void>;
  /** Reports a refused file to the head-end. */
  readonly refused: (why: string) => Promise<void>;
  /** To be called with each house that stands. */
  readonly watch: (house: House) => void;
  /** Neither the new nor the old house stands. */
  readonly fallen: (error: unknown) => void;
  /** Begins, and ends, whatever comes of it. */
  readonly state: (reloading: boolean) => void;
}
export interface InForce {
  readonly house: House;
  readonly plan: GatewayPlan;
  readonly since: Millis;
  readonly warnings: readonly string[];
  /** The file as it is now was not taken. */
  readonly refused: { readonly at: Millis; readonly why: string } | undefined;
}
export interface Reloader {
  inForce(): InForce;
  /** One after another: whoever asks while one is under way gets the outcome of the next, which sees the file as it is then. */
  reload(): Promise<ReloadAnswer>;
  /** Nothing is reloaded any more. */
  close(): Promise<void>;
}

const asFailure = (error: unknown): Failure =>
  error instanceof Failure ? error : new Failure('config-invalid', messageOf(error));

/** A new house, when it has stood its probation. Throws what crashed within that, when the house has let go of everything. */
async function standing(settings: ReloadSettings, plan: GatewayPlan, before: House): Promise<House> {
  const built = settings.build(plan, before);
  const crashed = built.stopped.then(() => undefined);
  crashed.catch(() => {});
  try {
    await Promise.race([settings.sleep(settings.probationMs), crashed]);
  } catch (error) {
    await built.stop();
    throw error;
  }
  settings.watch(built);
  return built;
}

export function newReloader(first: ReadPlan, house: House, settings: ReloadSettings): Reloader {
  const { log, wall } = settings;
  let now: InForce = { house, plan: first.plan, since: wall(), warnings: first.warnings, refused: undefined };
  let running: Promise<unknown> = Promise.resolve();
  let next: Promise<ReloadAnswer> | undefined;
  let closed = false;
  /** What is in force after a reload that failed, in words. */
  let stands = '';

  const replace = async ({ plan, warnings }: ReadPlan): Promise<void> => {
    const before = now;
    const door = await settings.doors.move(plan);
    await before.house.stop();
    try {
      now = { house: await standing(settings, plan, before.house), plan, since: wall(), warnings, refused: undefined };
      door.keep();
    } catch (error) {
      try {
        await door.undo();
        now = { ...before, house: await standing(settings, before.plan, before.house) };
      } catch (fatal) {
        stands = 'nor does the one before stand any more: the gateway ends, and is started again with the new one';
        settings.fallen(fatal);
      }
      throw error;
    }
  };

  const once = async (): Promise<ReloadAnswer> => {
    if (closed) throw new Failure('busy', 'the gateway is stopping');
    settings.state(true);
    stands = `the configuration of ${iso(now.since)} stays in force`;
    try {
      const read = settings.read(now.plan);
      for (const warning of read.warnings) log.warn({}, warning);
      await replace(read);
      log.info({ hash: now.plan.hash }, 'configuration reloaded');
      return { hash: now.plan.hash, since: iso(now.since), warnings: now.warnings };
    } catch (error) {
      const failure = asFailure(error);
      now = { ...now, refused: { at: wall(), why: failure.message } };
      log.error({ error: failure.message }, `configuration not reloaded; ${stands}`);
      await settings.refused(failure.message);
      // Findings stand on lines of their own; anything else is one line.
      const separator = failure.message.includes('\n') ? '\n' : '; ';
      throw new Failure(failure.code, `${failure.message}${separator}${stands}`);
    } finally {
      settings.state(false);
    }
  };

  const start = (): Promise<ReloadAnswer> => {
    next = undefined;
    const outcome = once();
    running = outcome.catch(() => {});
    return outcome;
  };
  return {
    inForce: () => now,
    reload() {
      next ??= running.then(start);
      return next;
    },
    async close() {
      closed = true;
      await running;
    },
  };
}
