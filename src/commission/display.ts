/** What somebody reads on the display, beside the register: in which unit, on which side of the transformers, and how far the two may differ. Pure. */
import { decimal } from '../base/words.ts';
import type { MeterRecord, RecordedRatio, RecordedRegister } from './meter-record.ts';

export interface Comparison {
  readonly agrees: boolean;
  readonly words: string;
}

/** Of a number with a decimal comma or point and blanks between thousands; undefined where it is none, or negative. */
function parsed(text: string): { readonly digits: bigint; readonly decimals: number } | undefined {
  const [, whole = '', fraction = ''] = /^(\d+)(?:[.,](\d+))?$/.exec(text.replaceAll(/[\s'_]/g, '')) ?? [];
  return whole === '' ? undefined : { digits: BigInt(whole + fraction), decimals: fraction.length };
}

/** The register in kilo-units, as displays show energy. */
export const shownAs = ({ raw, scaler, unit }: RecordedRegister): string => {
  const kilo = unit === 'Wh' || unit === 'varh' || unit === 'VAh';
  return `${decimal(String(raw), (scaler ?? 0) - (kilo ? 3 : 0))} ${kilo ? 'k' : ''}${unit ?? ''}`.trim();
};
const power = (exponent: number): bigint => 10n ** BigInt(exponent);

/**
 * The two may lie one of the display's last digit apart, and a display lags a few seconds behind: energy that was used
 * meanwhile is no error. `usedMax`: that much at most, in units of the register.
 */
export function compareDisplay(
  shown: string,
  register: RecordedRegister,
  ratio: RecordedRatio | null,
  usedMax = 0n,
): Comparison | undefined {
  const given = parsed(shown);
  if (!given) return undefined;
  const kilo = register.unit === 'Wh' || register.unit === 'varh' || register.unit === 'VAh' ? 3 : 0;
  // Everything in units of 10^-finest of the unit of the register.
  const scaler = register.scaler ?? 0;
  const finest = Math.max(0, given.decimals - kilo, -scaler);
  const display = given.digits * power(finest + kilo - given.decimals);
  const quantum = power(finest + kilo - given.decimals);
  const step = power(finest + scaler);
  const value = BigInt(register.raw) * step;
  // Whichever of the two counts coarser.
  const within = (one: bigint, ofOne: bigint): boolean => {
    const difference = one - value;
    const coarse = ofOne > step ? ofOne : step;
    return difference <= coarse + usedMax * step && difference >= -coarse;
  };
  const is = `display ${shown.trim()}, register ${shownAs(register)}`;
  if (within(display, quantum)) return { agrees: true, words: `${is}: the same` };
  const [n, d] = ratio ? [BigInt(ratio.numerator), BigInt(ratio.denominator)] : [1n, 1n];
  if (n !== d && d !== 0n && within((display * n) / d, (quantum * n) / d))
    return { agrees: true, words: `${is}: the same behind ${n}/${d}; the display shows the secondary side` };
  if (n !== d && n !== 0n && within((display * d) / n, (quantum * d) / n))
    return {
      agrees: false,
      words: `${is}: the register is multiplied by ${n}/${d} less than the display: is the ratio applied twice?`,
    };
  return { agrees: false, words: `${is}: not the same` };
}

/** What may be used in the ten minutes of a walk to the display, at ten times the mean of the newest day. */
export function usedMeanwhile({ steps }: MeterRecord, code: string): bigint {
  const day = steps.day?.sums.find(({ column }) => column === code)?.advance ?? null;
  return day === null ? 0n : (BigInt(day) * 10n) / 144n;
}
