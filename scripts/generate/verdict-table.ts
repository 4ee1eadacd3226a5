/** Writes the verdicts of docs/technician.md, of the status and of a scan, from their tables; `--check` compares instead. */
import { scanVerdicts } from '../../src/commission/scan-verdict.ts';
import { verdictWords } from '../../src/reading/verdict.ts';
import { generatedPart } from './generated.ts';
import { cell } from './schema-rows.ts';

const rows = Object.entries(verdictWords).map(([verdict, words]) => `| \`${verdict}\` | ${cell(words)} |`);
const text = `| verdict | meaning |\n|---|---|\n${rows.join('\n')}`;
generatedPart('docs/technician.md', 'verdicts', text, 'node scripts/generate/verdict-table.ts');

const found = Object.entries(scanVerdicts).map(
  ([verdict, { meaning, exit }]) => `| \`${verdict}\` | ${cell(meaning)} | ${exit} |`,
);
const scanned = `| verdict of a scan | meaning | exit code |\n|---|---|---|\n${found.join('\n')}`;
generatedPart('docs/technician.md', 'scan verdicts', scanned, 'node scripts/generate/verdict-table.ts');
