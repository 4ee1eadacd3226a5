/** Writes the rows of docs/desk.md from the table of the desk, each with the JSON Schema of what it takes; `--check` compares. */
import { toJsonSchema } from '@valibot/to-json-schema';
import { routes } from '../../src/desk/routes.ts';
import type { Route } from '../../src/door/rows.ts';
import { setupDoorRows } from '../../src/setup/rows.ts';
import { generatedPart } from './generated.ts';

const answers = {
  value: 'one JSON value',
  octets: 'octets, `application/octet-stream`',
  lines: 'events as they come, `application/x-ndjson`; an empty line every ten seconds at least',
} as const;

const rowsOf = (
  all: readonly Pick<Route<never>, 'method' | 'path' | 'permission' | 'meaning' | 'input' | 'answers'>[],
): string =>
  all
    .map(({ method, path, permission, meaning, input, answers: kind }) => {
      const { $schema: _, ...schema } = toJsonSchema(input, { errorMode: 'ignore' });
      const takes =
        Object.keys(schema.properties ?? {}).length === 0
          ? 'It takes nothing.'
          : `It takes${method === 'GET' ? ', in the query,' : ''}\n\n\`\`\`json schema\n${JSON.stringify(schema, undefined, 1)}\n\`\`\``;
      return `### ${method} ${path}\n\n${meaning[0]?.toUpperCase()}${meaning.slice(1)}. Permission: **${permission}**. Answer: ${answers[kind]}.\n\n${takes}`;
    })
    .join('\n\n');
const waiting = `## Where no configuration is in force\n\nThe gateway waits (\`run --wait\`, as the unit starts it), and answers these rows instead.\n\n${rowsOf(setupDoorRows).replaceAll('### ', '#### ')}`;
generatedPart('docs/desk.md', 'desk', `${rowsOf(routes)}\n\n${waiting}`, 'node scripts/generate/desk-table.ts');
