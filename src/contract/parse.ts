/** Judges octets against a schema of the contract. */
import * as v from 'valibot';
import { cut } from '../base/log.ts';

/** No payload of ours or theirs is longer. */
export const payloadLimit = 256 * 1024;
/** A fact, so that its message is not: what stands before it takes less. */
export const factLimit = payloadLimit - 512;

/** Parses JSON against a schema; the error says where it does not fit, without repeating what stands there. */
export function parsePayload<S extends v.GenericSchema>(
  schema: S,
  octets: Uint8Array,
): v.InferOutput<S> | { readonly unfit: string } {
  if (octets.length > payloadLimit) return { unfit: 'longer than a payload may be' };
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(octets.buffer, octets.byteOffset, octets.length).toString('utf8'));
  } catch {
    return { unfit: 'not JSON' };
  }
  return checked(schema, value);
}
/** The value, where it fits its schema. */
export function checked<S extends v.GenericSchema>(
  schema: S,
  value: unknown,
): v.InferOutput<S> | { readonly unfit: string } {
  const result = v.safeParse(schema, value, { abortEarly: true, abortPipeEarly: true });
  if (result.success) return result.output;
  const [issue] = result.issues;
  const path = cut(v.getDotPath(issue) ?? '(top)', 80);
  if (issue.type === 'strict_object' && issue.expected === 'never')
    return { unfit: `${path}: there is no such member` };
  if (issue.type === 'strict_object' && issue.received === 'undefined') return { unfit: `${path}: missing` };
  if (issue.type === 'check') return { unfit: path === '(top)' ? issue.message : `${path}: ${issue.message}` };
  return { unfit: `${path}: ${cut(issue.expected ?? issue.type, 80)} expected` };
}
export const isUnfit = (value: unknown): value is { readonly unfit: string } =>
  typeof value === 'object' && value !== null && 'unfit' in value;
