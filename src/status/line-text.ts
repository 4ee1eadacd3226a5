/** `meter-gateway line`: how each line serves its meters, as a table. */
import type { LineUse } from '../line/line-quality.ts';
import type { PortUses } from './line-trace.ts';

const columns = ['meter', 'asked', 'answered', 'none', 'echo', 'p50 ms', 'p95 ms', 'turn ms', 'wasted s'] as const;
/** The request that is under way counts on neither side. */
const share = (part: number, all: number): string => (all === 0 ? '-' : `${Math.floor((100 * part) / all)} %`);
const cells = (use: LineUse): string[] => [
  use.meter,
  String(use.asked),
  share(use.answered, use.answered + use.unanswered),
  String(use.unanswered),
  String(use.echoes),
  use.p50Ms === null ? '-' : `≤${use.p50Ms}`,
  use.p95Ms === null ? '-' : `≤${use.p95Ms}`,
  use.turnAroundMs === null ? '-' : String(use.turnAroundMs),
  use.wastedS.toFixed(1),
];

export const lineLegend: readonly string[] = [
  'asked: requests    answered: share of them    none: no answer came',
  'echo: our own octets came back    p50, p95: time to the first octet of an answer',
  'turn: the shortest of them    wasted: the line was waited for in vain',
];

export function lineText(ports: readonly PortUses[]): string[] {
  return ports.flatMap(({ port, device, uses }) => {
    const head = `${port} (${device})`;
    if (uses.length === 0) return [head, '  nothing was asked on this line yet'];
    const rows = [columns as readonly string[], ...uses.toSorted((a, b) => b.wastedS - a.wastedS).map(cells)];
    const widths = columns.map((_, i) => Math.max(...rows.map((row) => (row[i] as string).length)));
    return [
      head,
      ...rows.map(
        (row) =>
          `  ${row.map((cell, i) => (i === 0 ? cell.padEnd(widths[0] as number) : cell.padStart(widths[i] as number))).join('  ')}`,
      ),
    ];
  });
}
