/** ACCESS: GET, SET and ACTION items in one request (Green Book 9.3.9). Long ones go by general block transfer. */
import { Failure } from '../../base/errors.ts';
import { nullData } from '../axdr/data.ts';
import type { AccessSpecification } from '../xdlms/apdu.ts';
import { has } from '../xdlms/conformance.ts';
import { type AccessItem, type Exchange, type ExchangeContext, unexpected } from './exchange.ts';

function specificationOf(item: AccessItem): AccessSpecification {
  if (item.kind === 'action') return { kind: 'action', value: item.method };
  const { selection, ...attribute } = item.attribute;
  return selection
    ? { kind: `${item.kind}-with-selection`, value: { attribute, selection } }
    : { kind: item.kind, value: attribute };
}

export function accessExchange(items: readonly AccessItem[], context: ExchangeContext): Exchange {
  if (items.length === 0) throw new Failure('bad-argument', 'ACCESS of nothing');
  if (!has(context.negotiated, 'access')) {
    throw new Failure('not-supported', 'ACCESS by a meter that does not know it: GET instead');
  }
  let longInvokeId = 0;
  return {
    first() {
      // Confirmed, high priority, break on error not set; the identifier takes the low 24 bits.
      longInvokeId = (0x4000_0000 | context.nextInvokeId() | 0x8000_0000) >>> 0;
      const data = items.map((item) =>
        item.kind === 'set' ? item.value : item.kind === 'action' ? (item.parameters ?? nullData) : nullData,
      );
      const dateTime = new Uint8Array(0);
      return { kind: 'access-request', longInvokeId, dateTime, specifications: items.map(specificationOf), data };
    },
    answer(apdu) {
      if (apdu.kind !== 'access-response') throw unexpected(apdu, 'access');
      if ((apdu.longInvokeId & 0xff_ffff) !== (longInvokeId & 0xff_ffff)) return 'ignore';
      if (apdu.results.length !== items.length || apdu.data.length !== items.length) {
        throw new Failure(
          'unexpected-apdu',
          `${apdu.results.length} results and ${apdu.data.length} values for ${items.length} items`,
        );
      }
      const results = apdu.results.map(({ value }, i) => ({ result: value, data: apdu.data[i] ?? nullData }));
      return { done: { kind: 'accessed', results } };
    },
  };
}
