/** The house's log. Secrets and raw frames never go in. */
export interface Log {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
export const silentLog: Log = { info: () => {}, warn: () => {}, error: () => {} };

/** Text from outside, as much of it as belongs into a line. */
export const cut = (text: string, maxLength = 300): string =>
  text.length <= maxLength ? text : `${text.slice(0, maxLength)}… (${text.length} characters)`;

interface Room {
  readonly text: number;
  readonly list: number;
  readonly depth: number;
}
const usualRoom: Room = { text: 500, list: 40, depth: 4 };
const littleRoom: Room = { text: 60, list: 10, depth: 2 };
/** Characters that all fields of one line may have together. */
const fieldsLimit = 4000;

/** Fields of a line: what comes from outside is no reason for a line without end. */
export function cutFields(fields: object): object {
  const usual = cutValue(fields, usualRoom, 0) as object;
  return JSON.stringify(usual).length <= fieldsLimit ? usual : (cutValue(fields, littleRoom, 0) as object);
}
function cutValue(value: unknown, room: Room, depth: number): unknown {
  if (typeof value === 'string') return cut(value, room.text);
  if (typeof value === 'bigint') return cut(value.toString(), room.text);
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Error) return { message: cut(value.message, room.text) };
  if (depth >= room.depth) return '…';
  if (ArrayBuffer.isView(value)) return `${value.byteLength} octets`;
  const all: [string | number, unknown][] = Array.isArray(value) ? [...value.entries()] : Object.entries(value);
  const some = all.slice(0, room.list).map(([name, one]) => [name, cutValue(one, room, depth + 1)] as const);
  const more = all.length > room.list ? `${all.length - room.list} more` : undefined;
  if (Array.isArray(value)) return [...some.map(([, one]) => one), ...(more === undefined ? [] : [more])];
  return Object.fromEntries([
    ...some.map(([name, one]) => [cut(String(name), 80), one]),
    ...(more === undefined ? [] : [['…', more]]),
  ]);
}
