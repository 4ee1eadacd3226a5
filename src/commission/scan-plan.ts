/**
 * What a scan asks, in which order, and how long it takes: a function of the work list and of what was answered so far.
 * Nothing is sent here. A scan that was cut goes on where it stopped, because the same answers lead to the same next question.
 */
import type { ErrorCode } from '../base/errors.ts';
import { sameSerial } from '../meter/identity.ts';
import { genericModel, type MeterModel, physicalAddressOf } from '../meter/model.ts';
import type { WorkListEntry } from './work-list.ts';

export interface ScanPlan {
  readonly entries: readonly WorkListEntry[];
  /** Also addresses, speeds and ways in that no list names. */
  readonly blind: boolean;
  /** A connection has no speed of ours. */
  readonly line: 'serial' | 'tcp';
  /** The speed that is tried first. */
  readonly baud: number;
  /** What the line is configured for; where nobody answers by it, the others are tried. */
  readonly link: 'hdlc' | 'wrapper' | 'mode-e';
  readonly models: ReadonlyMap<string, MeterModel>;
}

export type Stage = 'list' | 'line' | 'reversed' | 'other-address' | 'again' | 'sweep' | 'mode-e' | 'wrapper';
export interface Probe {
  /** Where and how is asked, in words; the key of its answer. */
  readonly id: string;
  readonly stage: Stage;
  readonly link: ScanPlan['link'];
  readonly baud: number;
  readonly logical: number;
  readonly physical?: number | undefined;
  readonly size?: 1 | 2 | 4 | undefined;
  /** SNRM carries its parameters although they are the defaults: some meters do not answer it else (meter-quirks 19). */
  readonly explicit?: true;
  /** Mode E: between `/?` and `!`. */
  readonly signOn?: string | undefined;
  readonly tries: number;
  readonly patienceMs: number;
}
export interface ProbeAnswer {
  readonly probe: Probe;
  /**
   * `silent`: nothing came. `echo`: only our own octets. `damaged`: octets that make no frame. `refused`: the link or the association
   * was refused. `mute`: it answered, and not to the end. `unnamed`: it let us in and does not say who it is.
   */
  readonly answer: 'silent' | 'echo' | 'damaged' | 'refused' | 'mute' | 'unnamed' | 'identified';
  readonly serial?: string | undefined;
  readonly deviceName?: string | undefined;
  /** A name of hardware/meters, by the logical device name. */
  readonly model?: string | undefined;
  readonly code?: ErrorCode | undefined;
  readonly why?: string | undefined;
  /** A frame of the link set-up arrived whole: so there is one meter at this address, and no two. */
  readonly linked: boolean;
  /** Octets that came, without our own. */
  readonly octets: number;
  /** Frames that came damaged. */
  readonly damaged: number;
  /** Addresses that answered although another one was asked: late, or called by the address of all. */
  readonly others: readonly { readonly logical: number; readonly physical: number | undefined }[];
  /** The longest time from the end of our frame to the first octet of an answer. */
  readonly delayMs?: number | undefined;
  readonly tookMs: number;
  /** The beginning of what came damaged, in hex; of a silent one, of what came of the line at rest. */
  readonly sample?: string | undefined;
}
export type Answers = Map<string, ProbeAnswer>;

/** The address of all physical devices of a line, and of all stations (Green Book 8.4.2.3). */
const everyPhysical = { 2: 0x7f, 4: 0x3fff } as const;
export const callsEveryone = ({ physical, size, logical }: Probe): boolean =>
  (size === 4 && physical === everyPhysical[4]) ||
  (size === 2 && physical === everyPhysical[2]) ||
  (size === 1 && logical === everyPhysical[2]);

/** By how many lines have them. */
const speeds = [9600, 2400, 19_200, 4800, 38_400, 57_600, 115_200, 1200, 600, 300];
/** Meters answer within 169 to 986 ms, half of them within 257. */
const firstPatienceMs = 800;
/** Who is slower answers while the next one is asked, and is known by the address of the answer. */
const sweepPatienceMs = 300;
const speedPatienceMs = 400;
const againPatienceMs = 2000;
/** So many silent ones in a row are no coincidence: then the line is looked at. */
const silentBeforeLine = 5;
export const sweepLimit = 400;
/** So far around a meter that was found the sweep looks first: meters are delivered, and numbered, in batches. */
const neighbourhood = 8;

type Address = Pick<Probe, 'logical' | 'physical' | 'size'>;
export const addressWords = ({ logical, physical, size }: Address): string =>
  `${logical}${physical === undefined ? '' : `/${physical}`}${size === 4 && logical < 128 && (physical ?? 0) < 128 ? ' in 4 octets' : ''}`;
const idOf = (link: Probe['link'], baud: number, address: Address): string =>
  `${link} ${baud === 0 ? '' : `${baud} Bd `}${addressWords(address)}`;
const probe = (
  stage: Stage,
  address: Address,
  more: Pick<Probe, 'link' | 'baud' | 'tries' | 'patienceMs'>,
  mark = '',
): Probe => ({ ...address, ...more, stage, id: idOf(more.link, more.baud, address) + mark });

export const wasHeard = ({ answer, others }: ProbeAnswer): boolean =>
  (answer !== 'silent' && answer !== 'echo') || others.length > 0;
/** The answer in which this meter named itself. */
export const answerOf = (answers: Answers, serial: string): ProbeAnswer | undefined =>
  [...answers.values()].find((one) => one.serial !== undefined && sameSerial(one.serial, serial));

/** How long the meters of this line need, once three of them were heard. */
function learnedMs(answers: Answers): number | undefined {
  const delays = [...answers.values()].flatMap(({ delayMs, linked }) =>
    linked && delayMs !== undefined ? delayMs : [],
  );
  return delays.length < 3 ? undefined : Math.max(...delays) * 2 + 100;
}
const within = (low: number, value: number, high: number): number => Math.min(high, Math.max(low, value));

const modelOf = (plan: ScanPlan, entry: WorkListEntry): MeterModel =>
  (entry.model === undefined ? undefined : plan.models.get(entry.model)) ?? genericModel;
/** Where the meter of an entry should answer. */
export function addressOf(plan: ScanPlan, entry: WorkListEntry): Address {
  const model = modelOf(plan, entry);
  const physical = entry.physical ?? (/\d/.test(entry.serial) ? physicalAddressOf(model, entry.serial) : undefined);
  return {
    logical: 1,
    ...(physical !== undefined && { physical }),
    ...(model.address_size && { size: model.address_size }),
  };
}
const formulas = ['mod-10000-plus-1000', 'last-4-digits', 'last-3-digits', 'last-2-digits'] as const;
/** Where it may answer as well: by the other formulas, and the small addresses in four octets. */
function otherAddressesOf(entry: WorkListEntry): Address[] {
  if (!/\d/.test(entry.serial)) return [];
  const numbers = formulas.map((address_formula) =>
    physicalAddressOf({ ...genericModel, address_formula }, entry.serial),
  );
  const known = [...new Set(numbers)].flatMap((physical) => (physical === undefined ? [] : { logical: 1, physical }));
  return [...known, ...known.filter(({ physical }) => physical < 128).map((one): Address => ({ ...one, size: 4 }))];
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);
/** Without any hint, by likelihood: factory settings, last digits, the first numbers of the common formula. */
const likely: readonly Address[] = [
  ...[1, 16, 17, 18, 32].map((logical): Address => ({ logical, size: 1 })),
  ...[16, 17, 18, ...range(1, 15), ...range(19, 126), ...range(1000, 1099), ...range(128, 255)].map(
    (physical): Address => ({ logical: 1, physical }),
  ),
  ...range(1, 41).map((physical): Address => ({ logical: 1, physical, size: 4 })),
];

/** The plan at one speed and by one link. */
function asker(plan: ScanPlan, answers: Answers, baud: number, link: Probe['link']) {
  const more = (tries: number, patienceMs: number) => ({ link, baud, tries, patienceMs });
  return {
    firm: (stage: Stage, address: Address, tries = 2): Probe =>
      probe(stage, address, more(tries, within(300, learnedMs(answers) ?? firstPatienceMs, 1500))),
    quick: (stage: Stage, address: Address): Probe =>
      probe(stage, address, more(1, within(150, learnedMs(answers) ?? sweepPatienceMs, sweepPatienceMs))),
    /** At a speed that is none of the line most likely. */
    hasty: (address: Address): Probe => probe('line', address, more(1, speedPatienceMs)),
    explicit: (address: Address): Probe => ({
      ...probe(
        'other-address',
        address,
        more(1, within(300, learnedMs(answers) ?? firstPatienceMs, 1500)),
        ' with parameters',
      ),
      explicit: true,
    }),
    again: ({ logical, physical, size }: Address): Probe =>
      probe('again', { logical, physical, size }, more(4, againPatienceMs), ' again'),
  };
}
type Asker = ReturnType<typeof asker>;
type Asking = Generator<Probe, void, undefined>;

/** Entries whose meter has not named itself. */
const missing = ({ entries }: ScanPlan, answers: Answers): WorkListEntry[] =>
  entries.filter(({ serial }) => answerOf(answers, serial) === undefined);
const heardAnything = (answers: Answers): boolean => [...answers.values()].some(wasHeard);

/** Is anybody there, and at which speed: all are called at once, and that they answer over each other does not matter. */
function* lookAtLine(plan: ScanPlan, answers: Answers): Asking {
  const everyone: Address[] = [
    { logical: 1, physical: everyPhysical[4], size: 4 },
    { logical: 1, physical: everyPhysical[2], size: 2 },
    { logical: everyPhysical[2], size: 1 },
  ];
  const own = asker(plan, answers, plan.baud, 'hdlc');
  for (const address of everyone) yield own.firm('line', address, 1);
  if (plan.line === 'tcp') return;
  const [first] = plan.entries;
  for (const baud of speeds.filter((one) => one !== plan.baud)) {
    if (heardAnything(answers)) return;
    const { hasty } = asker(plan, answers, baud, 'hdlc');
    yield hasty(everyone[0] as Address);
    if (!heardAnything(answers)) yield hasty(first ? addressOf(plan, first) : { logical: 1, size: 1 });
  }
}
/** The speed at which somebody was heard. */
export function speedOf(plan: ScanPlan, answers: Answers): number {
  const heard = [...answers.values()].filter(wasHeard).map(({ probe: { baud } }) => baud);
  return heard.includes(plan.baud) ? plan.baud : (heard[0] ?? plan.baud);
}

/** What was heard and not understood is asked once more, with patience; and who answered late or to the call of all. */
function* askAgain(answers: Answers, { again }: Asker): Asking {
  const rough: ReadonlySet<ProbeAnswer['answer']> = new Set(['damaged', 'mute']);
  for (const { probe: one, answer, others } of answers.values()) {
    if (rough.has(answer) && one.stage !== 'again' && !callsEveryone(one)) yield again(one);
    for (const address of others) {
      const known = [...answers.values()].some(
        ({ probe: { logical, physical }, linked }) =>
          linked && logical === address.logical && physical === address.physical,
      );
      if (!known) yield again(address);
    }
  }
}

function* ofList(plan: ScanPlan, answers: Answers): Asking {
  const first = asker(plan, answers, plan.baud, 'hdlc');
  for (const entry of plan.entries.slice(0, silentBeforeLine)) yield first.firm('list', addressOf(plan, entry));
  if (!heardAnything(answers)) yield* lookAtLine(plan, answers);
  const found = heardAnything(answers);
  const at = asker(plan, answers, speedOf(plan, answers), 'hdlc');
  for (const entry of plan.entries) yield at.firm('list', addressOf(plan, entry), found ? 2 : 1);
  if (!heardAnything(answers) && !plan.blind) return;
  yield* askAgain(answers, at);
  for (const entry of missing(plan, answers)) {
    const { physical, logical } = addressOf(plan, entry);
    if (physical !== undefined) yield at.quick('reversed', { logical: physical, physical: logical, size: 4 });
  }
  for (const entry of missing(plan, answers))
    for (const address of otherAddressesOf(entry))
      if (answerOf(answers, entry.serial) === undefined) yield at.quick('other-address', address);
  for (const entry of missing(plan, answers)) {
    const address = addressOf(plan, entry);
    const heard = [...answers.values()].some(
      (one) => wasHeard(one) && addressWords(one.probe) === addressWords(address),
    );
    if (!heard) yield at.explicit(address);
  }
  yield* askAgain(answers, at);
}

/** Beside those that were found, the nearest first. */
function neighbour(answers: Answers, asked: (address: Address) => boolean): Address | undefined {
  const found = [...answers.values()].flatMap(({ probe: { logical, physical }, answer }) =>
    answer === 'identified' && logical === 1 && physical !== undefined ? physical : [],
  );
  for (let far = 1; far <= neighbourhood; far++)
    for (const own of found)
      for (const physical of [own + far, own - far])
        if (physical > 0 && physical < everyPhysical[4] && !asked({ logical: 1, physical }))
          return { logical: 1, physical };
  return undefined;
}
function* sweep(plan: ScanPlan, answers: Answers): Asking {
  const baud = speedOf(plan, answers);
  const at = asker(plan, answers, baud, 'hdlc');
  yield* askAgain(answers, at);
  const asked = (address: Address): boolean => answers.has(idOf('hdlc', baud, address));
  let count = [...answers.values()].filter(({ probe: { stage } }) => stage === 'sweep').length;
  // What was answered before this scan was cut is counted already.
  for (const rest = likely.values(); count < sweepLimit; count++) {
    let next = neighbour(answers, asked);
    while (!next) {
      const { value, done } = rest.next();
      if (done) return yield* askAgain(answers, at);
      if (!asked(value)) next = value;
    }
    yield at.quick('sweep', next);
  }
  yield* askAgain(answers, at);
}

/** An optical head, or a meter that sleeps until it is called by its number (IEC 62056-21). */
function* bySignOn(plan: ScanPlan, answers: Answers): Asking {
  const call = (signOn: string): Probe => ({
    id: `mode-e /?${signOn}!`,
    stage: 'mode-e',
    link: 'mode-e',
    baud: Math.max(plan.baud, 9600),
    logical: 1,
    signOn,
    tries: 1,
    patienceMs: againPatienceMs,
  });
  yield call('');
  if (plan.link !== 'mode-e' && !plan.blind) return;
  for (const { serial } of missing(plan, answers)) yield call(serial);
}
/** The wPorts behind one TCP port. */
function* byWrapper(plan: ScanPlan, answers: Answers): Asking {
  const { firm } = asker(plan, answers, 0, 'wrapper');
  const numbers = plan.blind ? [1, 0, ...range(2, 16)] : [1];
  const physicals = plan.entries.flatMap(({ physical }) => physical ?? []);
  for (const logical of new Set([...numbers, ...physicals])) yield firm('wrapper', { logical }, 1);
  if (answers.get(firm('wrapper', { logical: 1 }, 1).id)?.answer !== 'identified') return;
  // Several behind one connection are numbered from 1 on.
  for (let logical = 2; logical <= plan.entries.length && missing(plan, answers).length > 0; logical++)
    yield firm('wrapper', { logical }, 1);
}

/** What finds out quickly whether meters are behind a door: all of them, the first of the list, the first wPort. */
export function doorProbes(plan: ScanPlan): Probe[] {
  const none: Answers = new Map();
  const hdlc = asker(plan, none, 0, 'hdlc');
  const [first] = plan.entries;
  return [
    hdlc.firm('line', { logical: 1, physical: everyPhysical[4], size: 4 }, 1),
    ...(first ? [hdlc.firm('list', addressOf(plan, first), 1)] : []),
    asker(plan, none, 0, 'wrapper').firm('wrapper', { logical: 1 }, 1),
  ];
}

/**
 * The probes in their order. It looks at the answers as it goes: whoever runs it puts the answer of each probe there before the next
 * one is taken. Probes that have their answer are left out.
 */
export function* probesOf(plan: ScanPlan, answers: Answers): Generator<Probe, void, undefined> {
  for (const one of inOrder(plan, answers)) if (!answers.has(one.id)) yield one;
}
function* inOrder(plan: ScanPlan, answers: Answers): Asking {
  const { link, line, blind, entries } = plan;
  if (link === 'mode-e') return yield* bySignOn(plan, answers);
  if (link === 'wrapper') return yield* byWrapper(plan, answers);
  if (entries.length > 0) yield* ofList(plan, answers);
  else yield* lookAtLine(plan, answers);
  if (line === 'tcp' && !heardAnything(answers)) {
    yield* byWrapper(plan, answers);
    if (heardAnything(answers)) return;
  }
  if (blind) yield* sweep(plan, answers);
  if (blind && line === 'serial' && !heardAnything(answers)) yield* bySignOn(plan, answers);
}

const snrmOctets = 12;
/** Link, association, name, serial number and the end, both ways. */
const identityOctets = 290;
const identityTurns = 4;
const usualTurnMs = 257;
/** Behind the wrapper nothing is repeated, and a request has five times the time of an answer. */
export const wrapperAnswerMs = (patienceMs: number): number => patienceMs / 3;
const wrapperWaitMs = (patienceMs: number): number => wrapperAnswerMs(patienceMs) * 5;
/** What a probe takes, ms. */
function costOf({ tries, patienceMs, baud, link }: Probe, found: boolean, turnMs: number): number {
  const octetMs = baud === 0 ? 0 : 10_000 / baud;
  if (link === 'mode-e') return found ? 6000 : tries * 2600;
  if (link === 'wrapper' && !found) return tries * wrapperWaitMs(patienceMs);
  return found ? identityOctets * octetMs + identityTurns * turnMs : tries * (patienceMs + snrmOctets * octetMs);
}
const assumed = (one: Probe, found: boolean, serial: string | undefined): ProbeAnswer => ({
  probe: one,
  answer: found ? 'identified' : 'silent',
  serial,
  linked: found,
  octets: 0,
  damaged: 0,
  others: [],
  delayMs: found ? usualTurnMs : undefined,
  tookMs: 0,
});
export interface Budget {
  readonly probes: number;
  readonly seconds: number;
}
/** What is still to be asked and how long that takes, where every meter of the list answers at its place, or nobody any more. */
export function budgetOf(plan: ScanPlan, answers: Answers, meters: 'answer' | 'silent'): Budget {
  const known: Answers = new Map(answers);
  const places = new Map(plan.entries.map((entry) => [addressWords(addressOf(plan, entry)), entry.serial] as const));
  const heard = [...answers.values()].flatMap(({ delayMs, linked }) =>
    linked && delayMs !== undefined ? delayMs : [],
  );
  const turnMs = heard.length === 0 ? usualTurnMs : heard.reduce((sum, one) => sum + one, 0) / heard.length;
  let probes = 0;
  let ms = 0;
  for (const one of probesOf(plan, known)) {
    const serial = meters === 'answer' && one.stage === 'list' ? places.get(addressWords(one)) : undefined;
    known.set(one.id, assumed(one, serial !== undefined, serial));
    probes++;
    ms += costOf(one, serial !== undefined, turnMs);
  }
  return { probes, seconds: Math.ceil(ms / 1000) };
}
