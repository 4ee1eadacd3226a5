/** Owns one line for good: opens it, opens it again after a loss with growing pauses, and distrusts a line that is mute. */
import { Failure, messageOf } from '../base/errors.ts';
import { type Clock, later, longAgo, type Millis } from '../base/time.ts';
import { inTime, type Lease, leased } from './lease.ts';
import type { Port } from './port.ts';

export interface PortOwnerSettings {
  readonly device: string;
  readonly open: () => Promise<Port>;
  readonly clock: Clock;
  /** After so many sessions without one octet the port is closed and opened anew: unplugs are not always reported. */
  readonly muteLimit: number;
  /** What the owner before it knew of this line, through a reload. */
  readonly before?: LineMemory | undefined;
}
/** What is known of a line between its sessions. */
export interface LineMemory {
  readonly open: boolean;
  readonly failures: number;
  readonly retryAt: Millis;
  readonly lastError: string | undefined;
  readonly lastCode: Failure['code'] | undefined;
  readonly reuse: 'unknown' | 'works' | 'fails';
}
export interface PortState {
  readonly open: boolean;
  readonly lastError: string | undefined;
  readonly opened: number;
  readonly retryAt: Millis | undefined;
  /** Each session over a connection of its own: a second association over one was never answered. */
  readonly oneSession: boolean;
}
const firstPauseMs = 1000;
const longestPauseMs = 30_000;
/** Opening has time-outs of its own; this is for what forgets them. */
const openLimitMs = 60_000;

export class PortOwner {
  private readonly settings: PortOwnerSettings;
  private port: Lease | undefined;
  private failures = 0;
  private retryAt: Millis = longAgo;
  private mute = 0;
  private opened = 0;
  private lastError: string | undefined;
  /** Sessions over this connection, with the one under way. */
  private uses = 0;
  /** Whether a second session over one connection was heard; where none ever was, each gets a connection of its own. */
  private reuse: 'unknown' | 'works' | 'fails' = 'unknown';
  /** Closed by us between two sessions, and nothing wrong with it. */
  private resting = false;
  /** The port was open until we closed it. */
  private closedWell = false;

  constructor(settings: PortOwnerSettings) {
    this.settings = settings;
    const { before } = settings;
    if (!before) return;
    ({ failures: this.failures, retryAt: this.retryAt, lastError: this.lastError, reuse: this.reuse } = before);
    this.lastCode = before.lastCode;
    this.resting = before.open;
  }

  /** What the owner that takes its place needs to know. */
  get memory(): LineMemory {
    const { failures, retryAt, lastError, lastCode, reuse } = this;
    return { open: this.state.open || this.closedWell, failures, retryAt, lastError, lastCode, reuse };
  }

  get state(): PortState {
    const { port, lastError, opened } = this;
    const oneSession = this.reuse === 'fails';
    const open = port === undefined ? this.resting : !port.closed;
    return { open, lastError, opened, retryAt: port ? undefined : this.retryAt, oneSession };
  }

  /**
   * The open port, for one session. Throws Failure `port-missing`, `host-missing` or `port-busy`; then `state.retryAt` says
   * when to try again.
   */
  async acquire(): Promise<Port> {
    // Meters and converters close connections that are idle, or after each release: that costs nobody a session.
    if (this.port?.closed === true) await this.close();
    if (!this.port) await this.open();
    const port = this.port as Port;
    this.uses++;
    this.written = false;
    return port.connection ? this.forOneSession(this.uses > 1) : port;
  }

  /** The port for a second association in one session (the public client was asked first): another connection where it must be. */
  async again(port: Port): Promise<Port> {
    if (!port.connection || !this.written) return port;
    if (this.reuse === 'fails') await this.close();
    return this.acquire();
  }
  private written = false;

  private async open(): Promise<void> {
    const { clock, device } = this.settings;
    if (clock.now() < this.retryAt) {
      const code = this.lastCode ?? 'port-missing';
      throw new Failure(code, this.lastError ?? `${device} is not open`);
    }
    try {
      this.resting = this.closedWell = false;
      const slow = () =>
        new Failure(
          device.startsWith('tcp:') ? 'host-missing' : 'port-missing',
          `${device} does not open within ${openLimitMs / 1000} s`,
        );
      // A device that opens after all belongs to nobody.
      const late = (port: Port) => void port.close().catch(() => {});
      this.port = leased(await inTime(clock, openLimitMs, this.settings.open(), slow, late), clock);
      this.failures = 0;
      this.mute = 0;
      this.uses = 0;
      this.opened++;
      this.lastError = this.lastCode = undefined;
    } catch (error) {
      this.lastError = messageOf(error);
      this.lastCode = error instanceof Failure ? error.code : undefined;
      this.retryAt = later(clock.now(), Math.min(longestPauseMs, firstPauseMs * 2 ** this.failures++));
      throw error;
    }
  }
  private lastCode: Failure['code'] | undefined;

  /**
   * Between sessions: a device that was lost meanwhile, or that nobody needed yet, is opened, so that its loss and its return
   * are seen before the next poll. What went wrong is in `state`; true while it is lost.
   */
  async tend(): Promise<boolean> {
    const { clock, device } = this.settings;
    const isLost = !device.startsWith('tcp:') && this.port?.closed !== false;
    if (!isLost || clock.now() < this.retryAt) return isLost;
    try {
      await this.close();
      await this.open();
      return false;
    } catch {
      return true;
    }
  }

  /**
   * A connection that was used before, and may be closing just now. Where it breaks before anything was heard, what was
   * sent goes out once more over a new one.
   */
  private forOneSession(usedBefore: boolean): Port {
    const sent: Uint8Array[] = [];
    let renewable = usedBefore;
    const now = (): Port => {
      if (!this.port) throw new Failure('connection-lost', `${this.settings.device}: closed`);
      return this.port;
    };
    let firstSentAt: Millis | undefined;
    const renew = async (): Promise<void> => {
      renewable = false;
      await this.close();
      await this.open();
      this.uses = 1;
      for (const octets of sent) await now().write(octets);
    };
    const orRenewed = async <T>(work: () => Promise<T>): Promise<T> => {
      try {
        return await work();
      } catch (error) {
        // Where somebody closed the port it stays closed.
        const broken = error instanceof Failure && error.code === 'connection-lost' && this.port !== undefined;
        if (!renewable || !broken) throw error;
        await renew();
        return await work();
      }
    };
    return {
      device: this.settings.device,
      connection: true,
      get closed() {
        return now().closed;
      },
      read: async (until) => {
        const octets = await orRenewed(() => now().read(until));
        // What comes before we said anything is of the session before.
        if (octets && sent.length > 0) {
          renewable = false;
          if (this.reuse === 'unknown') this.reuse = 'works';
        }
        const silent = octets === undefined && renewable && firstSentAt !== undefined && until !== undefined;
        if (!silent || this.reuse !== 'unknown') return octets;
        // A meter that takes one association over each connection never answers the second: once more, over a new one.
        const patienceMs = until - (firstSentAt as Millis);
        await renew();
        const late = await now().read(later(this.settings.clock.now(), patienceMs));
        if (late) this.reuse = 'fails';
        return late;
      },
      write: async (octets) => {
        this.written = true;
        const copy = octets.slice();
        await orRenewed(() => now().write(copy));
        if (!renewable) return;
        sent.push(copy);
        firstSentAt ??= this.settings.clock.now();
      },
      setBaud: (baud) => now().setBaud(baud),
      close: () => this.close(),
    };
  }

  /** To be called after each session. */
  async report(outcome: { readonly heard: boolean; readonly lost: boolean; readonly failed: boolean }): Promise<void> {
    const { heard, lost, failed } = outcome;
    // A connection of which nothing was heard is closed with its session.
    if (this.port?.connection === true) {
      // A meter that was left in the middle of something often never answers the next AARQ of that connection.
      if (failed || lost || this.reuse === 'fails') {
        await this.close();
        this.resting = !lost;
      }
      return;
    }
    this.mute = heard ? 0 : this.mute + 1;
    if (lost || this.mute >= this.settings.muteLimit) {
      this.mute = 0;
      if (lost) this.retryAt = later(this.settings.clock.now(), firstPauseMs);
      await this.close();
    }
  }

  /** Takes the port from whoever waits for it: that fails with `why`. The device is closed without waiting for it. */
  takeBack(why: Failure): void {
    const { port } = this;
    this.port = undefined;
    this.lastError = why.message;
    this.retryAt = later(this.settings.clock.now(), firstPauseMs);
    if (!port) return;
    port.revoke(why);
    port.close().catch(() => {});
  }

  async close(): Promise<void> {
    const { port } = this;
    if (port) this.closedWell = !port.closed;
    this.port = undefined;
    port?.revoke(new Failure('port-lost', `${port.device}: closed`));
    await port?.close();
  }
}
