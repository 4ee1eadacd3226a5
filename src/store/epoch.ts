/**
 * Epochs. A number (`epoch`, `seq`) must mean one thing for ever, whatever happens to the state directory: a card that is
 * copied or restored, a state that is lost twice under a clock of 1970. So an epoch is made of two parts: minutes since 1970,
 * at least one more than those of every epoch that is known here, which puts epochs in order; and 26 random bits, so that
 * two states that know nothing of each other begin different ones (once in 67 million at the same minute).
 */
const randomValues = 2 ** 26;
const minuteMs = 60_000;
/** Beyond it the sum is no safe integer any more: the year 2225. */
const lastMinute = 2 ** 27 - 1;

/** Whether something later can still begin: what a peer calls an epoch may be nonsense. */
export const hasSuccessor = (epoch: number): boolean =>
  Number.isSafeInteger(epoch) && epoch >= 0 && Math.floor(epoch / randomValues) < lastMinute;

/**
 * An epoch later than `after`. `wall`: the time of day, ms, right or not; `random`: an integer in [0, 2^26). An epoch without
 * a successor is not to be handed in.
 */
export function laterEpoch(after: number, wall: number, random: number): number {
  const minute = Math.max(Math.floor(Math.max(0, wall) / minuteMs), Math.floor(after / randomValues) + 1);
  return Math.min(minute, lastMinute) * randomValues + random;
}
