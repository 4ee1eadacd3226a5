/** Facts as rows of the store: what ingest would have made of them at the time that they bear. */
import type { DeliveredInterval } from '../../src/central/facts.ts';
import { monthOf } from '../../src/central/sql.ts';

export const factRows = (facts: readonly DeliveredInterval[]) =>
  facts.map(({ gateway, epoch, seq, receivedAt, message }) => {
    const start = Date.parse(message.start);
    const end = message.kind === 'gap' ? Date.parse(message.end) : start + message.count * message.periodS * 1000;
    const { kind, meter, point, series } = message;
    const place = { kind, meter, point, series, start_ms: start, end_ms: end, month: monthOf(start) };
    return { gateway, epoch, seq, ...place, received_ms: receivedAt, body: JSON.stringify(message) };
  });
