/** Owns one line for good: opens it, opens it again after a loss with growing pauses, and distrusts a line that is mute. */
import { Failure, messageOf } from '../base/errors.ts';
import { type Clock, later, type Millis, millis } from '../base/time.ts';
import type { Port } from './port.ts';

export interface PortOwnerSettings {
  readonly device: string;
  readonly open: () => Promise<Port>;
  readonly clock: Clock;
  /** After so many sessions without one octet the port is closed and opened anew: unplugs are not always reported. */
  readonly muteLimit: number;
}
export interface PortState {
  readonly open: boolean;
  readonly lastError: string | undefined;
  readonly opened: number;
  readonly retryAt: Millis | undefined;
}
const firstPauseMs = 1000;
const longestPauseMs = 30_000;

export class PortOwner {
  private readonly settings: PortOwnerSettings;
  private port: Port | undefined;
  private failures = 0;
  private retryAt: Millis = millis(0);
  private mute = 0;
  private opened = 0;
  private lastError: string | undefined;

  constructor(settings: PortOwnerSettings) {
    this.settings = settings;
  }

  get state(): PortState {
    const { port, lastError, opened } = this;
    return { open: port !== undefined, lastError, opened, retryAt: port ? undefined : this.retryAt };
  }

  /** The open port. Throws Failure `port-missing` or `port-busy`; then `state.retryAt` says when to try again. */
  async acquire(): Promise<Port> {
    if (this.port) return this.port;
    const { clock } = this.settings;
    if (clock.now() < this.retryAt)
      throw new Failure('port-missing', this.lastError ?? `${this.settings.device} is not open`);
    try {
      this.port = await this.settings.open();
      this.failures = 0;
      this.mute = 0;
      this.opened++;
      this.lastError = undefined;
      return this.port;
    } catch (error) {
      this.lastError = messageOf(error);
      this.retryAt = later(clock.now(), Math.min(longestPauseMs, firstPauseMs * 2 ** this.failures++));
      throw error;
    }
  }

  /** To be told after each session. */
  async report(outcome: { readonly heard: boolean; readonly lost: boolean }): Promise<void> {
    this.mute = outcome.heard ? 0 : this.mute + 1;
    if (outcome.lost || this.mute >= this.settings.muteLimit) {
      this.mute = 0;
      if (outcome.lost) this.retryAt = later(this.settings.clock.now(), firstPauseMs);
      await this.close();
    }
  }

  async close(): Promise<void> {
    const { port } = this;
    this.port = undefined;
    await port?.close();
  }
}
