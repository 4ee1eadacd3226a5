/**
 * Writes docs/decode/: a JSON Schema of a line of `decode --json` and of `decode --rows`, and the tables of them in
 * docs/decode.md, out of the schemas that every recorded exchange is held to; `--check` compares instead.
 */
import { mkdirSync } from 'node:fs';
import { toJsonSchema } from '@valibot/to-json-schema';
import type * as v from 'valibot';
import { apduMembers, apduSchema, dataSchema, frameSchema, rowSchema } from '../../src/recording/explained-schema.ts';
import { generated, generatedPart } from './generated.ts';

interface Json {
  readonly type?: string;
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Json>>;
  readonly required?: readonly string[];
  readonly anyOf?: readonly Json[];
  readonly enum?: readonly string[];
  readonly $ref?: string;
}
const command = 'node scripts/generate/decode-schemas.ts';
const schemaOf = (title: string, schema: v.GenericSchema, definitions: Record<string, v.GenericSchema> = {}): Json => {
  const { $schema, ...rest } = toJsonSchema(schema, { definitions }) as Json & { readonly $schema: string };
  return { $schema, title, ...rest } as Json;
};

function typeOf({ type, anyOf, enum: words, $ref, properties }: Json): string {
  if ($ref !== undefined) return $ref.endsWith('/apdu') ? 'an APDU' : 'a value';
  if (words) return words.map((word) => `\`${word}\``).join(', ');
  if (anyOf) return anyOf.map(typeOf).join(' or ');
  if (type === 'array') return 'list of texts';
  if (type === 'object') return properties ? 'an APDU' : 'object';
  return { string: 'text', integer: 'integer', number: 'number', boolean: 'true or false' }[type ?? ''] ?? String(type);
}
const tableOf = ({ properties = {}, required = [] }: Json): string =>
  [
    '| member | type | meaning |',
    '|---|---|---|',
    ...Object.entries(properties).map(
      ([name, one]) =>
        `| \`${name}\`${required.includes(name) ? '' : ', perhaps'} | ${typeOf(one)} | ${one.description ?? ''} |`,
    ),
  ].join('\n');

const isPerhaps = (member: v.GenericSchema): boolean => member.type === 'optional';
const apdus = [
  '| `kind` of an APDU | its members; those in brackets may be left out |',
  '|---|---|',
  ...Object.entries(apduMembers).map(([kind, members]) => {
    const names = Object.entries(members).map(([name, member]) =>
      isPerhaps(member as v.GenericSchema) ? `[\`${name}\`]` : `\`${name}\``,
    );
    return `| \`${kind}\` | ${names.join(', ')} |`;
  }),
  '| `glo-…`, `ded-…` | `content` |',
].join('\n');

const frame = schemaOf('A line of decode --json', frameSchema, { data: dataSchema, apdu: apduSchema });
const row = schemaOf('A line of decode --rows', rowSchema);
mkdirSync(new URL('../../docs/decode', import.meta.url), { recursive: true });
for (const [name, schema] of Object.entries({ frame, row }))
  generated(`docs/decode/${name}.json`, `${JSON.stringify(schema, null, 2)}\n`, command);
generatedPart('docs/decode.md', 'frames', tableOf(frame), command);
generatedPart('docs/decode.md', 'apdus', apdus, command);
generatedPart('docs/decode.md', 'rows', tableOf(row), command);
