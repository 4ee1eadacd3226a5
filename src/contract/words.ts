/** The words of the contract that several payloads use: names, instants, integers. */
import * as v from 'valibot';

/** Words of the contract are short: what is longer is no name, no serial number and no unit. */
export const wordLimit = 200;
export const word = v.pipe(v.string(), v.maxLength(wordLimit));
/** What is said to people: an error, a detail. */
export const lineLimit = 2000;
export const line = v.pipe(v.string(), v.maxLength(lineLimit));
/** Fields that the detail of an event may have. */
export const detailLimit = 64;
export const finite = v.pipe(v.number(), v.finite());
/** Beyond 2^53 as a decimal string; one number has one form. */
export const integer = v.union([
  v.pipe(v.number(), v.integer(), v.minValue(Number.MIN_SAFE_INTEGER), v.maxValue(Number.MAX_SAFE_INTEGER)),
  v.pipe(v.string(), v.regex(/^(0|-?[1-9]\d{0,59})$/, 'a whole number in decimal digits')),
]);
export const count = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(Number.MAX_SAFE_INTEGER));
/** One level of a topic: never from free text. */
export const topicPart = v.pipe(
  v.string(),
  v.regex(/^[A-Za-z0-9_-]{1,64}$/, 'only letters, digits, - and _, at most 64'),
);
/** Of an order, chosen by whoever signs it: no order has the id of another one. */
export const orderId = v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{16,64}$/, '16 to 64 letters, digits, - and _'));

/** `Date.parse` takes 30 February for 2 March. */
export function isCalendarDay(instant: string): boolean {
  const at = Date.parse(instant);
  return !Number.isNaN(at) && new Date(at).toISOString().startsWith(instant.slice(0, 10));
}
const realDay = v.check<string, string>(isCalendarDay, 'no day of the calendar');
/** Only UTC, and only years of four digits. */
export const instant = v.pipe(
  v.string(),
  v.regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?Z$/, 'an instant in UTC'),
  realDay,
);
/** No meter measured before, and nobody will have measured after. */
const ofThisCentury = v.check<string, string>((text) => text.startsWith('20'), 'years 2000 to 2099 only');
/** Of an interval: of something that was measured. What the clock of a meter says in an event may be anything. */
export const measuredInstant = v.pipe(instant, ofThisCentury);
export const day = v.pipe(v.string(), v.regex(/^\d{4}-\d\d-\d\d$/, 'a day'), realDay, ofThisCentury);
/** Of a series, in whole seconds: nothing is measured more often than each minute, or more seldom than each month. */
export const nominalPeriod = v.pipe(v.number(), v.integer(), v.minValue(60), v.maxValue(31 * 86_400));
