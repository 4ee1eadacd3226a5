/** What the desk answers of the site: commission, sign-off and capacity of the running gateway, whose lines go on polling. */
import { join, dirname } from 'node:path';
import { readFileSync } from 'node:fs';
import { Failure, messageOf } from '../base/errors.ts';
import { eventsOf } from '../base/event-stream.ts';
import type { Log } from '../base/log.ts';
import { iso } from '../base/time.ts';
import { type Capacity, capacityOf } from '../commission/capacity.ts';
import { configured, type Judge, type Planned, proposed } from '../commission/candidates.ts';
import { type Candidate, commission, type CommissionEvent } from '../commission/commission.ts';
import { measuredOf } from '../commission/measured.ts';
import { inPlannedSession, type TakeCounters } from '../commission/offline-session.ts';
import type { Signed } from '../commission/canonical.ts';
import { commissionedOf, type SiteFolder, siteFolder } from '../commission/site-folder.ts';
import type { Running, SiteReport } from '../commission/site-report.ts';
import {
  pendingSignOff,
  signOff,
  type SignOffContext,
  type SignOffWish,
  wouldBeFinal,
} from '../commission/sign-off.ts';
import { meterModels } from '../config/meter-models.ts';
import { serviceSources } from '../config/sources.ts';
import type { CapacityWishes, LocalAnswers } from '../desk/routes.ts';
import type { CommissionWishes, SignOffWishes } from '../desk/site-wishes.ts';
import type { House, World } from '../house.ts';
import { systemClock } from '../line/system-clock.ts';
import { fromHex } from '../base/hex.ts';
import { askCounter, freshTitle, keyPrint } from '../meter/invocation-counter.ts';
import { gatewayFact } from '../reading/facts.ts';
import type { Store } from '../store/store.ts';
import { defaultDoor } from './doors.ts';
import type { InForce } from './reload.ts';
import type { ListContext } from './site-list.ts';

const clock = systemClock;

interface SiteContext {
  readonly force: InForce;
  readonly store: Store;
  readonly log: Log;
  readonly configPath: string;
  readonly version: string;
}

const folderOf = ({ force }: SiteContext): string => join(force.plan.config.gateway.state_directory, 'site');

/** Keys that no configured meter uses have titles that nobody used; those of configured ones are leased. */
const countersOf =
  (house: House): TakeCounters =>
  async ({ settings, counterObject, titlePinned }, port, plain) => {
    if (titlePinned) {
      const { title, first, count } = await house.leaseCounters(keyPrint(settings.keys.encryption));
      let next = first;
      return {
        title: fromHex(title),
        next() {
          if (next >= first + count)
            throw new Failure('counters-spent', `the ${count} counters of this session are spent`);
          return next++;
        },
      };
    }
    let next = (await askCounter(port, clock, plain, counterObject)) + 1;
    return { title: freshTitle(), next: () => next++ };
  };

const references = ['secret', 'encryption_key', 'authentication_key', 'signing_key'] as const;
/** Who acts at the desk names no file of the service but those that lie where the configuration has its own. */
function requireKnownFolders({ plan }: InForce, keys: Readonly<Record<string, unknown>>): void {
  const known = new Set(
    plan.config.port.flatMap(({ meter }) =>
      meter.flatMap((one) => references.flatMap((key) => (one[key]?.startsWith('file:') ? [dirname(one[key])] : []))),
    ),
  );
  for (const key of references) {
    const given = keys[key];
    if (typeof given !== 'string' || !given.startsWith('file:') || known.has(dirname(given))) continue;
    throw new Failure(
      'not-permitted',
      `${key}: no secret of the configuration lies in that folder: write credential:NAME, or configure one meter by hand first`,
    );
  }
}

const judgeOf = ({ force }: SiteContext): Judge => ({
  models: meterModels(),
  sources: serviceSources,
  door: defaultDoor,
  inForce: force.plan,
});

function plannedOf(context: SiteContext, wishes: CommissionWishes, site: SiteFolder): Planned[] {
  const { force, configPath } = context;
  const text = readFileSync(configPath, 'utf8');
  const judge = judgeOf(context);
  const { meters = [], expected = [], proposals = [] } = wishes;
  const ofList = (meter: string) => expected.find((one) => one.meter === meter);
  const known = force.plan.ports.flatMap((port) => port.meters.map(({ origin }) => origin.meter));
  const unknown = meters.find((meter) => !known.includes(meter));
  if (unknown !== undefined)
    throw new Failure('unknown-meter', `no meter '${unknown}' in the configuration that is in force`);
  for (const { keys } of proposals) requireKnownFolders(force, keys);
  const before = (meter: string) => {
    const {
      place = null,
      currentTransformer = null,
      voltageTransformer = null,
    } = ofList(meter) ?? site.read(meter) ?? {};
    return { place, currentTransformer, voltageTransformer };
  };
  return [
    ...(meters.length === 0 ? [] : configured(text, configPath, judge, meters, before)),
    ...proposals.map(({ port, ...proposal }) => proposed(text, configPath, judge, port, proposal)),
  ];
}

/** A configured meter in its own visits; one that is not yet, on the line that is lent. */
function candidateOf(house: House, planned: Planned, address = planned.target.address): Candidate {
  const { plan, target, unusable, proposal } = planned;
  const counters = countersOf(house);
  return {
    target: { ...target, address },
    unusable,
    inSession: (work) =>
      proposal
        ? house.lend(target.port, (port) => inPlannedSession({ plan, clock, counters, address }, port, work))
        : house.inSession(target.meter, ({ session, model }) => work(session, model)),
    ...(proposal && { at: (other: string) => candidateOf(house, planned, other) }),
  };
}

function commissionAtDesk(
  context: SiteContext,
  wishes: CommissionWishes,
  signal: AbortSignal,
): AsyncGenerator<CommissionEvent, void> {
  const { force } = context;
  const { gateway } = force.plan.config;
  const site = siteFolder(folderOf(context));
  const models = meterModels();
  const planned = plannedOf(context, wishes, site);
  return eventsOf<CommissionEvent>(async (emit) => {
    const { time } = await force.house.snapshot();
    await commission(
      planned.map((one) => candidateOf(force.house, one)),
      {
        clock,
        models,
        zone: gateway.time_zone,
        detects: new Set([...models.values()].filter(({ detect }) => detect !== undefined).map(({ name }) => name)),
        gatewayClock: () => (time.trust === 'untrusted' ? 'untrusted' : 'trusted'),
        site,
        who: wishes.who ?? null,
        exchanges: wishes.exchanges ?? 20,
        again: wishes.again ?? false,
        signal,
        emit,
      },
    );
  });
}

async function runningOf(house: House): Promise<Running> {
  const { ports } = await house.snapshot();
  return { meters: ports.flatMap((port) => port.meters.map(({ meter }) => meter)), gaps: await house.gaps() };
}

const signContext = async (context: SiteContext): Promise<SignOffContext> => {
  const { force, version } = context;
  const { id, tenant } = force.plan.config.gateway;
  return {
    folder: folderOf(context),
    gateway: { id, tenant, version },
    running: await runningOf(force.house),
    at: iso(clock.wall()),
  };
};

/** A site whose report is pending is signed off once more as soon as nothing is open: nobody has to come back for that. */
export async function finishSignOff(context: SiteContext): Promise<void> {
  const pending = pendingSignOff(folderOf(context));
  if (!pending) return;
  const standing = await signContext(context);
  if (wouldBeFinal(pending, standing)) await signedOff(context, pending, standing);
}

const finishEveryMs = 10 * 60_000;
/** Looks from time to time, as long as the process lives. */
export function finishSignOffs(context: () => SiteContext): void {
  const look = () =>
    void finishSignOff(context()).catch((error: unknown) =>
      context().log.warn({ error: messageOf(error) }, 'whether the site can be signed off was not found out'),
    );
  setInterval(look, finishEveryMs).unref();
}

const signOffAtDesk = async (context: SiteContext, { who, note }: SignOffWishes): Promise<Signed<SiteReport>> =>
  signedOff(context, { who: who ?? null, note: note ?? null }, await signContext(context));

async function signedOff(
  { store, log }: SiteContext,
  wish: SignOffWish,
  standing: SignOffContext,
): Promise<Signed<SiteReport>> {
  const result = signOff(wish, standing);
  const { report, digest } = result;
  const good = report.meters.filter(({ record }) => record.result === 'good').length;
  const detail = {
    state: report.state,
    digest,
    who: report.who,
    meters: report.meters.length,
    good,
    open: report.open.length,
  };
  const event = gatewayFact(clock.wall(), 'SITE_SIGNED_OFF', detail);
  await store
    .commit({ meter: '_', entryClass: 0, facts: [event] })
    .catch((error: unknown) => log.warn({ error: messageOf(error) }, 'SITE_SIGNED_OFF not stored'));
  return result;
}

function capacityAtDesk(context: SiteContext, { port, periodS, backFillDays }: CapacityWishes): Capacity {
  const { house, plan } = context.force;
  const found = plan.ports.find(({ name }) => name === port);
  if (!found) throw new Failure('unknown-port', `no port '${port}' in the configuration`);
  const uses = house.lineUses().find((one) => one.port === port)?.uses ?? [];
  const records = siteFolder(folderOf(context))
    .all()
    .filter((one) => one.port === port);
  const meters = found.meters.map(({ origin, profiles, access }) =>
    measuredOf(
      { meter: origin.meter, periodS: profiles.at(-1)?.periodS ?? 3600, baud: access.timed ? access.baud : 0 },
      records.find(({ meter }) => meter === origin.meter),
      uses.find(({ meter }) => meter === origin.meter),
    ),
  );
  return capacityOf({ meters, periodS, backFillDays });
}

/** Of the records in the folder of the site. One that cannot be read is logged: the meter is polled without it. */
export const commissionedIn =
  (folder: string, log: Log): NonNullable<World['commissioned']> =>
  (meter) => {
    try {
      return commissionedOf(folder, meter);
    } catch (error) {
      log.warn({ meter, error: messageOf(error) }, 'the commissioned record is not read');
      return undefined;
    }
  };

/** What the rows of a work list need of it. */
export const listContextOf = (context: SiteContext): Omit<ListContext, 'reload'> => ({
  configPath: context.configPath,
  judge: () => judgeOf(context),
  site: () => siteFolder(folderOf(context)),
});

export const siteAnswers = (context: SiteContext): Pick<LocalAnswers, 'commission' | 'signOff' | 'capacity'> => ({
  commission: (wishes, signal) => commissionAtDesk(context, wishes, signal),
  signOff: (wishes) => signOffAtDesk(context, wishes),
  capacity: (wishes) => capacityAtDesk(context, wishes),
});
