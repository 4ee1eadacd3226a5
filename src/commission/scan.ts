/** Runs a scan: probe by probe over a line that is used for a few seconds at a time, with its progress kept. */
import { Failure, messageOf } from '../base/errors.ts';
import { eventsOf } from '../base/event-stream.ts';
import { type Clock, later } from '../base/time.ts';
import { ask, isOfLine } from './probe.ts';
import type { ScanJournal } from './scan-journal.ts';
import {
  addressWords,
  type Answers,
  type Budget,
  budgetOf,
  type Probe,
  type ProbeAnswer,
  probesOf,
  type ScanPlan,
} from './scan-plan.ts';
import { exitOf, findingsOf, type ScanFinding } from './scan-verdict.ts';
import type { UseLine } from './use-line.ts';

export type ScanEvent =
  | {
      readonly kind: 'plan';
      /** Where every meter of the list answers at its place; and where nobody does. */
      readonly expected: Budget;
      readonly longest: Budget;
      /** Answers of the scan that was cut. */
      readonly resumed: number;
      readonly journal: string | null;
      readonly remark: string | null;
    }
  | {
      readonly kind: 'probe';
      readonly id: string;
      readonly address: string;
      readonly stage: Probe['stage'];
      readonly answer: ProbeAnswer['answer'];
      readonly serial: string | null;
      readonly done: number;
      /** An estimate. */
      readonly remainingS: number;
    }
  | { readonly kind: 'note'; readonly message: string }
  | { readonly kind: 'line'; readonly code: string; readonly message: string; readonly againInS: number }
  | ({ readonly kind: 'finding' } & ScanFinding)
  | { readonly kind: 'end'; readonly seconds: number; readonly probes: number; readonly exit: number };

export interface ScanWorld {
  readonly clock: Clock;
  readonly use: UseLine;
  readonly journal?: ScanJournal | undefined;
  /** Whoever asked has gone: the probe under way is ended, and nothing else begun. */
  readonly signal: AbortSignal;
}
/** One use of the line: a meter that waits for its poll waits for no more than this and the longest probe. */
const useMs = 3000;
/** Where the line is lost or not to be had it is tried again after these pauses; then the scan ends, and can go on later. */
const pausesS = [2, 5, 10, 20, 30];
const neverOpened: ReadonlySet<string> = new Set(['port-missing', 'port-denied', 'port-busy', 'host-missing']);
const estimateEvery = 10;

type Emit = (event: ScanEvent) => void;

/** Time left, counted anew now and then: it is a walk through all that is left. */
function timeLeft(plan: ScanPlan, answers: Answers): (tookMs: number) => number {
  let leftMs = 0;
  let count = 0;
  return (tookMs) => {
    leftMs -= tookMs;
    // What did not answer at its place is looked for elsewhere: that only the walk knows.
    if (count++ % estimateEvery === 0 || leftMs < 1000) leftMs = budgetOf(plan, answers, 'answer').seconds * 1000;
    return Math.max(0, Math.round(leftMs / 1000));
  };
}

async function askAll(plan: ScanPlan, world: ScanWorld, answers: Answers, emit: Emit): Promise<void> {
  const { clock, use, signal } = world;
  let { journal } = world;
  const probes = probesOf(plan, answers);
  const left = timeLeft(plan, answers);
  const take = (): Probe | undefined => probes.next().value ?? undefined;
  const next = { probe: take() };
  let losses = 0;
  let askedHere = 0;
  const turn = async (port: Parameters<Parameters<UseLine>[0]>[0]): Promise<void> => {
    const until = later(clock.now(), useMs);
    while (next.probe && clock.now() < until && !signal.aborted) {
      const { probe } = next;
      const answer = await ask(port, clock, probe, plan.models);
      losses = 0;
      askedHere++;
      // A full disk does not keep a technician from finding the meters.
      await journal?.add(answer).catch((error: unknown) => {
        emit({ kind: 'note', message: `${journal?.path}: ${messageOf(error)}. A scan that is cut now begins anew.` });
        journal = undefined;
      });
      answers.set(probe.id, answer);
      emit({
        kind: 'probe',
        id: probe.id,
        address: probe.signOn === undefined ? addressWords(probe) : `/?${probe.signOn}!`,
        stage: probe.stage,
        answer: answer.answer,
        serial: answer.serial ?? null,
        done: answers.size,
        remainingS: left(answer.tookMs),
      });
      next.probe = take();
    }
  };
  while (next.probe && !signal.aborted) {
    try {
      await use(turn);
    } catch (error) {
      if (!isOfLine(error)) throw error;
      const againInS = pausesS[losses++];
      // Where it never opened in this run, the name is wrong, or somebody else has it: waiting mends neither.
      if (askedHere === 0 && neverOpened.has(error.code)) throw error;
      if (againInS === undefined)
        throw new Failure(error.code, error.message, {
          ...error.detail,
          next: `${error.nextStep} The same command then goes on where it stopped.`,
        });
      emit({ kind: 'line', code: error.code, message: error.message, againInS });
      await clock.sleepUntil(later(clock.now(), againInS * 1000), signal);
    }
  }
}

async function run(plan: ScanPlan, world: ScanWorld, emit: Emit): Promise<void> {
  const { clock, journal, signal } = world;
  const begun = clock.now();
  const answers: Answers = new Map(journal?.answers);
  emit({
    kind: 'plan',
    expected: budgetOf(plan, answers, 'answer'),
    longest: budgetOf(plan, answers, 'silent'),
    resumed: answers.size,
    journal: journal?.path ?? null,
    remark: journal?.remark ?? null,
  });
  await askAll(plan, world, answers, emit);
  if (signal.aborted) return;
  // What is not marked as ended is answered once more from the journal: the findings are the same.
  await journal?.end().catch(() => {});
  const findings = findingsOf(plan, answers);
  for (const finding of findings) emit({ kind: 'finding', ...finding });
  const seconds = Math.round((clock.now() - begun) / 1000);
  emit({ kind: 'end', seconds, probes: answers.size, exit: exitOf(findings) });
}

/** The events of a scan as they come. Leaving the loop ends the scan behind the probe that is under way. */
export async function* scan(plan: ScanPlan, world: ScanWorld): AsyncGenerator<ScanEvent, void> {
  const left = new AbortController();
  const signal = AbortSignal.any([world.signal, left.signal]);
  try {
    yield* eventsOf<ScanEvent>(
      (put) => run(plan, { ...world, signal }, put),
      () => left.abort(),
    );
  } finally {
    await world.journal?.close();
  }
}
