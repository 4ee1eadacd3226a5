/** The plan is a function of the list and the answers: whatever is answered, it ends, asks nothing twice, and judges everyone. */
import {
  array,
  assert,
  boolean,
  constantFrom,
  integer,
  property,
  record,
  stringMatching,
  uniqueArray,
} from 'fast-check';
import { expect, test } from 'vitest';
import {
  type Answers,
  budgetOf,
  type Probe,
  type ProbeAnswer,
  probesOf,
  type ScanPlan,
  sweepLimit,
} from '../../src/commission/scan-plan.ts';
import { exitOf, findingsOf } from '../../src/commission/scan-verdict.ts';
import { findingsText } from '../../src/commission/scan-text.ts';
import { listOf, models } from '../support/scan-world.ts';

const plans = record({
  serials: uniqueArray(stringMatching(/^[1-9]\d{0,9}$|^[A-Z]{2,8}$/), { maxLength: 12 }),
  blind: boolean(),
  line: constantFrom('serial' as const, 'tcp' as const),
  link: constantFrom('hdlc' as const, 'wrapper' as const, 'mode-e' as const),
}).map(
  ({ serials, blind, line, link }): ScanPlan => ({
    entries: listOf(...serials),
    blind,
    line,
    link,
    baud: line === 'tcp' ? 0 : 9600,
    models,
  }),
);
/** What a line may answer: also the serial number of another one, somebody else, and nonsense. */
const outcomes = array(
  record({
    answer: constantFrom<ProbeAnswer['answer'][]>(
      'silent',
      'echo',
      'damaged',
      'refused',
      'mute',
      'unnamed',
      'identified',
    ),
    who: integer({ min: 0, max: 15 }),
    linked: boolean(),
    other: integer({ min: 0, max: 40 }),
    damaged: integer({ min: 0, max: 3 }),
  }),
  { minLength: 1, maxLength: 40 },
);
type Outcome = { answer: ProbeAnswer['answer']; who: number; linked: boolean; other: number; damaged: number };

const answered = (probe: Probe, { answer, who, linked, other, damaged }: Outcome, plan: ScanPlan): ProbeAnswer => ({
  probe,
  answer,
  ...(answer === 'identified' && { serial: plan.entries[who]?.serial ?? `9${who}`, deviceName: `SIM${who}` }),
  linked: linked || answer === 'identified',
  octets: 0,
  damaged,
  others: other > 0 && other < 10 ? [{ logical: 1, physical: other }] : [],
  delayMs: 40,
  tookMs: 1,
  ...(damaged > 0 && { sample: '7e00ff' }),
});

test('it ends, asks nothing twice, and everyone of the list has one verdict', () => {
  assert(
    property(plans, outcomes, (plan, all) => {
      const answers: Answers = new Map();
      let count = 0;
      for (const probe of probesOf(plan, answers)) {
        expect(answers.has(probe.id)).toBe(false);
        answers.set(probe.id, answered(probe, all[count % all.length] as Outcome, plan));
        expect(++count).toBeLessThan(2500);
      }
      expect([...answers.values()].filter(({ probe: { stage } }) => stage === 'sweep').length).toBeLessThanOrEqual(
        sweepLimit,
      );
      const findings = findingsOf(plan, answers);
      expect(findings.flatMap(({ entry }) => entry?.serial ?? [])).toEqual(plan.entries.map(({ serial }) => serial));
      for (const { next, evidence } of findings) expect(next.length * evidence.length).toBeGreaterThan(0);
      expect([0, 2, 3, 4, 5]).toContain(exitOf(findings));
      for (const line of findingsText(findings, 80)) expect(line.length).toBeLessThanOrEqual(80);
    }),
  );
});
test('cut anywhere, the rest is asked once, and less is left than before', () => {
  assert(
    property(plans, outcomes, integer({ min: 0, max: 60 }), (plan, all, cut) => {
      const answers: Answers = new Map();
      const outcome = (i: number) => all[i % all.length] as Outcome;
      let count = 0;
      for (const probe of probesOf(plan, answers)) {
        if (count === cut) break;
        answers.set(probe.id, answered(probe, outcome(count++), plan));
      }
      const stored: Answers = new Map(
        [...answers].map(([id, one]) => [id, JSON.parse(JSON.stringify(one)) as ProbeAnswer]),
      );
      for (const probe of probesOf(plan, stored)) {
        expect(stored.has(probe.id)).toBe(false);
        stored.set(probe.id, answered(probe, outcome(count++), plan));
      }
      expect([...probesOf(plan, stored)]).toEqual([]);
      expect(budgetOf(plan, stored, 'silent')).toEqual({ probes: 0, seconds: 0 });
    }),
  );
});
