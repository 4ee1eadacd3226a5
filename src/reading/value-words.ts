/** A measured value for people: scaled, with its unit, and what the meter said beside it. */
import { decimal } from '../base/words.ts';

/** Bills and displays are in thousands of these. */
const inThousands: ReadonlySet<string> = new Set(['Wh', 'VAh', 'varh']);
/** A scaler beyond this is no scaler; its zeros would say nothing. */
const maxScaler = 18;

/**
 * `12.345 kWh (raw 12345, scaler 0, Wh)`. `scaler` and `unit` null: the meter does not tell them. A raw value that is no
 * integer (a text, a float) is not counted with.
 */
export function valueWords(raw: number | bigint | string, scaler: number | null, unit: string | null): string {
  const given = String(raw);
  if (scaler === null || unit === null) return `${given} (raw; scaler and unit are not known)`;
  const details = `raw ${given}, scaler ${scaler}, ${unit === '' ? 'no unit' : unit}`;
  if (!/^-?\d+$/.test(given) || Math.abs(scaler) > maxScaler)
    return `${given} × 10^${scaler} ${unit}`.trimEnd() + ` (${details})`;
  const thousands = inThousands.has(unit);
  const value = decimal(given, thousands ? scaler - 3 : scaler);
  return `${value} ${thousands ? 'k' : ''}${unit}`.trimEnd() + ` (${details})`;
}
