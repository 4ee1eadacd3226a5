/**
 * Writes docs/contract/: a JSON Schema for each message and an AsyncAPI document of all of them, out of the schemas of run
 * time; `--check` compares instead. The examples beside them are real messages, taken by test/house/examples.test.ts.
 */
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { toJsonSchema } from '@valibot/to-json-schema';
import { payloadLimit } from '../../src/contract/parse.ts';
import { kinds, meanings } from './contract-kinds.ts';
import { generated } from './generated.ts';

type Json = Record<string, unknown>;
const command = 'node scripts/generate/contract-schemas.ts';
const fileOf = (kind: string): string => kind.replace('/', '-');
/** docs/contract.md has it in Markdown. */
const plain = (text: string): string => text.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1').replaceAll('`', '');

/** What each field means, at its place. */
function described(kind: string, schema: Json, path: string): Json {
  const key = path.split('.').at(-1) as string;
  const says = path === '' ? undefined : (meanings[`${kind}.${path}`] ?? meanings[key]);
  const { properties, items, anyOf, ...rest } = schema as {
    properties?: Record<string, Json>;
    items?: Json;
    anyOf?: Json[];
  };
  const below = (name: string) => (path === '' ? name : `${path}.${name}`);
  const rule = rest['description' as keyof typeof rest] as string | undefined;
  return {
    ...(says !== undefined && { description: [plain(says), rule].filter(Boolean).join('. ') }),
    ...Object.fromEntries(Object.entries(rest).filter(([name]) => name !== 'description' || says === undefined)),
    ...(anyOf && { anyOf: anyOf.map((one) => inner(kind, one, path)) }),
    ...(properties && {
      properties: Object.fromEntries(
        Object.entries(properties).map(([name, one]) => [name, described(kind, one, below(name))]),
      ),
    }),
    ...(items && { items: inner(kind, items, `${path}[]`) }),
  };
}
/** Of an item or a choice its own members are described, and it itself is not once more. */
function inner(kind: string, schema: Json, path: string): Json {
  const { properties } = schema as { properties?: Record<string, Json> };
  if (!properties) return schema;
  return {
    ...schema,
    properties: Object.fromEntries(
      Object.entries(properties).map(([name, one]) => [name, described(kind, one, `${path}.${name}`)]),
    ),
  };
}
function schemaOf(kind: string): Json {
  const found = kinds.find(([name]) => name === kind);
  if (!found) throw new Error(`no message ${kind}`);
  const { $schema, ...schema } = toJsonSchema(found[3], {
    overrideAction: ({ valibotAction, jsonSchema }) => {
      if (valibotAction.type === 'gt_value')
        return { ...jsonSchema, exclusiveMinimum: (valibotAction as unknown as { requirement: number }).requirement };
      // Every number of JSON is finite.
      if (valibotAction.type === 'finite') return jsonSchema;
      if (valibotAction.type !== 'check') return undefined;
      // What JSON Schema cannot say stands there as a sentence.
      const rule = `Refused: ${(valibotAction as unknown as { message: string }).message}`;
      const before = jsonSchema.description;
      return { ...jsonSchema, description: before === undefined ? rule : `${before}. ${rule}` };
    },
  }) as unknown as Json;
  return { $schema, title: kind, ...described(kind, schema, '') };
}
const pretty = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

mkdirSync(new URL('../../docs/contract/schemas', import.meta.url), { recursive: true });
for (const [kind] of kinds) generated(`docs/contract/schemas/${fileOf(kind)}.json`, pretty(schemaOf(kind)), command);

const exampleOf = (kind: string): unknown => {
  const url = new URL(`../../docs/contract/examples/${fileOf(kind)}.json`, import.meta.url);
  return existsSync(url) ? (JSON.parse(readFileSync(url, 'utf8')) as unknown) : undefined;
};
const camel = (kind: string): string => kind.replaceAll(/\/(.)/g, (_, letter: string) => letter.toUpperCase());
/** `<tenant>` becomes a parameter; a topic that also speaks of the gateway itself is the one with a meter. */
const addressOf = (topic: string): string => (topic.split(', ')[0] as string).replaceAll(/<(\w+)>/g, '{$1}');
const parameters: Readonly<Record<string, string>> = {
  tenant: 'whose gateways they are: letters, digits, - and _, at most 64',
  gateway: 'the gateway that speaks, or is spoken to; the access rules of the broker guard it',
  meter: 'id of the meter in the configuration of the gateway; _ is the gateway itself',
};
/** One channel for each topic; `void` comes where events come. */
const channels = Map.groupBy(
  kinds.filter(([kind]) => kind !== 'void'),
  ([, topic]) => addressOf(topic),
);
const channelName = (address: string): string =>
  camel(
    address
      .replace(/^.*\{gateway\}\//, '')
      .replace('{meter}/', '')
      .replace('_/', ''),
  );
const messagesAt = (address: string): string[] => [
  ...(channels.get(address) ?? []).map(([kind]) => kind),
  ...(channelName(address) === 'upEvent' ? ['void'] : []),
];
const asyncapi = {
  asyncapi: '3.0.0',
  info: {
    title: 'Uplink of the meter gateway',
    version: '1.0.0',
    description: `What a gateway publishes, and what it takes from the central system. Payloads are JSON, at most ${payloadLimit / 1024} KiB. docs/contract.md says how numbers are acknowledged.`,
  },
  defaultContentType: 'application/json',
  servers: { broker: { host: 'broker.example.com:8883', protocol: 'mqtts', protocolVersion: '5.0' } },
  channels: Object.fromEntries(
    [...channels.keys()].map((address) => [
      channelName(address),
      {
        address,
        messages: Object.fromEntries(
          messagesAt(address).map((kind) => [camel(kind), { $ref: `#/components/messages/${camel(kind)}` }]),
        ),
        parameters: Object.fromEntries(
          [...address.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => [name, { description: parameters[name] }]),
        ),
      },
    ]),
  ),
  operations: Object.fromEntries(
    [...channels.keys()].map((address) => {
      const name = channelName(address);
      const down = address.includes('/down/');
      return [
        `${down ? 'take' : 'publish'}${name[0]?.toUpperCase()}${name.slice(1)}`,
        {
          action: down ? 'receive' : 'send',
          channel: { $ref: `#/channels/${name}` },
          bindings: {
            mqtt: {
              qos: name === 'health' ? 0 : 1,
              retain: name === 'state' || name === 'birth',
              bindingVersion: '0.2.0',
            },
          },
        },
      ];
    }),
  ),
  components: {
    messages: Object.fromEntries(
      kinds.map(([kind, , title]) => {
        const example = exampleOf(kind);
        const { $schema: _, ...payload } = schemaOf(kind);
        return [
          camel(kind),
          {
            name: kind,
            title: `${title[0]?.toUpperCase()}${plain(title.slice(1))}`,
            contentType: 'application/json',
            payload,
            ...(example !== undefined && { examples: [{ name: 'real', payload: example }] }),
          },
        ];
      }),
    ),
  },
};
generated('docs/contract/asyncapi.json', pretty(asyncapi), command);
