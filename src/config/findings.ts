/** What is found wrong with a configuration, and what is asked to find it. */
import { Failure } from '../base/errors.ts';

/** What the configuration refers to. Each fails with a Failure that says what is wrong and what to do. */
export interface Sources {
  /** Of `file:/…` and `credential:…`. */
  secret(reference: string): Uint8Array;
  file(path: string): Uint8Array;
  /** Throws where no socket can be made. `ours`: its folder is the state directory, which the start makes. */
  socket(path: string, ours: boolean): void;
  /** Throws where this group cannot be given the socket. */
  group(group: string): void;
  /**
   * Our system title in this life of the process, where the configuration pins none. It is another one in each: whatever
   * happened to the state directory, no key, title and counter come together twice.
   */
  readonly lifeTitle: Uint8Array;
  /** The device that a path stands for, through its links; the path itself where nothing is there. */
  device(path: string): string;
}
/** error: no plan. meter: that meter is not polled. unjudged: only the service can see it. */
export interface Finding {
  readonly severity: 'error' | 'meter' | 'warning' | 'unjudged';
  readonly path: string;
  readonly message: string;
}
/** Collects what is wrong, and goes on. */
export class Findings {
  readonly all: Finding[] = [];
  add(severity: Finding['severity'], path: string, message: string): void {
    this.all.push({ severity, path, message });
  }
  /** What a source gives; undefined where it fails, which is then a finding of this severity. */
  attempt<T>(severity: Finding['severity'], path: string, source: () => T): T | undefined {
    try {
      return source();
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      this.add(error.detail['unjudged'] === true ? 'unjudged' : severity, path, error.message);
      return undefined;
    }
  }
}
