/** What meters do otherwise than the books with their event logs (78, 95). */
import { octets as octetString, structure } from '../dlms/cosem/server-object.ts';
import { hangsAt, type Quirk } from './quirk.ts';

export const logQuirks = {
  'entries-of-no-date': {
    number: 78,
    what: 'entries of the years 2099 and 65534, and of 31 February, in the event logs',
    client: 'those that name no instant are told as LOG_ENTRIES_UNUSABLE, and move no cursor',
    log: (entries) => {
      const at = (fields: readonly number[]) => octetString(Uint8Array.of(...fields, 0xff, 12, 0, 0, 0, 0, 0, 0));
      const odd = [
        [0x08, 0x33, 1, 1],
        [0xff, 0xfe, 1, 1],
        [0x07, 0xea, 2, 31],
      ].map((fields) => structure(at(fields), { type: 'unsigned', value: 9 }));
      return entries.type === 'array' ? { ...entries, value: [...odd, ...entries.value] } : entries;
    },
  },
  'log-hangs-up': {
    number: 95,
    what: 'asking for an event log ends the connection',
    client: 'rows first, in another association; logs last from then on',
    ...hangsAt((request) => Buffer.from(request).includes(Buffer.of(0, 7, 0, 0, 99, 98))),
  },
  'log-without-range': {
    number: 95,
    what: 'event logs are not selected by range',
    client: 'by number, and the same entries are not told again',
    selectLog: (selection) => (selection.selector === 1 ? { refused: 13 } : selection),
  },
  'log-of-equals': {
    number: 95,
    what: '50 000 equal entries in the standard log',
    client: 'some are told at each poll, each of them once',
    logged: { code: 3, times: 50_000 },
  },
} as const satisfies Record<string, Quirk>;
