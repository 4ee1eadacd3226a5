/** The report as PDF: what it says, read back out of its streams, and that it is the same each time. */
import { readFileSync } from 'node:fs';
import { inflateSync } from 'node:zlib';
import { expect, test } from 'vitest';
import type { Signed } from '../../src/commission/canonical.ts';
import { freshRecord } from '../../src/commission/meter-record.ts';
import { reportPdf } from '../../src/commission/report-pdf.ts';
import type { SiteReport } from '../../src/commission/site-report.ts';
import { meterTarget } from '../support/meter-target.ts';

const target = meterTarget({ place: 'Jyväskylä <1>' });
const signed = (meters: number, place = target.place): Signed<SiteReport> => ({
  report: {
    gateway: { id: 'g', tenant: 't', version: '0.2.0' },
    state: 'pending',
    open: ['m-1: no day was read'],
    ports: [{ name: 'bus', device: '/dev/x', baud: 9600 }],
    meters: Array.from({ length: meters }, () => ({
      record: { ...freshRecord({ ...target, place }, 'Anna', '2026-11-28T10:00:00Z'), result: 'good' },
      delivery: { state: 'pending', words: 'nothing was delivered yet' },
      gaps: null,
    })),
    madeAt: '2026-11-28T10:00:00Z',
    who: 'Anna',
    note: null,
  } as unknown as SiteReport,
  digest: 'ab'.repeat(32),
  signature: 'cd'.repeat(64),
  publicKey: 'MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=',
});

/** The texts of a PDF, as its streams show them. */
function textOf(octets: Uint8Array): string {
  const file = Buffer.from(octets).toString('latin1');
  const streams = [...file.matchAll(/stream\n([^]*?)\nendstream/g)].map(([, stream = '']) =>
    Buffer.from(stream, 'latin1'),
  );
  const shown = streams.map((stream) => {
    try {
      return inflateSync(stream).toString('latin1');
    } catch {
      return '';
    }
  });
  return shown
    .flatMap((text) => [...text.matchAll(/\[([^\]]*)\] TJ/g)])
    .map(([, parts = '']) =>
      [...parts.matchAll(/<([0-9a-f]*)>/g)].map(([, hex = '']) => Buffer.from(hex, 'hex').toString('latin1')).join(''),
    )
    .join('\n');
}

test('it says what the page says, and is the same twice', async () => {
  const [one, other] = [await reportPdf(signed(1)), await reportPdf(signed(1))];
  expect(Buffer.compare(Buffer.from(one), Buffer.from(other))).toBe(0);
  const file = Buffer.from(one).toString('latin1');
  expect([file.slice(0, 5), file.trimEnd().slice(-5)]).toEqual(['%PDF-', '%%EOF']);
  const text = textOf(one);
  for (const part of [
    'Sign-off of t/g',
    'PENDING',
    '60120001, Jyväskylä <1>: good',
    '643000100000000013',
    'Anna',
    'ab'.repeat(32),
  ])
    expect(text).toContain(part);
});
test('31 meters are several pages of A4, and each meter is there', async () => {
  const octets = await reportPdf(signed(31));
  const pages =
    Buffer.from(octets)
      .toString('latin1')
      .match(/\/Type \/Page\n/g) ?? [];
  expect(pages.length).toBeGreaterThan(3);
  expect(textOf(octets).match(/60120001, Jyväskylä/g)).toHaveLength(31);
});
test('letters that the fonts do not have, and controls, are seen to be missing', async () => {
  const text = textOf(await reportPdf(signed(1, 'Щит 3\u0007\n% ) Tj')));
  expect(text).toContain('60120001, ??? 3  % ) Tj: good');
});
test('what signs nobody off does not load it', () => {
  const source = readFileSync(new URL('../../src/commission/report-pdf.ts', import.meta.url), 'utf8');
  expect(source).not.toMatch(/^import .*from 'pdfkit'/m);
});
