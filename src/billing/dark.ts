/** When nothing can have been used: mains off, or the meter's own switch open, as its logs and the gateway's verdicts prove. */
import type { Delivered } from '../central/facts.ts';

export interface DarkSpan {
  readonly from: number;
  /** null: not known to be over. */
  readonly to: number | null;
  readonly cause: 'MAINS_OFF' | 'SUPPLY_OFF';
  readonly proof: string;
}
/** Disconnector events of the standard log (IDIS): what opened the switch, and what closed it. */
const opens = new Set([60, 62, 64, 65]);
const closes = new Set([61, 63, 66, 69]);

/** Events of one point. */
export function darkSpans(events: Iterable<Delivered<'event'>>): DarkSpan[] {
  const spans: DarkSpan[] = [];
  const switching: { at: number; open: boolean; proof: string }[] = [];
  for (const { gateway, epoch, seq, message } of events) {
    const proof = `${gateway}/${epoch}/${seq}`;
    if (message.source === 'gateway' && message.name === 'MAINS_OFF') {
      const [from, to] = [message.detail?.['from'], message.detail?.['to']].map((one) => Date.parse(String(one)));
      if (from !== undefined && to !== undefined && to > from) spans.push({ from, to, cause: 'MAINS_OFF', proof });
    }
    if (message.source !== 'meter' || message.at === null || message.code === null) continue;
    if (message.log !== null && !message.log.includes('99.98.')) continue;
    if (opens.has(message.code)) switching.push({ at: Date.parse(message.at), open: true, proof });
    if (closes.has(message.code)) switching.push({ at: Date.parse(message.at), open: false, proof });
  }
  switching.sort((a, b) => a.at - b.at || Number(a.open) - Number(b.open) || (a.proof < b.proof ? -1 : 1));
  let open: (typeof switching)[number] | undefined;
  for (const one of switching) {
    if (one.open) open ??= one;
    else if (open) {
      spans.push({ from: open.at, to: one.at, cause: 'SUPPLY_OFF', proof: `${open.proof}+${one.proof}` });
      open = undefined;
    }
  }
  if (open) spans.push({ from: open.at, to: null, cause: 'SUPPLY_OFF', proof: open.proof });
  return spans.toSorted((a, b) => a.from - b.from || (a.to ?? Infinity) - (b.to ?? Infinity));
}
export const darkIn = (spans: readonly DarkSpan[], start: number, end: number): DarkSpan | undefined =>
  spans.find(({ from, to }) => from <= start && (to ?? Infinity) >= end);
