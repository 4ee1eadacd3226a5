/**
 * A gateway without a configuration in force: nobody is polled, and the page says why. Where there is no configuration the page
 * is the first run; where there is one that does not hold it shows what is wrong, and never falls back to that.
 */
import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Failure, messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { readToml } from '../base/toml.ts';
import { type Finding, findingLine } from '../config/findings.ts';
import { judgeFile, judgeText, type Judged } from '../config/judge.ts';
import { listenOf, type PagePlan } from '../config/resolve-page.ts';
import { serviceSources } from '../config/sources.ts';
import type { Draft, FoundPort, SetupAnswer, SetupAnswers, ShownFinding } from '../desk/setup-routes.ts';
import { setupRoutes } from '../desk/setup-routes.ts';
import { openToGroup } from '../desk/socket-group.ts';
import { serveDoor } from '../door/server.ts';
import { probeBroker } from '../forward/broker-probe.ts';
import { topics } from '../contract/topics.ts';
import { defaultDoor } from './doors.ts';
import { draftText } from './draft-text.ts';
import { putInPlace } from './hand-over.ts';
import type { ServiceNotifier } from './notifier.ts';
import { PageDoor } from './page-door.ts';

const lookEveryMs = 2000;
const brokerLimitMs = 10_000;
const defaultState = '/var/lib/meter-gateway';
const secretNames = { broker: 'mqtt-password', page: 'page-password' } as const;

export interface WaitingContext {
  readonly configPath: string;
  readonly log: Log;
  readonly notifier: ServiceNotifier;
  readonly stop: AbortSignal;
  readonly version: string;
  /** Where the page is served while no file names another place. */
  readonly page: PagePlan;
}
interface Standing {
  readonly mode: SetupAnswer['mode'];
  readonly why: string;
  readonly findings: readonly Finding[];
  readonly text: string;
}

/** No value in force: the file of a fresh installation is comments alone. */
const isEmpty = (text: string): boolean => {
  const { value, problems } = readToml(text);
  return problems.length === 0 && Object.keys(value).length === 0;
};
const whole = (path: string, message: string): Finding => ({
  severity: 'error',
  code: 'config-invalid',
  fault: 'operator',
  file: path,
  line: null,
  column: null,
  path: '',
  about: 'configuration',
  message,
  next: 'Mend what the line says; the gateway looks again by itself.',
});

/** undefined: the configuration holds. */
function standingOf(path: string): Standing | undefined {
  let text = '';
  try {
    text = readFileSync(path, 'utf8');
    if (isEmpty(text)) return { mode: 'first-run', why: `${path} has no value in force`, findings: [], text };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return { mode: 'first-run', why: `there is no ${path}`, findings: [], text };
    // Whatever else it is, who judges it has the words.
  }
  let judged: Judged;
  try {
    judged = judgeFile(path, { sources: serviceSources, door: defaultDoor });
  } catch (error) {
    const message = messageOf(error);
    return { mode: 'refused', why: message, findings: [whole(path, message)], text };
  }
  if (judged.plan) return undefined;
  const { findings } = judged;
  const errors = findings.filter(({ severity }) => severity === 'error').length;
  const first = findings[0] ? findingLine(findings[0]) : '';
  return {
    mode: 'refused',
    why: `${path}: ${errors} ${errors === 1 ? 'thing stands' : 'things stand'} in the way: ${first}`,
    findings,
    text,
  };
}
const shownIn =
  (text: string) =>
  (finding: Finding): ShownFinding => ({
    ...finding,
    text: finding.line === null ? null : (text.split('\n')[finding.line - 1] ?? null),
  });

/** Serial lines, by the names that last. */
function portsFound(): FoundPort[] {
  const list = (folder: string): string[] =>
    existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : [];
  const named = [...list('/dev/meter'), ...list('/dev/serial/by-id')];
  const real = (path: string): string => {
    try {
      return realpathSync(path);
    } catch {
      return path;
    }
  };
  const known = new Set(named.map(real));
  const others = ['/dev'].flatMap(list).filter((path) => /tty(USB|ACM|AMA|SC)\d+$/.test(path) && !known.has(path));
  return [...named, ...others].map((path) => ({
    device: `serial:${path}`,
    words: named.includes(path)
      ? `${path} (now ${real(path)})`
      : `${path}: its name may be another one after a restart`,
  }));
}

/** The page as the file names it, as far as that can be read. */
function pageOf(text: string, defaultPage: PagePlan): PagePlan | undefined {
  const { value, problems } = readToml(text);
  if (problems.length > 0) return defaultPage;
  const { listen } = (value['page'] ?? {}) as Readonly<Record<string, unknown>>;
  if (listen === 'off') return undefined;
  return { ...defaultPage, ...(typeof listen === 'string' ? (listenOf(listen) ?? {}) : {}) };
}

class Waiting implements SetupAnswers {
  private readonly context: WaitingContext;
  private standing: Standing;
  private ended: (outcome: 'configured' | 'restart') => void = () => {};
  readonly page: PageDoor<SetupAnswers>;
  readonly done: Promise<'configured' | 'restart'>;

  constructor(context: WaitingContext, standing: Standing) {
    const { log, version } = context;
    this.context = context;
    this.standing = standing;
    this.done = new Promise((resolve) => {
      this.ended = resolve;
    });
    this.page = new PageDoor<SetupAnswers>({
      mode: () => this.standing.mode,
      rows: setupRoutes,
      house: () => this,
      ready: () => Promise.resolve(false),
      log,
      version,
      gateway: () => '',
      stateDirectory: this.stateDirectory,
    });
  }

  private get stateDirectory(): string {
    return (
      process.env['STATE_DIRECTORY'] ?? (existsSync(defaultState) ? defaultState : dirname(this.context.configPath))
    );
  }
  private get isService(): boolean {
    return process.env['STATE_DIRECTORY'] !== undefined;
  }
  /** Outside of the unit secrets are files beside the configuration. */
  private get secretFolder(): string {
    return join(dirname(this.context.configPath), 'secrets');
  }
  private reference(name: string): string {
    return this.isService ? `credential:${name}` : `file:${join(this.secretFolder, name)}`;
  }

  setup(): SetupAnswer {
    const { mode, why, findings, text } = this.standing;
    return {
      mode,
      file: this.context.configPath,
      why,
      findings: findings.map(shownIn(text)),
      ports: mode === 'first-run' ? portsFound() : [],
      cannotWrite: null,
    };
  }
  private textOf({ broker, pagePassword, ...more }: Draft): string {
    return draftText(
      { broker, pagePassword, ...more },
      {
        ...(broker.password && { brokerPassword: this.reference(secretNames.broker) }),
        ...(pagePassword && { pagePassword: this.reference(secretNames.page) }),
      },
      this.isService ? undefined : join(dirname(this.context.configPath), 'state'),
    );
  }
  private judged(given: Draft): { readonly text: string; readonly judged: Judged } {
    const text = this.textOf(given);
    const entered: ReadonlyMap<string, string | undefined> = new Map([
      [this.reference(secretNames.broker), given.broker.password],
      [this.reference(secretNames.page), given.pagePassword],
    ]);
    // The secrets are not in their places yet.
    const secret = (reference: string): Uint8Array => {
      const own = entered.get(reference);
      return own === undefined ? serviceSources.secret(reference) : Buffer.from(own);
    };
    const sources = { ...serviceSources, secret };
    return { text, judged: judgeText(text, { name: this.context.configPath, sources, door: defaultDoor }) };
  }
  draft(given: Draft): { readonly text: string; readonly findings: readonly ShownFinding[] } {
    const { text, judged } = this.judged(given);
    return { text, findings: judged.findings.map(shownIn(text)) };
  }
  tryBroker(given: Draft): ReturnType<SetupAnswers['tryBroker']> {
    const { plan } = this.judged(given).judged;
    if (!plan) throw new Failure('config-invalid', 'the draft does not hold yet: see what is wrong with it');
    const rules = { topics: topics(given.tenant, given.id), orders: false };
    return probeBroker(plan.broker, rules, brokerLimitMs);
  }
  async write(given: Draft): Promise<{ readonly file: string }> {
    const { mode } = this.standing;
    if (mode !== 'first-run')
      throw new Failure(
        'not-permitted',
        'there is a configuration: it is mended in its file, and never overwritten from here',
      );
    const { text, judged } = this.judged(given);
    if (!judged.plan) throw new Failure('config-invalid', judged.findings.map(findingLine).join('\n'));
    const secrets = new Map<string, string>();
    if (given.broker.password) secrets.set(secretNames.broker, given.broker.password);
    if (given.pagePassword) secrets.set(secretNames.page, given.pagePassword);
    const { configPath, log } = this.context;
    await putInPlace({ file: configPath, text, secrets }, this.stateDirectory, this.secretFolder);
    log.info({ file: configPath }, 'the first configuration was written at the page');
    // The unit passes secrets when it starts.
    if (this.isService) this.ended('restart');
    else this.look();
    return { file: configPath };
  }
  again(): Promise<{ readonly starts: true }> {
    if (this.look()) return Promise.resolve({ starts: true });
    throw new Failure('config-invalid', this.standing.why);
  }
  pageTicket(...given: Parameters<SetupAnswers['pageTicket']>): ReturnType<SetupAnswers['pageTicket']> {
    return this.page.ticket(...given);
  }
  snapshot(): Promise<never> {
    return Promise.reject(new Failure('config-invalid', `no meter is polled: ${this.standing.why}`));
  }

  /** Whether the configuration holds now. */
  look(): boolean {
    const now = standingOf(this.context.configPath);
    if (!now) {
      this.ended('configured');
      return true;
    }
    if (now.why !== this.standing.why) {
      this.context.log.error({}, now.why);
      void this.page.move(pageOf(now.text, this.context.page));
    }
    this.standing = now;
    this.tell();
    return false;
  }
  tell(): void {
    const { mode, why } = this.standing;
    this.context.notifier.status(
      mode === 'first-run'
        ? `NOT CONFIGURED: ${why}; the page (meter-gateway page) makes the first configuration`
        : `CONFIGURATION REFUSED, no meter is polled: ${why}`,
    );
  }
}

const stampOf = (path: string): string => {
  const found = statSync(path, { throwIfNoEntry: false });
  return found ? `${found.mtimeMs} ${found.size} ${found.ino}` : '';
};

/** `restart`: it holds, and only another start sees its secrets. */
export async function untilConfigured(context: WaitingContext): Promise<'configured' | 'restart' | 'stopped'> {
  const { configPath, log, notifier, stop } = context;
  const standing = standingOf(configPath);
  if (!standing) return 'configured';
  log.error({}, standing.why);
  const waiting = new Waiting(context, standing);
  await waiting.page.move(pageOf(standing.text, context.page));
  const socket = defaultDoor(dirname(configPath));
  const close = await serveDoor(socket, {
    key: 'status_socket',
    rows: setupRoutes,
    house: () => waiting,
    open: (path) => openToGroup(path, undefined, 'status_group'),
    log,
  });
  notifier.ready();
  waiting.tell();
  let seen = stampOf(configPath);
  const timer = setInterval(() => {
    notifier.watchdog();
    const now = stampOf(configPath);
    if (now === seen) return;
    seen = now;
    waiting.look();
  }, lookEveryMs);
  const stopped = new Promise<'stopped'>((resolve) => {
    if (stop.aborted) resolve('stopped');
    stop.addEventListener('abort', () => resolve('stopped'), { once: true });
  });
  const outcome = await Promise.race([waiting.done, stopped]);
  clearInterval(timer);
  // Whoever asked gets the answer.
  await new Promise((resolve) => setTimeout(resolve, 300));
  await waiting.page.close();
  await close();
  return outcome;
}
