import { Writable } from 'node:stream';
import { destination, type LoggerOptions, pino, stdTimeFunctions } from 'pino';
import { cut, cutFields, type Log } from '../base/log.ts';
import { visible } from '../base/visible.ts';
import { type LogMemory, logMemory } from './log-memory.ts';

/** Priorities of journald (syslog) by pino's levels. */
const priorities: Record<number, number> = { 10: 7, 20: 7, 30: 6, 40: 4, 50: 3, 60: 2 };

export interface DaemonLog extends Log {
  /** The newest lines. */
  readonly memory: LogMemory;
  /** A reload may change it. */
  level: string;
}
/** Octets of a message; fields have limits of their own. */
const messageLimit = 1000;
/** Lines are cut where they are made: whatever a broker, a head-end or a meter says, no line is longer. */
const limits: LoggerOptions = {
  formatters: {
    log: (fields) => cutFields(fields) as Record<string, unknown>,
    level: (level) => ({ level }),
  },
  hooks: {
    logMethod(given, method) {
      const [fields, message, ...more] = given as [object, unknown, ...unknown[]];
      method.apply(this, [
        fields,
        typeof message === 'string' ? cut(message, messageLimit) : message,
        ...more,
      ] as never);
    },
  },
};

/**
 * Writes synchronously: what was logged before a crash is there after it. One line of JSON each, with its level by name and
 * its time in UTC; under journald, which notes the time itself, with a priority instead.
 */
export function openLog(level: string): DaemonLog {
  const file = destination({ fd: 1, sync: true });
  const memory = logMemory();
  // pino escapes C0 only; the journal and terminals obey more, and a line ends where we end it.
  const out = {
    write: (line: string) => {
      const shown = visible(line.trimEnd());
      memory.add(shown.replace(/^<\d>/, ''));
      file.write(`${shown}\n`);
    },
  };
  const redact = { paths: ['secret', 'password', 'key', '*.secret', '*.password', '*.key'], censor: '[redacted]' };
  if (process.env['JOURNAL_STREAM'] === undefined)
    return Object.assign(pino({ level, base: null, timestamp: stdTimeFunctions.isoTime, redact, ...limits }, out), {
      memory,
    });
  const journal = Object.assign(
    new Writable({
      write(chunk: Buffer, _encoding, callback) {
        const { lastLevel } = this as unknown as { lastLevel: number };
        out.write(`<${priorities[lastLevel] ?? 6}>${chunk.toString()}`);
        callback();
      },
      decodeStrings: true,
    }),
    { [Symbol.for('pino.metadata')]: true, lastLevel: 30 },
  );
  return Object.assign(pino({ level, base: null, timestamp: false, redact, ...limits }, journal), { memory });
}
