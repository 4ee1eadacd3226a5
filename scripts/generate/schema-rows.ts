/** The keys of a valibot schema as rows, for the generated documents. */
import * as v from 'valibot';

/** What this file looks at in a schema or in a step of its pipe; valibot's own types are one for each kind. */
interface Node {
  readonly kind: string;
  readonly type: string;
  readonly wrapped?: Node;
  readonly default?: unknown;
  readonly item?: Node;
  readonly value?: Node;
  readonly entries?: Readonly<Record<string, Node>>;
  readonly options?: readonly unknown[];
  readonly literal?: unknown;
  readonly pipe?: readonly Node[];
  readonly requirement?: string | number;
  readonly message?: string;
  readonly description?: string;
  readonly metadata?: Readonly<Record<string, unknown>>;
}
export interface SchemaRow {
  /** From the top: `port[].meter[].id`. */
  readonly path: string;
  readonly key: string;
  readonly what: string | undefined;
  readonly values: string;
  readonly optional: boolean;
  readonly fallback: unknown;
  readonly restart: boolean;
}

const own = (node: Node): readonly Node[] => node.pipe ?? [node];
/** All steps of a schema that is wrapped in optional, nullable or pipes; outermost last. */
const steps = (node: Node): readonly Node[] =>
  own(node).flatMap((step, i) =>
    i === 0 && step.wrapped ? [...steps(step.wrapped), step] : i === 0 && step.pipe ? steps(step) : [step],
  );
const core = (node: Node): Node => steps(node)[0] ?? node;
const described = (node: Node): string | undefined =>
  steps(node).findLast(({ type }) => type === 'description')?.description;

/** Of several bounds the last is the narrowest; what every integer of JSON keeps is no bound. */
const limit = (all: readonly Node[], type: string): string | number | undefined => {
  const found = all.findLast((step) => step.type === type)?.requirement;
  return Math.abs(Number(found)) === Number.MAX_SAFE_INTEGER ? undefined : found;
};
/** What has an "or" of its own, within something else. */
const inner = (text: string): string => (text.includes(' or ') ? `(${text})` : text);
const hintTypes = new Set(['regex', 'check', 'iso_timestamp', 'starts_with']);
function range(all: readonly Node[], unit: string): string {
  const above = limit(all, 'gt_value');
  if (above !== undefined) return `${unit}, above ${above}`;
  const low = limit(all, 'min_value');
  const high = limit(all, 'max_value');
  if (low !== undefined && high !== undefined) return `${unit}, ${low} to ${high}`;
  return low === undefined ? unit : `${unit}, from ${low}`;
}
/** What may stand there, in words. */
export function valuesOf(node: Node): string {
  const all = steps(node);
  const { type, options, item, value, literal } = core(node);
  if (all.some((step) => step.type === 'nullable'))
    return `${valuesOf({ ...core(node), pipe: all.filter((step) => step.type !== 'nullable') })} or null`;
  const words = options?.map((option) => `\`${JSON.stringify(option)}\``) ?? [];
  switch (type) {
    case 'picklist':
      return words.length > 12 ? `one of ${words.length} names` : words.join(', ');
    case 'literal':
      return `\`${JSON.stringify(literal)}\``;
    case 'boolean':
      return 'true or false';
    case 'number':
      return range(all, all.some((step) => step.type === 'integer') ? 'whole number' : 'number');
    case 'string': {
      const hint = all.find((step) => hintTypes.has(step.type) && typeof step.message === 'string');
      const most = limit(all, 'max_length');
      return `text${hint ? `: ${hint.message}` : ''}${most === undefined ? '' : `, at most ${most} characters`}`;
    }
    case 'array':
      return `list of ${item?.entries ? 'tables' : inner(valuesOf(item as Node))}`;
    case 'record':
      return `table: name = ${inner(valuesOf(value as Node))}`;
    case 'object':
    case 'strict_object':
      return 'table';
    case 'union':
      return [...new Set((options as readonly Node[]).map(valuesOf))].join(', or ');
    case 'variant':
      return 'one of the tables below';
    default:
      return type;
  }
}

/** Every key of a schema, deepest included, in the order of the schema. */
export function rowsOf(schema: v.GenericSchema, from = ''): SchemaRow[] {
  return Object.entries(core(schema as unknown as Node).entries ?? {}).flatMap(([key, node]) => {
    const path = from === '' ? key : `${from}.${key}`;
    const kernel = core(node);
    const list = kernel.type === 'array' ? kernel.item : undefined;
    const below = list
      ? rowsOf(list as unknown as v.GenericSchema, `${path}[]`)
      : rowsOf(kernel as unknown as v.GenericSchema, path);
    const all = steps(node);
    const wrapper = all.find(({ type }) => type === 'optional' || type === 'exact_optional');
    const row: SchemaRow = {
      path,
      key,
      what: described(node),
      values: valuesOf(node),
      optional: wrapper !== undefined,
      fallback: wrapper?.default,
      restart: all.some(({ metadata }) => metadata?.['restart'] === true),
    };
    return [row, ...below];
  });
}
export const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');
