/**
 * The operator's word about a meter's counters: what the meter claimed, or who it is now, is right. Through the running
 * gateway, or on its counters while it is stopped.
 */
import { Failure } from '../base/errors.ts';
import type { Counters, MeterMemory } from '../store/counters.ts';

export interface CounterAccepted {
  readonly meter: string;
  /** Our counter goes on above what the meter said that it heard. */
  readonly raisedTo: number | null;
  /** System title and counter of the meter that are no longer expected: the next that authenticates itself is remembered. */
  readonly forgotten: { readonly title: string | null; readonly heard: number | null } | null;
}
/** Fewer are not worth a raise: the next sessions would end it. */
const minLeft = 100_000;
const counterEnd = 0xffff_ffff;

/** What is remembered afterwards, and what to tell; Failure where nothing waits for a word. */
function accepted(meter: string, memory: MeterMemory | undefined): { memory: MeterMemory; outcome: CounterAccepted } {
  const { claimed, strange } = memory ?? {};
  if (!memory || (claimed === undefined && strange === undefined))
    throw new Failure('nothing-waits', `nothing of meter ${meter} waits for a word`);
  if (claimed !== undefined && claimed > counterEnd - minLeft)
    throw new Failure(
      'counter-used-up',
      `meter ${meter} says that it heard ${claimed}: of the counters of this key ${counterEnd - claimed} would be left`,
    );
  const { title, heard, keyName, claimed: _, strange: __, refusal: ___, ...rest } = memory;
  const newcomer = strange === 'title-changed';
  return {
    memory: {
      ...rest,
      ...(title !== undefined && !newcomer && { title }),
      ...(heard !== undefined && keyName !== undefined && strange === undefined && { heard, keyName }),
      ...(claimed !== undefined && { accepted: claimed }),
    },
    outcome: {
      meter,
      raisedTo: claimed ?? null,
      forgotten: strange === undefined ? null : { title: newcomer ? (title ?? null) : null, heard: heard ?? null },
    },
  };
}

export async function acceptCounter(
  counters: Pick<Counters, 'remembered' | 'remember'>,
  meter: string,
): Promise<{ memory: MeterMemory; outcome: CounterAccepted }> {
  const result = accepted(meter, (await counters.remembered()).get(meter));
  await counters.remember(meter, result.memory);
  return result;
}

/** For a person. */
export const acceptedText = ({ meter, raisedTo, forgotten }: CounterAccepted): string[] => [
  ...(raisedTo === null ? [] : [`${meter}: our invocation counter goes on above ${raisedTo} at the next session`]),
  ...(forgotten === null
    ? []
    : [
        `${meter}: ${forgotten.title === null ? 'its counter may begin again' : `it may be another device than ${forgotten.title}`}; who authenticates itself next is remembered`,
      ]),
];
