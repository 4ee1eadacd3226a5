/**
 * Who is put into service: meters that are configured, or rows of a work list as they would stand in the configuration. Each is
 * judged by the configuration that it would make, so what is asked of it now is what will be polled.
 */
import { Failure } from '../base/errors.ts';
import { readToml } from '../base/toml.ts';
import { isFault } from '../config/findings.ts';
import { type Judged, type JudgeContext, judgeText, requirePlan } from '../config/judge.ts';
import { type MeterKeys, withMeter } from '../config/meter-block.ts';
import type { GatewayPlan, PortPlan } from '../config/resolve.ts';
import type { MeterPlan } from '../config/resolve-meter.ts';
import { obis } from '../dlms/cosem/logical-name.ts';
import { sameSerial, serverText } from '../meter/identity.ts';
import { genericModel, type MeterModel, physicalAddressOf } from '../meter/model.ts';
import type { MeterTarget } from './meter-record.ts';
import type { ScannedEntry } from './scan-findings.ts';
import type { Ratio, WorkListEntry } from './work-list.ts';

/** A meter that is not configured yet. */
export interface Proposal {
  readonly keys: MeterKeys;
  readonly place: string;
  readonly currentTransformer: string | null;
  readonly voltageTransformer: string | null;
}
/** How the meters of a list are entered, where it is not as another meter of their port. */
export interface EntryKeys {
  readonly client?: number;
  readonly auth?: string;
  /** References; `{serial}` in them is the serial number. */
  readonly secret?: string;
  readonly encryption_key?: string;
  readonly authentication_key?: string;
  readonly model?: string;
}
export interface ProposalOptions {
  readonly entry: EntryKeys;
  /** A configured meter that they are entered as. */
  readonly like?: string | undefined;
  /** Seconds; left out: hourly. */
  readonly periodS?: number | undefined;
  readonly profile?: string | undefined;
  /** Where a scan found them. */
  readonly places?: readonly ScannedEntry[] | undefined;
  readonly models: ReadonlyMap<string, MeterModel>;
}

interface PortValue {
  readonly name?: unknown;
  readonly meter?: readonly MeterKeys[];
}
const portValues = (text: string): PortValue[] => (readToml(text).value['port'] ?? []) as PortValue[];

/** What meters of one site share: everything of an entry but who it is. */
const shared = [
  'client',
  'server',
  'auth',
  'secret',
  'encryption_key',
  'authentication_key',
  'signing_key',
  'dedicated_key',
  'suite',
  'policy',
  'wrapping',
  'counter_object',
  'model',
] as const;
const ratioText = (ratio: Ratio | undefined): string | null => (ratio ? `${ratio.primary}/${ratio.secondary}` : null);

/** As its entry would be for another serial number: references that have the own one in them get the other. */
function likeMeter(meter: MeterKeys, serial: string): MeterKeys {
  const own = String(meter['serial']);
  return Object.fromEntries(
    shared.flatMap((key) => {
      const value = meter[key];
      if (value === undefined) return [];
      return [[key, typeof value === 'string' && own !== '' && key !== 'auth' ? value.replaceAll(own, serial) : value]];
    }),
  );
}

/** Failure `unknown-port`, `unknown-meter`. */
export function proposalsOf(
  text: string,
  portName: string,
  entries: readonly WorkListEntry[],
  { entry, like, periodS = 3600, profile, places = [], models }: ProposalOptions,
): Proposal[] {
  const ports = portValues(text);
  const port = ports.find(({ name }) => name === portName);
  if (!port)
    throw new Failure(
      'unknown-port',
      `no port '${portName}'; there are ${ports.map(({ name }) => String(name)).join(', ')}`,
    );
  const all = ports.flatMap(({ meter = [] }) => meter);
  const named = like === undefined ? undefined : all.find(({ id }) => id === like);
  if (like !== undefined && !named) throw new Failure('unknown-meter', `no meter '${like}' to take the entry of`);
  const given = Object.entries(entry).some(([key, value]) => key !== 'model' && value !== undefined);
  const template = named ?? (given ? undefined : port.meter?.[0]);
  return entries.map((one) => {
    const { serial } = one;
    const modelName =
      one.model ??
      entry.model ??
      (template ? ((template['model'] as string | undefined) ?? genericModel.name) : 'auto');
    const model = models.get(modelName) ?? genericModel;
    const filled = Object.fromEntries(
      Object.entries(entry).map(([key, value]) => [
        key,
        typeof value === 'string' ? value.replaceAll('{serial}', serial) : value,
      ]),
    );
    const place = places.find((found) => sameSerial(found.entry.serial, serial));
    const physical = place?.physical ?? one.physical ?? physicalAddressOf(model, serial);
    return {
      place: one.place,
      currentTransformer: ratioText(one.currentTransformer),
      voltageTransformer: ratioText(one.voltageTransformer),
      keys: {
        id: `m-${serial.replaceAll(/[^A-Za-z0-9_-]/g, '-')}`,
        point: one.point,
        serial,
        ...(template && likeMeter(template, serial)),
        ...filled,
        model: modelName,
        ...(one.client !== undefined && { client: one.client }),
        ...(place?.server !== undefined && place.server !== 1 && { server: place.server }),
        ...(physical !== undefined && { physical }),
        profiles: [{ obis: profile ?? '1-0:99.1.0*255', period_s: periodS }],
        ...(one.fuseA !== undefined && { fuse_a: one.fuseA }),
      },
    };
  });
}

export interface Planned {
  readonly target: MeterTarget;
  readonly plan: MeterPlan;
  readonly port: PortPlan;
  readonly unusable: Failure | undefined;
  /** To be written, where it is not configured yet. */
  readonly proposal: Proposal | undefined;
}

type ConfiguredMeter = GatewayPlan['config']['port'][number]['meter'][number];
/** Secrets that this user cannot see would be a refusal at the meter, and each counts towards its lock. */
function unseen({ access, security, unusable }: MeterPlan, configured: ConfiguredMeter): Failure | undefined {
  if (unusable) return unusable;
  const without =
    configured.secret !== undefined && !access.secret
      ? configured.secret
      : configured.encryption_key !== undefined && !security
        ? configured.encryption_key
        : undefined;
  if (without === undefined) return undefined;
  return new Failure('secret-missing', `${without} cannot be read here`, {
    next: 'Commission through the running gateway, which sees its credentials; or write file:/path, mode 0600.',
  });
}

type Expected = Pick<MeterTarget, 'place' | 'currentTransformer' | 'voltageTransformer'>;
function plannedOf(
  plan: GatewayPlan,
  meter: string,
  { place, currentTransformer, voltageTransformer }: Expected,
  proposal: Proposal | undefined,
): Planned {
  const port = plan.ports.find(({ meters }) => meters.some(({ origin }) => origin.meter === meter));
  const own = port?.meters.find(({ origin }) => origin.meter === meter);
  const portIn = plan.config.port.find(({ name }) => name === port?.name);
  const configured = portIn?.meter.find(({ id }) => id === meter);
  if (!port || !own || !portIn || !configured)
    throw new Failure('unknown-meter', `no meter '${meter}' in the configuration`);
  const { access, origin, profiles } = own;
  const newest = profiles.at(-1);
  return {
    plan: own,
    port,
    proposal,
    unusable: unseen(own, configured),
    target: {
      place,
      currentTransformer,
      voltageTransformer,
      meter,
      point: origin.point,
      serial: origin.serial,
      port: port.name,
      device: port.device,
      baud: access.baud,
      link: access.link,
      address: serverText(access),
      client: access.client,
      auth: access.auth,
      ciphered: own.security !== undefined,
      model: configured.model,
      profile: newest ? obis(newest.profile) : '1-0:99.1.0*255',
      periodS: newest?.periodS ?? 3600,
    },
  };
}

export type Judge = Omit<JudgeContext, 'name'>;

/** Meters of the file, in its order. `expected`: of those that were commissioned before, by their records. */
export function configured(
  text: string,
  name: string,
  judge: Judge,
  meters: readonly string[],
  expected: (meter: string) => Expected,
): Planned[] {
  const plan = requirePlan(judgeText(text, { ...judge, name }), name);
  return meters.map((meter) => plannedOf(plan, meter, expected(meter), undefined));
}

/** Whether what is wrong is of this meter alone. */
function ofMeter({ findings }: Judged, path: string): Failure | undefined {
  const faults = findings.filter((one) => isFault(one) && one.path.startsWith(path));
  if (faults.length === 0) return undefined;
  return new Failure('config-invalid', faults.map(({ path, message }) => `${path}: ${message}`).join('; '), {
    next: faults[0]?.next,
  });
}

/** A proposal as it would be polled. Failure where the file is wrong besides it. */
export function proposed(text: string, name: string, judge: Judge, portName: string, proposal: Proposal): Planned {
  const written = withMeter(text, portName, proposal.keys, proposal.place);
  const judged = judgeText(written, { ...judge, name });
  const id = String(proposal.keys['id']);
  if (judged.plan) return plannedOf(judged.plan, id, proposal, proposal);
  const ports = portValues(written);
  const port = ports.findIndex((one) => one.name === portName);
  const index = (ports[port]?.meter?.length ?? 1) - 1;
  const why = ofMeter(judged, `port[${port}].meter[${index}]`);
  if (!why) requirePlan(judged, name);
  throw why;
}
