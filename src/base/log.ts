/** The house's log. Secrets and raw frames never go in. */
export interface Log {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
export const silentLog: Log = { info: () => {}, warn: () => {}, error: () => {} };
