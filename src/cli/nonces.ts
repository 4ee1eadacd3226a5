/**
 * Counters for a session from the command line. A pair of key and system title never sees a counter twice: the gateway gives
 * counters of its own where it runs and uses the key; else the session has a system title of its own, made at random; and
 * where the meter wants a certain title, what was used with it is kept on disk.
 */
import { createHash } from 'node:crypto';
import { closeSync, fsyncSync, mkdirSync, openSync, readdirSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { Failure, messageOf } from '../base/errors.ts';
import { fromHex, toHex } from '../base/hex.ts';
import type { Secret } from '../base/secret.ts';
import { counterAlarm, freshTitle, implausible, keyPrint } from '../meter/invocation-counter.ts';
import { describeFailure } from './fail.ts';
import { askCounterLease } from '../desk/client.ts';

/** Browsing a large meter sends some thousand requests. */
const countersPerSession = 5000;
const counterEnd = 0xffff_ffff;
/** Two sessions that begin at once may get in each other's way so often. */
const reserveTries = 100;

export interface SessionCounters {
  readonly title: Uint8Array;
  readonly next: () => number;
}
export interface CounterWishes {
  readonly key: Secret;
  /** The title that the meter wants; undefined where it takes any. */
  readonly pinned: Uint8Array | undefined;
  /** The first counter by the operator's word. */
  readonly given: number | undefined;
  /** What the meter says that it heard, by the public client: asked at most once, and not where `given` tells. */
  readonly ask: () => Promise<number>;
  readonly socket: string;
  readonly directory: string;
  readonly note: (line: string) => void;
}

/** Where what must not be forgotten between sessions is kept. */
export function stateDirectory(environment: NodeJS.ProcessEnv): string {
  const { XDG_STATE_HOME: state, HOME: home = homedir() } = environment;
  if (state) return join(state, 'meter-gateway');
  return home ? join(home, '.local', 'state', 'meter-gateway') : '/var/lib/meter-gateway/technician';
}

const keyUsedUp = () => new Failure('counter-used-up', 'the counter of this key and title is used up');
const run = (title: Uint8Array, first: number, count: number): SessionCounters => {
  let counter = first;
  return {
    title,
    next() {
      if (counter >= first + count || counter > counterEnd)
        throw counter > counterEnd
          ? keyUsedUp()
          : new Failure('counters-spent', `the ${count} counters of this session are spent`);
      return counter++;
    },
  };
};

export async function sessionCounters(wishes: CounterWishes): Promise<SessionCounters> {
  const { key, pinned, given, note } = wishes;
  let heard: number | undefined;
  if (given === undefined) {
    const leased = await leaseOf(wishes);
    try {
      heard = await wishes.ask();
    } catch (error) {
      if (!leased) throw error;
      note(`the meter does not tell its counter (${messageOf(error)}); the gateway's is taken`);
    }
    if (leased && leased.first > (heard ?? -1)) return run(fromHex(leased.title), leased.first, leased.count);
    if ((heard ?? 0) > counterAlarm) throw implausible(heard as number, counterAlarm, 0);
  }
  const from = given ?? (heard ?? 0) + 1;
  if (!pinned) return run(freshTitle(), from, counterEnd - from + 1);
  const name = createHash('sha256').update('counter').update(key.reveal()).update(pinned).digest('hex').slice(0, 24);
  const first = await reserve(join(wishes.directory, 'counters', name), from, countersPerSession);
  if (given !== undefined && first > given)
    throw new Failure(
      'bad-argument',
      `counters below ${first} were used with this key and title; --invocation-counter ${first} or more`,
    );
  return run(pinned, first, countersPerSession);
}

/** Counters that the running gateway lends, where it uses this key, with a title that the meter takes. */
async function leaseOf({ key, pinned, socket, note }: CounterWishes) {
  try {
    const leased = await askCounterLease(socket, keyPrint(key));
    if (!pinned || leased.title === toHex(pinned)) return leased;
    note(`the gateway uses this key with system title ${leased.title}, this session with ${toHex(pinned)}`);
  } catch (error) {
    // No gateway, or none that knows the key, or one whose own counters are in doubt: then a title of our own.
    if (error instanceof Failure && error.code === 'counter-unknown')
      for (const line of describeFailure(error).lines) note(line);
  }
  return undefined;
}

/**
 * `count` values from `from` on that nobody reserved before, durable before they are used. A file in the directory stands
 * for each reservation and is named by its end; it counts only where no other one lies above its beginning, so that two
 * sessions at once never share a value. The highest file is never deleted.
 */
export async function reserve(directory: string, from: number, count: number): Promise<number> {
  try {
    if (mkdirSync(directory, { recursive: true, mode: 0o700 }) !== undefined)
      for (const above of [join(directory, '..'), join(directory, '..', '..')]) synced(above);
    for (let tries = 0; tries < reserveTries; tries++) {
      const before = endsIn(directory);
      const start = Math.max(from, ...before);
      const end = start + count;
      if (end > counterEnd) throw keyUsedUp();
      const own = join(directory, String(end).padStart(10, '0'));
      if (!created(own)) continue;
      synced(directory);
      const others = endsIn(directory).filter((one) => one !== end);
      if (others.every((one) => one <= start)) {
        for (const one of others) rmSync(join(directory, String(one).padStart(10, '0')), { force: true });
        return start;
      }
      // Another session reserved meanwhile: what was tried stays used, and both go on above it.
      await new Promise((resolve) => setTimeout(resolve, 1 + Math.random() * 20));
    }
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw new Failure('file-unusable', `counters of this key and title: ${messageOf(error)}`);
  }
  throw new Failure('busy', 'other sessions reserve counters of this key and title all the time');
}
const endsIn = (directory: string): number[] =>
  readdirSync(directory)
    .filter((name) => /^\d{10}$/.test(name))
    .map(Number);
function created(path: string): boolean {
  try {
    const file = openSync(path, 'wx', 0o600);
    fsyncSync(file);
    closeSync(file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}
function synced(directory: string): void {
  const file = openSync(directory, 'r');
  fsyncSync(file);
  closeSync(file);
}
