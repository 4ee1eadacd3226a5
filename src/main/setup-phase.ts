/**
 * The time before the gateway runs: there is no configuration yet, or it is refused, or what it needs is not to be had. The page and the
 * local sockets say why and what to do; when it is mended the gateway starts by itself.
 */
import { readFileSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Failure, messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { readToml } from '../base/toml.ts';
import { findingLine, isFault, refusal } from '../config/findings.ts';
import { handsGroupOn } from '../config/group.ts';
import { type Judged, judgeFile } from '../config/judge.ts';
import { note } from '../cli/terminal.ts';
import { type PagePlan, pageOf } from '../config/resolve-page.ts';
import { serviceSources } from '../config/sources.ts';
import { systemClock } from '../line/system-clock.ts';
import type { PageTicket } from '../desk/routes.ts';
import { putWhole } from '../disk/put-whole.ts';
import { openToGroup } from '../desk/socket-group.ts';
import { serveDoor } from '../door/server.ts';
import type { Permission } from '../door/rows.ts';
import type { SessionLeft } from '../page/login.ts';
import { type FirstRun, firstRun } from '../setup/answers.ts';
import { type Place, placeOf, secretFolder } from '../setup/place.ts';
import { type SetupAnswers, setupDoorRows, setupRows, type SetupState, type Written } from '../setup/rows.ts';
import { ofWhole, shown, type ShownFinding } from '../setup/shown-finding.ts';
import { standingOf } from '../setup/standing.ts';
import { inspectBackup, restoreBackup } from './backup.ts';
import { defaultDoor } from './doors.ts';
import type { ServiceNotifier } from './notifier.ts';
import { PageDoor } from './page-door.ts';
import { putInPlace } from './hand-over.ts';
import type { ReadPlan } from './reload.ts';

/** So often it is looked whether the file changed, and so often everything that it names. */
const lookMs = 2000;
const lookAgainMs = 30_000;
/** Whoever asked gets the answer before page and sockets are handed on. */
const lingerMs = 300;
const maxStatus = 3000;
const technicians = 'meter-technicians';
/** Sessions of the page over a restart, by digest. */
const sessionsName = 'page-sessions.json';

export interface SetupSettings {
  readonly configPath: string;
  /** Where the page is served while no configuration says so. */
  readonly page: PagePlan;
  readonly version: string;
  readonly log: Log;
  readonly notifier: ServiceNotifier;
  readonly stop: AbortSignal;
  readonly onReload: (handler: () => void) => void;
}
export interface SetupPhase {
  /** Resolves when there is a plan; undefined where the process is to end: it was asked to, or is started again with what was written. */
  plan(trouble?: Failure): Promise<ReadPlan | undefined>;
  /** Gives page and sockets back, and the sessions of whoever is logged in. */
  close(): Promise<readonly SessionLeft[]>;
}

type Looked =
  | { readonly mode: 'first-run'; readonly findings: readonly ShownFinding[] }
  | { readonly mode: 'refused'; readonly findings: readonly ShownFinding[]; readonly words: string }
  | { readonly mode: 'good'; readonly read: ReadPlan };

/** As `readPlan` of a start, with every finding at its line. */
function lookAt(configPath: string, place: Place): Looked {
  const standing = standingOf(configPath, place.holding);
  if (standing.kind === 'none') return { mode: 'first-run', findings: [] };
  if (standing.kind === 'lost') {
    const finding = {
      ...ofWhole(configPath, 'file', new Failure('config-invalid', standing.message)),
      next: standing.next,
    };
    return { mode: 'refused', findings: [finding], words: standing.message };
  }
  let judged: Judged;
  try {
    judged = judgeFile(configPath, { sources: serviceSources, door: defaultDoor });
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    const finding = ofWhole(configPath, 'file', error);
    return {
      mode: 'refused',
      findings: [finding],
      words: `${finding.message}; next (${finding.fault}): ${finding.next}`,
    };
  }
  const { plan, findings } = judged;
  if (plan) return { mode: 'good', read: { plan, warnings: plan.findings.map(findingLine) } };
  const words = findings.filter(isFault).map(findingLine).join('; ');
  return { mode: 'refused', findings: shown(configPath, findings), words };
}

/** What the file says of the page, where that much of it is sound; undefined: nothing. `off`: none is to be served. */
function pageIn(configPath: string): PagePlan | 'off' | undefined {
  try {
    return pageOf(readToml(readFileSync(configPath, 'utf8')).value['page'], serviceSources);
  } catch {
    return undefined;
  }
}

const listenText = ({ host, port }: PagePlan): string => `${host.includes(':') ? `[${host}]` : host}:${port}`;
const stampOf = (path: string): string => {
  const found = statSync(path, { throwIfNoEntry: false });
  return found ? `${found.ino} ${found.mtimeMs} ${found.size} ${found.mode}` : '';
};
const whyOf = (looked: Looked): string =>
  looked.mode === 'first-run'
    ? 'no configuration yet: meter-gateway page shows the link to the first run'
    : looked.mode === 'refused'
      ? `CONFIGURATION REFUSED, nothing is polled: ${looked.words}`
      : '';

class Phase implements SetupPhase {
  private readonly settings: SetupSettings;
  private readonly place: Place;
  private first: FirstRun | undefined;
  private looked: Looked = { mode: 'first-run', findings: [] };
  private trouble: Failure | undefined;
  private looks = 0;
  private page: PageDoor<SetupAnswers> | undefined;
  private closeDoors: (() => Promise<void>)[] = [];
  private opened = false;
  private feeding: NodeJS.Timeout | undefined;
  private resolve: (read: ReadPlan | undefined) => void = () => {};

  constructor(settings: SetupSettings) {
    this.settings = settings;
    this.place = placeOf(settings.configPath, process.env['STATE_DIRECTORY']?.split(':')[0]);
  }

  async plan(trouble?: Failure): Promise<ReadPlan | undefined> {
    const { stop } = this.settings;
    this.trouble = trouble;
    this.look();
    if (this.looked.mode === 'good' && !trouble) return this.looked.read;
    if (stop.aborted) return undefined;
    const planned = new Promise<ReadPlan | undefined>((resolve) => (this.resolve = resolve));
    const stopped = () => this.resolve(undefined);
    stop.addEventListener('abort', stopped, { once: true });
    await this.open();
    this.settings.onReload(() => void this.again().catch(() => {}));
    this.tell();
    const watching = this.watch();
    try {
      const read = await planned;
      // Credentials come with a start of the unit: those that were set meanwhile are seen by the next life (Restart=always).
      if (!read || !this.place.isService || process.env['NOTIFY_SOCKET'] === undefined) return read;
      storeSessions(this.place.holding, this.page?.sessionsLeft() ?? []);
      return undefined;
    } finally {
      clearInterval(watching);
      stop.removeEventListener('abort', stopped);
    }
  }

  async close(): Promise<readonly SessionLeft[]> {
    clearInterval(this.feeding);
    this.feeding = undefined;
    if (!this.opened) return sessionsOf(this.place.holding);
    this.opened = false;
    const left = this.page?.sessionsLeft() ?? [];
    await this.page?.close();
    this.page = undefined;
    for (const shut of this.closeDoors.splice(0)) await shut();
    return left;
  }

  private look(): void {
    this.looks++;
    this.looked = lookAt(this.settings.configPath, this.place);
  }
  private state(): SetupState {
    const { looked, trouble, looks } = this;
    const file = this.settings.configPath;
    const mode = looked.mode === 'first-run' ? 'first-run' : 'refused';
    const findings = looked.mode === 'good' ? [] : looked.findings;
    const ofStart =
      trouble && looked.mode === 'good'
        ? [ofWhole(looked.read.plan.config.gateway.state_directory, 'start', trouble)]
        : [];
    const held = looked.mode === 'first-run' ? this.firstRun().held() : { draft: null, secrets: [], backup: null };
    return { mode, file, findings: [...findings, ...ofStart], looks, ...held };
  }
  private tell(): void {
    const { notifier, log } = this.settings;
    const { trouble, looked } = this;
    const words =
      looked.mode === 'good' && trouble
        ? `THE GATEWAY DOES NOT START, nothing is polled: ${trouble.message}; next: ${trouble.nextStep}`
        : whyOf(looked);
    notifier.waiting(words.slice(0, maxStatus), looked.mode !== 'first-run');
    log[looked.mode === 'first-run' ? 'info' : 'error']({ config: this.settings.configPath }, words);
  }

  /** The file is looked at when it has changed and is the same at two looks, and everything now and then. */
  private watch(): NodeJS.Timeout {
    const { configPath, log } = this.settings;
    let before = stampOf(configPath);
    let changed = false;
    let since = 0;
    const tick = (): void => {
      this.settings.notifier.watchdog();
      const now = stampOf(configPath);
      const isStill = now === before;
      since += lookMs;
      if (!isStill) changed = true;
      before = now;
      const due = since >= lookAgainMs;
      if (!(isStill && changed) && !due) return;
      changed = false;
      since = 0;
      void this.again().catch((error: unknown) =>
        log.error({ error: messageOf(error) }, 'the configuration is not looked at'),
      );
    };
    return setInterval(tick, lookMs);
  }
  /** Looks, and lets the gateway start where nothing is in the way. */
  private again(): Promise<SetupState> {
    const words = whyOf(this.looked);
    this.look();
    if (this.looked.mode === 'good') this.go(this.looked.read);
    else if (whyOf(this.looked) !== words) {
      this.trouble = undefined;
      this.tell();
    }
    return Promise.resolve(this.state());
  }
  private go(read: ReadPlan | undefined): void {
    setTimeout(() => this.resolve(read), lingerMs);
  }

  private firstRun(): FirstRun {
    const runtime = process.env['RUNTIME_DIRECTORY'];
    this.first ??= firstRun({
      place: this.place,
      clock: systemClock,
      sources: serviceSources,
      door: defaultDoor,
      technicians: runtime !== undefined && handsGroupOn(join(runtime, 'desk')) ? technicians : undefined,
      listen: listenText(this.settings.page),
      now: () => new Date().toISOString(),
      tell: (why) => this.settings.log.warn({}, why),
      putInPlace: (given) =>
        putInPlace({ file: this.place.config, ...given }, this.place.holding, secretFolder(this.place.config)),
      restore: restoreBackup,
      inspect: inspectBackup,
    });
    return this.first;
  }
  /** What is entered only in a first run. */
  private entering(): FirstRun {
    if (this.looked.mode === 'first-run') return this.firstRun();
    throw new Failure(
      'file-unusable',
      `${this.settings.configPath} is there: it is mended, and not written anew here`,
      {
        next: 'Correct what the findings say, in that file.',
      },
    );
  }
  private async write(): Promise<Written> {
    // Somebody may have written the file by hand meanwhile.
    this.look();
    const written = await this.entering().write();
    if (written.outcome === 'starts') {
      await this.again();
      return written;
    }
    storeSessions(this.place.holding, this.page?.sessionsLeft() ?? []);
    this.go(undefined);
    return written;
  }
  private readonly answers = (): SetupAnswers => {
    const answered =
      <T extends unknown[]>(work: (...given: T) => void) =>
      (...given: T): SetupState => {
        work(...given);
        return this.state();
      };
    const entering = () => this.entering();
    return {
      state: () => this.state(),
      ports: () => entering().ports(),
      scan: (wish, signal) => entering().scan(wish, signal),
      workList: (octets) => entering().workList(octets),
      testBroker: () => entering().testBroker(),
      configuration: () => entering().configuration(),
      enter: answered((part) => entering().enter(part)),
      secret: answered((name, value) => entering().secret(name, value)),
      forget: answered(() => entering().forget()),
      backup: async (part) => {
        await entering().backup(part);
        return this.state();
      },
      write: () => this.write(),
      again: () => this.again(),
      reload: async () => {
        await this.again();
        const { looked } = this;
        if (looked.mode !== 'good') return this.refuse();
        return { hash: looked.read.plan.hash, since: new Date().toISOString(), warnings: looked.read.warnings };
      },
      link: (permission) => this.link(permission),
      refuse: () => this.refuse(),
    };
  };
  private refuse(): never {
    const { looked, trouble } = this;
    if (looked.mode === 'good' && trouble) throw trouble;
    if (looked.mode !== 'refused')
      throw new Failure(
        'no-gateway',
        looked.mode === 'good'
          ? 'the gateway is starting'
          : 'this gateway has no configuration yet: meter-gateway page shows a link to its first run',
      );
    throw looked.findings.length > 1 || looked.findings[0]?.line !== null
      ? refusal(this.settings.configPath, looked.findings)
      : new Failure('config-invalid', looked.words);
  }
  private link(permission: Permission): PageTicket {
    if (!this.page) throw new Failure('config-invalid', 'the page is not served yet');
    return this.page.ticket(permission);
  }

  private async open(): Promise<void> {
    if (this.opened) return;
    this.opened = true;
    const { notifier, log } = this.settings;
    // A start that takes long is fed too, until the gateway itself is looked after.
    this.feeding ??= setInterval(() => notifier.watchdog(), Math.min(notifier.watchdogEveryMs ?? 10_000, 10_000));
    await this.openDoors().catch((error: unknown) =>
      log.error({ error: messageOf(error) }, 'the local sockets are not served'),
    );
    await this.openPage();
  }
  private async openPage(): Promise<void> {
    const { configPath, page, log, version } = this.settings;
    const found = this.looked.mode === 'first-run' ? undefined : pageIn(configPath);
    this.page = new PageDoor<SetupAnswers>({
      mode: () => (this.looked.mode === 'first-run' ? 'first-run' : 'refused'),
      rows: setupRows,
      house: this.answers,
      ready: () => Promise.resolve(false),
      log,
      version,
      gateway: () => '',
      stateDirectory: this.place.holding,
      sessions: sessionsOf(this.place.holding),
    });
    await this.page.move(found === 'off' ? undefined : (found ?? page));
    // Who starts the gateway by hand at a terminal reads the link there.
    if (process.stderr.isTTY && found !== 'off') note(`open the page: ${this.link('act').url}`);
  }
  /** Those of a running gateway: where technicians have a folder of their own, the other socket only looks. */
  private async openDoors(): Promise<void> {
    const status = defaultDoor(this.place.holding);
    const desk = join(dirname(status), 'desk');
    const own = handsGroupOn(desk);
    const open = async (path: string, may: Permission) => {
      const shut = await serveDoor<SetupAnswers>(path, {
        key: 'status_socket',
        rows: setupDoorRows,
        house: this.answers,
        open: (socket) => openToGroup(socket, undefined),
        log: undefined,
        may: {
          permission: () => may,
          refusal: 'at this socket one may only look; what acts is asked at the desk socket (desk.sock)',
        },
      });
      this.closeDoors.push(shut);
    };
    await open(status, own ? 'look' : 'act');
    if (own) await open(join(desk, 'desk.sock'), 'act');
  }
}

export const setupPhase = (settings: SetupSettings): SetupPhase => new Phase(settings);

function storeSessions(holding: string, sessions: readonly SessionLeft[]): void {
  try {
    putWhole(join(holding, sessionsName), JSON.stringify({ at: Date.now(), sessions }), 0o600);
  } catch {
    // Whoever is logged in logs in once more.
  }
}
/** Once: of the process that ended for this one. */
function sessionsOf(holding: string): readonly SessionLeft[] {
  const path = join(holding, sessionsName);
  try {
    const { at, sessions } = JSON.parse(readFileSync(path, 'utf8')) as {
      readonly at: number;
      readonly sessions: readonly SessionLeft[];
    };
    const passed = Math.max(0, Date.now() - at);
    return sessions.map((one) => ({ ...one, leftMs: one.leftMs - passed }));
  } catch {
    return [];
  } finally {
    rmSync(path, { force: true });
  }
}
