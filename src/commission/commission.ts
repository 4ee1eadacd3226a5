/**
 * Puts meters into service, one after the other: the steps that are not done yet, in as few sessions as the line allows, and
 * what is wrong with each. Whatever was found is in its record before the next step begins.
 */
import { Failure } from '../base/errors.ts';
import { type Clock, iso } from '../base/time.ts';
import type { MeterModel } from '../meter/model.ts';
import { type ProfileLayout, readLayout } from '../meter/profile-layout.ts';
import { isRefusal, type Session } from '../meter/session.ts';
import { parseLogicalName } from '../dlms/cosem/logical-name.ts';
import {
  freshRecord,
  type IdentityStep,
  isOf,
  type MeterFinding,
  type MeterRecord,
  type MeterTarget,
  type StepName,
} from './meter-record.ts';
import { dayStep, identityStep, lineStep, profileStep, registerStep, type StepContext } from './meter-steps.ts';
import { type Around, failureFinding, findingsOf, type Judging, profileFinding } from './meter-verdict.ts';
import type { SiteFolder } from './site-folder.ts';

/** Work in a session with one meter. What it throws ends the session and reaches whoever asked. */
export type InSession = <T>(work: (session: Session, model: MeterModel) => Promise<T>) => Promise<T>;
export interface Candidate {
  readonly target: MeterTarget;
  /** Why it cannot even be asked: its configuration does not hold. */
  readonly unusable?: Failure | undefined;
  readonly inSession: InSession;
  /** The same at another address; left out where the address is configured and stays. */
  readonly at?: ((address: string) => Candidate) | undefined;
}

export type CommissionEvent =
  | { readonly event: 'begin'; readonly meters: number; readonly done: number }
  | {
      readonly event: 'meter';
      readonly meter: string;
      readonly number: number;
      readonly of: number;
      readonly leftS: number | null;
    }
  | { readonly event: 'step'; readonly meter: string; readonly step: StepName; readonly resumed: boolean }
  | { readonly event: 'result'; readonly record: MeterRecord; readonly skipped: boolean }
  | { readonly event: 'end'; readonly good: number; readonly faulty: number; readonly tookS: number };

export interface CommissionWorld extends Judging {
  readonly clock: Clock;
  readonly models: ReadonlyMap<string, MeterModel>;
  readonly gatewayClock: () => IdentityStep['gatewayClock'];
  readonly site: SiteFolder;
  readonly who: string | null;
  /** Questions that are asked to know the line. */
  readonly exchanges: number;
  /** Also meters that were found good before. */
  readonly again: boolean;
  readonly signal: AbortSignal;
  readonly emit: (event: CommissionEvent) => void;
  /** Asks whoever stands before the meter what its display shows. */
  readonly compare?: ((record: MeterRecord) => Promise<MeterRecord>) | undefined;
}

/** A session that was lost in the midst is opened again so often. */
const maxSessions = 3;

const whatStopped = (): Failure => new Failure('busy', 'stopped: the same command goes on where it was');

/** The steps that are missing, in one session. The record is the newest, also where this throws. */
async function runSteps(
  world: CommissionWorld,
  given: MeterRecord,
  [session, configured]: readonly [Session, MeterModel],
  keep: (record: MeterRecord) => void,
): Promise<void> {
  const { clock, models, signal, exchanges, gatewayClock, emit } = world;
  let record = given;
  let model = configured;
  const context = (): StepContext => ({ session, clock, model, models, target: record, gatewayClock: gatewayClock() });
  const done = (steps: MeterRecord['steps'], findings: readonly MeterFinding[] = []): void => {
    record = { ...record, steps: { ...record.steps, ...steps }, findings: [...record.findings, ...findings] };
    keep(record);
    if (signal.aborted) throw whatStopped();
  };
  const begin = (step: StepName): void =>
    emit({ event: 'step', meter: record.meter, step, resumed: Object.keys(given.steps).length > 0 });
  // Another session may reach another meter: who answers is asked in each.
  begin('identity');
  const identity = await identityStep(context());
  if (!record.steps.identity) done({ identity });
  model = (record.model === 'auto' && identity.detected !== null && models.get(identity.detected)) || model;
  if (!record.steps.registers) {
    begin('registers');
    done({ registers: await registerStep(context()) });
  }
  let layout: ProfileLayout | undefined;
  if (!record.steps.profile && !record.findings.some(({ kind }) => kind === 'profile')) {
    begin('profile');
    try {
      const read = await profileStep(context());
      layout = read.layout;
      done({ profile: read.step });
    } catch (error) {
      if (!isRefusal(error) || !session.associated) throw error;
      const found = profileFinding(error, record, identity.detected);
      if (found) done({}, [found]);
    }
  }
  if (!record.steps.day && record.steps.profile) {
    begin('day');
    layout ??= await readLayout(session, parseLogicalName(record.profile), model);
    done({ day: await dayStep(context(), layout) });
  }
  if (!record.steps.line) {
    begin('line');
    done({ line: await lineStep(context(), exchanges) });
  }
}

/** Resolves to the newest record and what ended it; nothing where all steps are done. */
async function visitMeter(
  world: CommissionWorld,
  candidate: Candidate,
  before: MeterRecord,
): Promise<{ readonly record: MeterRecord; readonly failure: unknown }> {
  let record = before;
  const keep = (next: MeterRecord): void => {
    world.site.write(next);
    record = next;
  };
  if (candidate.unusable) return { record, failure: candidate.unusable };
  for (let sessions = 1; ; sessions++) {
    const stood = Object.keys(record.steps).length;
    try {
      await candidate.inSession((session, model) => runSteps(world, record, [session, model], keep));
      return { record, failure: undefined };
    } catch (error) {
      if (world.signal.aborted) throw whatStopped();
      // A fault of our own, or of the disk, is none of the meter.
      if (!(error instanceof Failure) || endsAllOf(error)) throw error;
      const gained = Object.keys(record.steps).length > stood;
      const isDamage = error.code === 'damaged-answer' || error.code === 'fell-silent';
      // A refusal counts towards the lock of the meter: it is heard once. Silence is silence.
      if (sessions === maxSessions || !(gained || isDamage)) return { record, failure: error };
    }
  }
}

const reversed = (address: string): string | undefined => {
  const [logical, physical] = address.split('/');
  return physical === undefined ? undefined : `${physical}/${logical}`;
};

/** Some meters have the halves of their address the other way round: whoever is silent is called there once. */
async function atOtherAddress(
  world: CommissionWorld,
  candidate: Candidate,
  record: MeterRecord,
): Promise<{ readonly record: MeterRecord; readonly failure: unknown } | undefined> {
  const address = reversed(record.address);
  if (address === undefined || !candidate.at) return undefined;
  const finding: MeterFinding = {
    kind: 'address',
    severity: 'note',
    what: `the halves of its HDLC address are the other way round: it answers at ${address}, not at ${record.address}`,
    next: 'Nothing, if the gateway writes it: server and physical are exchanged in its block. Note it for whoever programs the meters.',
  };
  // It is written with the first step that is done there: who is cut off behind that goes on there.
  const found = await visitMeter(world, candidate.at(address), {
    ...record,
    address,
    findings: [finding, ...record.findings],
  });
  return found.record.steps.identity ? found : undefined;
}

/** Of this very meter, as it is to be reached now; its address may have been found out by us. */
function recordOf(site: SiteFolder, { target }: Candidate): MeterRecord | undefined {
  const stored = site.read(target.meter);
  return stored && isOf(stored, { ...target, address: stored.address }) ? stored : undefined;
}

async function commissionMeter(world: CommissionWorld, candidate: Candidate, around: Around): Promise<MeterRecord> {
  const { clock, site, who } = world;
  const { target } = candidate;
  const same = recordOf(site, candidate);
  const begun = same?.result === 'begun' ? same : undefined;
  const fresh = freshRecord(target, who, iso(clock.wall()));
  const first = begun ?? { ...fresh, attachments: site.read(target.meter)?.attachments ?? [] };
  // What was found before stands until something newer is found.
  if (!same) site.write(first);
  const here = first.address !== target.address && candidate.at ? candidate.at(first.address) : candidate;
  let { record, failure } = await visitMeter(world, here, first);
  const isSilent = failure instanceof Failure && failure.code === 'no-answer' && !record.steps.identity;
  const elsewhere =
    isSilent && around.lineWorks && around.sameAddress.length === 0
      ? await atOtherAddress(world, candidate, record)
      : undefined;
  if (elsewhere) ({ record, failure } = elsewhere);
  if (failure === undefined && world.compare) record = await world.compare(record);
  const found = [
    ...record.findings,
    ...findingsOf(record, world),
    ...(failure === undefined ? [] : [failureFinding(failure, record, around)]),
  ];
  const failed = found.some(({ severity }) => severity === 'fault');
  const ended: MeterRecord = {
    ...record,
    findings: found,
    finished: iso(clock.wall()),
    result: failed ? 'failed' : 'good',
  };
  site.write(ended);
  return ended;
}

function aroundOf(candidates: readonly Candidate[], { target }: Candidate, lineWorks: boolean): Around {
  const all = candidates.map((one) => one.target);
  return {
    sameAddress: all.filter(
      ({ meter, port, address, link }) =>
        meter !== target.meter && port === target.port && address === target.address && link === 'hdlc',
    ),
    expected: all,
    lineWorks,
  };
}

/** A line, or a disk, that is of no use any more ends it: the other meters would only say the same. */
const endsAll: ReadonlySet<string> = new Set([
  'port-missing',
  'port-denied',
  'port-busy',
  'port-lost',
  'host-missing',
  'file-unusable',
  'not-permitted',
  'no-gateway',
]);
export const endsAllOf = (error: unknown): boolean => error instanceof Failure && endsAll.has(error.code);

export interface CommissionSummary {
  readonly records: readonly MeterRecord[];
  readonly good: number;
  readonly failed: number;
}
type Visit = readonly [candidate: Candidate, done: MeterRecord | undefined];
/**
 * What is good already; who was not asked yet, or was cut off in the midst; who was cut off before it said anything; who
 * failed. Cut off again and again, it gets through all of them, and does not begin each time with the dead ones.
 */
function inOrder(candidates: readonly Candidate[], { site, again }: CommissionWorld): Visit[] {
  const groups: [Visit[], Visit[], Visit[], Visit[]] = [[], [], [], []];
  for (const candidate of candidates) {
    const stored = recordOf(site, candidate);
    if (stored?.result === 'good' && !again) groups[0].push([candidate, stored]);
    else if (stored?.result === 'failed') groups[3].push([candidate, undefined]);
    else if (stored && Object.keys(stored.steps).length === 0) groups[2].push([candidate, undefined]);
    else groups[1].push([candidate, undefined]);
  }
  return groups.flat();
}

export async function commission(candidates: readonly Candidate[], world: CommissionWorld): Promise<CommissionSummary> {
  const { clock, emit, signal } = world;
  const records = new Map<string, MeterRecord>();
  const working = new Set<string>();
  const began = clock.now();
  const visits = inOrder(candidates, world);
  const open = visits.filter(([, done]) => !done).length;
  emit({ event: 'begin', meters: candidates.length, done: candidates.length - open });
  let [visited, spentMs] = [0, 0];
  for (const [i, [candidate, done]] of visits.entries()) {
    if (signal.aborted) throw whatStopped();
    const { meter, port } = candidate.target;
    const left = visited === 0 ? null : Math.round(((spentMs / visited) * (open - visited)) / 1000);
    if (!done) emit({ event: 'meter', meter, number: i + 1, of: candidates.length, leftS: left });
    const at = clock.now();
    const record =
      done ?? (await commissionMeter(world, candidate, aroundOf(candidates, candidate, working.has(port))));
    if (!done) {
      spentMs += clock.now() - at;
      visited++;
    }
    if (record.steps.identity) working.add(port);
    records.set(meter, record);
    emit({ event: 'result', record, skipped: done !== undefined });
  }
  const all = candidates.flatMap(({ target }) => records.get(target.meter) ?? []);
  const good = all.filter(({ result }) => result === 'good').length;
  const failed = all.length - good;
  emit({ event: 'end', good, faulty: failed, tookS: Math.round((clock.now() - began) / 1000) });
  return { records: all, good, failed };
}
