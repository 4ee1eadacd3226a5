/** Which exchange does a service: by logical names a file for each, by short names READ and WRITE do them all. */
import { accessExchange } from './access.ts';
import { actionExchange } from './action.ts';
import type { Exchange, ExchangeContext, ServiceRequest } from './exchange.ts';
import { getExchange } from './get.ts';
import { shortNameExchange } from './read-write.ts';
import { setExchange } from './set.ts';

export function exchangeOf(request: ServiceRequest, context: ExchangeContext): Exchange {
  if (context.shortNames) return shortNameExchange(request, context);
  switch (request.kind) {
    case 'get':
      return getExchange(request.attributes, context, request.stream);
    case 'set':
      return setExchange(request.assignments, context);
    case 'action':
      return actionExchange(request.invocations, context);
    case 'access':
      return accessExchange(request.items, context);
  }
}
