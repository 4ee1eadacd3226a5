/** A substation of 31 meters with twelve faults is commissioned in virtual time: every fault is named, with its next step. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import {
  commission,
  type Candidate,
  type CommissionEvent,
  type CommissionWorld,
} from '../../src/commission/commission.ts';
import type { MeterRecord } from '../../src/commission/meter-record.ts';
import { siteFolder } from '../../src/commission/site-folder.ts';
import { readWorkList } from '../../src/commission/work-list.ts';
import { millis } from '../../src/base/time.ts';
import { readModels } from '../../src/config/meter-models.ts';
import { genericModel, physicalAddressOf } from '../../src/meter/model.ts';
import { Session } from '../../src/meter/session.ts';
import { buildBus } from '../../src/simulator/build-bus.ts';
import { readScenario } from '../../src/simulator/scenario.ts';
import { lineAccess, simulatedCiphering, start } from '../support/meter-world.ts';
import { VirtualClock } from '../support/virtual-clock.ts';
import { virtualPort } from '../support/virtual-port.ts';

const file = (name: string) => readFileSync(new URL(`../../hardware/bench/${name}`, import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'commission-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const { models } = readModels();
const { entries } = readWorkList(file('worklist.csv'), { models: new Set(models.keys()), wrongPoints: 'refuse' });

function substation(site: string, more: Partial<CommissionWorld> = {}) {
  const clock = new VirtualClock(start);
  const port = virtualPort(buildBus(readScenario(file('substation.toml').toString()), start).bus, clock);
  const events: CommissionEvent[] = [];
  const candidateOf = (target: Candidate['target']): Candidate => ({
    target,
    inSession: async (work) => {
      const [logical, physical] = target.address.split('/').map(Number);
      const access = lineAccess({
        logical: logical as number,
        physical,
        client: 8,
        ciphering: simulatedCiphering,
        retries: 4,
      });
      const session = new Session(port, clock, access);
      try {
        await session.connect();
        return await work(session, genericModel);
      } finally {
        await session.close();
      }
    },
    at: (address) => candidateOf({ ...target, address }),
  });
  const candidates = entries.map((entry) =>
    candidateOf({
      meter: `m-${entry.serial}`,
      point: entry.point,
      serial: entry.serial,
      place: entry.place,
      port: 'bus-1',
      device: 'virtual',
      baud: 9600,
      link: 'hdlc',
      address: `1/${physicalAddressOf(genericModel, entry.serial)}`,
      client: 8,
      auth: 'lls',
      ciphered: true,
      model: 'auto',
      profile: '1-0:99.1.0*255',
      periodS: 3600,
      currentTransformer: entry.currentTransformer
        ? `${entry.currentTransformer.primary}/${entry.currentTransformer.secondary}`
        : null,
      voltageTransformer: null,
    }),
  );
  const world: CommissionWorld = {
    clock,
    models,
    zone: 'Europe/Helsinki',
    detects: new Set([...models.values()].filter(({ detect }) => detect !== undefined).map(({ name }) => name)),
    gatewayClock: () => 'trusted',
    site: siteFolder(join(folder, site)),
    who: 'A. Technician',
    exchanges: 20,
    again: false,
    signal: new AbortController().signal,
    emit: (event) => void events.push(event),
    ...more,
  };
  return { clock, world, candidates, events };
}

const shown = (records: readonly MeterRecord[]) =>
  Object.fromEntries(
    records.flatMap(({ serial, result, findings }) =>
      findings.length === 0 ? [] : [[serial, `${result}: ${findings.map(({ kind }) => kind).join(', ')}`]],
    ),
  );

const faults = {
  60120004: 'failed: no answer',
  60120006: 'failed: wrong serial',
  60120008: 'failed: wrong keys',
  60120010: 'failed: wrong password',
  60120012: 'failed: ratio',
  60120014: 'failed: clock',
  60120016: 'failed: summer time',
  60120018: 'good: address',
  // One fault, two rows of the list.
  60120020: 'failed: collision',
  60130020: 'failed: collision',
  60120023: 'failed: line',
  60120025: 'failed: profile period',
  60120027: 'failed: unknown kind',
};

test('all twelve planted faults are named, the other meters are good, in less than 30 minutes of bus time (R40)', async () => {
  const { clock, world, candidates, events } = substation('whole');
  const { records } = await clock.complete(commission(candidates, world));
  expect(shown(records)).toEqual(faults);
  const end = events.at(-1);
  if (end?.event !== 'end') throw new Error('no end');
  console.info(`31 meters commissioned in ${end.tookS} s of bus time: ${end.good} good, ${end.faulty} failed`);
  expect(end).toMatchObject({ good: 19, faulty: 12 });
  expect(end.tookS).toBeLessThan(1800);
  // Each next step sends somebody somewhere.
  const nexts = records.flatMap(({ findings }) => findings.map(({ kind, next }) => `${kind}: ${next}`));
  for (const [kind, step] of [
    ['no answer', /Go to the meter \(Feeder 1 box 4\).*fuse/],
    ['wrong serial', /Read the label/],
    ['wrong keys', /Ask the office/],
    ['wrong password', /lock for up to 24 hours/],
    ['ratio', /plate of the current transformers/],
    ['clock', /telephone/],
    ['summer time', /daylight saving/],
    ['collision', /Take the bus wires off one/],
    ['line', /120 Ω/],
    ['profile period', /--period 900/],
    ['unknown kind', /browse/],
  ] as const)
    expect(nexts.filter((one) => one.startsWith(`${kind}:`) && step.test(one))).not.toEqual([]);
  const [first] = records;
  expect(first?.steps.day).toMatchObject({ expected: 24, rows: 24 });
  expect(first?.steps.day?.sums.every(({ agrees }) => agrees)).toBe(true);
  expect(first?.steps.registers?.currentTransformer).toEqual({ numerator: '200', denominator: '5' });
});

test('who was good is not asked again; who failed is', async () => {
  const first = substation('again');
  const two = [first.candidates[0], first.candidates[13]] as Candidate[];
  await first.clock.complete(commission(two, first.world));
  const second = substation('again');
  const same = [second.candidates[0], second.candidates[13]] as Candidate[];
  await second.clock.complete(commission(same, second.world));
  expect(second.events.flatMap((one) => (one.event === 'result' ? [[one.record.serial, one.skipped]] : []))).toEqual([
    ['60120001', true],
    ['60120014', false],
  ]);
});

test('cut off at any write, by power or Ctrl-C, it goes on where it was and ends with the same record', async () => {
  const whole = substation('uncut');
  const [one] = whole.candidates as [Candidate];
  let writes = 0;
  const counted = {
    ...whole.world.site,
    write(record: MeterRecord) {
      writes++;
      whole.world.site.write(record);
    },
  };
  const { records } = await whole.clock.complete(commission([one], { ...whole.world, site: counted }));
  expect(writes).toBe(7);
  const lasting = ({ steps, findings, result }: MeterRecord) => ({ steps: Object.keys(steps), findings, result });
  for (let cut = 1; cut <= writes; cut++) {
    const before = substation(`cut-${cut}`);
    let left = cut;
    const { site } = before.world;
    const cutting = {
      ...site,
      write(record: MeterRecord) {
        if (left-- === 0) throw new Error('the power is gone');
        site.write(record);
      },
    };
    const cutOff = before.clock.complete(
      commission([before.candidates[0] as Candidate], { ...before.world, site: cutting }),
    );
    if (cut < writes) await expect(cutOff).rejects.toThrow('the power is gone');
    else await cutOff;
    const stood = Object.keys(site.read(one.target.meter)?.steps ?? {});
    const after = substation(`cut-${cut}`);
    const again = await after.clock.complete(commission([after.candidates[0] as Candidate], after.world));
    expect(again.records.map(lasting)).toEqual(records.map(lasting));
    const steps = after.events.flatMap((event) => (event.event === 'step' ? [event.step] : []));
    // Who answers is asked in each session; nothing else twice.
    expect(steps.filter((step) => step !== 'identity' && stood.includes(step))).toEqual([]);
  }
});

test('Ctrl-C ends it behind the step that is under way, and nothing is wrong with the meter for that', async () => {
  const stop = new AbortController();
  const { clock, world, candidates } = substation('stopped', {
    signal: stop.signal,
    emit: (event) => event.event === 'step' && event.step === 'profile' && stop.abort(),
  });
  await expect(clock.complete(commission(candidates.slice(0, 2), world))).rejects.toThrow('goes on where it was');
  expect(world.site.all()).toMatchObject([{ serial: '60120001', result: 'begun', findings: [] }]);
});

/** Lives of so many seconds, each ended as by SIGKILL, until each meter had an outcome once. */
async function inLives(
  site: string,
  lifeS: number,
): Promise<{ readonly lives: number; readonly records: readonly MeterRecord[] }> {
  const outcomes = new Map<string, MeterRecord>();
  for (let lives = 1; lives <= 20; lives++) {
    const { clock, world, candidates } = substation(site);
    const killed = clock.sleepUntil(millis(clock.now() + lifeS * 1000));
    await clock.complete(Promise.race([commission(candidates, world), killed]));
    for (const record of world.site.all()) if (record.result !== 'begun') outcomes.set(record.meter, record);
    if (outcomes.size === candidates.length) return { lives, records: [...outcomes.values()] };
  }
  throw new Error(`after 20 lives only ${outcomes.size} meters have an outcome`);
}

test.each([45, 25])(
  'incident: killed every %i s, it began each time with the meters that failed before, and never came to the last ones',
  async (lifeS) => {
    const { lives, records } = await inLives(`killed-${lifeS}`, lifeS);
    console.info(`31 meters commissioned in ${lives} lives of ${lifeS} s`);
    expect(shown(records)).toEqual(faults);
  },
);

test('incident: who is asked again and cut off before anything was found lost what was found before', async () => {
  const first = substation('asked-again');
  const dead = [first.candidates[3]] as Candidate[];
  await first.clock.complete(commission(dead, first.world));
  const second = substation('asked-again');
  const killed = second.clock.sleepUntil(millis(second.clock.now() + 1000));
  await second.clock.complete(Promise.race([commission([second.candidates[3] as Candidate], second.world), killed]));
  expect(shown(second.world.site.all())).toEqual({ 60120004: 'failed: no answer' });
});
