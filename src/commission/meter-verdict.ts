/** What is wrong with a meter, by what its steps found or what they failed of, and the next physical step. Pure. */
import { deviationWords } from '../base/words.ts';
import { type ErrorCode, Failure, messageOf } from '../base/errors.ts';
import { sameSerial } from '../meter/identity.ts';
import type { FindingKind, MeterFinding, MeterRecord, MeterTarget } from './meter-record.ts';

const fault = (kind: FindingKind, what: string, next: string): MeterFinding => ({
  kind,
  severity: 'fault',
  what,
  next,
});
const note = (kind: FindingKind, what: string, next: string): MeterFinding => ({ kind, severity: 'note', what, next });

/** What is known besides the meter itself. */
export interface Around {
  /** Meters of the same port that are expected at the same address. */
  readonly sameAddress: readonly { readonly meter: string; readonly serial: string; readonly place: string | null }[];
  /** Serial numbers and where they should hang, of all meters that are expected. */
  readonly expected: readonly { readonly serial: string; readonly place: string | null }[];
  /** At least one meter of this line answered. */
  readonly lineWorks: boolean;
}

const keyCodes: ReadonlySet<ErrorCode> = new Set([
  'deciphering-failed',
  'meter-unproven',
  'protection-weaker',
  'key-unfit',
  'replayed-counter',
]);
const damageCodes: ReadonlySet<ErrorCode> = new Set([
  'damaged-answer',
  'malformed-octets',
  'frame-rejected',
  'answer-stalled',
  'block-out-of-order',
  'answer-too-slow',
  'fell-silent',
]);
const whereOf = (place: string | null): string => (place === null || place === '' ? '' : ` (${place})`);

function silent(target: MeterTarget, { lineWorks }: Around, code: ErrorCode): MeterFinding {
  if (code === 'echo-only')
    return fault(
      'no answer',
      'only our own octets come back',
      'The adapter hears itself and no meter: check A and B up to the first meter, and that the adapter switches off its echo.',
    );
  return lineWorks
    ? fault(
        'no answer',
        `nothing answers at ${target.address}, and others of this line do`,
        `Go to the meter${whereOf(target.place)}: is its display lit? No: its fuse and its voltage. Yes: its two bus wires, A and B not exchanged, and the address on its display or label.`,
      )
    : fault(
        'no answer',
        `nothing answers at ${target.address}, and nobody else of this line so far`,
        'Look at the line first: adapter plugged in, A and B, speed; then at this meter.',
      );
}

function otherMeter(failure: Failure, target: MeterTarget, { expected }: Around): MeterFinding {
  const answered = typeof failure.detail['answeredSerial'] === 'string' ? failure.detail['answeredSerial'] : 'unknown';
  const home = expected.find(({ serial }) => sameSerial(serial, answered));
  return fault(
    'wrong serial',
    `meter ${answered} answers at ${target.address}, where ${target.serial} is expected`,
    home
      ? `${answered} belongs${whereOf(home.place) || ' elsewhere'}: read both labels; the two meters, or their rows in the list, are exchanged.`
      : `Read the label${whereOf(target.place)}. Is it ${answered}: the meter was replaced, write it into the list, or meter-gateway meter replace. Is it ${target.serial}: two meters have one address.`,
  );
}

/** `failure`: what the session ended with. */
export function failureFinding(failure: unknown, target: MeterTarget, around: Around): MeterFinding {
  if (!(failure instanceof Failure))
    return fault(
      'other',
      messageOf(failure),
      'Try again; if it repeats, save the exchange with --trace and report it.',
    );
  const { code, message } = failure;
  const { sameAddress } = around;
  if (sameAddress.length > 0 && (damageCodes.has(code) || code === 'no-answer' || code === 'identity-mismatch')) {
    const others = sameAddress.map(({ serial, place }) => `${serial}${whereOf(place)}`).join(', ');
    return fault(
      'collision',
      `${target.serial} and ${others} have one HDLC address, ${target.address}: their answers collide`,
      `Take the bus wires off one of them${whereOf(target.place)}, give the other another address at its display or with the maker's tool, and write physical = … for it.`,
    );
  }
  if (code === 'no-answer' || code === 'echo-only' || code === 'bus-silent') return silent(target, around, code);
  if (code === 'identity-mismatch') return otherMeter(failure, target, around);
  if (code === 'authentication-refused')
    return fault(
      'wrong password',
      `${target.serial} refuses the password of client ${target.client}`,
      'Ask the office for the password of this meter, and write it into its secret file. Do not try many: meters lock for up to 24 hours.',
    );
  if (keyCodes.has(code) || (code === 'association-refused' && target.ciphered))
    return fault(
      'wrong keys',
      `${target.serial} does not take our keys (${code})`,
      'Ask the office for the encryption and the authentication key of this serial number: the key file of another meter, or the two exchanged, looks like this.',
    );
  if (damageCodes.has(code))
    return fault(
      'damaged answers',
      `its answers come damaged (${code}: ${message})`,
      `Look at its stub${whereOf(target.place)}: short and twisted, screws tight, 120 Ω at both ends of the bus only, and its speed.`,
    );
  return fault(kindOf(code), `${code}: ${message}`, failure.nextStep);
}
const kindOf = (code: ErrorCode): FindingKind =>
  code === 'config-invalid' || code === 'secret-missing'
    ? 'configuration'
    : code === 'association-refused' || code === 'access-refused' || code === 'backed-off'
      ? 'refused'
      : 'other';

/** A profile that cannot be read is that of another kind of meter, where no model knows its name either. */
export function profileFinding(
  failure: unknown,
  target: MeterTarget,
  detected: string | null,
): MeterFinding | undefined {
  const refuses =
    failure instanceof Failure && (failure.code === 'access-refused' || failure.code === 'value-unavailable');
  if (!refuses) return undefined;
  return detected === null && target.model === 'auto'
    ? undefined
    : fault(
        'profile',
        `it has no load profile ${target.profile}, or does not give it to client ${target.client} (${failure.message})`,
        'List its objects with meter-gateway browse, and write the profile that it has; or ask for the right of this client.',
      );
}

/** Bit 7 of the clock status: summer time (Blue Book 4.1.6.1). 0xFF: not specified. */
const summerBit = 0x80;
/** Whether it is summer time there now; a zone of UTC has none, and the day of change is the same in all of the EU. */
export function isSummer(at: number, zone: string): boolean {
  const place = /^(UTC|Etc\/.*|GMT)$/.test(zone) ? 'Europe/Helsinki' : zone;
  const offset = (when: number): number => {
    const parts = new Intl.DateTimeFormat('en-GB', { timeZone: place, timeZoneName: 'longOffset' }).formatToParts(when);
    const [, sign = '+', hours = '0', minutes = '0'] =
      /GMT([+-])(\d\d):(\d\d)/.exec(parts.find(({ type }) => type === 'timeZoneName')?.value ?? '') ?? [];
    return (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes));
  };
  const year = new Date(at).getUTCFullYear();
  const standard = Math.min(offset(Date.UTC(year, 0, 1)), offset(Date.UTC(year, 6, 1)));
  return offset(at) > standard;
}

/** Beyond this the clock is called an alarm (R30); beyond the second, commissioning fails whatever the reason (R10). */
const clockNoteS = 60;
const clockFaultS = 15 * 60;
function clockFindings({ steps, periodS }: MeterRecord, zone: string): MeterFinding[] {
  const { identity } = steps;
  if (!identity) return [];
  const { deviationS, clockStatus, gatewayClock } = identity;
  const found: MeterFinding[] = [];
  const doubt =
    gatewayClock === 'untrusted'
      ? ' The clock of this gateway is not proven right: compare both with a telephone first.'
      : '';
  if (deviationS === null)
    found.push(
      fault(
        'clock',
        'its clock tells no time',
        'Look at the display: a meter that lost its time wants it set, and its battery looked at.',
      ),
    );
  else if (Math.abs(deviationS) > clockNoteS) {
    const is = `its clock is ${deviationWords(deviationS)} (${Math.round(Math.abs(deviationS) / 60)} min)`;
    const canSet = Math.abs(deviationS) <= periodS / 2;
    const next = canSet
      ? 'Compare with a telephone. Set it with the maker’s tool, or let the gateway set it: set_large_deviations = true.'
      : 'Compare with a telephone. It is more than half a period: set it with the maker’s tool, after its rows were read.';
    found.push((Math.abs(deviationS) > clockFaultS ? fault : note)('clock', is, `${next}${doubt}`));
  }
  if (gatewayClock === 'untrusted' && found.length === 0)
    found.push(
      note(
        'clock',
        'the clock of this gateway is not proven right, so that of the meter is not either',
        'Compare the gateway (date) with a telephone, and commission once more when it is synchronised.',
      ),
    );
  if (clockStatus !== null && clockStatus !== 0xff) {
    const summer = isSummer(Date.parse(identity.at), zone);
    if ((clockStatus & summerBit) !== 0 && !summer)
      found.push(
        fault(
          'summer time',
          'its clock says summer time, and it is winter',
          'Rows of such a meter fall an hour beside their place: have its daylight saving set right (off, or the dates of the zone) with the maker’s tool, and the clock looked at afterwards.',
        ),
      );
  }
  return found;
}

const numberOf = (text: string): number => Number(text);
/** `200/5` against what the meter multiplies by. */
export function ratioFinding(
  what: 'current' | 'voltage',
  expected: string | null,
  found: { readonly numerator: string; readonly denominator: string } | null,
): MeterFinding | undefined {
  if (expected === null) {
    const direct = found === null || numberOf(found.numerator) === numberOf(found.denominator);
    return direct
      ? undefined
      : note(
          'ratio',
          `it multiplies by a ${what} transformer ${found.numerator}/${found.denominator}, and nobody said which there is`,
          'Read the plate of the transformers, and write the ratio into the list.',
        );
  }
  const [primary = '', secondary = ''] = expected.split('/');
  if (found === null)
    return note(
      'ratio',
      `it does not tell its ${what} transformer ratio; ${expected} is expected`,
      'Compare the display with the list: some meters count on the secondary side, and the office multiplies.',
    );
  if (numberOf(found.numerator) * numberOf(secondary) === numberOf(found.denominator) * numberOf(primary))
    return undefined;
  return fault(
    'ratio',
    `it counts as behind ${found.numerator}/${found.denominator}, the list says ${expected}`,
    `Read the plate of the ${what} transformers. It says ${expected}: have the meter set to it; it says ${found.numerator}/${found.denominator}: correct the list. All energy would be wrong by the factor ${Math.round((numberOf(found.numerator) / numberOf(found.denominator) / (numberOf(primary) / numberOf(secondary))) * 1000) / 1000}.`,
  );
}

function kindFinding({ steps, model }: MeterRecord, detects: ReadonlySet<string>): MeterFinding[] {
  const { identity } = steps;
  if (!identity) return [];
  const fits = model === 'auto' ? identity.detected !== null : !detects.has(model) || identity.detected === model;
  if (fits) return [];
  const name = identity.logicalDeviceName ?? 'none';
  return [
    fault(
      'unknown kind',
      identity.detected === null
        ? `no meter model has such a name: ${name}`
        : `it calls itself ${name}: model ${identity.detected}, and ${model} is configured`,
      identity.detected === null
        ? 'Save its objects with meter-gateway browse … --save FILE and send the file: a model must be written for it. Or name the model it works with: --model generic.'
        : `Write model = "${identity.detected}", or auto.`,
    ),
  ];
}

/** More frames sent again, or damaged, than this share is no chance. */
const badLineShare = 0.05;
function lineFindings({ steps, place }: MeterRecord): MeterFinding[] {
  const { line } = steps;
  if (!line || line.exchanges === 0) return [];
  const bad = Math.max(line.damaged, line.repeated);
  if (bad <= 1 || bad / line.exchanges <= badLineShare) return [];
  return [
    fault(
      'line',
      `of ${line.exchanges} exchanges ${line.damaged} answers came damaged and ${line.repeated} frames were sent again`,
      `Look at its stub${whereOf(place)}: short and twisted, screws tight, shield on one side, away from power cables; 120 Ω at both ends of the bus only.`,
    ),
  ];
}

function dayFindings({ steps }: MeterRecord): MeterFinding[] {
  const { day, profile } = steps;
  if (!day || !profile) return [];
  const found: MeterFinding[] = [];
  const wrong = day.sums.filter(({ agrees }) => agrees === false);
  if (wrong.length > 0)
    found.push(
      fault(
        'sum check',
        `the intervals of 24 h do not sum up to the advance of the register (${wrong.map(({ column, sum, advance }) => `${column}: ${sum} and ${advance}`).join('; ')})`,
        'Save the rows with meter-gateway read … --profile --json; was the clock set, or a register reset in these 24 h?',
      ),
    );
  if (day.rows === 0)
    found.push(
      fault(
        'profile',
        'its load profile has no row of the newest 24 h',
        'Was it installed just now: come back after an hour. Else have its load profile switched on.',
      ),
    );
  else if (day.rows < day.expected)
    found.push(
      note(
        'profile',
        `its load profile has ${day.rows} of ${day.expected} rows of the newest 24 h`,
        'Was it without voltage, or installed since? Else its rows will be gaps.',
      ),
    );
  return found;
}

export interface Judging {
  readonly zone: string;
  /** Models whose meters are known by their names. */
  readonly detects: ReadonlySet<string>;
}
const switchWords: Readonly<Record<number, string>> = { 0: 'open', 2: 'open, and ready to be closed at the meter' };

/** What a display showed that is not what the meter says: the last reading of each register counts. */
export const displayFindings = (displays: MeterRecord['displays']): MeterFinding[] =>
  displays
    .filter((one) => !one.agrees && displays.findLast(({ obis }) => obis === one.obis) === one)
    .map(({ words }) =>
      fault('display', words, 'Read the display once more, all digits; is it the right meter, and the right register?'),
    );

/** Everything that the steps show. */
export function findingsOf(record: MeterRecord, { zone, detects }: Judging): MeterFinding[] {
  const { steps, periodS, displays } = record;
  const { registers, profile, identity } = steps;
  const ratios = registers
    ? [
        ratioFinding('current', record.currentTransformer, registers.currentTransformer),
        ratioFinding('voltage', record.voltageTransformer, registers.voltageTransformer),
      ].filter((one) => one !== undefined)
    : [];
  const period =
    profile && profile.periodS !== periodS
      ? [
          fault(
            'profile period',
            `its rows are ${profile.periodS / 60} min apart, and ${periodS / 60} min are expected`,
            `Is it meant to be so: commission it with --period ${profile.periodS}. Else have its capture period changed; the gateway does it at a local midnight (until, in profiles).`,
          ),
        ]
      : [];
  const open =
    identity?.switchState === 0 || identity?.switchState === 2 ? switchWords[identity.switchState] : undefined;
  return [
    ...kindFinding(record, detects),
    ...clockFindings(record, zone),
    ...ratios,
    ...period,
    ...dayFindings(record),
    ...lineFindings(record),
    ...displayFindings(displays),
    ...(open === undefined
      ? []
      : [note('switch', `its own switch is ${open}`, 'Nobody is supplied behind it. Is that meant to be so?')]),
  ];
}
