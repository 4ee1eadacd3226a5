/** A line over which nothing can be read is reported once, and not once for each of its meters. */
import { type ErrorCode, errorTable, type Fault } from '../base/errors.ts';
import type { Line, LineContext } from './meter-state.ts';
import { judged } from './telling.ts';

export interface BusFault {
  /** All that are polled over it. */
  readonly meters: readonly string[];
  readonly code: ErrorCode;
  readonly fault: Fault;
  readonly why: string;
  readonly nextStep: string;
}

/** undefined where at least one meter can be read, or none is polled. */
export function busFaultOf(port: LineContext, line: Line): BusFault | undefined {
  const { owner } = port;
  const asked = [...line.states.values()].filter(({ polled }) => polled.unusable === undefined);
  const [first] = asked;
  if (!first) return undefined;
  const meters = asked.map(({ polled }) => polled.origin.meter);
  const { lastError, lastCode } = owner.memory;
  if (!owner.state.open && lastError !== undefined) {
    const code = lastCode ?? 'port-missing';
    const { fault, nextStep } = errorTable[code];
    return { meters, code, fault, why: lastError, nextStep };
  }
  const verdicts = judged(port, line);
  if (!meters.every((meter) => verdicts.get(meter) === 'BUS_FAULT')) return undefined;
  const { lastError: failed } = first;
  const silent = failed === undefined || failed.code === 'no-answer' || failed.code === 'echo-only';
  const code = silent ? 'bus-silent' : failed.code;
  const { fault, nextStep } = errorTable[code];
  const why = silent ? `none of ${meters.length} meters answers: it is the line, not the meters` : failed.message;
  return { meters, code, fault, why, nextStep };
}
