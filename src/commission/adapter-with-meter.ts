/** An adapter that is tried at a known meter: so many sessions, each from the link set-up to the name of the meter. */
import type { Clock } from '../base/time.ts';
import type { Port } from '../line/port.ts';
import type { MeterModel } from '../meter/model.ts';
import type { AcceptanceRow } from './adapter-acceptance.ts';
import { ask } from './probe.ts';
import type { ProbeAnswer } from './scan-plan.ts';
import { damageWords } from './line-damage.ts';

export interface KnownMeter {
  readonly port: Port;
  readonly clock: Clock;
  readonly models: ReadonlyMap<string, MeterModel>;
  readonly logical: number;
  readonly physical: number | undefined;
  readonly baud: number;
  readonly sessions: number;
}
export async function* acceptWithMeter(known: KnownMeter): AsyncGenerator<AcceptanceRow, void> {
  const { port, clock, models, logical, physical, baud, sessions } = known;
  const probe = {
    id: 'known',
    stage: 'list',
    link: 'hdlc',
    baud,
    logical,
    physical,
    tries: 1,
    patienceMs: 10_000,
  } as const;
  const answers: ProbeAnswer[] = [];
  for (let i = 0; i < sessions; i++) answers.push(await ask(port, clock, probe, models));
  const named = answers.filter(({ answer }) => answer === 'identified' || answer === 'unnamed');
  const failed = answers.find((one) => !named.includes(one));
  yield {
    what: `${sessions} sessions at ${baud} Bd`,
    outcome: failed ? 'bad' : 'good',
    seen: failed
      ? `${named.length} good; the first other one: ${failed.answer}, ${failed.why ?? 'no answer'}`
      : `all of them good, with meter ${named[0]?.serial ?? 'without a number'}`,
    ...(failed && {
      next: 'Try the meter with an adapter that is known to work; hardware/line-tests.md has what comes next.',
    }),
  };
  const damaged = answers.reduce((sum, one) => sum + one.damaged, 0);
  const words = damaged > 0 ? damageWords(answers.flatMap(({ sample }) => sample ?? [])) : undefined;
  yield {
    what: 'damaged frames',
    outcome: words ? 'bad' : 'good',
    seen: words ? `${damaged}; ${words.seen}` : 'none',
    ...(words && { next: words.next }),
  };
  const delays = answers.flatMap(({ delayMs }) => delayMs ?? []).toSorted((a, b) => a - b);
  const middle = delays[Math.floor(delays.length / 2)];
  yield {
    what: 'turn-around of the meter',
    outcome: 'note',
    seen: middle === undefined ? 'not measured' : `at most ${middle} ms in half of the sessions`,
  };
}
