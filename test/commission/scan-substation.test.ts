/** The bench of the technician, scanned: what of the twelve faults can be known without a password is named, in its budget. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { openJournal } from '../../src/commission/scan-journal.ts';
import { budgetOf } from '../../src/commission/scan-plan.ts';
import type { ScanEvent } from '../../src/commission/scan.ts';
import { endText, findingsText, planText } from '../../src/commission/scan-text.ts';
import { listOf, ofKind, scanWorld, substation, substationList } from '../support/scan-world.ts';

const folder = mkdtempSync(join(tmpdir(), 'scan-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
/** What is not as it should be, by the last digits of the serial number of the list. */
const wrong = (events: readonly ScanEvent[]) =>
  Object.fromEntries(
    ofKind(events, 'finding')
      .filter(({ verdict }) => verdict !== 'found')
      .map(({ entry, serial, verdict }) => [entry?.serial ?? serial ?? 'line', verdict]),
  );

const named = {
  60120004: 'no-answer',
  60120006: 'another-serial',
  60120018: 'address-reversed',
  60120020: 'collision',
  60120023: 'noisy',
  60120027: 'unknown-kind',
  60130020: 'collision',
};
test('by the work list: seven findings, 24 meters found, within a minute', async () => {
  const { planOf, run } = scanWorld(substation());
  const events = await run(planOf({ entries: substationList() }));
  expect(wrong(events)).toEqual(named);
  expect(ofKind(events, 'finding')).toHaveLength(31);
  const [plan] = ofKind(events, 'plan');
  const [end] = ofKind(events, 'end');
  console.log(
    `work list of 31 at 9600 Bd: said ${plan?.expected.seconds} s, at most ${plan?.longest.seconds} s; took ${end?.seconds} s, ${end?.probes} probes`,
  );
  expect(plan?.expected.seconds).toBeLessThanOrEqual(60);
  expect(plan?.longest.seconds).toBeLessThanOrEqual(60);
  expect(end?.seconds).toBeLessThanOrEqual(60);
  expect(end?.exit).toBe(5);
  for (const line of findingsText(ofKind(events, 'finding'), 80)) expect(line.length).toBeLessThanOrEqual(80);
});
/**
 * The screen in docs/technician.md: `UPDATE_SCREENS=1 vitest run test/commission/scan-substation.test.ts` writes it anew.
 */
test('the screen of the documentation is the one that a technician sees', async () => {
  const { planOf, run } = scanWorld(substation());
  const some = new Set(['60120001', ...Object.keys(named)]);
  const entries = substationList().filter(({ serial }) => some.has(serial));
  const events = await run(planOf({ entries }));
  const [plan] = ofKind(events, 'plan');
  const [end] = ofKind(events, 'end');
  if (!plan || !end) throw new Error('the scan did not end');
  const lines = [
    ...planText(plan, `${entries.length} meters of worklist.csv on bus-1`, 80),
    ...findingsText(ofKind(events, 'finding'), 80),
    endText(ofKind(events, 'finding'), end),
  ];
  const path = new URL('../../docs/technician.md', import.meta.url);
  const document = readFileSync(path, 'utf8');
  const [begin, close] = ['<!-- screen of a scan -->\n\n```text\n', '\n```\n'];
  const at = document.indexOf(begin) + begin.length;
  const to = document.indexOf(close, at);
  if (process.env['UPDATE_SCREENS'] !== undefined)
    writeFileSync(path, document.slice(0, at) + lines.join('\n') + document.slice(to));
  expect(readFileSync(path, 'utf8')).toContain(`${begin}${lines.join('\n')}${close}`);
});
test('blind: every meter that can be told from the others, within three minutes', async () => {
  const { planOf, run } = scanWorld(substation());
  const events = await run(planOf({ blind: true }));
  const [end] = ofKind(events, 'end');
  const [plan] = ofKind(events, 'plan');
  console.log(`blind at 9600 Bd: said ${plan?.longest.seconds} s; took ${end?.seconds} s, ${end?.probes} probes`);
  expect(plan?.longest.seconds).toBeLessThanOrEqual(180);
  expect(end?.seconds).toBeLessThanOrEqual(180);
  // All but the dead one, the one with the reversed address, and the two that answer over each other.
  expect(ofKind(events, 'finding').filter(({ serial }) => serial !== undefined)).toHaveLength(27);
  expect(ofKind(events, 'finding').find(({ address }) => address === '1/1020')).toMatchObject({ verdict: 'damaged' });
});
test('as slow as half of all meters: both budgets hold', async () => {
  const slow = substation();
  const scenario = { ...slow, bus: { ...slow.bus, turnaround_ms: 257 } };
  const list = scanWorld(scenario);
  const [end] = ofKind(await list.run(list.planOf({ entries: substationList() })), 'end');
  const blind = scanWorld(scenario);
  const events = await blind.run(blind.planOf({ blind: true }));
  const [swept] = ofKind(events, 'end');
  console.log(`turn-around 257 ms: work list ${end?.seconds} s, blind ${swept?.seconds} s`);
  expect(end?.seconds).toBeLessThanOrEqual(60);
  expect(swept?.seconds).toBeLessThanOrEqual(180);
  expect(ofKind(events, 'finding').filter(({ serial }) => serial !== undefined)).toHaveLength(27);
});

describe('cut, and gone on with', () => {
  test('after each probe: the same findings, and nothing is asked twice', async () => {
    const whole = scanWorld(substation());
    const some = new Set(['60120001', ...Object.keys(named)]);
    const entries = substationList().filter(({ serial }) => some.has(serial));
    const all = await whole.run(whole.planOf({ entries }));
    const expected = wrong(all);
    for (let cut = 1; cut < ofKind(all, 'probe').length; cut++) {
      const path = join(folder, `cut-${cut}.journal`);
      const { planOf, run, journal } = scanWorld(substation());
      const plan = planOf({ entries });
      let count = 0;
      const first = await run(
        plan,
        { journal: await journal(path, plan) },
        (event) => event.kind === 'probe' && ++count === cut,
      );
      const before = ofKind(first, 'probe').map(({ id }) => id);
      const second = await run(plan, { journal: await journal(path, plan) });
      const [resumed] = ofKind(second, 'plan');
      // The probe under way when it was cut is kept as well.
      expect(resumed?.resumed).toBeGreaterThanOrEqual(cut);
      expect(ofKind(second, 'probe').filter(({ id }) => before.includes(id))).toEqual([]);
      expect(wrong(second)).toEqual(expected);
    }
  });
  test('power fails in the midst of a line: the whole ones count; a scan that ended begins anew', async () => {
    const path = join(folder, 'torn.journal');
    const { planOf, run, journal } = scanWorld({ meters: { count: 3 } });
    const plan = planOf({ entries: listOf(60120001, 60120002, 60120003) });
    const open = () => journal(path, plan);
    await run(plan, { journal: await open() }, (event) => event.kind === 'probe');
    const octets = readFileSync(path);
    for (let length = 0; length <= octets.length; length++) {
      writeFileSync(path, octets.subarray(0, length));
      const found = await openJournal(path, plan, false);
      expect([found.remark, found.answers.size <= 2]).toEqual([undefined, true]);
      await found.close();
    }
    expect(wrong(await run(plan, { journal: await open() }))).toEqual({
      60120001: 'unknown-kind',
      60120002: 'unknown-kind',
      60120003: 'unknown-kind',
    });
    const after = await openJournal(path, plan, false);
    expect(after.answers.size).toBe(0);
    await after.close();
  });
  test('a damaged journal, and one of another list, are said and begun anew; another file is left as it is', async () => {
    const path = join(folder, 'damaged.journal');
    const { planOf, run, journal } = scanWorld({ meters: { count: 3 } });
    const plan = planOf({ entries: listOf(60120001, 60120002, 60120003) });
    await run(plan, { journal: await journal(path, plan) }, (event) => event.kind === 'probe');
    const octets = readFileSync(path);
    octets[octets.length - 20] = (octets[octets.length - 20] as number) ^ 1;
    writeFileSync(path, octets);
    const damaged = await openJournal(path, plan, false);
    expect(damaged.remark).toMatch(/is damaged: the scan begins anew$/);
    expect(damaged.answers.size).toBe(0);
    await damaged.close();
    const other = await openJournal(path, { ...plan, blind: true }, false);
    expect(other.remark).toMatch(/is of another list/);
    await other.close();
    const precious = join(folder, 'precious.txt');
    writeFileSync(precious, 'point,serial\n');
    await expect(openJournal(precious, plan, true)).rejects.toMatchObject({ code: 'file-unusable' });
    expect(readFileSync(precious, 'utf8')).toBe('point,serial\n');
  });
  test('the disk is full: it is said once, and the scan goes on', async () => {
    const { planOf, run, journal } = scanWorld({ meters: { count: 3 } });
    const plan = planOf({ entries: listOf(60120001, 60120002, 60120003) });
    const real = await journal(join(folder, 'full.journal'), plan);
    const full = () => Promise.reject(new Error('ENOSPC: no space left on device'));
    const events = await run(plan, { journal: { ...real, add: full, end: full } });
    expect(ofKind(events, 'note').map(({ message }) => message)).toEqual([
      expect.stringMatching(/full\.journal: ENOSPC.*begins anew\.$/),
    ]);
    expect(ofKind(events, 'finding')).toHaveLength(3);
    expect(ofKind(events, 'end')).toHaveLength(1);
  });
  test('--fresh leaves what was answered before', async () => {
    const path = join(folder, 'fresh.journal');
    const { planOf, run, journal } = scanWorld({ meters: { count: 2 } });
    const plan = planOf({ entries: listOf(60120001, 60120002) });
    await run(plan, { journal: await journal(path, plan) }, (event) => event.kind === 'probe');
    const [again] = ofKind(await run(plan, { journal: await journal(path, plan, true) }), 'plan');
    expect(again?.resumed).toBe(0);
  });
});

test('what is said before it begins: 31 meters and 400 addresses stay in their budgets', () => {
  const { planOf } = scanWorld(substation());
  const list = planOf({ entries: substationList() });
  expect(budgetOf(list, new Map(), 'answer').seconds).toBeLessThanOrEqual(60);
  expect(budgetOf(list, new Map(), 'silent').seconds).toBeLessThanOrEqual(60);
  expect(budgetOf(planOf({ blind: true }), new Map(), 'silent').seconds).toBeLessThanOrEqual(180);
});
