/** Answers the rows of a first run: what is entered is held, judged as the start would judge it, tried, and put in place. */
import { createHash } from 'node:crypto';
import { closeSync, existsSync, fstatSync, ftruncateSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Failure, messageOf } from '../base/errors.ts';
import { Secret } from '../base/secret.ts';
import type { Clock } from '../base/time.ts';
import { readToml } from '../base/toml.ts';
import { withOtherDoors } from '../commission/other-doors.ts';
import { scan, type ScanEvent } from '../commission/scan.ts';
import { openJournal } from '../commission/scan-journal.ts';
import { ownLine } from '../commission/use-line.ts';
import { readWorkList } from '../commission/work-list.ts';
import type { Sources } from '../config/findings.ts';
import { refusal } from '../config/findings.ts';
import { type Judged, judgeText } from '../config/judge.ts';
import { meterModels } from '../config/meter-models.ts';
import { topics } from '../contract/topics.ts';
import { probeBroker } from '../forward/broker-probe.ts';
import type { Direction } from '../line/direction.ts';
import { parseSelector } from '../line/open-port.ts';
import { type Draft, heldDraft } from './draft.ts';
import { caName, certificateName, effectiveText, type TextWorld } from './effective-text.ts';
import { foundLines } from './found-lines.ts';
import { type Place, secretFolder } from './place.ts';
import type {
  BackupSeen,
  BrokerTest,
  EffectiveConfiguration,
  NeededSecret,
  SetupAnswers,
  SetupScanWish,
  SetupState,
  Written,
} from './rows.ts';
import { shownIn } from './shown-finding.ts';

export interface Installation {
  readonly text: string;
  readonly secrets: ReadonlyMap<string, string>;
  /** Certificates by the names of their files; no secrets. */
  readonly certificates: ReadonlyMap<string, string>;
}
export interface FirstRunWorld {
  readonly place: Place;
  readonly clock: Clock;
  /** Of the service: secrets that were set before, files, folders, devices. */
  readonly sources: Sources;
  readonly door: (stateDirectory: string) => string;
  readonly technicians: string | undefined;
  /** Where the page is served now, and will be. */
  readonly listen: string;
  readonly now: () => string;
  readonly tell: (trouble: string) => void;
  /** Secrets, certificates, and the configuration last. */
  readonly putInPlace: (given: Installation) => Promise<void>;
  /** What `meter-gateway restore` does; and whether a file is a whole backup. */
  readonly restore: (path: string, directory: string) => Promise<BackupSeen>;
  readonly inspect: (path: string) => Promise<BackupSeen>;
}
export type FirstRun = Omit<
  SetupAnswers,
  'again' | 'reload' | 'link' | 'refuse' | 'state' | 'forget' | 'enter' | 'secret' | 'backup'
> & {
  held(): Pick<SetupState, 'draft' | 'secrets' | 'backup'>;
  forget(): void;
  enter: (...given: Parameters<SetupAnswers['enter']>) => void;
  secret: (...given: Parameters<SetupAnswers['secret']>) => void;
  backup: (...given: Parameters<SetupAnswers['backup']>) => Promise<void>;
};

const brokerLimitMs = 10_000;
const backupName = 'first-run.backup';
const maxBackup = 2 ** 31;

/** A line that stands in for those that are not entered yet, while only the broker is asked about. */
const standIn: Draft['lines'] = [
  {
    name: 'none',
    device: 'tcp://127.0.0.1:1',
    baud: 9600,
    link: 'wrapper',
    direction: 'auto',
    entries: [{ line: 1, point: 'none', serial: '1', place: '' }],
    places: [],
    entry: { client: 16, auth: 'none', shared: true },
    periodS: 3600,
  },
];

/** Every reference to a secret in a configuration, with its key. */
function referencesIn(value: unknown, path: string): { readonly reference: string; readonly of: string }[] {
  if (typeof value === 'string') return /^(file:\/|credential:)/.test(value) ? [{ reference: value, of: path }] : [];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, one]) =>
    referencesIn(one, Array.isArray(value) ? `${path}[${key}]` : path === '' ? key : `${path}.${key}`),
  );
}

/** Part by part into one file; a part that was sent twice stands once. */
function writePart(path: string, at: number, octets: Uint8Array): void {
  if (at + octets.length > maxBackup)
    throw new Failure('backup-unfit', `a backup has at most ${maxBackup} octets here`, {
      next: 'Use meter-gateway restore.',
    });
  const file = openSync(path, at === 0 ? 'w' : 'r+', 0o600);
  try {
    const { size } = fstatSync(file);
    if (at > size)
      throw new Failure('backup-unfit', `a part of the backup is missing before octet ${at}`, {
        next: 'Choose the file once more.',
      });
    ftruncateSync(file, at);
    for (let done = 0; done < octets.length; ) done += writeSync(file, octets, done, octets.length - done, at + done);
  } finally {
    closeSync(file);
  }
}

class Held {
  readonly secrets = new Map<string, Secret>();
  backup: BackupSeen | null = null;
  readonly world: FirstRunWorld;
  readonly draft;
  readonly scanning = new Set<string>();
  constructor(world: FirstRunWorld) {
    this.world = world;
    mkdirSync(world.place.holding, { recursive: true, mode: 0o755 });
    this.draft = heldDraft(world.place.holding, (error) =>
      world.tell(`what is entered is not stored: ${messageOf(error)}`),
    );
  }
  get backupPath(): string {
    return join(this.world.place.holding, backupName);
  }
  get prefix(): string {
    const { place } = this.world;
    return place.isService ? 'credential:' : `file:${secretFolder(place.config)}/`;
  }
  text(draft: Draft): string {
    const { place, technicians, listen, now } = this.world;
    const world: TextWorld = {
      reference: (name) => `${this.prefix}${name}`,
      folder: dirname(place.config),
      models: meterModels(),
      stateDirectory: place.isService ? place.holding : join(dirname(place.config), 'state'),
      technicians,
      listen,
      day: now().slice(0, 10),
    };
    return effectiveText(draft, world);
  }
  certificates(): Map<string, string> {
    const { broker, own } = this.draft.read();
    const all = own === null ? [[caName, broker.ca] as const, [certificateName, broker.certificate] as const] : [];
    return new Map(all.flatMap(([name, text]) => (text === null ? [] : [[name, text]])));
  }
  judge(text: string): Judged {
    const { place, sources, door } = this.world;
    const certificates = this.certificates();
    return judgeText(text, {
      name: place.config,
      door,
      sources: {
        ...sources,
        secret: (reference) =>
          (reference.startsWith(this.prefix)
            ? this.secrets.get(reference.slice(this.prefix.length))
            : undefined
          )?.reveal() ?? sources.secret(reference),
        file: (path) => {
          const text =
            dirname(path) === dirname(place.config)
              ? certificates.get(path.slice(dirname(path).length + 1))
              : undefined;
          return text === undefined ? sources.file(path) : Buffer.from(text);
        },
      },
    });
  }
  /** Each secret that the text refers to and that can be given here. */
  needed(text: string): NeededSecret[] {
    const { sources } = this.world;
    const seen = new Map<string, NeededSecret>();
    for (const { reference, of } of referencesIn(readToml(text).value, '')) {
      if (!reference.startsWith(this.prefix)) continue;
      const name = reference.slice(this.prefix.length);
      if (seen.has(name) || name.includes('/')) continue;
      let given = this.secrets.has(name);
      try {
        if (!given) given = sources.secret(reference).length > 0;
      } catch {
        // It is to be given.
      }
      seen.set(name, { name, of, given });
    }
    return [...seen.values()];
  }
}

async function* scanned(held: Held, wish: SetupScanWish, signal: AbortSignal): AsyncGenerator<ScanEvent, void> {
  const { clock, place } = held.world;
  const { device, baud, link, direction, entries, blind, fresh } = wish;
  if (entries.length === 0 && !blind)
    throw new Failure('bad-argument', 'what is looked for? a work list, the likely addresses (blind), or both');
  if (held.scanning.has(device)) throw new Failure('busy', `somebody else scans ${device} already`);
  const { kind } = parseSelector(device);
  const plan = { line: kind, baud: kind === 'tcp' ? 0 : baud, link, entries, blind, models: meterModels() };
  held.scanning.add(device);
  const own = ownLine(device, baud, clock, direction as Direction);
  try {
    const mark = createHash('sha256').update(device).digest('hex').slice(0, 12);
    const journal = await openJournal(join(place.holding, `first-run-scan-${mark}.journal`), plan, fresh);
    yield* withOtherDoors(device, plan, scan(plan, { clock, use: own.use, journal, signal }), clock, signal);
  } finally {
    held.scanning.delete(device);
    await own.close();
  }
}

async function testBroker(held: Held): Promise<BrokerTest> {
  const draft = held.draft.read();
  const text = held.text(draft.own === null ? { ...draft, lines: standIn } : draft);
  const { plan, findings } = held.judge(text);
  if (!plan) {
    const ours = findings.filter(({ path, severity }) => severity === 'error' && /^(mqtt|gateway)\b/.test(path));
    const wrong = (ours.length > 0 ? ours : findings).map(({ path, message, next }) => `${path}: ${message}. ${next}`);
    return {
      good: [],
      wrong: draft.own === null ? wrong : ['the file is not whole yet: see its findings', ...wrong],
      remarks: [],
    };
  }
  const { gateway } = plan.config;
  const rules = { topics: topics(gateway.tenant, gateway.id), orders: plan.orders !== undefined };
  const probe = await probeBroker(plan.broker, rules, brokerLimitMs);
  const warnings = findings
    .filter(({ path }) => path.startsWith('mqtt'))
    .map(({ message, next }) => `${message}. ${next}`);
  return { ...probe, remarks: [...warnings, ...probe.remarks] };
}

function configurationOf(held: Held): EffectiveConfiguration {
  const text = held.text(held.draft.read());
  const { plan, findings } = held.judge(text);
  return { text, findings: shownIn(text, findings), secrets: held.needed(text), good: plan !== undefined };
}

async function write(held: Held): Promise<Written> {
  const { place, restore, putInPlace } = held.world;
  const text = held.text(held.draft.read());
  const { plan, findings } = held.judge(text);
  if (!plan) throw refusal(place.config, findings);
  const needed = held.needed(text);
  const secrets = new Map(
    [...held.secrets]
      .filter(([name]) => needed.some((one) => one.name === name))
      .map(([name, one]) => [name, Buffer.from(one.reveal()).toString('utf8')]),
  );
  // Before the configuration: a gateway that is cut in between is in its first run still, by what was entered.
  if (held.backup) await restore(held.backupPath, plan.config.gateway.state_directory);
  await putInPlace({ text, secrets, certificates: held.certificates() });
  rmSync(held.backupPath, { force: true });
  held.draft.forget();
  return { outcome: place.isService ? 'restarts' : 'starts' };
}

export function firstRun(world: FirstRunWorld): FirstRun {
  const held = new Held(world);
  const { clock, inspect } = world;
  return {
    held: () => ({ draft: held.draft.read(), secrets: [...held.secrets.keys()].toSorted(), backup: held.backup }),
    ports: () => foundLines(clock),
    scan: (wish, signal) => scanned(held, wish, signal),
    workList: (octets) => readWorkList(octets, { models: new Set(meterModels().keys()), wrongPoints: 'refuse' }),
    enter: (part) => held.draft.enter(part),
    secret: (name, value) =>
      void (value === null ? held.secrets.delete(name) : held.secrets.set(name, new Secret(Buffer.from(value)))),
    testBroker: () => testBroker(held),
    configuration: () => configurationOf(held),
    async backup({ at, octets, last }) {
      held.backup = null;
      try {
        writePart(held.backupPath, at, octets);
        if (last) held.backup = await inspect(held.backupPath);
      } catch (error) {
        rmSync(held.backupPath, { force: true });
        throw error instanceof Failure ? error : new Failure('file-unusable', messageOf(error));
      }
    },
    write: () => write(held),
    forget() {
      held.secrets.clear();
      held.backup = null;
      if (existsSync(held.backupPath)) rmSync(held.backupPath, { force: true });
      held.draft.forget();
    },
  };
}
