/** What a scan makes of lines and meters that are not as they should be: each fault has a verdict of its own. */
import { describe, expect, test } from 'vitest';
import { Failure } from '../../src/base/errors.ts';
import { ownLine } from '../../src/commission/use-line.ts';
import type { Port } from '../../src/line/port.ts';
import { openDoors } from '../../src/commission/converter-ports.ts';
import { budgetOf } from '../../src/commission/scan-plan.ts';
import { damageWords } from '../../src/commission/line-damage.ts';
import type { ScanEvent } from '../../src/commission/scan.ts';
import { listOf, ofKind, scanWorld } from '../support/scan-world.ts';
import { virtualPort } from '../support/virtual-port.ts';

const three = listOf(60120001, 60120002, 60120003);
const named = '{serial}';
/** Of a kind that a model knows. */
const known = { device_name: `SIM100${named}` };
const verdicts = (events: readonly ScanEvent[]) =>
  ofKind(events, 'finding').map(({ entry, serial, address, verdict }) =>
    [entry?.serial ?? serial ?? '', address ?? 'line', verdict].join(' ').trim(),
  );
const found = ['60120001 1/1001 found', '60120002 1/1002 found', '60120003 1/1003 found'];
const asked = (events: readonly ScanEvent[]) => ofKind(events, 'probe').map(({ id }) => id);

describe('the line', () => {
  test('as it should be', async () => {
    const { planOf, run } = scanWorld({ meters: { count: 3, ...known } });
    const events = await run(planOf({ entries: three }));
    expect(verdicts(events)).toEqual(found);
    expect(ofKind(events, 'end')).toMatchObject([{ probes: 3, exit: 0 }]);
  });
  test('silent: asked at each speed, and the first suspects are named', async () => {
    const { planOf, run } = scanWorld({ meters: { count: 3 }, fault: [{ kind: 'silence' }] });
    const events = await run(planOf({ entries: three }));
    expect(verdicts(events)).toEqual([
      'line line-silent',
      ...three.map(({ serial }, i) => `${serial} 1/${1001 + i} no-answer`),
    ]);
    expect(ofKind(events, 'finding')[0]).toMatchObject({
      code: 'bus-silent',
      evidence: expect.stringMatching(/115200, 1200, 600, 300 Bd/) as string,
    });
    expect(ofKind(events, 'finding')[0]?.next).toContain('A/B polarity');
    expect(ofKind(events, 'end')[0]?.seconds).toBeLessThanOrEqual(60);
  });
  test('only an echo comes back', async () => {
    const { planOf, run } = scanWorld({ meters: { count: 3 }, fault: [{ kind: 'silence' }, { kind: 'echo' }] });
    const events = await run(planOf({ entries: three }));
    expect(verdicts(events).map((one) => one.split(' ').at(-1))).toEqual(Array(4).fill('echo-only'));
  });
  test('an echo beside the answers is no damage', async () => {
    const { planOf, run } = scanWorld({ meters: { count: 3, ...known }, fault: [{ kind: 'echo' }] });
    expect(verdicts(await run(planOf({ entries: three })))).toEqual(found);
  });
  test('another speed: found out, and said', async () => {
    const { house, planOf, run } = scanWorld({ bus: { baud: 2400 }, meters: { count: 3, ...known } });
    house.bus.lineBaud = 9600;
    const events = await run(planOf({ entries: three, baud: 9600 }));
    expect(verdicts(events)).toEqual(['line other-speed', ...found]);
    expect(ofKind(events, 'finding')[0]?.next).toBe('Write baud = 2400 for this port.');
  });
  test('everything comes damaged', async () => {
    const { planOf, run } = scanWorld({
      meters: { count: 3 },
      fault: [
        { kind: 'flip', rate: 0.15, meter: 0 },
        { kind: 'flip', rate: 0.15, meter: 1 },
        { kind: 'flip', rate: 0.15, meter: 2 },
      ],
    });
    const events = await run(planOf({ entries: three }));
    expect(verdicts(events)).toEqual([
      'line line-damaged',
      ...three.map(({ serial }, i) => `${serial} 1/${1001 + i} damaged`),
    ]);
    expect(ofKind(events, 'finding')[0]?.next).toContain('120 ohm');
  });
  test.each([
    [['ff00ff00ffff', '00'], 'almost only 00 and FF: the line rests on the wrong level'],
    [['3c91a2b77d', '991034'], 'no flag of HDLC among the octets: another speed, or another protocol on this line'],
    [['7ea01e2103730f', '7e'], 'frames are there, and single octets in them are wrong'],
  ])('what damaged octets say: %s', (samples, words) => {
    expect(damageWords(samples).seen).toBe(words);
  });
});

describe('meters', () => {
  test('exchanged: both are found, each at the place of the other', async () => {
    const { planOf, run } = scanWorld({
      meters: { count: 3, ...known },
      meter: [
        { index: 0, physical: 1002 },
        { index: 1, physical: 1001 },
      ],
    });
    const events = await run(planOf({ entries: three }));
    expect(verdicts(events)).toEqual(['60120001 1/1002 moved', '60120002 1/1001 moved', '60120003 1/1003 found']);
    expect(ofKind(events, 'finding')[0]?.next).toContain('Read the labels at box 1 and at box 2');
  });
  test('at the address of another formula, and at one that the list names', async () => {
    const { planOf, run } = scanWorld({
      meters: { count: 3, ...known },
      meter: [
        { index: 0, physical: 1 },
        { index: 1, physical: 77 },
      ],
    });
    const entries = three.map((entry, i) => (i === 1 ? { ...entry, physical: 77 } : entry));
    const events = await run(planOf({ entries }));
    expect(verdicts(events)).toEqual(['60120001 1/1 found', '60120002 1/77 found', '60120003 1/1003 found']);
    expect(ofKind(events, 'finding')[0]?.next).toBe('Write physical = 1 for this meter.');
  });
  test('two of the list have one address, and one of them is dead: the other is no stranger', async () => {
    const { planOf, run } = scanWorld({
      meters: { count: 2, ...known },
      meter: [{ index: 1, serial: 60130001, physical: 1001 }],
      fault: [{ kind: 'silence', meter: 1 }],
    });
    const events = await run(planOf({ entries: listOf(60120001, 60130001) }));
    expect(verdicts(events)).toEqual(['60120001 1/1001 found', '60130001 1/1001 no-answer']);
    expect(ofKind(events, 'finding')[1]?.evidence).toBe('60120001 at box 1 has this address too, and answers alone');
  });
  test('SNRM is answered only where it carries its parameters (meter-quirks 19)', async () => {
    const { planOf, run, bare } = scanWorld({ meters: { count: 2, ...known } });
    const [, second] = three;
    const snrm = Buffer.from([0x00, 0x02, 0x0e, 0xd5, 0x21, 0x93]);
    const deaf = (octets: Uint8Array) => octets.length < 16 && Buffer.from(octets).includes(snrm);
    const port = { ...bare, write: (octets: Uint8Array) => (deaf(octets) ? Promise.resolve() : bare.write(octets)) };
    const events = await run(planOf({ entries: three.slice(0, 2) }), { use: (work) => work(port) });
    const finding = ofKind(events, 'finding').find(({ entry }) => entry?.serial === second?.serial);
    expect(finding).toMatchObject({ verdict: 'found', evidence: 'it answers only where SNRM carries its parameters' });
  });
  test('late: who answers while the next one is asked is known by the address of the answer', async () => {
    const { planOf, run } = scanWorld({
      meters: { count: 4, ...known },
      meter: [{ index: 2, turnaround_ms: 450 }],
    });
    const events = await run(planOf({ blind: true }));
    expect(verdicts(events)).toContain('60120003 1/1003 found');
    expect(verdicts(events).filter((one) => one.endsWith('found'))).toHaveLength(4);
  });
  test('the association is refused', async () => {
    const { planOf, run } = scanWorld({ meters: { count: 1, referencing: 'short-name', ...known } });
    const events = await run(planOf({ entries: listOf(60120001) }));
    expect(ofKind(events, 'finding')).toMatchObject([
      { verdict: 'refused', address: '1/1001', code: 'association-refused' },
    ]);
    expect(ofKind(events, 'end')[0]?.exit).toBe(5);
  });
  test("alone on its line, and called by everybody's address", async () => {
    const { planOf, run } = scanWorld({ meters: { count: 1, ...known }, meter: [{ index: 0, physical: 5123 }] });
    const events = await run(planOf({ blind: true }));
    expect(verdicts(events)).toEqual(['60120001 1/5123 found']);
  });
  test('two with one address, and no list that says so', async () => {
    const { planOf, run } = scanWorld({
      meters: { count: 3, ...known },
      meter: [{ index: 1, serial: 60130001, physical: 1001 }],
    });
    const events = await run(planOf({ blind: true }));
    const rough = ofKind(events, 'finding').find(({ address }) => address === '1/1001');
    expect(rough).toMatchObject({ verdict: 'damaged' });
    expect(rough?.next).toContain('two meters may have this one: take the wires off one of them');
  });
});

describe('other ways in', () => {
  test('an optical head: by sign-on, without an address', async () => {
    const { planOf, run } = scanWorld({ meters: { count: 1, mode_e: true, ...known } });
    const configured = await run(planOf({ link: 'mode-e', entries: listOf(60120001) }));
    expect(verdicts(configured)).toEqual(['60120001 /?! found']);
    const again = scanWorld({ meters: { count: 1, mode_e: true, ...known } });
    const events = await again.run(again.planOf({ blind: true }));
    expect(verdicts(events)).toEqual(['60120001 /?! found']);
  });
  test('behind a wrapper, although HDLC was configured; and several behind one connection', async () => {
    const { planOf, run } = scanWorld({ bus: { kind: 'tcp', link: 'wrapper' }, meters: { count: 3, ...known } });
    const events = await run(planOf({ entries: three }));
    expect(verdicts(events)).toEqual(['60120001 1 found', '60120002 2 found', '60120003 3 found']);
    const direct = await run(planOf({ entries: three, link: 'wrapper' }));
    expect(verdicts(direct)).toEqual(['60120001 1 found', '60120002 2 found', '60120003 3 found']);
    const blind = await run(planOf({ blind: true }));
    expect(verdicts(blind)).toEqual(['60120001 1 found', '60120002 2 found', '60120003 3 found']);
    expect(budgetOf(planOf({ blind: true }), new Map(), 'silent').seconds).toBeLessThanOrEqual(180);
  });
});

describe('a line that goes away', () => {
  test('at each frame of each probe: it is tried again, and everything is found', async () => {
    for (let after = 0; after < 12; after++) {
      const { planOf, run, bare } = scanWorld({ meters: { count: 3, ...known } });
      let writes = 0;
      const write = (octets: Uint8Array) =>
        writes++ === after ? Promise.reject(new Failure('port-lost', 'the adapter is gone')) : bare.write(octets);
      const events = await run(planOf({ entries: three }), { use: (work) => work({ ...bare, write }) });
      // Where only the end of a session is lost, nothing is to be asked again.
      const lost = after % 4 === 3 ? [] : ['port-lost'];
      expect(ofKind(events, 'line').map(({ code }) => code)).toEqual(lost);
      expect(verdicts(events)).toEqual(found);
    }
  });
  test('for good: it says so, with what to do, and the same command goes on', async () => {
    const { planOf, run, clock, bare } = scanWorld({ meters: { count: 3 } });
    const begun = clock.now();
    let uses = 0;
    const gone = <T>(work: (port: Port) => Promise<T>): Promise<T> =>
      uses++ === 0
        ? // The first probe is answered, the second finds no adapter.
          work({ ...bare, write: (octets) => (clock.now() - begun < 500 ? bare.write(octets) : lost()) })
        : lost();
    const lost = () => Promise.reject(new Failure('port-missing', '/dev/x is not there'));
    const failure = await run(planOf({ entries: three }), { use: gone }).catch((error: unknown) => error as Failure);
    expect(failure).toMatchObject({ code: 'port-missing' });
    expect((failure as Failure).nextStep).toMatch(/same command then goes on where it stopped/);
    expect(clock.now() - begun).toBeGreaterThan(60_000);
    expect(clock.now() - begun).toBeLessThan(120_000);
  });
  test('that never opens is not waited for', async () => {
    const { planOf, run, clock } = scanWorld({ meters: { count: 3 } });
    const begun = clock.now();
    const missing = () => Promise.reject(new Failure('port-missing', '/dev/x is not there'));
    const failure = await run(planOf({ entries: three }), { use: missing }).catch((error: unknown) => error as Failure);
    expect(failure).toMatchObject({ code: 'port-missing' });
    expect(clock.now()).toBe(begun);
  });
  test('a device that is not there is a failure of its own line', async () => {
    const { clock } = scanWorld({ meters: { count: 1 } });
    const line = ownLine('/dev/nosuch-adapter', 9600, clock, 'auto');
    await expect(line.use(() => Promise.resolve(1))).rejects.toMatchObject({ code: 'port-missing' });
    await line.close();
  });
});

test('the other TCP ports of a converter: who listens, and who answers by which way', async () => {
  const hdlc = scanWorld({ bus: { kind: 'tcp' }, meters: { count: 1, ...known } });
  const wrapper = scanWorld({ bus: { kind: 'tcp', link: 'wrapper' }, meters: { count: 1, ...known } });
  const { clock, planOf } = hdlc;
  const closed: string[] = [];
  const open = (device: string): Promise<Port> => {
    const port = Number(device.split(':').at(-1));
    const close = () => Promise.resolve(void closed.push(device));
    if (port === 4001) return Promise.resolve({ ...virtualPort(hdlc.house.bus, clock), close });
    if (port === 4003) return Promise.resolve({ ...virtualPort(wrapper.house.bus, clock), close });
    if (port === 23) return Promise.resolve({ ...hdlc.bare, write: () => Promise.resolve(), close });
    // Filtered, or refused at once.
    return port === 950 ? new Promise(() => {}) : Promise.reject(new Failure('host-missing', 'ECONNREFUSED'));
  };
  const signal = new AbortController().signal;
  const doors: string[] = [];
  const walk = async () => {
    for await (const { port, answer } of openDoors('10.0.0.7', planOf({ blind: true }), {
      clock,
      open,
      signal,
      except: 4059,
    }))
      doors.push(`${port} ${answer?.probe.link ?? 'nobody'}`);
  };
  await clock.complete(walk());
  expect(doors).toEqual(['4001 hdlc', '4003 wrapper', '23 nobody']);
  expect(new Set(closed)).toEqual(new Set(['tcp://10.0.0.7:4001', 'tcp://10.0.0.7:4003', 'tcp://10.0.0.7:23']));
});

test('nothing is asked twice, whatever comes', async () => {
  const { planOf, run } = scanWorld({ meters: { count: 5 }, fault: [{ kind: 'flip', rate: 0.01 }] });
  const ids = asked(await run(planOf({ entries: three, blind: true })));
  expect(new Set(ids).size).toBe(ids.length);
});
