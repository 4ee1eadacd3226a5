/** The house's log. Secrets and raw frames never go in. */
export interface Log {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
export const silentLog: Log = { info: () => {}, warn: () => {}, error: () => {} };

/** Text from outside, as much of it as belongs into a line. */
export const cut = (text: string, atMost = 300): string =>
  text.length <= atMost ? text : `${text.slice(0, atMost)}… (${text.length} characters)`;
