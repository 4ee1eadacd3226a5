/**
 * Every event that the gateway itself says, with what stands in its `detail`: the types of the program, docs/events.md and
 * the checks of the tests come from this table. A new event is a row here.
 */

/** What a field of a detail holds; `|null`: it may be null, `?`: it may be left out. */
type Base = 'text' | 'number' | 'integer' | 'flag' | 'instant' | 'series' | 'code';
type FieldType = Base | `${Base}|null` | `${Base}?` | `${Base}|null?`;
export interface EventField {
  readonly type: FieldType;
  readonly says: string;
}
export interface EventRow {
  readonly says: string;
  /** Numbers of the requirements that it answers (docs/requirements.md). */
  readonly requirement?: string;
  readonly detail: Readonly<Record<string, EventField>>;
}
const field = <Type extends FieldType>(type: Type, says: string): { readonly type: Type; readonly says: string } => ({
  type,
  says,
});
const series = field('series', 'OBIS code of the profile');
const why = field('text|null', 'the meter’s answer, or what was read');

/** The fields of each event about the verdict of a meter. */
const verdict = {
  state: field('text', 'UNREACHABLE, FAULT or REACHABLE'),
  lastSeen: field('instant|null?', 'end of the last session that succeeded'),
  failures: field('number?', 'sessions in a row that failed'),
  confidence: field('text?', 'medium or high'),
  evidence: field('text|null?', 'code of the last failure (docs/errors.md)'),
  before: field('text?', 'the verdict that ends'),
  controlState: field('number|null?', 'control_state of the disconnector (class 70)'),
  control: field('text?', 'the same in words'),
  expected: field('text?', 'serial number that is configured'),
  answeredSerial: field('text|null?', 'serial number of the meter that answered'),
  answeredName: field('text|null?', 'its logical device name'),
  address: field('text|null?', 'the server address that was called'),
} as const;
const push = {
  listener: field('text', 'name of the [[listen]]'),
  peer: field('text', 'where it came from'),
  code: field('text', 'code of docs/errors.md'),
  why: field('text', 'what was wrong'),
  title: field('text|null', 'system title that it names, hexadecimal'),
  serial: field('text|null', 'serial number that it names'),
} as const;
const security = {
  reason: field('text', 'what happened'),
  claimed: field('integer|null', 'the counter that the meter says it heard'),
  limit: field('integer|null', 'up to where it would have been believed'),
  reserved: field('integer|null', 'up to where ours is used'),
  title: field('text|null', 'system title, hexadecimal'),
  counter: field('integer|null', 'the counter that came again'),
} as const;
const disk = {
  freeBytes: field('number', 'free, without the ballast'),
  totalBytes: field('number', 'size of the file system'),
} as const;
const bus = { port: field('text', 'name of the port'), meters: field('number', 'meters on it') } as const;
const storeChange = {
  epoch: field('integer', 'the epoch that begins with this event'),
  epochBefore: field('integer|null', 'the one that ends'),
} as const;
const found = {
  ...storeChange,
  found: field('text|null', 'what was found, in words'),
  damagedRecords: field('number', 'records that were damaged; they are kept for inspection'),
  missingRecords: field('number', 'numbers that became void'),
  lostFrom: field('number|null', 'first number that may mean something else in the epoch before'),
  lostTo: field('number|null', 'last of them'),
} as const;
const sum = {
  series,
  day: field('text', 'UTC day'),
  energies: field('text', 'OBIS codes of the captured energies'),
  register: field('text|null', 'OBIS code of the register that counts the same'),
  sum: field('integer', 'sum of the energies, in units of 10^energyScaler'),
  energyScaler: field('number', 'scaler of the energies'),
  advance: field('integer|null', 'advance of the register, in units of 10^registerScaler'),
  registerScaler: field('number|null', 'scaler of the register'),
  intervals: field('number', 'intervals that were summed'),
  expected: field('number', 'intervals of the day'),
  agrees: field('flag|null', 'within N·q_i/2 + q_r; null where that cannot be said'),
} as const;
const clock = {
  deviationS: field('number', 'meter minus gateway'),
  clock: field('text', 'the same in words'),
  action: field('text', 'set, or why not'),
} as const;

export const gatewayEvents = {
  REACHABLE: { says: 'the meter answers again', requirement: 'R23', detail: verdict },
  SUSPECT_MAINS_OR_METER: { says: 'the meter is silent, its neighbours answer', requirement: 'R23', detail: verdict },
  POWER_LOST: {
    says: 'the meter is silent, and the last of its log was a power-down',
    requirement: 'R23',
    detail: verdict,
  },
  SUPPLY_OFF_BY_METER_SWITCH: {
    says: 'the meter answers, its own switch is open: zero is true',
    requirement: 'R24',
    detail: verdict,
  },
  SECURITY_FAULT: {
    says: 'the meter answers and does not let us in, or cannot be believed',
    requirement: 'R26',
    detail: verdict,
  },
  PUSH_REFUSED: {
    says: 'something came under the name of this meter and was not taken: replayed, unprotected, or of another meter',
    requirement: 'R26',
    detail: push,
  },
  PUSH_STRANGER: { says: 'somebody pushes whom nobody configured', requirement: 'R32', detail: push },
  PUSH_FLOOD: { says: 'a peer sends more than it may, and is cut off', detail: push },
  IDENTITY_MISMATCH: { says: 'another meter answers at the address', requirement: 'R32', detail: verdict },
  LINE_QUALITY: { says: 'frames are damaged on the way', detail: verdict },
  METER_FAULT: { says: 'the meter breaks the rules', detail: verdict },
  GATEWAY_FAULT: { says: 'what failed is the gateway’s own', detail: verdict },
  CONFIG_FAULT: {
    says: 'the configuration of the meter does not hold, or does not fit it',
    detail: { ...verdict, why: field('text?', 'what does not hold'), next: field('text?', 'the next step') },
  },
  BUS_FAULT: {
    says: 'all meters of a port are silent',
    requirement: 'R23',
    detail: bus,
  },
  BUS_ANSWERS: {
    says: 'meters of that port answer again',
    requirement: 'R23',
    detail: bus,
  },
  MAINS_OFF: {
    says: 'the silence was without power, as the meter’s log shows',
    requirement: 'R25',
    detail: { from: field('instant', 'power down'), to: field('instant', 'power up') },
  },
  COMM_FAULT: {
    says: 'the silence was of the line: the meter had power',
    requirement: 'R25',
    detail: { from: field('instant', 'silent since'), to: field('instant', 'answers since') },
  },
  METER_SET_ASIDE: {
    says: 'the gateway ended unasked while it read this meter: it waits',
    detail: { ends: field('number', 'so many times'), until: field('instant', 'when it is read again') },
  },
  PORT_STUCK: {
    says: 'a turn took longer than any may: the port was opened anew',
    detail: {
      port: field('text', 'name of the port'),
      meter: field('text', 'the meter that was on turn'),
      seconds: field('number', 'how long'),
      fault: field('text', 'whose fault it is taken for'),
    },
  },
  SWAP: {
    says: 'the series goes on with another meter; or what was told of that is amended',
    requirement: 'R33',
    detail: {
      from: field('text', 'serial number of the old meter'),
      to: field('text', 'serial number of the new one'),
      at: field('instant|null', 'when, as it was told; null where nobody told'),
      final: field('text|null', 'last registers of the old one'),
      first: field('text|null', 'first registers of the new one'),
      series: field('series?', 'OBIS code of the profile, in an amendment'),
      amends: field('instant?', 'the change as it was told before'),
    },
  },
  CONFIG_CHANGED: {
    says: 'the meter captures other columns, scalers or another period than before, or has other transformer ratios than it was commissioned with',
    requirement: 'R13',
    detail: {
      series,
      columns: field('text', 'OBIS codes of the columns, or of the ratios'),
      before: field('text|null', 'fingerprint of the layout before, or the ratios'),
      now: field('text', 'fingerprint of the layout, or the ratios'),
    },
  },
  SITE_SIGNED_OFF: {
    says: 'a technician signed the site off; the report with its signature is on the gateway',
    requirement: 'R40',
    detail: {
      state: field('text', 'pending: not all meters are good, or their first day is not acknowledged; final'),
      digest: field('text', 'SHA-256 of the report, hexadecimal'),
      who: field('text|null', 'who signed it off'),
      meters: field('number', 'meters that were commissioned'),
      good: field('number', 'meters of them that are good'),
      open: field('number', 'meters that keep it from being final'),
    },
  },
  PERIOD_CHANGED: {
    says: 'the meter was told another capture period',
    requirement: 'R35',
    detail: {
      series,
      beforeS: field('number', 'period before'),
      nowS: field('number', 'period from then on'),
      from: field('instant', 'start of its first interval'),
    },
  },
  PERIOD_CHANGE_POSTPONED: {
    says: 'another capture period could not be written in time, and waits for the next midnight',
    requirement: 'R36',
    detail: { series, nowS: field('number', 'period to come'), from: field('instant', 'that midnight') },
  },
  DATA_AT_RISK: {
    says: 'the meter will soon overwrite rows that are not read yet',
    requirement: 'R16',
    detail: {
      series,
      oldest: field('instant', 'start of the oldest interval that is not read'),
      reachS: field('number', 'how far the buffer reaches back'),
    },
  },
  PROFILE_WITHOUT_CLOCK: {
    says: 'the profile captures no clock: its rows belong to no time',
    detail: { series, columns: field('text', 'what it captures') },
  },
  ROWS_WITHOUT_STAMP: {
    says: 'rows whose stamps are no time, or an impossible one',
    detail: {
      series,
      from: field('instant', 'of what was asked for'),
      to: field('instant', 'of what was asked for'),
      rows: field('number', 'rows that came'),
      withoutStamp: field('number', 'of them without a usable stamp'),
      ofTheFuture: field('number', 'of them of the future'),
      ofThePast: field('number', 'of them of long ago'),
      sample: field('text|null', 'one of the stamps, hexadecimal'),
      why,
    },
  },
  SCALER_UNKNOWN: {
    says: 'the meter does not tell scaler and unit: the values are not to be billed as they are',
    detail: { series, objects: field('text', 'of which objects, and why') },
  },
  COLUMNS_LEFT_OUT: {
    says: 'columns that are no numbers are not delivered',
    detail: { series, columns: field('text', 'OBIS codes') },
  },
  DAY_SUM: { says: 'the energies of a day beside the advance of the register', requirement: 'R02', detail: sum },
  SUM_CHECK: {
    says: 'the energies of a day do not add up to the advance of the register',
    requirement: 'R02',
    detail: sum,
  },
  CLOCK_DEVIATION: { says: 'the meter’s clock is off by more than 30 s', requirement: 'R31', detail: clock },
  CLOCK_ALARM: {
    says: 'the meter’s clock is so far off that its intervals are uncertain',
    requirement: 'R30',
    detail: clock,
  },
  CLOCK_SET: {
    says: 'the meter’s clock was set',
    requirement: 'R30',
    detail: {
      beforeS: field('number', 'deviation before'),
      afterS: field('number', 'deviation afterwards'),
      was: field('text', 'the first in words'),
      is: field('text', 'the second in words'),
    },
  },
  CLOCK_UNREADABLE: { says: 'the meter’s clock cannot be read', detail: { why } },
  CLOCK_DOUBTFUL: {
    says: 'the meter’s clock calls itself invalid or doubtful',
    detail: { clockSays: field('text|null', 'its own words') },
  },
  OBJECT_UNREADABLE: {
    says: 'an object on which a verdict hangs cannot be read',
    detail: { object: field('text', 'which'), why },
  },
  DISCONNECTOR_UNREADABLE: { says: 'the meter’s own switch cannot be read', detail: { why } },
  LOG_TOO_LONG: {
    says: 'a log of the meter is longer than can be read',
    detail: { log: field('code', 'OBIS code of the log'), ignored: field('number', 'entries that were left out') },
  },
  LOG_ENTRIES_UNUSABLE: {
    says: 'entries of a log without a usable stamp',
    detail: { log: field('code', 'OBIS code of the log'), entries: field('number', 'how many'), why },
  },
  COUNTER_IMPLAUSIBLE: {
    says: 'the meter says that it heard a counter that nobody can have used',
    requirement: 'R37',
    detail: security,
  },
  COUNTER_USED_UP: {
    says: 'no invocation counters are left: the key must be changed',
    requirement: 'R37',
    detail: security,
  },
  TITLE_CHANGED: { says: 'the meter has another system title than before', detail: security },
  REPLAYED_COUNTER: { says: 'something came with an invocation counter that was heard before', detail: security },
  ORDERS_FORGED: {
    says: 'something came as an order that the central system did not sign; said once an hour at most',
    requirement: 'R28',
    detail: {
      why: field('text', 'what was wrong with the last one'),
      count: field('number', 'how many came since this was said last'),
    },
  },
  CONFIG_REFUSED: {
    says: 'the configuration file as it is now was not taken: an earlier one is in force',
    detail: { why: field('text', 'what stands in its way') },
  },
  STORAGE_OK: { says: 'the disk has room again', requirement: 'R22', detail: disk },
  STORAGE_LOW: { says: 'the disk has little room: what nobody needs is deleted', requirement: 'R22', detail: disk },
  STORAGE_FULL: { says: 'the disk is full: nothing is read until there is room', requirement: 'R22', detail: disk },
  STORAGE_FREED: {
    says: 'something was deleted to make room',
    requirement: 'R22',
    detail: { what: field('text', 'which'), bytes: field('number', 'how much') },
  },
  STORE_DAMAGED: {
    says: 'the store was damaged and mended: everything is read again from the meters',
    requirement: 'R19',
    detail: found,
  },
  STATE_RESTORED: { says: 'the state was put back from a backup', requirement: 'R19', detail: found },
  STATE_FELL_BACK: {
    says: 'the head-end holds more than this state ever numbered: a copied or restored card',
    requirement: 'R19',
    detail: {
      ...storeChange,
      nextSequence: field('number', 'the next number of the epoch before'),
      headEndEpoch: field('integer', 'the epoch that the head-end told'),
      headEndUpTo: field('integer', 'and up to where'),
    },
  },
  UNSAYABLE_FACT: {
    says: 'something was to be said that the contract cannot say',
    detail: {
      kind: field('text', 'of the message'),
      why: field('text', 'what does not fit'),
      series: field('text?', 'as it stood there'),
      start: field('text?', 'as it stood there'),
      end: field('text?', 'as it stood there'),
      at: field('text?', 'as it stood there'),
      readAt: field('text?', 'as it stood there'),
      day: field('text?', 'as it stood there'),
      name: field('text?', 'as it stood there'),
      count: field('text?', 'as it stood there'),
      text: field('text?', 'the beginning of it'),
    },
  },
} as const satisfies Record<string, EventRow>;

export type GatewayEventName = keyof typeof gatewayEvents;
type ValueOf<Type> = Type extends `${infer Inner}?`
  ? ValueOf<Inner>
  : Type extends `${infer Inner}|null`
    ? ValueOf<Inner> | null
    : Type extends 'number'
      ? number
      : Type extends 'integer'
        ? number | string
        : Type extends 'flag'
          ? boolean
          : string;
type Fields<Name extends GatewayEventName> = (typeof gatewayEvents)[Name]['detail'];
type Optional<F> = { [K in keyof F]: F[K] extends { readonly type: `${string}?` } ? K : never }[keyof F];
export type GatewayEventDetail<Name extends GatewayEventName> = {
  readonly [K in Exclude<keyof Fields<Name>, Optional<Fields<Name>>>]: Fields<Name>[K] extends {
    readonly type: infer Type;
  }
    ? ValueOf<Type>
    : never;
} & {
  readonly [K in Optional<Fields<Name>>]?: Fields<Name>[K] extends { readonly type: infer Type }
    ? ValueOf<Type>
    : never;
};

const accepts: Record<Base, (value: unknown) => boolean> = {
  text: (value) => typeof value === 'string',
  code: (value) => typeof value === 'string' && /^\d+-\d+:\d+\.\d+\.\d+\*\d+$/.test(value),
  series: (value) => typeof value === 'string' && /^\d+-\d+:\d+\.\d+\.\d+\*\d+$/.test(value),
  instant: (value) => typeof value === 'string' && !Number.isNaN(Date.parse(value)),
  number: (value) => typeof value === 'number',
  integer: (value) => Number.isSafeInteger(value) || (typeof value === 'string' && /^-?\d+$/.test(value)),
  flag: (value) => typeof value === 'boolean',
};
/** undefined for an event of another version. */
export const eventRow = (name: string): EventRow | undefined => (gatewayEvents as Record<string, EventRow>)[name];

/** What of a detail is not as its row says; undefined where all is. An event of another version may have no row. */
export function misfitOfEvent(name: string, detail: Readonly<Record<string, unknown>> | null): string | undefined {
  const row = eventRow(name);
  if (!row) return `no event of ours is called ${name}`;
  for (const key of Object.keys(detail ?? {})) if (!row.detail[key]) return `${name}: no field ${key}`;
  for (const [key, { type }] of Object.entries(row.detail)) {
    const value = detail?.[key];
    const [base = '', orNull] = type.replace('?', '').split('|');
    const fits =
      value === undefined ? type.endsWith('?') : value === null ? orNull === 'null' : accepts[base as Base](value);
    if (!fits) return `${name}: ${key} is ${JSON.stringify(value)}, not ${type}`;
  }
  return undefined;
}
