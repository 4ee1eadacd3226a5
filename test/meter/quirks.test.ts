/** Every switch of the simulator: the client reads every row right, or fails with the right error and reads the next time. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { type ErrorCode, Failure } from '../../src/base/errors.ts';
import { fromHex, toHex } from '../../src/base/hex.ts';
import { Secret } from '../../src/base/secret.ts';
import { dayMs, later, type Millis, millis } from '../../src/base/time.ts';
import { accessRightsOf } from '../../src/dlms/cosem/object-list.ts';
import { byRange, clockColumn } from '../../src/dlms/cosem/profile-generic.ts';
import { identify } from '../../src/meter/identity-reading.ts';
import { readInvocationCounter } from '../../src/meter/invocation-counter.ts';
import { readLayout } from '../../src/meter/profile-layout.ts';
import { readRange } from '../../src/meter/profile-range.ts';
import { streamRows } from '../../src/meter/profile-rows.ts';
import { requireIdentity } from '../../src/meter/identity.ts';
import { fallbackTexts } from '../../src/meter/fallbacks.ts';
import { genericModel, type MeterModel } from '../../src/meter/model.ts';
import type { MeterAccess } from '../../src/meter/access.ts';
import type { Session } from '../../src/meter/session.ts';
import { type QuirkName, quirkNames, quirkOf, quirks } from '../../src/simulator/quirks.ts';
import type { ScenarioInput } from '../../src/simulator/scenario.ts';
import { meterWorld, profile, start } from '../support/meter-world.ts';

/** Lines of the field list that are marked as switches of the simulator. */
const marked = [
  1, 2, 3, 5, 6, 8, 9, 10, 11, 12, 13, 17, 19, 21, 22, 23, 24, 25, 26, 27, 29, 32, 33, 34, 35, 40, 41, 45, 46, 47, 48,
  49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 62, 63, 64, 65, 67, 68, 69, 70, 71, 72, 73, 76, 77, 78, 79, 80, 81, 82,
  83, 84, 85, 86, 87, 88, 89, 90, 91, 92, 93, 94, 95, 96, 97,
];
/** 5 is a fault of the line, tested below; 97 is what a meter does that is right (test/dlms/called-address.test.ts). */
const elsewhere = [5, 97];

test('every marked line of the field list has a switch', () => {
  const covered = new Set([...Object.values(quirks).map(({ number }) => number as number), ...elsewhere]);
  expect([...covered].toSorted((a, b) => a - b)).toEqual(marked);
});

test('no number of the second list (77 to 97) is missing in QUIRKS.md, each with a test that is there', () => {
  const table = readFileSync(new URL('../../hardware/meters/QUIRKS.md', import.meta.url), 'utf8');
  const rows = [...table.matchAll(/^\| (\d+) \|.*\| ([^|]+) \|$/gm)].map(([, number, where]) => [
    Number(number),
    where,
  ]);
  const numbers = new Set(rows.map(([number]) => number));
  for (let number = 77; number <= 97; number++) expect(numbers, `number ${number}`).toContain(number);
  for (const [number, where] of rows) {
    const files = [...String(where).matchAll(/(\S+\.test\.ts)/g)].map(([, file]) => file);
    expect(files.length, `number ${number}`).toBeGreaterThan(0);
    for (const file of files)
      expect(existsSync(new URL(`../${file}`, import.meta.url)), `${number}: ${file}`).toBe(true);
  }
});
/** Tests that go from the simulator to what is delivered: to the head-end, or to whoever listens to what is sent unasked. */
const whole = readdirSync(new URL('../house/', import.meta.url))
  .map((name) => `house/${name}`)
  .concat('dlms/notification.test.ts')
  .map((name) => readFileSync(new URL(`../${name}`, import.meta.url), 'utf8'))
  .join('\n');
test.each(quirkNames.filter((name) => quirks[name].number >= 77))('%s is met by the whole house', (name) => {
  expect(whole).toContain(`'${name}'`);
});

const from = millis(Date.UTC(2026, 10, 23));
const to = millis(Date.UTC(2026, 10, 24));
interface Case {
  readonly scenario?: ScenarioInput;
  readonly access?: Partial<MeterAccess>;
  readonly model?: Partial<MeterModel>;
  /** The first session fails so; the next one, two minutes later, reads. */
  readonly fails?: ErrorCode;
  /** Not even the next one reads: the operator must act. */
  readonly stays?: true;
}
type World = ReturnType<typeof meterWorld>;

function worldOf(name: QuirkName, { scenario = {}, access = {}, model = {} }: Case = {}): World {
  const meters = { quirks: [name], max_info: 128, ...scenario.meters };
  return meterWorld({ ...scenario, meters }, { model: { ...genericModel, max_info: 128, ...model }, ...access });
}
async function day({ clock, meter }: World, session: Session, model: MeterModel, until: Millis = to) {
  try {
    await session.connect();
    requireIdentity(await identify(session, clock, model), String(meter.settings.serial));
    const layout = await readLayout(session, profile, model);
    const rows = await readRange({ session, layout, model }, from, until);
    return { rows, layout };
  } finally {
    await session.close();
  }
}
/** Every row of the truth, by its stamp, and no other. */
function expectTruth({ meter }: World, rows: Awaited<ReturnType<typeof day>>['rows']): void {
  // What names no instant belongs to no interval.
  const stamped = rows.filter(({ end }) => end !== null);
  const got = new Map(stamped.map((row) => [row.end as number, [row.bits ?? row.status, ...row.cells.slice(0, 2)]]));
  const truth = meter
    .rows(from, to)
    .map(({ end, status, registers }): [number, number[]] => [end, [status, ...registers]]);
  expect(truth.length).toBeGreaterThan(20);
  expect([...got].toSorted(([a], [b]) => a - b)).toEqual(truth);
}
const serialLine: ScenarioInput = { meters: { mode_e: true } };
const keys = {
  encryption: new Secret(fromHex('000102030405060708090a0b0c0d0e0f')),
  authentication: new Secret(fromHex('d0d1d2d3d4d5d6d7d8d9dadbdcdddedf')),
};
const gmac = (counter: { value: number }): Partial<MeterAccess> => ({
  client: 5,
  auth: 'hls-gmac',
  secret: undefined,
  challenge: () => Buffer.from('0123456789abcdef'),
  ciphering: {
    suite: 0,
    ownTitle: Buffer.from('MGW\0\0\0\0\u0001', 'latin1'),
    keys,
    policy: 'authenticated-encrypted',
    wrapping: 'service',
    nextCounter: () => counter.value++,
  },
});

/** What a quirk needs beside its switch; quirks that are not here need nothing. */
const cases: Partial<Record<QuirkName, Case>> = {
  'shared-flags': { scenario: { meters: { window: 7 } }, model: { window: 7 } },
  'two-flags': { scenario: { meters: { window: 7 } }, model: { window: 7 } },
  'garbage-between-frames': { scenario: { meters: { window: 3 } }, model: { window: 3 } },
  'acknowledgement-echo': { scenario: serialLine, access: { modeE: true } },
  'keeps-speed': { scenario: serialLine, access: { modeE: true } },
  'noise-before-identification': { scenario: serialLine, access: { modeE: true } },
  'needs-wake-up': { scenario: serialLine, access: { modeE: true }, model: { wake_up: true } },
  'needs-second-request': { scenario: serialLine, access: { modeE: true } },
  'foreign-frames': { scenario: { meters: { count: 3 } }, access: { physical: 1001 } },
  'other-address-size': {
    scenario: { meters: { count: 3 }, meter: [{ index: 0, physical: 5 }] },
    access: { physical: 5 },
  },
  'frame-reject': { fails: 'frame-rejected' },
  'pinned-sequence': { model: { pinned_sequence: true } },
  'octet-a-second': { fails: 'damaged-answer', stays: true },
  'old-session': { fails: 'no-answer' },
  dead: { fails: 'no-answer', stays: true },
  'falls-silent': { fails: 'fell-silent' },
  'gmac-counter-advances': { access: gmac({ value: 100 }) },
  'gmac-counter-stands': { access: gmac({ value: 100 }), fails: 'authentication-refused', stays: true },
  'counter-behind-drops': { access: gmac({ value: 100 }) },
  'bare-refusal': {
    access: { secret: new Secret(Buffer.from('wrong')) },
    fails: 'authentication-refused',
    stays: true,
  },
  'stale-block': { model: { max_pdu: 100 }, fails: 'fell-silent' },
  'broken-last-block': { model: { max_pdu: 512 } },
  'blocks-from-zero': { model: { max_pdu: 200 } },
  'blocks-go-on': { model: { max_pdu: 64 } },
  'empty-block': { model: { max_pdu: 200 } },
  'empty-last-block': { model: { max_pdu: 200 } },
  'junk-after-value': { model: { max_pdu: 200 } },
  'long-lengths': { model: { max_pdu: 200 } },
  'untagged-stamps': { model: { untagged_stamps: true } },
  'deviation-zero': { model: { stamp_deviation_min: -120, stamp_deviation_overridden: true } },
  'deviation-inverted': { model: { deviation_inverted: true } },
  'deviation-unspecified': { model: { stamp_deviation_min: -120 } },
  'window-lost': {
    scenario: { meters: { window: 7 } },
    model: { window: 7 },
    fails: 'answer-stalled',
    stays: true,
  },
  'long-frames-lost': {
    scenario: { meters: { max_info: 1024 } },
    model: { max_info: 1024 },
    fails: 'fell-silent',
    stays: true,
  },
  'encrypted-initiate': { access: gmac({ value: 100 }), model: { initiate_protection: 'encrypted' } },
  'initiate-error': { fails: 'proposal-refused', stays: true },
  'gmac-counter-next': { access: gmac({ value: 100 }) },
  'blocks-flooded': { model: { transfer_window: 3, max_pdu: 128 }, fails: 'answer-stalled', stays: true },
  'nothing-but-empty-frames': { fails: 'answer-stalled', stays: true },
  'nothing-but-text': { fails: 'malformed-octets', stays: true },
  'last-words': { scenario: { bus: { link: 'wrapper' } }, access: { link: 'wrapper' } },
  'numbers-jump': { fails: 'answer-stalled', stays: true },
  'summer-in-status': { scenario: { meters: { deviation_min: -120 } }, model: { stamp_deviation_min: -120 } },
  'summer-in-row-status': { scenario: { meters: { deviation_min: -120 } }, model: { stamp_deviation_min: -120 } },
  'status-elsewhere': {
    model: {
      status_column: { object: '0-0:96.240.12*255', attribute: 18 },
      status_bits: { power_down: [20], daylight_saving: [1], clock_adjusted: [2] },
    },
  },
  'status-mapping': {
    model: {
      status_column: { object: '0-0:96.5.1*255', attribute: 2 },
      status_bits: { power_down: [20], daylight_saving: [1], clock_adjusted: [2] },
    },
  },
  'range-without-deviation': { model: { range_deviation_min: -120, range_deviation_written: false } },
};

/** Quirks that an ordinary day does not meet: their own test is below. */
const unmet: readonly QuirkName[] = [
  'list-limit',
  'aborts-set',
  'object-list-count',
  'object-list-oddities',
  'error-when-empty',
  'no-column-selection',
  'range-with-deviation',
  'association-stays',
  // A day has neither logs nor the switch, and no request of it is longer than a frame: test/house/foreign-meters.test.ts.
  'one-frame-requests',
  'log-hangs-up',
  'switch-hangs-up',
  'counter-behind-drops',
  'gmac-counter-advances',
  'gmac-counter-next',
  // Of TCP connections: test/house/policy.test.ts.
  'closes-after-release',
  'one-association',
  'missing-row',
  'needs-wake-up',
  // Our own server refuses like this in any case.
  'bare-refusal',
  'exclusive-bounds',
  // Of lists that are sent unasked: test/dlms/notification.test.ts.
  'pause-before-last-frame',
  'segmented-push',
  'push-in-blocks',
  'swapped-obis',
  'list-without-obis',
  'alarm-push',
  'entries-of-no-date',
  'tagged-push-time',
  'encrypted-push',
  'cut-push',
  'mbus-push',
  // A day has no logs: test/house/line.test.ts.
  'log-without-range',
  'log-of-equals',
];

/** What the meter sends in the same day, with the switch and without. */
async function wire(name: QuirkName | undefined, one: Case): Promise<string> {
  const quirked = name === undefined ? [] : [name];
  const forced: { maxInfo?: number; maxPdu?: number } = name === undefined ? {} : (quirkOf(name).meter ?? {});
  const world = meterWorld(
    { ...one.scenario, meters: { max_info: forced.maxInfo ?? 128, quirks: quirked, ...one.scenario?.meters } },
    { model: { ...genericModel, max_info: 128, ...one.model }, ...one.access },
  );
  let octets = '';
  const read = world.port.read.bind(world.port);
  world.port.read = async (until) => {
    const got = await read(until);
    octets += got ? toHex(got) : '|';
    return got;
  };
  await world.clock.complete(day(world, world.session, { ...genericModel, ...one.model }).catch(() => {}));
  return octets;
}

describe.each(quirkNames)('quirk %s', (name) => {
  if (!unmet.includes(name)) {
    test('its switch changes what is on the wire', async () => {
      expect(await wire(name, cases[name] ?? {})).not.toBe(await wire(undefined, cases[name] ?? {}));
    });
  }
  const { number, client } = quirks[name];
  const one = cases[name] ?? {};
  test(`${number}: ${client}`, async () => {
    const world = worldOf(name, one);
    const model = { ...genericModel, max_info: 128, ...one.model };
    const { clock } = world;
    const before = clock.now();
    if (one.fails === undefined) {
      expectTruth(world, (await clock.complete(day(world, world.session, model))).rows);
      return;
    }
    await expect(clock.complete(day(world, world.session, model))).rejects.toMatchObject({ code: one.fails });
    // Nobody waits for ever, nor for minutes.
    expect(clock.now() - before).toBeLessThan(60_000);
    await clock.run(later(clock.now(), 125_000));
    const next = clock.complete(day(world, world.again(), model));
    if (one.stays) await expect(next).rejects.toMatchObject({ code: one.fails });
    else expectTruth(world, (await next).rows);
  });
});

describe('quirks whose test needs more than a day', () => {
  test('41: the counter is behind; the public client reads it, ours is raised, the next session reads', async () => {
    const counter = { value: 500 };
    const world = worldOf('counter-behind-drops', { access: gmac(counter) });
    expectTruth(world, (await world.clock.complete(day(world, world.session, genericModel))).rows);
    counter.value = 100;
    await expect(world.clock.complete(day(world, world.again(), genericModel))).rejects.toBeInstanceOf(Failure);
    const open = world.again({ client: 16, auth: 'none', secret: undefined }, ['ciphering']);
    await world.clock.complete(open.connect());
    counter.value = 1 + (await world.clock.complete(readInvocationCounter(open, '0.0.43.1.0.255')));
    await world.clock.complete(open.close());
    expect(counter.value).toBeGreaterThan(500);
    expectTruth(world, (await world.clock.complete(day(world, world.again(), genericModel))).rows);
  });
  test('47: the session opens anew once, not for ever', async () => {
    const world = worldOf('service-not-allowed');
    const { rows } = await world.clock.complete(day(world, world.session, genericModel));
    expectTruth(world, rows);
  });
  test('48: the line is cut before RLRQ; the next association is refused, the one after it works', async () => {
    const world = worldOf('association-stays');
    await world.clock.complete(world.session.connect());
    await world.clock.run(later(world.clock.now(), 125_000));
    await expect(world.clock.complete(day(world, world.again(), genericModel))).rejects.toMatchObject({
      code: 'association-refused',
    });
    expectTruth(world, (await world.clock.complete(day(world, world.again(), genericModel))).rows);
  });
  test('53: 25 attributes in lists of 10; with a longer list the meter refuses, and says so', async () => {
    const attributes = Array.from({ length: 25 }, () => ({
      classId: 1,
      logicalName: '0.0.42.0.0.255' as const,
      attribute: 2,
    }));
    const world = worldOf('list-limit');
    await world.clock.complete(world.session.connect());
    expect(await world.clock.complete(world.session.get(attributes))).toHaveLength(25);
    const greedy = worldOf('list-limit', { model: { list_limit: 30 } });
    await greedy.clock.complete(greedy.session.connect());
    expect(await greedy.clock.complete(greedy.session.get(attributes))).toHaveLength(25);
    expect(fallbackTexts(greedy.session.fallbacks)).toEqual(['single GETs (list answered by an exception)']);
  });
  test('54: a SET in blocks stops at the first block', async () => {
    const world = worldOf('aborts-set', { scenario: { meters: { max_pdu: 128 } } });
    await world.clock.complete(world.session.connect());
    const value = { type: 'octet-string', value: new Uint8Array(500) } as const;
    const attribute = { classId: 8, logicalName: '0.0.1.0.0.255' as const, attribute: 2 };
    const set = await world.clock.complete(
      world.session.exchange({ kind: 'set', assignments: [{ attribute, value }] }, 'was-set'),
    );
    expect(set.results).toEqual([17]);
    expect(await world.clock.complete(world.session.value(attribute))).toMatchObject({ type: 'octet-string' });
  });
  test.each(['object-list-count', 'object-list-oddities'] as const)('57, 58: the object list of %s', async (name) => {
    const world = worldOf(name);
    await world.clock.complete(world.session.connect());
    const octets: Uint8Array[] = [];
    await world.clock.complete(
      world.session.stream(
        { classId: 15, logicalName: '0.0.40.0.0.255' as const, attribute: 2 },
        (part) => void octets.push(part.slice()),
      ),
    );
    const { objects, problems } = accessRightsOf(Buffer.concat(octets));
    const names = objects.map(({ logicalName }) => logicalName);
    expect(names).toContain('0.0.40.0.0.255');
    expect(names).toContain('1.0.99.1.0.255');
    expect(
      objects.find(({ logicalName }) => logicalName === '1.0.1.8.0.255')?.attributes.find(({ id }) => id === 2)?.access,
    ).toBe(1);
    expect(problems.length).toBeGreaterThan(0);
  });
  test('72: an error instead of an empty array', async () => {
    const empty = async (model: MeterModel): Promise<number> => {
      const world = worldOf('error-when-empty', { model });
      const { clock, session } = world;
      await clock.complete(session.connect());
      const layout = await clock.complete(readLayout(session, profile));
      const future = later(start, dayMs);
      try {
        return (await clock.complete(readRange({ session, layout, model }, future, later(future, dayMs)))).length;
      } finally {
        await clock.complete(session.close());
      }
    };
    expect(await empty({ ...genericModel, refusal_when_empty: 250 })).toBe(0);
    // Without the field the entries tell that there is nothing.
    expect(await empty(genericModel)).toBe(0);
  });
  test('70: a request for exactly the range loses its edges where bounds are exclusive', async () => {
    const exactly = async (...odd: QuirkName[]): Promise<number> => {
      const { clock, session } = meterWorld({ meters: { quirks: odd } });
      await clock.complete(session.connect());
      const layout = await clock.complete(readLayout(session, profile));
      let rows = 0;
      await clock.complete(
        streamRows({ session, layout, model: genericModel }, byRange(from, to), (some) => {
          rows += some.length;
        }),
      );
      return rows;
    };
    expect(await exactly()).toBe(25);
    expect(await exactly('exclusive-bounds')).toBe(23);
  });
  test('73: columns by request where they are supported, an error where not, all of them after it', async () => {
    const some = async (name: QuirkName) => {
      const world = worldOf(name);
      const { clock, session } = world;
      await clock.complete(session.connect());
      const layout = await clock.complete(readLayout(session, profile));
      const columns = [clockColumn, layout.columns[3] ?? clockColumn];
      const narrow = clock.complete(readRange({ session, layout, model: genericModel }, from, to, { columns }));
      return { world, layout, narrow };
    };
    const able = await some('two-flags');
    const rows = await able.narrow;
    expect(rows).toHaveLength(25);
    expect(rows.map(({ cells }) => cells)).toEqual(
      able.world.meter.rows(from, to).map(({ registers }) => [registers[1]]),
    );
    const unable = await some('no-column-selection');
    await expect(unable.narrow).rejects.toMatchObject({ code: 'access-refused' });
    const all = await unable.world.clock.complete(
      readRange({ session: unable.world.session, layout: unable.layout, model: genericModel }, from, to),
    );
    expectTruth(unable.world, all);
  });
  test('26: silence after any number of transmissions ends in no-answer, and the next session reads', async () => {
    for (let after = 1; after <= 16; after++) {
      let sent = 0;
      const world = worldOf('two-flags');
      const { meter, clock } = world;
      const speak = meter.pollTransmit.bind(meter);
      meter.pollTransmit = () => {
        const piece = speak();
        if (piece) sent++;
        return piece && sent > after && sent < after + 12 ? { octets: new Uint8Array(0), pauseMs: 0 } : piece;
      };
      const first = await clock.complete(day(world, world.session, genericModel)).catch((error: unknown) => error);
      // The first of all is silence; after an answer the meter is known to be there.
      if (first instanceof Error) expect(first).toMatchObject({ code: after === 0 ? 'no-answer' : 'fell-silent' });
      sent = 1000;
      await clock.run(later(clock.now(), 125_000));
      expectTruth(world, (await clock.complete(day(world, world.again(), genericModel))).rows);
    }
  });
  test('5: our own octets come back, damaged', async () => {
    const world = meterWorld({ fault: [{ kind: 'echo', rate: 0.2 }] });
    expectTruth(world, (await world.clock.complete(day(world, world.session, genericModel))).rows);
  });
  test('25: a dead meter costs one short probe where the model knows how fast it answers', async () => {
    const world = worldOf('dead', { access: { answerTimeoutMs: 400, retries: 1 } });
    const before = world.clock.now();
    await expect(world.clock.complete(world.session.connect())).rejects.toMatchObject({ code: 'no-answer' });
    expect(world.clock.now() - before).toBeLessThan(1000);
  });
});
