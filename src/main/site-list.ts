/** What the desk answers of a work list: the list read, the meters as they are to be commissioned, and those that are good written. */
import { readFileSync } from 'node:fs';
import { Failure } from '../base/errors.ts';
import { readToml } from '../base/toml.ts';
import { iso } from '../base/time.ts';
import { withCommissioned, writeCommissioned } from '../cli/write-meters.ts';
import { type Judge, proposalsOf } from '../commission/candidates.ts';
import { placeOf } from '../commission/scan-findings.ts';
import type { SiteFolder } from '../commission/site-folder.ts';
import { readWorkList, type WorkListEntry } from '../commission/work-list.ts';
import { meterModels } from '../config/meter-models.ts';
import { handOver } from './hand-over.ts';
import type { LocalAnswers } from '../desk/routes.ts';
import type { MetersTaken, PlanWishes, TakeWishes } from '../desk/site-wishes.ts';
import { systemClock } from '../line/system-clock.ts';
import { sameSerial } from '../meter/identity.ts';

export interface ListContext {
  readonly configPath: string;
  readonly judge: () => Judge;
  readonly site: () => SiteFolder;
  readonly reload: () => Promise<unknown>;
}

interface PortValue {
  readonly meter?: readonly { readonly id?: unknown; readonly serial?: unknown }[];
}
const metersOf = (text: string): { readonly id: string; readonly serial: string }[] =>
  ((readToml(text).value['port'] ?? []) as PortValue[]).flatMap(({ meter = [] }) =>
    meter.map(({ id, serial }) => ({ id: String(id), serial: String(serial) })),
  );
const ratio = (one: WorkListEntry['currentTransformer']): string | null =>
  one ? `${one.primary}/${one.secondary}` : null;

/** Meters that stand in the file already are asked as they stand there; the others as they would. */
function planOf(configPath: string, wishes: PlanWishes): ReturnType<LocalAnswers['commissionPlan']> {
  const { port, found, like, client, auth, secret, encryptionKey, authenticationKey, model } = wishes;
  const text = readFileSync(configPath, 'utf8');
  const there = metersOf(text);
  const own = (serial: string) => there.find((one) => sameSerial(one.serial, serial));
  const old = found.flatMap(({ entry }) => {
    const meter = own(entry.serial)?.id;
    return meter === undefined ? [] : [{ meter, entry }];
  });
  const fresh = found.filter(({ entry }) => !own(entry.serial));
  const places = fresh.map(placeOf);
  const proposals = proposalsOf(
    text,
    port,
    places.map(({ entry }) => entry),
    {
      entry: {
        ...(client !== undefined && { client }),
        ...(auth !== undefined && { auth }),
        ...(secret !== undefined && { secret }),
        ...(encryptionKey !== undefined && { encryption_key: encryptionKey }),
        ...(authenticationKey !== undefined && { authentication_key: authenticationKey }),
        ...(model !== undefined && { model }),
      },
      like,
      places,
      models: meterModels(),
    },
  );
  return {
    meters: old.map(({ meter }) => meter),
    expected: old.map(({ meter, entry }) => ({
      meter,
      place: entry.place,
      currentTransformer: ratio(entry.currentTransformer),
      voltageTransformer: ratio(entry.voltageTransformer),
    })),
    proposals: proposals.map((one) => ({ port, ...one, keys: { ...one.keys } })),
  };
}

/** The service may not write under /etc: what it hands over root judges again, and takes (take.ts). */
async function byRoot(file: string, text: string, why: string): Promise<void> {
  const state = process.env['STATE_DIRECTORY'];
  const next = `The service may not write its configuration: as root, meter-gateway commission --config ${file} --list FILE; it asks nobody again, and writes.`;
  if (state === undefined) throw new Failure('not-permitted', why, { next });
  try {
    await handOver({ file, text, secrets: new Map() }, state, why);
  } catch (error) {
    throw error instanceof Failure ? new Failure(error.code, error.message, { next }) : error;
  }
}

async function take(context: ListContext, { proposals, who }: TakeWishes): Promise<MetersTaken> {
  const { configPath, judge, site, reload } = context;
  const text = readFileSync(configPath, 'utf8');
  const there = metersOf(text);
  const records = site();
  const good = proposals.flatMap((proposal) => {
    const [id, serial] = [String(proposal.keys['id']), String(proposal.keys['serial'])];
    if (there.some((one) => one.id === id || sameSerial(one.serial, serial))) return [];
    const record = records.read(id);
    // Whoever asks says what to write; that it is good, the record of this very meter says.
    return record?.result === 'good' && sameSerial(record.serial, serial) ? [{ proposal, record }] : [];
  });
  if (good.length === 0) return { written: [], backup: null };
  const stamp = `${iso(systemClock.wall()).slice(0, 10)}${who === undefined ? '' : ` by ${who.replaceAll(/[^\p{L}\p{N} .,'-]/gu, ' ')}`}`;
  const into = { judge: judge(), file: configPath, text };
  let backup: string | null = null;
  try {
    backup = writeCommissioned(good, into, stamp);
  } catch (error) {
    const denied = error instanceof Failure && (error.code === 'not-permitted' || error.code === 'file-unusable');
    if (!denied) throw error;
    await byRoot(configPath, withCommissioned(good, into, stamp), error.message);
  }
  await reload();
  return { written: good.map(({ record }) => record.meter), backup };
}

export const listAnswers = (
  context: ListContext,
): Pick<LocalAnswers, 'workList' | 'commissionPlan' | 'takeMeters'> => ({
  workList: (octets) => readWorkList(octets, { models: new Set(meterModels().keys()), wrongPoints: 'warn' }),
  commissionPlan: (wishes) => planOf(context.configPath, wishes),
  takeMeters: (wishes) => take(context, wishes),
});
