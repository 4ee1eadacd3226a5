/** What the simulator says in sessions of every kind, before a client that tolerates nothing. */
import { describe, expect, test } from 'vitest';
import { later, millis } from '../../src/base/time.ts';
import { type AssociationSettings, proposedByDefault } from '../../src/dlms/association/client-entry.ts';
import type { Data } from '../../src/dlms/axdr/data.ts';
import { byRange } from '../../src/dlms/cosem/profile-generic.ts';
import { conformance, type ConformanceName } from '../../src/dlms/xdlms/conformance.ts';
import { switchSupply } from '../../src/meter/act.ts';
import { transferImage } from '../../src/meter/image-transfer.ts';
import { readObject, readObjectList } from '../../src/meter/browse.ts';
import { identify } from '../../src/meter/identity-reading.ts';
import { readLayout } from '../../src/meter/profile-layout.ts';
import { readRange } from '../../src/meter/profile-range.ts';
import { readEntries } from '../../src/meter/profile-rows.ts';
import { genericModel, type MeterModel } from '../../src/meter/model.ts';
import type { MeterAccess } from '../../src/meter/access.ts';
import type { Session } from '../../src/meter/session.ts';
import type { QuirkName } from '../../src/simulator/quirks.ts';
import { buildBus } from '../../src/simulator/build-bus.ts';
import { parseScenario, type ScenarioInput } from '../../src/simulator/scenario.ts';
import { type meterWorld, profile } from '../support/meter-world.ts';
import { ciphered, meterKeys, spoken } from '../support/spoken.ts';
import { judge, type Judged } from '../support/strict-client.ts';
import type { Spoken } from '../support/strict-link.ts';

type Work = (session: Session, it: ReturnType<typeof meterWorld>) => Promise<void>;
const from = millis(Date.UTC(2026, 10, 23));
const to = millis(Date.UTC(2026, 10, 24));
const modelOf = (more: Partial<MeterModel> = {}): MeterModel => ({ ...genericModel, ...more });

/** What the daemon asks of a meter in a day. */
const day =
  (model: MeterModel): Work =>
  async (session, { clock }) => {
    await identify(session, clock, model);
    const layout = await readLayout(session, profile, model);
    expect(await readRange({ session, layout, model }, from, to)).toHaveLength(25);
    if (model.referencing === 'short-name') return;
    expect(await readEntries({ session, layout, model }, 1, 5)).toHaveLength(5);
    await session.value({ classId: 7, logicalName: '0.0.99.98.0.255', attribute: 2, selection: byRange(from, to) });
  };
/** What `browse` asks. */
const everything: Work = async (session) => {
  const { objects, problems } = await readObjectList(session);
  expect(problems).toEqual([]);
  for (const object of objects) await readObject(session, object, 3);
};
const long: Data = { type: 'octet-string', value: new Uint8Array(900) };
const clock = { classId: 8, logicalName: '0.0.1.0.0.255', attribute: 2 } as const;
const unknown = { classId: 1, logicalName: '0.0.99.99.99.255', attribute: 2 } as const;
const disconnector = { classId: 70, logicalName: '0.0.96.3.10.255' } as const;
/** SET, ACTION, each alone, in a list and in blocks, done and refused. */
const acts: Work = async (session, it) => {
  const time = await session.value(clock);
  const set = (...assignments: { attribute: typeof clock | typeof unknown; value: Data }[]) =>
    session.exchange({ kind: 'set', assignments }, 'was-set');
  await set({ attribute: clock, value: time });
  await set({ attribute: clock, value: time }, { attribute: unknown, value: time });
  await set({ attribute: clock, value: long });
  await session.exchange(
    {
      kind: 'action',
      invocations: [
        { ...disconnector, method: 9 },
        { ...disconnector, method: 2 },
      ],
    },
    'acted',
  );
  await switchSupply(session, 'disconnect');
  const image = new Uint8Array(1000);
  image[0] = 0;
  await transferImage(session, it.clock, image, Buffer.from('FW-1'));
  await session.get([unknown, clock, { ...clock, classId: 3 }]);
};
const access: Work = async (session) => {
  const items = [
    { kind: 'get', attribute: clock },
    { kind: 'set', attribute: clock, value: { type: 'null-data' } },
    { kind: 'action', method: { ...disconnector, method: 2 } },
    { kind: 'get', attribute: unknown },
    { kind: 'get', attribute: { classId: 7, logicalName: profile, attribute: 2, selection: byRange(from, to) } },
  ] as const;
  await session.exchange({ kind: 'access', items }, 'accessed');
};
const all: Work = async (session, it) => {
  await day(modelOf())(session, it);
  await everything(session, it);
  await acts(session, it);
};

interface Kind {
  readonly scenario?: ScenarioInput;
  readonly access?: Partial<MeterAccess>;
  readonly model?: Partial<MeterModel>;
  readonly work?: Work;
  readonly judged?: Partial<Judged>;
  readonly association?: Partial<AssociationSettings>;
  /** What must have been among the answers. */
  readonly sees?: readonly string[];
}
const wrapper: Pick<Kind, 'scenario' | 'access'> = {
  scenario: { bus: { link: 'wrapper' } },
  access: { link: 'wrapper', timed: false },
};
const secured = (control: number, more: Kind): Kind => ({ judged: { keys: meterKeys, control }, ...more });
const gbt = (names: ConformanceName[] = []) => ({
  proposed: proposedByDefault | conformance('general-block-transfer', ...names),
});
const blocks = [
  'get-response 1',
  'get-response 2',
  'get-response 3',
  'block',
  'set-response 2',
  'set-response 5',
  'action-response 1',
  'rlre',
];
const kinds: Record<string, Kind> = {
  'HDLC, LLS': { sees: ['get-response 3', 'set-response 5', 'action-response 3', 'rlre'] },
  'HDLC, called by two octets': { scenario: { meters: { physical: 5 } }, access: { physical: 5 } },
  'HDLC, called by four octets': { access: { physical: 1001 }, scenario: { meters: { count: 3 } } },
  'HDLC, none': { access: { client: 16, auth: 'none', secret: undefined } },
  'HDLC, frames of 128': { scenario: { meters: { max_info: 128 } } },
  'HDLC, frames of 200, the client takes 100': { scenario: { meters: { max_info: 200 } }, model: { max_info: 100 } },
  'HDLC, window 7': { scenario: { meters: { window: 7, max_info: 128 } }, model: { window: 7, max_info: 128 } },
  'HDLC, window 3 of 7': { scenario: { meters: { window: 7, max_info: 128 } }, model: { window: 3, max_info: 128 } },
  'HDLC, no parameters in SNRM': { model: { max_info: 128, window: 1 } },
  'HDLC, blocks': { scenario: { meters: { max_pdu: 200 } }, model: { max_pdu: 200 }, sees: blocks },
  'HDLC, the shortest APDUs': { scenario: { meters: { max_pdu: 128 } }, model: { max_pdu: 64 } },
  'HDLC, no lists': { model: { multiple_references: false } },
  'HDLC, MD5': { access: { client: 3, auth: 'hls-md5', challenge: () => Buffer.from('0123456789abcdef') } },
  'HDLC, SHA-1': { access: { client: 4, auth: 'hls-sha1', challenge: () => Buffer.from('0123456789abcdef') } },
  'HDLC, SHA-256': {
    access: {
      client: 6,
      auth: 'hls-sha256',
      challenge: () => Buffer.from('0123456789abcdef'),
      systemTitle: Buffer.from('MGW00001'),
    },
  },
  'HDLC, without release': { model: { release: false } },
  wrapper: { ...wrapper, sees: ['get-response 3', 'rlre'] },
  'wrapper, blocks': {
    ...wrapper,
    scenario: { bus: { link: 'wrapper' }, meters: { max_pdu: 200 } },
    model: { max_pdu: 200 },
    sees: blocks,
  },
  'wrapper, GMAC': secured(0x30, { ...wrapper, access: { ...wrapper.access, ...ciphered('authenticated-encrypted') } }),
  'mode E': { scenario: { meters: { mode_e: true, max_info: 128 } }, access: { modeE: true } },
  'mode E over TCP': {
    scenario: { bus: { kind: 'tcp' }, meters: { mode_e: true } },
    access: { modeE: true, timed: false },
  },
  'GMAC, authenticated and encrypted': secured(0x30, { access: ciphered('authenticated-encrypted') }),
  'GMAC, encrypted': secured(0x20, {
    scenario: { meters: { security_policy: 'encrypted' } },
    access: ciphered('encrypted'),
  }),
  'GMAC, authenticated': secured(0x10, {
    scenario: { meters: { security_policy: 'authenticated' } },
    access: ciphered('authenticated'),
  }),
  'LLS, encrypted': secured(0x20, {
    scenario: { meters: { security_policy: 'encrypted' } },
    access: ciphered('encrypted', 8),
  }),
  'LLS, authenticated': secured(0x10, {
    scenario: { meters: { security_policy: 'authenticated' } },
    access: ciphered('authenticated', 8),
  }),
  'GMAC, general-glo': secured(0x30, {
    access: ciphered('authenticated-encrypted', 5, { wrapping: 'general' }),
    association: { proposed: proposedByDefault | conformance('general-protection') },
  }),
  'GMAC, blocks': secured(0x30, {
    scenario: { meters: { max_pdu: 200 } },
    access: ciphered('authenticated-encrypted'),
    model: { max_pdu: 200 },
    sees: blocks,
  }),
  'general blocks, window 1': {
    scenario: { meters: { max_pdu: 200 } },
    model: { max_pdu: 200, transfer_window: 1 },
    sees: ['general-block'],
  },
  'general blocks, window 6': {
    ...wrapper,
    scenario: { bus: { link: 'wrapper' }, meters: { max_pdu: 200 } },
    model: { max_pdu: 200, transfer_window: 6 },
    sees: ['general-block'],
  },
  'general blocks, GMAC': secured(0x30, {
    scenario: { meters: { max_pdu: 200 } },
    access: ciphered('authenticated-encrypted'),
    model: { max_pdu: 200, transfer_window: 3 },
    sees: ['general-block'],
  }),
  ACCESS: {
    work: access,
    association: { proposed: proposedByDefault | conformance('access') },
    sees: ['access-response'],
  },
  'ACCESS in general blocks': {
    work: access,
    scenario: { meters: { max_pdu: 200 } },
    model: { max_pdu: 200 },
    association: { ...gbt(['access']), transferWindow: 4 },
    sees: ['access-response', 'general-block'],
  },
  'ACCESS, GMAC': secured(0x30, {
    work: access,
    access: ciphered('authenticated-encrypted'),
    association: { proposed: proposedByDefault | conformance('access') },
    sees: ['access-response'],
  }),
  'short names': {
    scenario: { meters: { referencing: 'short-name' } },
    model: { referencing: 'short-name' },
    work: day(modelOf({ referencing: 'short-name' })),
    sees: ['read-response'],
  },
  'short names, blocks': {
    scenario: { meters: { referencing: 'short-name', max_pdu: 200 } },
    model: { referencing: 'short-name', max_pdu: 200 },
    work: day(modelOf({ referencing: 'short-name' })),
    sees: ['block'],
  },
  'short names, wrapper, ciphered': secured(0x30, {
    ...wrapper,
    scenario: { bus: { link: 'wrapper' }, meters: { referencing: 'short-name' } },
    access: { ...wrapper.access, ...ciphered('authenticated-encrypted', 8) },
    model: { referencing: 'short-name' },
    work: day(modelOf({ referencing: 'short-name' })),
  }),
  'summer time, quarter-hourly, energies': {
    scenario: { meters: { dst: true, period_s: 3600, captures_energies: true } },
  },
};

/** The sign-on is a line of text each way; what follows is HDLC. */
function withoutSignOn(lines: readonly Spoken[]): Spoken[] {
  const plain = (octets: Uint8Array): string => Buffer.from(octets.map((octet) => octet & 0x7f)).toString('latin1');
  const at = lines.findIndex(({ octets }) => octets[0] === 0x7e);
  const text = (who: Spoken['from']) =>
    lines
      .slice(0, at)
      .filter((one) => one.from === who)
      .map(({ octets }) => plain(octets))
      .join('');
  if (at > 0) {
    expect(text('client')).toMatch(/^\/\?!\r\n\x062[0-6]2\r\n$/);
    // IEC 62056-21 6.3.2: maker, speed, \2 for mode E, at most 16 characters.
    expect(text('meter')).toMatch(/^\/[A-Z]{3}[0-6]\\2[^\r\n/!]{1,16}\r\n$/);
    for (const { octets, from: who } of lines.slice(0, at))
      if (who === 'meter') for (const octet of octets) expect(octet.toString(2).replaceAll('0', '').length % 2).toBe(0);
  }
  return lines.slice(at);
}

async function verdictOf({
  scenario = {},
  access: more = {},
  model = {},
  work = all,
  judged = {},
  association = {},
}: Kind) {
  const { lines, failure } = await spoken(scenario, { ...more, model: modelOf(model) }, work, association);
  const link = more.link ?? 'hdlc';
  return { failure, ...judge(link === 'hdlc' ? withoutSignOn(lines) : lines, { link, ...judged }) };
}

describe.each(Object.entries(kinds))('%s', (_, kind) => {
  test('nothing that a strict client would not take', async () => {
    const { fault, failure, seen } = await verdictOf(kind);
    expect(fault).toBeUndefined();
    expect(failure).toBeUndefined();
    expect(seen.get('aare')).toBe(1);
    for (const one of kind.sees ?? []) expect([...seen.keys()]).toContain(one);
  });
});

describe.each([
  ['HDLC', 'hdlc', {}, undefined],
  ['HDLC, ciphered', 'hdlc', { push_ciphered: true }, 0x30],
  ['HDLC, encrypted only', 'hdlc', { push_ciphered: true, security_policy: 'encrypted' }, 0x20],
  ['HDLC, authenticated only', 'hdlc', { push_ciphered: true, security_policy: 'authenticated' }, 0x10],
  ['wrapper', 'wrapper', {}, undefined],
  ['wrapper, ciphered', 'wrapper', { push_ciphered: true }, 0x30],
] as const)('pushes: %s', (_, link, meters, control) => {
  const pushes = (quirks: QuirkName[] = []): Spoken[] => {
    const { bus } = buildBus(parseScenario({ bus: { link }, meters: { ...meters, push_s: 60, quirks } }), from);
    const lines: Spoken[] = [];
    const end = later(from, 200_000);
    for (let now = from; now < end; now = bus.deadline() ?? end) {
      bus.wake(now);
      for (let octets = bus.pollTransmit(); octets; octets = bus.pollTransmit())
        lines.push({ from: 'meter', octets: octets.slice() });
    }
    return lines;
  };
  const judged: Judged = { link, keys: meterKeys, ...(control !== undefined && { control }) };
  test('each is what the standard says', () => {
    const { fault, seen } = judge(pushes(), judged);
    expect(fault).toBeUndefined();
    expect(seen.get('data-notification')).toBe(3);
  });
  test('the judge bites', () => {
    expect(judge(pushes(['tagged-push-time']), judged).fault).toMatch(
      /date-time of 9 octets|octets after|no type of Data/,
    );
  });
});

/** What the judge says of meters that break the rules, most of which our own client reads all the same. */
const broken: Partial<Record<QuirkName, readonly [fault: RegExp, kind?: Kind]>> = {
  'garbage-between-frames': [/octets between frames/],
  'text-inside': [/octets between frames/],
  'foreign-frames': [/answered from|answered to/],
  'other-address-size': [
    /called 020b, answered from 0002000b/,
    { scenario: { meters: { physical: 5 } }, access: { physical: 5 } },
  ],
  'mixed-parameters': [/parameter/],
  'pinned-sequence': [/N\(S\) 0 where 1/],
  'disc-ua-parameters': [/DISC answered with information/],
  'long-lengths': [/length \d+ on 3 octets/],
  'trailing-user-information': [/length of the AARE/],
  'release-length': [/length of the RLRE/],
  'service-not-allowed': [/exception-response d80101/],
  'priority-bit': [/invoke-id and priority/],
  'blocks-from-zero': [/block 0 where 1 comes next/, { model: { max_pdu: 200 } }],
  'blocks-go-on': [/block \d+ where 1 comes next/, { model: { max_pdu: 200 } }],
  'empty-block': [/a block without content/, { model: { max_pdu: 200 } }],
  'empty-last-block': [/a block without content/, { model: { max_pdu: 200 } }],
  'junk-after-value': [/18 octets after/],
  'object-list-count': [/announced|octets after|\d there|tag/],
  'list-malformed': [/results for|choice/],
  'list-answered-as-one': [/get-response 1 to get-request-with-list/],
  'list-without-choice': [/choice 9/],
  'list-exception': [/exception-response d80202/],
  'numbers-jump': [/N\(S\)/, { scenario: { meters: { max_info: 128 } }, model: { max_info: 128 } }],
};
test.each(Object.entries(broken))('the judge bites: %s', async (name, [fault, kind = {}]) => {
  const meters = { ...kind.scenario?.meters, quirks: [name as QuirkName] };
  const verdict = await verdictOf({ ...kind, scenario: { ...kind.scenario, meters } });
  expect(verdict.fault).toMatch(fault);
});
