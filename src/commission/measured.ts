/** What was measured of a meter: by the gateway since its start, else when it was commissioned. Pure. */
import type { LineUse } from '../line/line-quality.ts';
import type { MeasuredMeter } from './capacity.ts';
import type { MeterRecord } from './meter-record.ts';

/** 8N1: start, eight bits, stop. */
const bitsOfOctet = 10;
/** Fewer answers say nothing. */
const minAnswers = 20;

/** `baud`: 0 where octets take no time. */
export function measuredOf(
  { meter, periodS, baud }: { readonly meter: string; readonly periodS: number; readonly baud: number },
  record: MeterRecord | undefined,
  use: LineUse | undefined,
): MeasuredMeter {
  const { line, day, profile } = record?.steps ?? {};
  const octetMs = baud > 0 ? (1000 * bitsOfOctet) / baud : 0;
  const measured =
    use && use.answered >= minAnswers && use.p50Ms !== null
      ? use.p50Ms + ((use.sentOctets + use.heardOctets) / use.asked) * octetMs
      : null;
  return {
    meter,
    periodS,
    exchangeMs: measured ?? line?.medianMs ?? null,
    rowMs: day && day.rows > 0 ? day.tookMs / day.rows : null,
    entries: profile?.entries ?? null,
  };
}
