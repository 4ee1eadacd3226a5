/** Writes the verdicts of docs/technician.md from their words in the status; `--check` compares instead. */
import { verdictWords } from '../../src/status/status-text.ts';
import { generatedPart } from './generated.ts';
import { cell } from './schema-rows.ts';

const rows = Object.entries(verdictWords).map(([verdict, words]) => `| \`${verdict}\` | ${cell(words)} |`);
const text = `| verdict | meaning |\n|---|---|\n${rows.join('\n')}`;
generatedPart('docs/technician.md', 'verdicts', text, 'node scripts/generate/verdict-table.ts');
