/**
 * The store in a process of its own, which does nothing but commit and acknowledge, killed again and again: each time it
 * opens, all that was committed must be there and nothing that was not, with the same numbers and the same account.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { seeded } from '../../src/simulator/random.ts';
import { sleep } from '../support/broker.ts';

export interface StoreLifeResult {
  readonly kills: number;
  /** While a commit was under way. */
  readonly within: number;
  /** Of those, how many commits were there afterwards. */
  readonly whole: number;
  readonly commits: number;
  readonly problems: readonly string[];
}
const longestMs = 60;
/** Some before the store has opened. */
const earlyShare = 0.1;

/** What the process told, and what follows from it. */
class Account {
  epoch: string | undefined;
  readonly entries = new Map<number, string>();
  next = 1;
  covered = 0;
  /** The highest acknowledgement that was begun. */
  acknowledged = 0;
  doing: { readonly first: number; readonly end: number; readonly sums: readonly string[] } | undefined;
  commits = 0;
  within = 0;
  whole = 0;
  readonly problems: string[] = [];
  private opened: { readonly next: number; readonly acknowledged: number; readonly covered: number } | undefined;
  private has = new Map<number, string>();

  take(line: string): void {
    const [word, ...rest] = line.split(' ');
    const [first = 0, second = 0, third = 0, fourth = 0] = rest.map(Number);
    if (word === 'open') {
      if (this.epoch !== undefined && this.epoch !== rest[0])
        this.problems.push(`epoch ${rest[0]} after ${this.epoch}`);
      this.epoch = rest[0];
      this.opened = { next: second, acknowledged: third, covered: fourth };
      this.has = new Map();
    } else if (word === 'has') this.has.set(first, rest[1] ?? '');
    else if (word === 'ready') this.compare();
    else if (word === 'doing') this.doing = { first, end: second, sums: rest.slice(2) };
    else if (word === 'done' && this.doing) {
      this.commits++;
      this.accept(this.doing);
      this.doing = undefined;
    } else if (word === 'acknowledging') this.acknowledged = Math.max(this.acknowledged, first);
  }
  private accept({ first, end, sums }: NonNullable<Account['doing']>): void {
    for (const [i, sum] of sums.entries()) this.entries.set(first + i, sum);
    this.next = first + sums.length;
    this.covered = end;
  }
  /** All that was committed, and of what was under way all or nothing. */
  private compare(): void {
    const { opened, has, doing, problems } = this;
    if (!opened) return;
    if (doing) {
      this.within++;
      if (has.has(doing.first) || opened.next > doing.first) {
        this.whole++;
        this.accept(doing);
      }
      this.doing = undefined;
    }
    if (opened.next !== this.next) problems.push(`the next number is ${opened.next}, not ${this.next}`);
    if (opened.covered !== this.covered) problems.push(`accounted for up to ${opened.covered}, not ${this.covered}`);
    if (opened.acknowledged > this.acknowledged)
      problems.push(`acknowledged up to ${opened.acknowledged}, only ${this.acknowledged} were`);
    for (const [sequence, sum] of this.entries) {
      if (sequence <= opened.acknowledged) this.entries.delete(sequence);
      else if (has.get(sequence) !== sum)
        problems.push(`entry ${sequence} is ${has.has(sequence) ? 'another' : 'gone'}`);
    }
    for (const sequence of has.keys())
      if (!this.entries.has(sequence)) problems.push(`entry ${sequence} was never committed, or is acknowledged`);
  }
}

/** `tooEarly`: the control, in which a commit is called done before it is. */
export async function storeLife(seed: number, kills: number, tooEarly = false): Promise<StoreLifeResult> {
  const random = seeded(seed);
  const directory = mkdtempSync(join(tmpdir(), 'store-kills-'));
  const account = new Account();
  try {
    for (let kill = 0; kill <= kills; kill++) {
      const program = new URL('store-writer.ts', import.meta.url).pathname;
      const child: ChildProcess = spawn(
        process.execPath,
        [program, join(directory, 'state'), String(seed * 1000 + kill), ...(tooEarly ? ['too-early'] : [])],
        {
          stdio: ['ignore', 'pipe', 'pipe'],
        },
      );
      const errors: Buffer[] = [];
      child.stderr?.on('data', (octets: Buffer) => errors.push(octets));
      const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
      const closed = new Promise<void>((resolve) => lines.once('close', resolve));
      const ended = new Promise<string | null>((resolve) => child.once('exit', (_, signal) => resolve(signal)));
      const ready = new Promise<void>((resolve) => {
        lines.on('line', (line) => {
          account.take(line);
          if (line === 'ready') resolve();
        });
        void ended.then(() => resolve());
      });
      if (kill < kills && random() < earlyShare) await sleep(random() * 150);
      else {
        await ready;
        await sleep(random() * longestMs);
      }
      child.kill('SIGKILL');
      if ((await ended) !== 'SIGKILL')
        account.problems.push(`it ended by itself: ${Buffer.concat(errors).toString().slice(0, 300)}`);
      await closed;
      if (account.problems.length > 0) break;
    }
    const { within, whole, commits, problems } = account;
    return { kills, within, whole, commits, problems };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
