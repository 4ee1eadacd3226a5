/** A fact as it goes out: its topic, and its payload with the numbers before it. */
import { contractVersion } from '../contract/payloads.ts';
import type { Topics } from '../contract/topics.ts';
import type { Fact } from '../reading/facts.ts';

/** The message of a fact that is JSON already: its topic, and its payload with the numbers before it. */
export function messageOfFact(
  { kind, meter, text }: { readonly kind: Fact['kind']; readonly meter: string; readonly text: string },
  numbers: { epoch: number; seq: number; gateway: string },
  of: Topics,
): { topic: string; payload: string } {
  const head = JSON.stringify({ v: contractVersion, ...numbers });
  return { topic: of.up(meter, kind === 'void' ? 'event' : kind), payload: `${head.slice(0, -1)},${text.slice(1)}` };
}
