/** Bill and statement as PDF, A4, with the font inside. Equal documents give equal octets. */
import { createRequire } from 'node:module';
import type { DocumentRow, PrintedDocument } from '../billing/document.ts';

const margin = 42;
const valueWidth = 130;
const [regular, bold] = ['regular', 'bold'];
/** Noto Sans: Latin with all its letters (Finnish, Sámi, of customers from anywhere), Greek and Cyrillic. */
const fontFiles = { [regular]: '400Regular/NotoSans_400Regular.ttf', [bold]: '700Bold/NotoSans_700Bold.ttf' };
const fontPath = (file: string): string =>
  createRequire(import.meta.url).resolve(`@expo-google-fonts/noto-sans/${file}`);
/** What the font does not have stands as a question mark: nothing of a text is left out unseen. */
const printable = (text: string): string =>
  text
    .normalize('NFC')
    .replaceAll(/\p{Cc}/gu, ' ')
    .replaceAll(
      /[^\x20-\x7e\xa0-\xff\p{Script=Latin}\p{Script=Greek}\p{Script=Cyrillic}\u0300-\u036f\u2010-\u2027\u2030-\u203a€™−]/gu,
      '?',
    );
type Document = PDFKit.PDFDocument;

function write(document: Document, { name, value, notes }: DocumentRow, font: string): void {
  const width = document.page.width - 2 * margin - valueWidth;
  if (document.y > document.page.height - margin - 40) document.addPage();
  const top = document.y;
  document.font(font).fontSize(10).fillColor('#111');
  document.text(printable(value), margin + width, top, { width: valueWidth, align: 'right' });
  document.text(printable(name), margin, top, { width });
  for (const note of notes) {
    if (document.y > document.page.height - margin - 12) document.addPage();
    document
      .font(regular)
      .fontSize(8)
      .fillColor('#444')
      .text(printable(note), margin + 10, document.y, { width });
  }
  document.x = margin;
  document.y += 4;
}

export async function documentPdf(printed: PrintedDocument, madeAt: number): Promise<Uint8Array> {
  // Loaded by whoever bills: taking messages has no need of it.
  const { default: PdfDocument } = await import('pdfkit');
  const document = new PdfDocument({
    size: 'A4',
    margin,
    lang: printed.language,
    // Or it would begin with one of its own, which is not inside.
    font: fontPath(fontFiles[regular] ?? ''),
    info: { Title: printed.title, Creator: 'meter-central', CreationDate: new Date(madeAt) },
  });
  for (const [name, file] of Object.entries(fontFiles)) document.registerFont(name, fontPath(file));
  const parts: Uint8Array[] = [];
  document.on('data', (part: Uint8Array) => parts.push(part));
  const ended = new Promise<void>((resolve) => document.on('end', () => resolve()));
  document.font(bold).fontSize(16).text(printable(printed.title)).moveDown(0.8);
  for (const row of printed.head) write(document, row, regular);
  document.moveDown(0.8);
  for (const row of printed.rows) write(document, row, regular);
  document.moveDown(0.4);
  for (const row of printed.totals) write(document, row, bold);
  document.moveDown(1);
  for (const line of printed.foot)
    document.font(regular).fontSize(8).fillColor('#444').text(printable(line), margin).moveDown(0.3);
  document.end();
  await ended;
  return Buffer.concat(parts);
}
