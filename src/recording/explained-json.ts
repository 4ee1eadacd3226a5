/** Explained frames for machines: src/recording/explained-schema.ts says what they are. */
import { toHex } from '../base/hex.ts';
import { mechanism } from '../dlms/acse/apdu.ts';
import type { Data } from '../dlms/axdr/data.ts';
import { dataJson } from '../dlms/axdr/print.ts';
import type { Explained } from './explained.ts';
import { withheld } from './withhold.ts';

export function explainedJson(explained: Explained): Record<string, unknown> {
  const plain = (value: unknown): unknown => {
    if (value instanceof Uint8Array) return toHex(value);
    if (typeof value === 'bigint') return value.toString();
    if (Array.isArray(value)) return value.map(plain);
    if (value && typeof value === 'object') {
      if ('type' in value) return dataJson(value as Data);
      return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]));
    }
    return value;
  };
  const { apdu, block } = explained;
  // Struck out already; said plainly here.
  const secretive =
    apdu?.kind === 'aarq' && apdu.mechanism === mechanism.lls
      ? { ...apdu, authenticationValue: withheld }
      : apdu?.kind === 'initiate-request' && apdu.dedicatedKey
        ? { ...apdu, dedicatedKey: withheld }
        : apdu;
  return { ...explained, apdu: plain(secretive), ...(block && { block: plain(block) }) };
}
