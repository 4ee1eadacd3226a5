/** The steps by which a meter is put into service, each a few requests in a session with it. Nothing is judged here. */
import type { Clock } from '../base/time.ts';
import { dayMs, iso, later, millis } from '../base/time.ts';
import { type Data, integerOf } from '../dlms/axdr/data.ts';
import { type LogicalName, obis, parseLogicalName } from '../dlms/cosem/logical-name.ts';
import { unitName } from '../dlms/cosem/unit.ts';
import { attribute, dataOf } from '../meter/attribute.ts';
import { requireIdentity } from '../meter/identity.ts';
import { identify } from '../meter/identity-reading.ts';
import { detectModel, type MeterModel } from '../meter/model.ts';
import { entriesOf, type ProfileLayout, readLayout, requirePeriod } from '../meter/profile-layout.ts';
import { readRange } from '../meter/profile-range.ts';
import { isRefusal, type Session } from '../meter/session.ts';
import { columnKeys } from '../reading/column.ts';
import { daySums } from '../reading/day-sum.ts';
import { integerJson } from '../reading/facts.ts';
import { cellOf, type LoadProfileRow, scalerUnitOf } from '../reading/load-profile-row.ts';
import type {
  DayStep,
  IdentityStep,
  LineStep,
  MeterTarget,
  ProfileStep,
  RecordedRatio,
  RecordedRegister,
  RecordedSum,
  RegisterStep,
} from './meter-record.ts';

/** An open session with the meter, and what is expected of it. */
export interface StepContext {
  readonly session: Session;
  readonly clock: Clock;
  readonly model: MeterModel;
  readonly models: ReadonlyMap<string, MeterModel>;
  readonly target: MeterTarget;
  readonly gatewayClock: IdentityStep['gatewayClock'];
}

const text = (data: Data | undefined): string | null => {
  const value = data && 'value' in data ? data.value : undefined;
  const given = value instanceof Uint8Array ? Buffer.from(value.subarray(0, 64)).toString('latin1') : value;
  return typeof given === 'string'
    ? given
        .slice(0, 64)
        .replaceAll(/[^ -~]/g, '')
        .trim() || null
    : null;
};

const clockTime = attribute(8, '0.0.1.0.0.255', 2);
const firmware = attribute(1, '1.0.0.2.0.255', 2);

/** What the meter does not give is null; what breaks the session is thrown. */
async function optional(session: Session, asked: Parameters<Session['get']>[0]) {
  try {
    return await session.get(asked);
  } catch (error) {
    if (!isRefusal(error) || !session.associated) throw error;
    return [];
  }
}

/** Failure `identity-mismatch` where another meter answers. */
export async function identityStep(context: StepContext): Promise<IdentityStep> {
  const { session, clock, models, target, gatewayClock } = context;
  const identity = await identify(session, clock, context.model, true);
  const detected = detectModel(models.values(), identity.logicalDeviceName ?? '');
  requireIdentity(identity, target.serial, detected ?? context.model, target.address);
  const [time] = await optional(session, [clockTime]);
  const [version] = await optional(session, [firmware]);
  const octets = dataOf(time);
  return {
    at: iso(clock.wall()),
    logicalDeviceName: identity.logicalDeviceName ?? null,
    serial: identity.serial ?? null,
    detected: detected?.name ?? null,
    deviationS: identity.clockDeviationMs === undefined ? null : Math.round(identity.clockDeviationMs / 100) / 10,
    gatewayClock,
    clockStatus: octets?.type === 'octet-string' && octets.value.length === 12 ? (octets.value[11] as number) : null,
    switchState: identity.disconnector?.control ?? null,
    firmware: text(dataOf(version)),
  };
}

/** Transformer ratios (Blue Book 7.5.1): numerators of current and voltage, and their denominators. */
const ratioNames = ['1.0.0.4.2.255', '1.0.0.4.5.255', '1.0.0.4.3.255', '1.0.0.4.6.255'] as const;
/** Voltages of the phases. */
const voltageNames: readonly LogicalName[] = ['1.0.32.7.0.255', '1.0.52.7.0.255', '1.0.72.7.0.255'];
async function voltagesOf(session: Session): Promise<number[] | null> {
  const results = await optional(
    session,
    voltageNames.flatMap((name) => [attribute(3, name, 2), attribute(3, name, 3)]),
  );
  const volts = voltageNames.flatMap((_, i) => {
    const [value, scaled] = [dataOf(results[2 * i]), dataOf(results[2 * i + 1])];
    const [raw, unit] = [value && integerOf(value), scaled && scalerUnitOf(scaled)];
    return raw === undefined || !unit ? [] : [Math.round(Number(raw) * 10 ** unit.scaler * 10) / 10];
  });
  return volts.length === 0 ? null : volts;
}
/** What a display shows of energy: import and export, active. */
const displayed: readonly LogicalName[] = ['1.0.1.8.0.255', '1.0.2.8.0.255'];

export async function registerStep({ session, clock }: StepContext): Promise<RegisterStep> {
  const ratios = (
    await optional(
      session,
      ratioNames.map((name) => attribute(1, name, 2)),
    )
  ).map((result) => {
    const data = dataOf(result);
    return data && integerOf(data);
  });
  const ratio = (numerator: bigint | undefined, denominator: bigint | undefined): RecordedRatio | null =>
    numerator === undefined ? null : { numerator: String(numerator), denominator: String(denominator ?? 1n) };
  const results = await optional(
    session,
    displayed.flatMap((name) => [attribute(3, name, 2), attribute(3, name, 3)]),
  );
  const registers = displayed.flatMap((name, i): RecordedRegister[] => {
    const [value, scaled] = [dataOf(results[2 * i]), dataOf(results[2 * i + 1])];
    const raw = value && integerOf(value);
    if (raw === undefined) return [];
    const unit = scaled && scalerUnitOf(scaled);
    return [
      {
        obis: obis(name),
        raw: integerJson(raw),
        scaler: unit?.scaler ?? null,
        unit: unit ? unitName(unit.unit) : null,
      },
    ];
  });
  return {
    at: iso(clock.wall()),
    currentTransformer: ratio(ratios[0], ratios[1]),
    voltageTransformer: ratio(ratios[2], ratios[3]),
    registers,
    voltages: await voltagesOf(session),
  };
}

export async function profileStep({
  session,
  clock,
  model,
  target,
}: StepContext): Promise<{ readonly step: ProfileStep; readonly layout: ProfileLayout }> {
  const profile = parseLogicalName(target.profile);
  const layout = await readLayout(session, profile, model);
  requirePeriod(layout);
  const [inUse] = await optional(session, [attribute(7, profile, 7)]);
  const periodS = layout.capturePeriodMs / 1000;
  const { entries = null } = layout;
  return {
    layout,
    step: {
      at: iso(clock.wall()),
      obis: obis(profile),
      periodS,
      columns: columnKeys(layout.columns),
      scalers: [...layout.scalers].map(([name, { scaler, unit }]) => ({
        obis: obis(name),
        scaler,
        unit: unitName(unit),
      })),
      fingerprint: layout.fingerprint,
      entries,
      inUse: entriesOf(dataOf(inUse)) ?? null,
      depthDays: entries === null || periodS === 0 ? null : Math.floor((entries * periodS) / 86_400),
    },
  };
}

/** The sum of the intervals beside the advance of the register from the first row to the last (R01, R02). */
export function sumsOf(
  rows: readonly LoadProfileRow[],
  from: number,
  to: number,
  periodMs: number,
  modulus = 1n << 32n,
): RecordedSum[] {
  const unitOf = (key: string) => rows[0]?.channels.find((one) => one.key === key)?.scalerUnit;
  const captured = daySums(rows, from, to, periodMs, modulus).map((one): RecordedSum => {
    const unit = unitOf(one.energies)?.unit;
    return {
      column: one.energies,
      sum: one.sum,
      advance: one.advance,
      scaler: one.energyScaler,
      unit: unit === undefined ? null : unitName(unit),
      agrees: one.agrees,
    };
  });
  const byEnd = new Map(rows.map((row) => [row.end as number | null, row]));
  const counted = (rows[0]?.channels ?? []).flatMap(({ key, kind, scalerUnit }): RecordedSum[] => {
    if (kind !== 'register') return [];
    let sum = 0n;
    let [isWhole, isForward] = [true, true];
    const valueAt = (end: number): bigint | undefined => {
      const row = byEnd.get(end);
      const cell = row && cellOf(row, key);
      return typeof cell === 'bigint' ? cell : undefined;
    };
    for (let end = from + periodMs; end <= to; end += periodMs) {
      const [before, now] = [valueAt(end - periodMs), valueAt(end)];
      if (before === undefined || now === undefined) isWhole = false;
      else if (now >= before) sum += now - before;
      else if (before * 10n > modulus * 9n && now * 10n < modulus) sum += now + modulus - before;
      else isForward = false;
    }
    const [first, last] = [valueAt(from), valueAt(to)];
    const stepped = first === undefined || last === undefined ? null : last - first;
    const advance = stepped !== null && stepped < 0n && isForward ? stepped + modulus : stepped;
    return [
      {
        column: key,
        sum: integerJson(sum),
        advance: advance === null ? null : integerJson(advance),
        scaler: scalerUnit?.scaler ?? null,
        unit: scalerUnit ? unitName(scalerUnit.unit) : null,
        agrees: isForward ? (isWhole && advance !== null ? sum === advance : null) : false,
      },
    ];
  });
  return [...captured, ...counted];
}

/** The newest 24 h that are closed. */
export async function dayStep({ session, clock, model }: StepContext, layout: ProfileLayout): Promise<DayStep> {
  const periodMs = layout.capturePeriodMs;
  const to = millis(Math.floor((clock.wall() - 60_000) / periodMs) * periodMs);
  const from = later(to, -dayMs);
  const asked = clock.now();
  const rows = await readRange({ session, layout, model }, from, to);
  const tookMs = Math.round(clock.now() - asked);
  const ends = new Set(rows.map(({ end }) => end as number | null));
  let found = 0;
  for (let end = from + periodMs; end <= to; end += periodMs) if (ends.has(end)) found++;
  const modulus = model.register_modulus === undefined ? undefined : BigInt(model.register_modulus);
  return {
    at: iso(clock.wall()),
    from: iso(from),
    to: iso(to),
    expected: Math.round(dayMs / periodMs),
    rows: found,
    tookMs,
    sums: sumsOf(rows, from, to, periodMs, modulus),
  };
}

/** A line of which some came damaged is asked so many times more: one disturbance lasts for a moment, a bad clamp stays. */
const moreWhereDamaged = 2;
/** The same small question again and again; frames that came damaged or were sent again are counted by the link. */
export async function lineStep({ session, clock }: StepContext, exchanges: number): Promise<LineStep> {
  const times: number[] = [];
  const before = session.stack.counters;
  const since = (what: 'damaged' | 'repeated'): number => Math.max(0, session.stack.counters[what] - before[what]);
  const ask = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) {
      const asked = clock.now();
      await session.get([clockTime]);
      times.push(clock.now() - asked);
    }
  };
  await ask(exchanges);
  if (since('damaged') + since('repeated') > 0) await ask(exchanges * moreWhereDamaged);
  const sorted = times.toSorted((a, b) => a - b);
  return {
    at: iso(clock.wall()),
    exchanges: times.length,
    answered: times.length,
    damaged: since('damaged'),
    repeated: since('repeated'),
    medianMs: sorted[Math.floor(sorted.length / 2)] ?? null,
    longestMs: sorted.at(-1) ?? null,
  };
}
