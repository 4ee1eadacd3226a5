/** Every line of `decode --json` and `--rows` fits the published JSON Schema: of all recorded exchanges, and of every kind of APDU. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Ajv, type ValidateFunction } from 'ajv';
import { describe, expect, test } from 'vitest';
import { parseExchange } from '../../src/base/exchange-file.ts';
import { decodeInput } from '../../src/cli/decode.ts';
import type { Explained } from '../../src/recording/explained.ts';
import { explainedJson } from '../../src/recording/explained-json.ts';
import { apduMembers } from '../../src/recording/explained-schema.ts';
import { explain } from '../../src/recording/reader.ts';
import { apdusOfEachKind } from '../support/apdu-xml.ts';

const traces = new URL('../traces/', import.meta.url);
const names = readdirSync(traces, { recursive: true, encoding: 'utf8' }).filter((name) => /\.(?:tap|txt)$/.test(name));
const fitsOf = (name: string): ValidateFunction =>
  new Ajv({ strict: true, allowUnionTypes: true }).compile(
    JSON.parse(readFileSync(new URL(`../../docs/decode/${name}.json`, import.meta.url), 'utf8')) as object,
  );
const frameFits = fitsOf('frame');
const rowFits = fitsOf('row');

async function linesOf(
  name: string,
  options: { readonly json?: boolean; readonly rows?: boolean },
): Promise<unknown[]> {
  const lines: unknown[] = [];
  const output = {
    print: (line: string) => lines.push(JSON.parse(line)),
    write: () => {},
    flush: () => Promise.resolve(),
  };
  await decodeInput(fileURLToPath(new URL(name, traces)), options, output, new AbortController().signal);
  return lines;
}
function expectFit(lines: readonly unknown[], fits: ValidateFunction): void {
  for (const line of lines) expect(fits(line), JSON.stringify([line, fits.errors?.at(-1)])).toBe(true);
}

describe.each(names)('%s', (name) => {
  test('--json', async () => {
    const lines = await linesOf(name, { json: true });
    expect(lines.length).toBeGreaterThan(0);
    expectFit(lines, frameFits);
  });
  test('--rows', async () => {
    expectFit(await linesOf(name, { rows: true }), rowFits);
  });
});
test('the exchanges have rows', async () => {
  const rows = await Promise.all(names.map((name) => linesOf(name, { rows: true })));
  expect(rows.flat().length).toBeGreaterThan(1000);
});

/** As a program reads it. */
const asRead = (frame: Explained): unknown => JSON.parse(JSON.stringify(explainedJson(frame)));
test('the 62 APDUs of the field fit', () => {
  const field = JSON.parse(readFileSync(new URL('../recording/field/xml.json', import.meta.url), 'utf8')) as readonly {
    readonly apdu: string;
  }[];
  const lines = field.flatMap(({ apdu }) => explain(parseExchange(apdu)).frames.map(asRead));
  expect(lines).toHaveLength(62);
  expectFit(lines, frameFits);
});
test('an APDU of each kind fits, and every kind is there', () => {
  const place = { line: 1, time: '', direction: 'unknown', text: ['by hand'] } as const;
  expectFit(
    apdusOfEachKind.map(([apdu]) => asRead({ ...place, apdu })),
    frameFits,
  );
  // Those of associations are in the exchanges.
  const kinds = new Set([...apdusOfEachKind.map(([{ kind }]): string => kind), 'aarq', 'aare', 'rlrq', 'rlre']);
  expect(Object.keys(apduMembers).filter((kind) => !kinds.has(kind))).toEqual([]);
});

test('what is no such line does not fit', async () => {
  const [line] = (await linesOf('x-push.tap', { json: true })) as Record<string, unknown>[];
  const [row] = (await linesOf('c-tcp-hdlc-lls.tap', { rows: true })) as Record<string, unknown>[];
  expect(frameFits({ ...line, more: 1 })).toBe(false);
  expect(frameFits({ ...line, direction: 'up' })).toBe(false);
  expect(frameFits({ ...line, apdu: { kind: 'get-request-next', number: 1 } })).toBe(false);
  expect(frameFits({ ...line, apdu: { kind: 'no-such-apdu', content: '' } })).toBe(false);
  const value = (data: unknown) => ({ kind: 'get-response-normal', invokeId: 1, result: { data } });
  expect(frameFits({ ...line, apdu: value({ structure: [{ 'long-unsigned': 1 }, null] }) })).toBe(true);
  expect(frameFits({ ...line, apdu: value({ structure: [{ 'long-unsigned': '1' }] }) })).toBe(false);
  expect(rowFits(row)).toBe(true);
  expect(rowFits({ ...row, clock: 'never' })).toBe(false);
  expect(rowFits({ ...row, end: undefined })).toBe(false);
});
