/** The page of the running gateway: served as the plan says, moved when the plan changes, and no reason to stop polling. */
import { isLoopback } from '../door/loopback.ts';
import { hostname } from 'node:os';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Failure, messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { PagePlan } from '../config/resolve-page.ts';
import type { LocalAnswers, PageTicket } from '../desk/routes.ts';
import { routes } from '../desk/routes.ts';
import type { Permission, Route } from '../door/rows.ts';
import { type Assets, readAssets } from '../page/assets.ts';
import { type Page, type PageCounts, type PageMode, servePage } from '../page/server.ts';
import { Login, type SessionLeft, ticketS } from '../page/login.ts';
import { type Shared, shared } from '../page/shared.ts';
import { metricsText } from '../status/metrics.ts';
import { ownCertificate } from './own-certificate.ts';
import type { Disk } from '../schedule/storage.ts';

const packageRoot = new URL('../../', import.meta.url);
const watchEveryMs = 2000;
const nothing = new Uint8Array(0);
const againMs = 10_000;
/** Whoever asked for the reload on a page that moves gets the answer there. */
const lingerMs = 2000;

/** What is served: the desk of a gateway that runs, or what is asked where no configuration is in force. */
export interface Served<House> {
  readonly mode: () => PageMode;
  readonly rows: readonly Route<House>[];
  readonly house: () => House;
  readonly shared?: Readonly<Record<string, Shared>>;
  readonly metrics?: (counts: PageCounts, eventLoopLagS: number) => Promise<string>;
  readonly ready: () => Promise<boolean>;
}
export interface PageDoorSettings<House> extends Served<House> {
  readonly log: Log;
  readonly version: string;
  readonly gateway: () => string;
  readonly stateDirectory: string;
  /** After which an address that is taken is tried again. */
  readonly againMs?: number;
  /** Of whoever was logged in before, at another page of this gateway. */
  readonly sessions: readonly SessionLeft[];
}

interface Standing {
  readonly plan: PagePlan;
  readonly page: Page;
  readonly fingerprint: string | null;
}
const keyOf = ({ host, port, tls }: PagePlan): string =>
  JSON.stringify([host, port, tls && Buffer.from(tls.cert).toString('latin1')]);

export class PageDoor<House> {
  private readonly settings: PageDoorSettings<House>;
  private plan: PagePlan | undefined;
  private standing: Standing | undefined;
  private trouble: string | undefined;
  private assets: Assets | undefined;
  private moved: Promise<void> = Promise.resolve();
  private again: NodeJS.Timeout | undefined;
  private ended = false;
  private readonly lag = monitorEventLoopDelay({ resolution: 100 });
  private readonly login = new Login(
    () => performance.now(),
    () => this.plan?.password,
  );

  constructor(settings: PageDoorSettings<House>) {
    this.settings = settings;
    this.login.admit(settings.sessions);
  }

  /**
   * Serves as this plan says, one after another. Never rejects: what is wrong is logged, is the answer to whoever wants a ticket,
   * and is tried again.
   */
  move(to: PagePlan | undefined): Promise<void> {
    clearTimeout(this.again);
    this.moved = this.moved.then(() => this.moveNow(to));
    return this.moved;
  }
  private async moveNow(to: PagePlan | undefined): Promise<void> {
    const before = this.plan?.password ?? nothing;
    if (this.plan && Buffer.compare(before, to?.password ?? nothing) !== 0) this.login.endAll();
    this.plan = to;
    if (to && this.standing && keyOf(this.standing.plan) === keyOf(to)) return;
    await this.shut(lingerMs);
    const loggedBefore = this.trouble;
    this.trouble = undefined;
    if (!to || this.ended) return;
    try {
      await this.open(to);
    } catch (error) {
      this.trouble = messageOf(error);
      if (this.trouble !== loggedBefore)
        this.settings.log.error({ error: this.trouble }, 'the page is not served; the meters are polled all the same');
      // Another process may leave the address, and an interface may come up late.
      this.again = setTimeout(() => void this.move(to), this.settings.againMs ?? againMs).unref();
    }
  }
  /** Failure `config-invalid` where there is no page now. */
  ticket(permission: Permission): PageTicket {
    const { standing, trouble } = this;
    if (!standing)
      throw new Failure(
        'config-invalid',
        trouble === undefined
          ? 'this gateway serves no page: page.listen is off'
          : `the page is not served: ${trouble}`,
      );
    const url = `${urlOf(standing)}#ticket=${this.login.ticket(permission)}`;
    return { url, permission, validS: ticketS, fingerprint: standing.fingerprint };
  }
  /** For the page that follows: nobody has to log in once more. */
  sessionsLeft(): readonly SessionLeft[] {
    return this.login.sessionsLeft();
  }
  async close(): Promise<void> {
    this.ended = true;
    clearTimeout(this.again);
    await this.moved;
    this.lag.disable();
    await this.shut(0);
  }

  private async open(to: PagePlan): Promise<void> {
    const { mode, rows, house, shared, metrics, ready, log, version, gateway, stateDirectory } = this.settings;
    this.assets ??= readAssets(new URL('dist/page/', packageRoot).pathname);
    this.lag.enable();
    const own = to.tls || isLoopback(to.host) ? undefined : await ownCertificate(stateDirectory, to.hosts);
    const tls = to.tls ? { cert: Buffer.from(to.tls.cert), key: Buffer.from(to.tls.key) } : own;
    const page = await servePage<House>({
      listen: { host: to.host, port: to.port },
      tls,
      hosts: () => [hostname(), ...(this.plan?.hosts ?? [])],
      login: this.login,
      rows,
      house,
      me: () => ({ mode: mode(), gateway: gateway(), version }),
      assets: this.assets,
      ...(shared && { shared }),
      ...(metrics && { metrics: (counts: PageCounts) => metrics(counts, this.lagS()) }),
      health: async () => ({ live: true, ready: await ready() }),
      log,
    });
    this.standing = { plan: to, page, fingerprint: own?.fingerprint ?? null };
    log.info({ page: urlOf(this.standing) }, 'the page is served');
  }
  private async shut(linger: number): Promise<void> {
    const { standing } = this;
    this.standing = undefined;
    await standing?.page.close(linger);
  }
  private lagS(): number {
    const { max } = this.lag;
    this.lag.reset();
    return max / 1e9;
  }
}

/** What a gateway that runs serves. */
export const runningPage = (
  answers: () => LocalAnswers,
  stuck: () => Promise<string | undefined>,
  disk: () => Disk | null,
): Served<LocalAnswers> => ({
  mode: () => 'running',
  rows: routes,
  house: answers,
  shared: { '/v1/status/watch': shared(() => answers().snapshot(), watchEveryMs) },
  ready: async () => (await stuck()) === undefined,
  async metrics(page, eventLoopLagS) {
    const { user, system } = process.cpuUsage();
    return metricsText({
      snapshot: await answers().snapshot(),
      uses: answers().lineUses(),
      page,
      now: Date.now(),
      disk: disk(),
      cpuS: (user + system) / 1e6,
      eventLoopLagS,
    });
  },
});

/** As somebody on this machine, or beside it, opens it. */
function urlOf({ plan, page, fingerprint }: Standing): string {
  const { host, port } = page.address;
  const isAll = host === '0.0.0.0' || host === '::';
  const name = isAll ? hostname() : host.includes(':') ? `[${host}]` : host;
  return `http${plan.tls || fingerprint !== null ? 's' : ''}://${name}:${port}/`;
}
