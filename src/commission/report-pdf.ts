/** The report as PDF, A4, with what the page for the browser says. The fonts are those that every reader has: letters of Western Europe. */
import type { Signed } from './canonical.ts';
import { keyName } from './canonical.ts';
import { meterRows, meterTitle, type ReportRow } from './report-html.ts';
import type { SiteReport } from './site-report.ts';

const margin = 42;
const nameWidth = 110;
const gap = 8;
const regular = 'Helvetica';
const bold = 'Helvetica-Bold';
const fixed = 'Courier';

/** What the fonts do not have (WinAnsi) stands as a question mark, and controls as blanks: nothing of a text is left out unseen. */
const printable = (text: string): string =>
  text.replaceAll(/\p{Cc}/gu, ' ').replaceAll(/[^\x20-\x7e\xa0-\xff–—‘’“”•…€™]/gu, '?');

type Document = PDFKit.PDFDocument;

function rows(document: Document, all: readonly ReportRow[], font: string, size: number): void {
  const width = document.page.width - 2 * margin - nameWidth - gap;
  for (const [name, values] of all) {
    const lines = values.map(printable).join('\n') || '-';
    document.font(font).fontSize(size);
    const height = document.heightOfString(lines, { width });
    if (document.y + Math.min(height, 200) > document.page.height - margin) document.addPage();
    const top = document.y;
    document.font(regular).fontSize(9).fillColor('#555').text(printable(name), margin, top, { width: nameWidth });
    document
      .font(font)
      .fontSize(size)
      .fillColor('#111')
      .text(lines, margin + nameWidth + gap, top, { width });
    document.x = margin;
    document.y += 2;
  }
}

function heading(document: Document, text: string, size: number): void {
  if (document.y > document.page.height - margin - 80) document.addPage();
  document.moveDown(0.6).font(bold).fontSize(size).fillColor('#111').text(printable(text), margin).moveDown(0.2);
}

/** Octets of the file. Two reports that are equal give equal octets. */
export async function reportPdf({ report, digest, signature, publicKey }: Signed<SiteReport>): Promise<Uint8Array> {
  const { gateway, state, open, ports, meters, madeAt, who, note } = report;
  // Loaded by whoever signs off: nobody else has a need of it.
  const { default: PdfDocument } = await import('pdfkit');
  const title = `Sign-off ${gateway.tenant}/${gateway.id} ${madeAt}`;
  const document = new PdfDocument({
    size: 'A4',
    margin,
    info: { Title: title, Creator: `meter-gateway ${gateway.version}`, CreationDate: new Date(madeAt) },
  });
  const parts: Uint8Array[] = [];
  document.on('data', (part: Uint8Array) => parts.push(part));
  const ended = new Promise<void>((resolve) => document.on('end', () => resolve()));
  document
    .font(bold)
    .fontSize(16)
    .text(printable(`Sign-off of ${gateway.tenant}/${gateway.id}`));
  document
    .fontSize(12)
    .text(state === 'final' ? 'FINAL' : 'PENDING')
    .moveDown(0.4);
  const good = meters.filter(({ record }) => record.result === 'good').length;
  const head: ReportRow[] = [
    ['made', [madeAt]],
    ['by', [who ?? '-']],
    ...(note === null ? [] : [['note', [note]] as const]),
    ['gateway', [`meter-gateway ${gateway.version}`]],
    ['lines', ports.map(({ name, device, baud }) => `${name}: ${device}, ${baud} Bd`)],
    ['meters', [`${good} of ${meters.length} good`]],
    ...(open.length === 0 ? [] : [['open', open] as const]),
  ];
  rows(document, head, regular, 9);
  for (const meter of meters) {
    heading(document, meterTitle(meter), 12);
    rows(document, meterRows(meter), regular, 9);
  }
  heading(document, 'Proof', 12);
  const proof: ReportRow[] = [
    ['SHA-256', [digest]],
    ['Ed25519', [signature]],
    ['key', [keyName(publicKey)]],
  ];
  rows(document, proof, fixed, 8);
  document.end();
  await ended;
  return Buffer.concat(parts);
}
