/** What the answers of a scan mean: for each meter of the list, for whoever else answered, and for the line. Pure. */
import { type ErrorCode, errorTable } from '../base/errors.ts';
import { sameSerial } from '../meter/identity.ts';
import { damageWords } from './line-damage.ts';
import {
  addressOf,
  addressWords,
  answerOf,
  type Answers,
  callsEveryone,
  type ProbeAnswer,
  type ScanPlan,
  speedOf,
  wasHeard,
} from './scan-plan.ts';
import type { WorkListEntry } from './work-list.ts';

/** Each verdict, its meaning, and the exit code of a scan whose worst it is. */
export const scanVerdicts = {
  found: { exit: 0, meaning: 'it answers, and is the meter of the list, where there is one' },
  'not-listed': { exit: 0, meaning: 'it answers, and the list does not have it' },
  'address-reversed': { exit: 2, meaning: 'it answers where both halves of its address are exchanged' },
  'unknown-kind': { exit: 2, meaning: 'it is the meter of the list, of a kind that no model knows' },
  moved: { exit: 5, meaning: 'it answers at the address of another meter of the list' },
  'another-serial': { exit: 5, meaning: 'another meter answers at its address' },
  refused: { exit: 5, meaning: 'a meter answers at its address, and does not let the public client in' },
  mute: { exit: 4, meaning: 'a meter answers at its address, and does not say to the end who it is' },
  noisy: { exit: 3, meaning: 'it is the meter of the list, and octets of it came damaged' },
  damaged: { exit: 3, meaning: 'octets come from its address, and never a whole frame' },
  collision: { exit: 3, meaning: 'two meters of the list have this address, and answer over each other' },
  'no-answer': { exit: 3, meaning: 'nothing came' },
  'echo-only': { exit: 3, meaning: 'only our own octets came back' },
  'other-speed': { exit: 2, meaning: 'the line: meters answer at another speed than configured' },
  'other-port': { exit: 2, meaning: 'the line: meters answer at another TCP port of this host' },
  'line-silent': { exit: 3, meaning: 'the line: nobody answers at any speed' },
  'line-damaged': { exit: 3, meaning: 'the line: octets come, and nobody is understood' },
} as const;
export type ScanVerdict = keyof typeof scanVerdicts;

export interface ScanFinding {
  readonly verdict: ScanVerdict;
  /** undefined: of the line, or of a meter that no list names. */
  readonly entry: WorkListEntry | undefined;
  /** Where it answers, or should; undefined where that is not known. */
  readonly address: string | undefined;
  /** How to reach it, where it answers. */
  readonly reach: Pick<ProbeAnswer['probe'], 'link' | 'baud' | 'logical' | 'physical' | 'size' | 'signOn'> | undefined;
  /** Of the meter that answers. */
  readonly serial: string | undefined;
  readonly deviceName: string | undefined;
  readonly model: string | undefined;
  readonly code: ErrorCode | undefined;
  /** What was seen. */
  readonly evidence: string;
  readonly next: string;
}

const placeOf = ({ place, line }: WorkListEntry): string => (place === '' ? `line ${line} of the list` : place);
const meterAt = (entry: WorkListEntry): string => `${entry.serial} at ${placeOf(entry)}`;
const samplesOf = (all: readonly ProbeAnswer[]): string[] => all.flatMap(({ sample }) => sample ?? []);

interface Seen {
  readonly plan: ScanPlan;
  readonly answers: Answers;
  /** Entries by the address where they should answer. */
  readonly places: ReadonlyMap<string, readonly WorkListEntry[]>;
}
const blank = {
  entry: undefined,
  reach: undefined,
  serial: undefined,
  deviceName: undefined,
  model: undefined,
  code: undefined,
};
const ofAnswer = ({ probe, serial, deviceName, model, code }: ProbeAnswer) => ({
  address: probe.signOn === undefined ? addressWords(probe) : `/?${probe.signOn}!`,
  reach: probe,
  serial,
  deviceName,
  model,
  code,
});
/** What was asked at an address, the last first: what was asked again knows more. */
const askedAt = ({ answers }: Seen, address: string): ProbeAnswer[] =>
  [...answers.values()]
    .filter(({ probe }) => probe.signOn === undefined && addressWords(probe) === address)
    .toReversed();

const unknownWords = ({ deviceName }: ProbeAnswer): string =>
  deviceName === undefined ? 'it tells no logical device name' : `no model of hardware/meters knows '${deviceName}'`;
const unknownNext =
  'Look at its objects with `meter-gateway browse`: where they are as the Blue Book says, write model generic in the list; else it needs a model of its own.';

/** Its meter named itself. */
function foundFinding(seen: Seen, entry: WorkListEntry, answer: ProbeAnswer): ScanFinding {
  const { plan, places } = seen;
  const { probe, model } = answer;
  const own = addressWords(addressOf(plan, entry));
  const at = addressWords(probe);
  const finding = (verdict: ScanVerdict, evidence: string, next: string): ScanFinding => ({
    ...ofAnswer(answer),
    verdict,
    entry,
    evidence,
    next,
  });
  const whose = probe.signOn === undefined && at !== own ? places.get(at)?.[0] : undefined;
  if (whose)
    return finding(
      'moved',
      `meter ${entry.serial} answers at ${at}, the address of ${meterAt(whose)}`,
      `Read the labels at ${placeOf(entry)} and at ${placeOf(whose)}: the meters were exchanged, or their addresses.`,
    );
  if (probe.stage === 'reversed')
    return finding(
      'address-reversed',
      `it answers at ${at}, not at ${own}`,
      `Write server = ${probe.logical} and physical = ${probe.physical ?? 0} for this meter, or turn its address round with the maker's tool.`,
    );
  const damaged = askedAt(seen, at).reduce((sum, one) => sum + one.damaged, 0);
  if (damaged > 0) {
    const { seen: words, next, isOfLine } = damageWords(samplesOf(askedAt(seen, at)));
    const stub = `Look at the stub to ${placeOf(entry)}: its length, shield and clamps; the neighbours tell whether it is this one alone.`;
    return finding('noisy', `${damaged} of its answers came damaged: ${words}`, isOfLine ? next : stub);
  }
  if (model === undefined && entry.model === undefined)
    return finding('unknown-kind', unknownWords(answer), unknownNext);
  if (probe.explicit)
    return finding(
      'found',
      'it answers only where SNRM carries its parameters',
      'Give it a model with explicit_parameters = true, such as dsmr.',
    );
  return finding(
    'found',
    at === own || probe.signOn !== undefined ? 'as the list says' : `it answers at ${at}, not at ${own}`,
    at === own || probe.signOn !== undefined ? 'None.' : `Write physical = ${probe.physical ?? 0} for this meter.`,
  );
}

type Judge = (verdict: ScanVerdict, evidence: string, next: string, more?: Partial<ScanFinding>) => ScanFinding;
/** Where its meter did not name itself. */
interface Place {
  readonly entry: WorkListEntry;
  readonly own: string;
  /** Others of the list with this address. */
  readonly sharing: readonly WorkListEntry[];
  readonly finding: Judge;
}
const displayFirst = ({ entry }: Place): string => `At ${placeOf(entry)}: does the display show anything?`;

/** A meter of another number answers at its address. */
function strangerAt({ plan }: Seen, place: Place, named: ProbeAnswer): ScanFinding {
  const { entry, sharing, finding } = place;
  const listed = plan.entries.find(({ serial }) => sameSerial(serial, named.serial ?? ''));
  const label = `Read the label at ${placeOf(entry)}.`;
  const who = { serial: named.serial, deviceName: named.deviceName, model: named.model, reach: named.probe };
  if (listed && sharing.includes(listed))
    return finding(
      'no-answer',
      `${meterAt(listed)} has this address too, and answers alone`,
      `${displayFirst(place)} Give this meter another address with the maker's tool before it is connected, and write it into the list (physical).`,
      { code: 'no-answer' },
    );
  if (listed)
    return finding(
      'another-serial',
      `meter ${meterAt(listed)} answers here`,
      `${label} Exchanged meters stay where they are: exchange the lines of the list.`,
      who,
    );
  return finding(
    'another-serial',
    `meter ${named.serial} answers here, and the list does not have it`,
    `${label} Where it is the new meter, correct the list; where a meter was replaced: \`meter-gateway meter swap\`.`,
    who,
  );
}

/** Octets came, and no frame of them could be used. */
function damagedAt({ entry, own, sharing, finding }: Place, all: readonly ProbeAnswer[]): ScanFinding {
  const linked = all.some((one) => one.linked);
  if (!linked && sharing.length > 0) {
    const both = [entry, ...sharing].map(meterAt).join(' and ');
    return finding(
      'collision',
      `every answer from ${own} came damaged, and ${both} have this address`,
      "Take the wires off one of them, and scan again; then give it another address with the maker's tool, and write it into the list (physical).",
      { code: 'damaged-answer' },
    );
  }
  const { seen: words, next, isOfLine } = damageWords(samplesOf(all));
  const two =
    linked || isOfLine ? '' : ' Where the neighbours are clean, two meters may have this address: take one off.';
  return finding('damaged', words, `${next}${two}`, { code: 'damaged-answer' });
}

/** Somebody else, or something else, or nothing is at its address. */
function wrongFinding(seen: Seen, entry: WorkListEntry): ScanFinding {
  const own = addressWords(addressOf(seen.plan, entry));
  const all = askedAt(seen, own);
  const finding: Judge = (verdict, evidence, next, more = {}) => ({
    ...blank,
    address: own,
    verdict,
    entry,
    evidence,
    next,
    ...more,
  });
  const place: Place = {
    entry,
    own,
    sharing: (seen.places.get(own) ?? []).filter((other) => other !== entry),
    finding,
  };
  const named = all.find(({ answer }) => answer === 'identified');
  if (named) return strangerAt(seen, place, named);
  // What was asked last, and with the most patience.
  const last = all.find((one) => wasHeard(one) && one.answer !== 'silent');
  const reached = last && { code: last.code, reach: last.probe };
  switch (last?.answer) {
    case 'damaged':
      return damagedAt(place, all);
    case 'refused':
      return finding('refused', last.why ?? 'it refuses', nextOf(last, 'association-refused'), reached);
    case 'mute':
    case 'unnamed': {
      const why = last.why ?? 'it tells neither serial number nor logical device name';
      return finding('mute', why, nextOf(last, 'identity-unknown'), reached);
    }
    default:
  }
  if (all.some(({ answer }) => answer === 'echo')) {
    const { nextStep } = errorTable['echo-only'];
    return finding('echo-only', 'only our own octets came back', nextStep, { code: 'echo-only' });
  }
  const nowhere = 'no octet came, also at the other addresses that it may have';
  return finding(
    'no-answer',
    all.length === 0 ? 'nobody who answered has this number' : nowhere,
    `${displayFirst(place)} Then A and B at its clamps, the port that is switched on in it (RS-485, not optical), and the address that its display or its label tells. Where all of that is right, scan again after two minutes: an old session may be alive in it.`,
    { code: 'no-answer' },
  );
}
const nextOf = ({ code }: ProbeAnswer, fallback: ErrorCode): string => errorTable[code ?? fallback].nextStep;

/** Without a list it is what it says that it is. */
function namedAlone(answer: ProbeAnswer): ScanFinding {
  const at = addressWords(answer.probe);
  const finding = (verdict: ScanVerdict, evidence: string, next: string): ScanFinding => ({
    ...blank,
    ...ofAnswer(answer),
    verdict,
    evidence,
    next,
  });
  if (answer.damaged > 0) {
    const { seen, next, isOfLine } = damageWords(samplesOf([answer]));
    const stub = 'Look at its stub: length, shield and clamps; the neighbours tell whether it is this one alone.';
    return finding('noisy', `answers at ${at}; ${seen}`, isOfLine ? next : stub);
  }
  if (answer.model === undefined) return finding('unknown-kind', unknownWords(answer), unknownNext);
  return finding('found', `answers at ${at}`, 'None.');
}

/** Who answered, and no list names. */
function strangerFindings({ plan, answers, places }: Seen): ScanFinding[] {
  const named = new Set<string>();
  return [...answers.values()].flatMap((answer): ScanFinding[] => {
    const { probe, serial } = answer;
    const at = addressWords(probe);
    if (callsEveryone(probe) || !wasHeard(answer) || (probe.signOn === undefined && places.has(at))) return [];
    if (serial !== undefined) {
      if (named.has(serial) || plan.entries.some((entry) => sameSerial(entry.serial, serial))) return [];
      named.add(serial);
      if (plan.entries.length === 0) return [namedAlone(answer)];
      const next = 'Where it belongs to this line, write it into the list.';
      return [{ ...blank, ...ofAnswer(answer), verdict: 'not-listed', evidence: `answers at ${at}`, next }];
    }
    const later = [...answers.values()].some(
      (other) => other !== answer && other.probe.stage === 'again' && addressWords(other.probe) === at,
    );
    if (later || answer.answer === 'silent') return [];
    if (answer.answer === 'damaged') {
      const { seen, next, isOfLine } = damageWords(samplesOf([answer]));
      const two = isOfLine
        ? ''
        : ' Where the other addresses are clean, two meters may have this one: take the wires off one of them.';
      return [{ ...blank, ...ofAnswer(answer), verdict: 'damaged', evidence: seen, next: `${next}${two}` }];
    }
    const verdict = answer.answer === 'refused' ? 'refused' : 'mute';
    const fallback = verdict === 'refused' ? 'association-refused' : 'identity-unknown';
    return [
      {
        ...blank,
        ...ofAnswer(answer),
        verdict,
        evidence: answer.why ?? 'tells no name',
        next: nextOf(answer, fallback),
      },
    ];
  });
}

/** What keeps a whole line from being heard or understood. */
function lineFinding({ plan, answers }: Seen): ScanFinding[] {
  const all = [...answers.values()];
  if (all.length === 0) return [];
  const finding = (verdict: ScanVerdict, evidence: string, next: string, code?: ErrorCode): ScanFinding[] => [
    { ...blank, address: undefined, verdict, evidence, next, code },
  ];
  const heard = all.filter(wasHeard);
  if (heard.length === 0) {
    const speeds = [...new Set(all.map(({ probe }) => probe.baud))].filter((baud) => baud > 0);
    if (all.some(({ answer }) => answer === 'echo'))
      return finding(
        'echo-only',
        'only our own octets come back, from every address',
        errorTable['echo-only'].nextStep,
        'echo-only',
      );
    const words = speeds.length === 0 ? 'nobody answers' : `nobody answers, asked at ${speeds.join(', ')} Bd`;
    const breaks = all.filter(({ answer, sample }) => answer === 'silent' && sample !== undefined);
    // What is at rest on the wrong level after each request has its wires exchanged.
    if (breaks.length * 2 > all.length) {
      const { seen, next } = damageWords(samplesOf(breaks));
      return finding('line-silent', `${words}; ${seen}`, next, 'bus-silent');
    }
    return finding('line-silent', words, errorTable['bus-silent'].nextStep, 'bus-silent');
  }
  const speed = speedOf(plan, answers);
  if (
    plan.line === 'serial' &&
    plan.link === 'hdlc' &&
    speed !== plan.baud &&
    heard.some(({ linked, others }) => linked || others.length > 0)
  )
    return finding(
      'other-speed',
      `meters answer at ${speed} Bd, not at ${plan.baud}`,
      `Write baud = ${speed} for this port.`,
    );
  if (
    heard.length >= 3 &&
    heard.every(({ answer, linked, others }) => answer === 'damaged' && !linked && others.length === 0)
  ) {
    const { seen, next } = damageWords(samplesOf(heard));
    return finding('line-damaged', seen, next, 'damaged-answer');
  }
  return [];
}

/** Of the line first, then of the list in its order, then of the others. */
export function findingsOf(plan: ScanPlan, answers: Answers): ScanFinding[] {
  const places = new Map<string, WorkListEntry[]>();
  for (const entry of plan.entries) {
    const at = addressWords(addressOf(plan, entry));
    places.set(at, [...(places.get(at) ?? []), entry]);
  }
  const seen: Seen = { plan, answers, places };
  return [
    ...lineFinding(seen),
    ...plan.entries.map((entry) => {
      const answer = answerOf(answers, entry.serial);
      return answer ? foundFinding(seen, entry, answer) : wrongFinding(seen, entry);
    }),
    ...strangerFindings(seen),
  ];
}
/** Meters behind another TCP port than the one that was named. */
export function doorFinding(device: string, answer: ProbeAnswer): ScanFinding {
  const link = answer.probe.link === 'wrapper' ? 'the wrapper' : 'HDLC';
  return {
    ...blank,
    ...ofAnswer(answer),
    address: undefined,
    verdict: 'other-port',
    evidence: `at ${device} meters answer by ${link}`,
    next: `Scan that one: meter-gateway scan ${device} --blind${answer.probe.link === 'wrapper' ? ' --link wrapper' : ''}`,
  };
}
export const exitOf = (findings: readonly ScanFinding[]): number =>
  Math.max(0, ...findings.map(({ verdict }) => scanVerdicts[verdict].exit));
