/**
 * Every error code is provoked for real, and what stands on the screen then is what docs/errors.md shows. The screens are
 * kept in test/vectors/error-screens.json: `UPDATE_SCREENS=1 vitest run test/main/error-screens.test.ts` writes it anew,
 * `node scripts/generate/error-table.ts` puts it into the document.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ErrorCode, errorTable } from '../../src/base/errors.ts';
import { root } from '../support/programs.ts';
import { closeServers } from '../support/tcp-server.ts';
import { NotRun } from '../support/nobody.ts';
import { ofTheHouse } from '../support/provoked-house.ts';
import { ofMeters } from '../support/provoked-meters.ts';
import { ofPrograms } from '../support/provoked-programs.ts';
import { type Screen, screenOf } from '../support/screens.ts';

/** A code that nobody provokes is missing here, and does not compile. */
const provocations: Readonly<Record<ErrorCode, () => Promise<Screen>>> = { ...ofMeters, ...ofTheHouse, ...ofPrograms };
const codes = Object.keys(errorTable).toSorted() as ErrorCode[];
/** Most of them wait for a process or a time-out. */
const atOnce = 6;
/** What takes longest begins first. */
const slowest: readonly ErrorCode[] = [
  'answer-too-slow',
  'backed-off',
  'counters-spent',
  'damaged-answer',
  'echo-only',
];

const file = join(root, 'test/vectors/error-screens.json');
type Recorded = Pick<Screen, 'when' | 'command'> & { readonly screen: readonly string[] };
const seen = new Map<ErrorCode, Screen | Error>();
const recorded = (code: ErrorCode): Recorded => {
  const screen = seen.get(code);
  if (!screen || screen instanceof Error) throw screen ?? new Error('not provoked');
  const { when, command } = screen;
  return { when, command, screen: screenOf(screen, code) ?? screen.lines };
};

beforeAll(async () => {
  const waiting = [...slowest, ...codes.filter((code) => !slowest.includes(code))];
  const work = async (): Promise<void> => {
    for (let code = waiting.shift(); code; code = waiting.shift())
      seen.set(code, await provocations[code]().catch((error: unknown) => error as Error));
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  if (process.env['UPDATE_SCREENS'] !== undefined)
    writeFileSync(
      file,
      `${JSON.stringify(Object.fromEntries(codes.map((code) => [code, recorded(code)])), null, 2)}\n`,
    );
  // As many programs as there are codes: on a busy machine that takes its time.
}, 600_000);
afterAll(closeServers);

test('every code has its screen in the document, and no other has', () => {
  expect(Object.keys(JSON.parse(readFileSync(file, 'utf8')) as object).toSorted()).toEqual(codes);
});
test.for(codes)('%s: what happened, whose fault, the next step', (code, { skip }) => {
  const screen = seen.get(code) as Screen;
  if (screen instanceof NotRun) return skip(screen.message);
  if (screen instanceof Error) throw screen;
  expect(screenOf(screen, code), screen.lines.join('\n')).toBeDefined();
  if (screen.exit !== undefined) expect(screen.exit).toBe(errorTable[code].exitCode);
  const recordedBefore = (JSON.parse(readFileSync(file, 'utf8')) as Record<ErrorCode, Recorded>)[code];
  expect(recorded(code)).toEqual(recordedBefore);
});
