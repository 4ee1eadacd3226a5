/**
 * A line on loan between two sessions of the runner: a scan, or a meter that is not configured yet. One loan waits at most,
 * each is short, and between two of them the meters have their turn: polling goes on.
 */
import { Failure } from '../base/errors.ts';
import { type Clock, later, type Millis, millis } from '../base/time.ts';
import type { PortOwner } from '../line/port-owner.ts';
import type { Port } from '../line/port.ts';

/** What borrows a line has it for so long at most, ms. */
export const loanLimitMs = 30_000;
/** Whoever asks waits for the session under way, which may be the longest there is. */
const waitLimitMs = 600_000;

export interface Loan {
  /** Never rejects. */
  readonly serve: (acquire: () => Promise<Port>) => Promise<void>;
  readonly reject: (error: Failure) => void;
}
export interface Loans {
  waiting: Loan | undefined;
  /** The line was on loan just now: first come the meters. */
  servedLast: boolean;
  /** Nobody serves them any more: the house stops, or another one takes its place. */
  ended: boolean;
}
export const noLoans = (): Loans => ({ waiting: undefined, servedLast: false, ended: false });

/** Work with an open port, for a bounded while. What it throws reaches whoever asked. */
export type PortWork<T> = (port: Port) => Promise<T>;

/** Failure `busy` where another one waits for this line already, or where the line does not become free. */
export function askLoan<T>(loans: Loans, clock: Clock, name: string, work: PortWork<T>): Promise<T> {
  if (loans.waiting)
    return Promise.reject(new Failure('busy', `somebody else of the desk waits for the line ${name} already`));
  if (loans.ended) return Promise.reject(over(name));
  const begun = new AbortController();
  return new Promise<T>((resolve, reject) => {
    const loan: Loan = {
      reject: (error) => {
        begun.abort();
        reject(error);
      },
      serve: async (acquire) => {
        begun.abort();
        try {
          resolve(await work(limited(await acquire(), clock, later(clock.now(), loanLimitMs))));
        } catch (error) {
          reject(error);
        }
      },
    };
    loans.waiting = loan;
    void clock.sleepUntil(later(clock.now(), waitLimitMs), begun.signal).then(() => {
      if (begun.signal.aborted || loans.waiting !== loan) return;
      loans.waiting = undefined;
      loan.reject(new Failure('busy', `the line ${name} was not free within ${waitLimitMs / 1000} s`));
    });
  });
}

const over = (name: string): Failure =>
  new Failure('busy', `the line ${name} changes hands: the gateway stops, or takes another configuration`);
/** Whoever waits asks again, and finds the house that took the place. */
export function endLoans(loans: Loans, name: string): void {
  loans.ended = true;
  const { waiting } = loans;
  loans.waiting = undefined;
  waiting?.reject(over(name));
}

/** Serves the loan that waits, if it is its turn; true where it did. The line is left as the next session needs it. */
export async function serveLoan(loans: Loans, owner: PortOwner, baud: number | undefined): Promise<boolean> {
  const loan = loans.waiting;
  if (!loan || loans.servedLast) {
    loans.servedLast = false;
    return false;
  }
  loans.waiting = undefined;
  loans.servedLast = true;
  let port: Port | undefined;
  await loan.serve(async () => {
    port = await owner.acquire();
    return port;
  });
  if (!port) return true;
  // Silence during a scan says nothing of the adapter. A connection served one conversation: the next gets its own.
  const lost = port.closed;
  const restored = lost || port.connection || baud === undefined ? true : await works(port.setBaud(baud));
  await owner.report({ heard: true, lost: lost || !restored, failed: true });
  return true;
}

const works = (work: Promise<void>): Promise<boolean> =>
  work.then(
    () => true,
    () => false,
  );

/** The port until the loan ends: nobody reads or writes beyond that. */
function limited(port: Port, clock: Clock, end: Millis): Port {
  const inTime = (): void => {
    if (clock.now() >= end)
      throw new Failure('busy', `the time for one use of ${port.device} is over: ${loanLimitMs / 1000} s`);
  };
  return {
    device: port.device,
    connection: port.connection,
    get closed() {
      return port.closed;
    },
    read: async (until) => {
      inTime();
      return port.read(millis(Math.min(end, until ?? end)));
    },
    write: async (octets) => {
      inTime();
      await port.write(octets);
    },
    setBaud: (baud) => port.setBaud(baud),
    // It belongs to the runner.
    close: async () => {},
  };
}
