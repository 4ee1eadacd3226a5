/** A bill on paper looks the same everywhere, whoever the customer is: its letters come with it. */
import { inflateSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { billDocument, type PrintedDocument, statementDocument } from '../../src/billing/document.ts';
import { statementOf } from '../../src/billing/statement.ts';
import { nextBill } from '../../src/billing/next-bill.ts';
import { documentPdf } from '../../src/office/document-pdf.ts';
import { at, contract, month, point, seriesFor } from '../support/billing-cases.ts';

const series = seriesFor({ facts: month(), at: at('2026-10-01', 9) });
const customer = { name: 'Šárka Åström', address: ['Žižkova 1 ö', 'Áile-geaidnu 2 ŋŧ', 'Жданова 3', '電力 4'] };
const outcome = nextBill({ point: point(), contract: contract({ customer }), bills: [], series, releases: [] });
if (outcome.kind !== 'bill') throw new Error('there is a bill');
const { bill } = outcome;

/** Everything that is compressed in it. */
const streamsOf = (pdf: Uint8Array): string[] => {
  const text = Buffer.from(pdf).toString('latin1');
  return [...text.matchAll(/stream\n([\s\S]*?)\nendstream/g)].flatMap(([, octets = '']) => {
    try {
      return [inflateSync(Buffer.from(octets, 'latin1')).toString('latin1')];
    } catch {
      return [];
    }
  });
};
/** Letters that the tables of its fonts lead back to. */
const lettersOf = (pdf: Uint8Array): Set<string> =>
  new Set(
    streamsOf(pdf)
      .filter((one) => one.includes('beginbfrange'))
      .flatMap((one) => [...(/\[([^\]]*)\]/.exec(one)?.[1] ?? '').matchAll(/<([0-9a-f]{4,})>/gi)])
      .map(([, code = '']) =>
        String.fromCharCode(...(code.match(/.{4}/g) ?? []).map((unit) => Number.parseInt(unit, 16))),
      ),
  );
const textOf = ({ title, head, rows, totals, foot }: PrintedDocument): string =>
  [title, ...[...head, ...rows, ...totals].flatMap(({ name, value, notes }) => [name, value, ...notes]), ...foot].join(
    '',
  );

test.each(['fi', 'en'] as const)(
  'every letter of bill and statement (%s) is inside, and no font is looked for',
  async (language) => {
    for (const printed of [
      billDocument(bill, language),
      statementDocument(bill, statementOf(bill, series, point()), language),
    ]) {
      const pdf = await documentPdf(printed, bill.madeAt);
      const whole = Buffer.from(pdf).toString('latin1');
      expect(whole).toMatch(/\/FontFile2/);
      expect(whole).toMatch(/NotoSans/);
      expect(whole).not.toMatch(/Helvetica|Type1/);
      const letters = lettersOf(pdf);
      const missing = [...new Set(textOf(printed))].filter((letter) => letter !== ' ' && !letters.has(letter));
      // The font has no Chinese: a question mark stands there.
      expect(missing.join('')).toMatch(/^[電力]*$/);
      expect(letters.has('?')).toBe(missing.length > 0);
    }
  },
);
test('one document gives the same octets twice', async () => {
  const [one, two] = [await documentPdf(billDocument(bill), 0), await documentPdf(billDocument(bill), 0)];
  expect(Buffer.from(one).equals(two)).toBe(true);
});
