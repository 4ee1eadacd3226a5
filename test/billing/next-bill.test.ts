import { expect, test } from 'vitest';
import { type Bill, recompute } from '../../src/billing/bill.ts';
import { type BillCase, nextBill } from '../../src/billing/next-bill.ts';
import type { Edit, Point } from '../../src/billing/registry.ts';
import type { DeliveredInterval } from '../../src/central/facts.ts';
import { contract, at, edit, first, hourMs, month, point, rows, seriesFor } from '../support/billing-cases.ts';

const madeAt = at('2026-10-01', 9);
const bill = (given: Partial<BillCase> & Pick<BillCase, 'series'>) =>
  nextBill({ point: point(), contract: contract(), bills: [], releases: [], ...given });
const rulesOf = (outcome: ReturnType<typeof bill>) =>
  outcome.kind === 'held' ? outcome.findings.map(({ rule }) => rule) : [];
const made = (outcome: ReturnType<typeof bill>): Bill => {
  if (outcome.kind !== 'bill') throw new Error(`no bill: ${JSON.stringify(outcome)}`);
  return outcome.bill;
};
const gone = at('2026-09-20', 10);
const hours = (count: number): number[] => Array.from({ length: count }, (_, i) => gone + i * hourMs);

test('a period that is not over, or whose last hours are not overdue, is not billed', () => {
  expect(rulesOf(bill({ series: seriesFor({ facts: month(), at: at('2026-09-30', 12) }) }))).toContain('PERIOD_OPEN');
  expect(rulesOf(bill({ series: seriesFor({ facts: month(), at: at('2026-10-01', 3) }) }))).toEqual(['PERIOD_OPEN']);
});
test('open gaps that nothing can be estimated by hold the bill; a person cannot let them go', () => {
  const facts = month(new Map(hours(24 * 9).map((start) => [start, undefined]))).slice(480);
  const series = seriesFor({ facts, at: madeAt });
  expect(rulesOf(bill({ series }))).toContain('OPEN_GAP');
  const releases = ['OPEN_GAP'].map((rule) => ({ point: 'p-1', rule, from: 0, to: 9e15, who: 'a', why: 'b', at: 0 }));
  expect(rulesOf(bill({ series, releases }))).toContain('OPEN_GAP');
});
test('without any history the yearly estimate is filled flat', () => {
  const facts: ReturnType<typeof month> = [];
  const own = point({ yearlyEstimate: 8_766_000 });
  const { series } = made(bill({ point: own, series: seriesFor({ facts, at: madeAt, point: own }) }));
  expect(series.import?.energy.at(-1)).toBe(1000);
  expect(series.import?.source.at(-1)?.[1]).toBe('estimate:YEARLY');
});
test('an edit of an hour that was billed is a correction of its own on the next bill', () => {
  const facts = month(new Map(hours(5).map((start) => [start, undefined])));
  const one = made(
    bill({ series: seriesFor({ facts: facts.filter(({ message }) => Date.parse(message.start) < gone), at: madeAt }) }),
  );
  const edits = [edit({ start: gone, value: 7, at: madeAt + 1 })];
  const later = at('2026-11-01', 9);
  const october = month(new Map(), '2026-10-01', 31);
  const without = facts.filter(({ message }) => Date.parse(message.start) < gone);
  const two = made(bill({ bills: [one], series: seriesFor({ facts: [...without, ...october], edits, at: later }) }));
  const edited = two.corrections[0]?.hours.filter(({ reason }) => reason === 'EDITED');
  expect(edited).toMatchObject([{ start: gone, is: 7, source: 'edit:e-1' }]);
});
test('a large edit waits for a second person, who is another one', () => {
  const facts = month(new Map(hours(5).map((start) => [start, undefined])));
  const large = edit({ start: gone, value: 900_000 });
  expect(rulesOf(bill({ series: seriesFor({ facts, edits: [large], at: madeAt }) }))).toContain('EDIT_UNCONFIRMED');
  const same = { ...large, second: { who: ' aino ', at: gone } };
  expect(rulesOf(bill({ series: seriesFor({ facts, edits: [same], at: madeAt }) }))).toContain('EDIT_UNCONFIRMED');
  const other = { ...large, second: { who: 'Väinö', at: gone } };
  const series = seriesFor({ facts, edits: [other], at: madeAt });
  expect(series.channels.import?.find(({ start }) => start === gone)).toMatchObject({
    energy: 900_000,
    standing: 'edited',
  });
  // It is more than the register advanced: a person has to look.
  expect(rulesOf(bill({ series }))).toContain('ZERO_CONTRADICTED');
});
test('incident: one person changed an hour as far as he liked, in small steps', () => {
  const facts = month(new Map(hours(5).map((start) => [start, undefined])));
  const step = (i: number, value: number | null, more: object = {}) =>
    edit({
      edit: `e-${i}`,
      start: gone,
      value,
      at: gone + i,
      before: { value: i === 1 ? 100 : 90_000 * (i - 1), standing: i === 1 ? 'estimated' : 'edited' },
      ...more,
    });
  const hourOf = (edits: Edit[]) => {
    const series = seriesFor({ facts, edits, at: madeAt });
    const one = series.channels.import?.find(({ start }) => start === gone);
    return [one?.source, series.edits.map((open) => `${open.edit.edit} ${open.why}`)];
  };
  expect(hourOf([step(1, 90_000), step(2, 180_000)])).toEqual(['edit:e-1', ['e-2 UNCONFIRMED']]);
  expect(hourOf([step(1, 90_000), step(2, 180_000, { second: { who: 'Väinö', at: gone + 3 } })])).toEqual([
    'edit:e-2',
    [],
  ]);
  // What two agreed to is where the next one begins, and so is what was taken back.
  const agreed = step(2, 180_000, { second: { who: 'Väinö', at: gone + 3 } });
  expect(hourOf([step(1, 90_000), agreed, step(3, 190_000)])[0]).toBe('edit:e-3');
  const back = step(2, null);
  expect(hourOf([step(1, 90_000), back, step(3, 95_000, { before: { value: 100, standing: 'estimated' } })])[0]).toBe(
    'edit:e-3',
  );
});
test('sibling: of a point that counts in kWh the limits were a thousand times as wide', () => {
  const own = point({ scaler: 3 });
  const inKWh = (fact: DeliveredInterval): DeliveredInterval => {
    const { message } = fact;
    if (message.kind !== 'profile') return fact;
    const channels = message.channels.map((one) => ({ ...one, scaler: 3, register: undefined }));
    return { ...fact, message: { ...message, channels } };
  };
  // 700 kWh in a day of which the others have 48.
  const begin = at('2026-09-20');
  const facts = Array.from({ length: 30 * 24 }, (_, i) => {
    const start = at(first) + i * hourMs;
    return inKWh(rows(start, [start >= begin && start < begin + 24 * hourMs ? 30 : 2]));
  });
  const series = seriesFor({ facts, point: own, at: madeAt });
  expect(rulesOf(bill({ point: own, series }))).toEqual(['ABOVE_LIKE_DAYS']);
  const without = facts.filter(({ message }) => Date.parse(message.start) !== gone);
  const large = edit({ start: gone, value: 200, before: { value: 2, standing: 'estimated' } });
  const edited = seriesFor({ facts: without, edits: [large], point: own, at: madeAt });
  expect(edited.edits.map(({ why }) => why)).toEqual(['UNCONFIRMED']);
});
test('incident: edits of every hour between two registers were billed although the registers say something else', () => {
  const facts = month(new Map(hours(2).map((start) => [start, undefined])));
  const edits = hours(2).map((start, i) => edit({ edit: `e-${i}`, start, value: 50 }));
  // Both hours are gone, and the register advanced 400 units.
  expect(rulesOf(bill({ series: seriesFor({ facts, edits, at: madeAt }) }))).toEqual(['ZERO_CONTRADICTED']);
  const right = edits.map((one) => ({ ...one, value: 200 }));
  made(bill({ series: seriesFor({ facts, edits: right, at: madeAt }) }));
});
test('what is measured stands above an edit, and an edit above what is uncertain', () => {
  const edits = [edit({ start: gone, value: 7 }), edit({ edit: 'e-2', start: gone + hourMs, value: 8 })];
  const facts = month();
  const uncertain = facts.map((fact) =>
    fact.message.kind === 'profile' && Date.parse(fact.message.start) === gone + hourMs
      ? { ...fact, message: { ...fact.message, quality: ['UNCERTAIN/clock' as const] } }
      : fact,
  );
  const series = seriesFor({ facts: uncertain, edits, at: madeAt });
  const standing = series.channels.import?.filter(({ start }) => start >= gone).slice(0, 2);
  expect(standing).toMatchObject([{ standing: 'measured' }, { standing: 'edited', energy: 8 }]);
});
test('one wrong day of 700 kWh holds the bill until a person has looked', () => {
  const series = seriesFor({ facts: month(new Map(hours(10).map((start) => [start, 70_000]))), at: madeAt });
  expect(rulesOf(bill({ series }))).toEqual(['ABOVE_LIKE_DAYS']);
  const releases = [
    {
      point: 'p-1',
      rule: 'ABOVE_LIKE_DAYS',
      from: gone - 86_400_000,
      to: gone + 86_400_000,
      who: 'a',
      why: 'sauna',
      at: 0,
    },
  ];
  expect(made(bill({ series, releases })).findings).toMatchObject([{ rule: 'ABOVE_LIKE_DAYS', released: 'a: sauna' }]);
});
test('more than the fuses let through, and a meter that nobody registered, hold the bill', () => {
  const own = point({ fuseA: 25 });
  const facts = month(new Map([[gone, 21_000]]));
  expect(rulesOf(bill({ point: own, series: seriesFor({ facts, point: own, at: madeAt }) }))).toContain('IMPOSSIBLE');
  const known = point({ installations: [{ serial: 's-1', from: 0, to: null }] });
  const strange = [...month(), rows(gone, [5], { serial: 's-2' })];
  expect(rulesOf(bill({ point: known, series: seriesFor({ facts: strange, point: known, at: madeAt }) }))).toEqual([
    'METER_UNKNOWN',
  ]);
});
test('incident: a point that counts otherwise from now on corrected all its earlier bills by a thousand, or to a quarter', () => {
  const one = made(bill({ series: seriesFor({ facts: month(), at: madeAt }) }));
  const later = at('2026-11-01', 9);
  const facts = [...month(), ...month(new Map(), '2026-10-01', 31)];
  const next = (given: Partial<Point>) => {
    const own = point(given);
    return bill({ point: own, bills: [one], series: seriesFor({ facts, point: own, at: later }) });
  };
  for (const changed of [
    { scaler: 3 },
    { zone: 'Europe/Berlin' },
    { periods: [{ from: '2020-01-01', periodS: 900 }] },
    {
      periods: [
        { from: '2020-01-01', periodS: 3600 },
        { from: '2026-09-15', periodS: 1800 },
      ],
    },
  ])
    expect(rulesOf(next(changed)), JSON.stringify(changed)).toEqual(['POINT_CHANGED']);
  // From a day on that nobody has billed yet it may.
  const periods = [
    { from: '2020-01-01', periodS: 3600 },
    { from: '2026-11-01', periodS: 900 },
  ];
  expect(made(next({ periods })).corrections).toEqual([]);
});
test('a swap that is reported after the bill corrects it by the registers of both meters', () => {
  const swapAt = gone + 2 * hourMs;
  const facts = month(new Map(hours(240).map((start) => [start, undefined])));
  const before = facts.filter(({ message }) => Date.parse(message.start) < gone);
  const old = { serial: 's-1', from: 0, to: null };
  const one = made(
    bill({
      point: point({ installations: [old] }),
      series: seriesFor({ facts: before, point: point({ installations: [old] }), at: madeAt }),
    }),
  );
  const last = before.at(-1)?.message;
  const register = last?.kind === 'profile' ? Number(last.channels[0]?.register?.[0]) : 0;
  const swapped = point({
    installations: [
      { ...old, to: swapAt, final: { import: register + 1000 } },
      { serial: 's-2', from: swapAt, to: null, first: { import: 0 } },
    ],
  });
  const october = month(new Map(), '2026-10-01', 31).map((fact) => ({
    ...fact,
    message: { ...fact.message, serial: 's-2' },
  })) as typeof facts;
  const series = seriesFor({ facts: [...before, ...october], point: swapped, at: at('2026-11-01', 9) });
  const two = made(bill({ point: swapped, bills: [one], series }));
  const [correction] = two.lines.filter(({ kind }) => kind === 'correction');
  expect(correction).toMatchObject({ bill: 'c-1/1', reasons: { REGISTER_KNOWN: expect.any(Number) } });
  // Two hours of the old meter are what its last register says.
  const september = series.channels.import?.filter(({ start }) => start >= gone && start < swapAt) ?? [];
  expect(september.reduce((sum, { energy }) => sum + (energy ?? 0), 0)).toBe(1000);
});
test('import and export are set against each other within each hour, where the point is configured so', () => {
  const own = point({ obis: { import: '1-0:1.8.0*255', export: '1-0:2.8.0*255' }, netting: true });
  const facts = month().map((fact, i) =>
    fact.message.kind === 'profile'
      ? rows(Date.parse(fact.message.start), [100], {
          register: [1000 + 100 * (i + 1)],
          export: [i % 2 === 0 ? 30 : 150],
        })
      : fact,
  );
  const { lines } = made(bill({ point: own, series: seriesFor({ facts, point: own, at: madeAt }) }));
  expect(lines).toMatchObject([
    { direction: 'consumption', quantity: 360 * 70 },
    { direction: 'production', quantity: 360 * 50 },
  ]);
});
/** Two months of 100 in and 30, then 150, out; the second is not billed yet. */
const solar = () =>
  ['2026-09-01', '2026-10-01'].flatMap((from, m) =>
    month(new Map(), from, 30 + m).map((fact, i) =>
      fact.message.kind === 'profile'
        ? rows(Date.parse(fact.message.start), [100], {
            register: [1000 + 72_000 * m + 100 * (i + 1)],
            export: [i % 2 === 0 ? 30 : 150],
          })
        : fact,
    ),
  );
test('netting holds from a day on: not a unit of the days before it changes', () => {
  const obis = { import: '1-0:1.8.0*255', export: '1-0:2.8.0*255' };
  const netted = (netting: Point['netting']) => {
    const own = point({ obis, netting });
    return made(bill({ point: own, series: seriesFor({ facts: solar(), point: own, at: madeAt }) })).lines;
  };
  const [days, of] = [netted([{ from: '2026-09-11', to: '2026-09-21' }]), 30 * 24];
  expect(days).toMatchObject([
    { direction: 'consumption', quantity: of * 100 - 10 * 12 * (30 + 100) },
    { direction: 'production', quantity: of * 90 - 10 * 12 * (30 + 100) },
  ]);
  expect(netted([{ from: '2026-09-01', to: null }])).toEqual(netted(true));
  expect(netted([{ from: '2026-10-01', to: null }])).toEqual(netted(false));
});
test('incident: netting that was switched on corrected all earlier bills, and nobody had been asked', () => {
  const plain = point({ obis: { import: '1-0:1.8.0*255', export: '1-0:2.8.0*255' } });
  const own = { ...plain, netting: true };
  const one = made(bill({ point: plain, series: seriesFor({ facts: solar(), point: plain, at: madeAt }) }));
  const later = at('2026-11-01', 9);
  const next = (netting: Point['netting'], bills: Bill[] = [one], releases: BillCase['releases'] = []) => {
    const at = { ...plain, netting };
    return bill({ point: at, bills, releases, series: seriesFor({ facts: solar(), point: at, at: later }) });
  };
  // Sibling: of one day only, or no longer at all.
  const held = next(true);
  expect(rulesOf(held)).toEqual(['NETTING_CHANGED', 'NETTING_CHANGED']);
  expect(rulesOf(next([{ from: '2026-09-12', to: '2026-09-13' }]))).toEqual(['NETTING_CHANGED', 'NETTING_CHANGED']);
  const was = made(bill({ point: own, series: seriesFor({ facts: solar(), point: own, at: madeAt }) }));
  expect(rulesOf(next(false, [was]))).toEqual(['NETTING_CHANGED', 'NETTING_CHANGED']);
  // From a day on that nobody has billed yet it may.
  expect(made(next([{ from: '2026-10-01', to: null }])).corrections).toEqual([]);
  // Whoever let it go has it corrected to what it would have been, and no bill after it says so again.
  if (held.kind !== 'held') throw new Error('held');
  const releases = held.findings.map(({ rule, from, to }) => ({
    point: plain.point,
    rule,
    from,
    to,
    who: 'Aino',
    why: 'the contract says so',
    at: later,
  }));
  const two = made(next(true, [one], releases));
  const sums = (all: Bill['lines'], kinds: readonly string[]) =>
    ['consumption', 'production'].map((direction) =>
      all
        .filter((line) => line.direction === direction && kinds.includes(line.kind))
        .reduce((sum, { quantity }) => sum + quantity, 0),
    );
  expect(two.lines.filter(({ kind }) => kind === 'correction')).toMatchObject([
    { bill: 'c-1/1', reasons: { NETTING: 720 } },
    { bill: 'c-1/1', reasons: { NETTING: 720 } },
  ]);
  const [billedOnce, corrected] = [sums(one.lines, ['period']), sums(two.lines, ['correction'])];
  expect(billedOnce.map((sum, i) => sum + (corrected[i] ?? 0))).toEqual(sums(was.lines, ['period']));
  expect(recompute(two, [one])).toEqual({ good: true });
  expect(rulesOf(next(true, [one, two]))).not.toContain('NETTING_CHANGED');
});
test('the first bill after billing by readings begins at the register where the last one ended', () => {
  const before = rows(at('2026-08-31', 23), [5], { register: [50_000] });
  const own = contract({ startRegister: { at: at('2026-08-28', 12), register: 49_000 } });
  const facts = [before, ...month()];
  const { lines } = made(bill({ contract: own, series: seriesFor({ facts, at: madeAt }) }));
  expect(lines).toMatchObject([{ kind: 'period' }, { kind: 'carried', quantity: 1000 }]);
  expect(rulesOf(bill({ contract: own, series: seriesFor({ facts: month(), at: madeAt }) }))).toContain(
    'START_UNKNOWN',
  );
});
