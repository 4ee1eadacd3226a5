/** The database behind the store: one writer at a time, and opened again after an I/O error. */
import { Failure, messageOf } from '../base/errors.ts';
import { type Clock, later, longAgo, type Millis } from '../base/time.ts';
import type { Database } from './database.ts';

export interface ConnectionSettings {
  /** Opens the database; called again after an I/O error, and with what is broken where its files do not read. */
  readonly open: (broken?: string) => Promise<Database>;
  readonly clock: Clock;
  /** Called with each database that was opened, before anything else has it. */
  readonly begin: (database: Database) => Promise<void>;
}
const reopenPauseMs = 2000;
/** LevelDB read something that cannot be right: opening once more does not mend it. */
const isCorruption = (error: unknown): boolean =>
  (error as { code?: unknown }).code === 'LEVEL_CORRUPTION' ||
  /corrupt|Invalid argument|No such file|truncated|bad block|not an sstable/i.test(messageOf(error));

export class Connection {
  private readonly settings: ConnectionSettings;
  private database: Database | undefined;
  private writing: Promise<unknown> = Promise.resolve();
  /** The files themselves are broken: the next opening repairs them. */
  private broken: string | undefined;
  private reopenAt: Millis = longAgo;
  /** Why nothing can be stored now. */
  failure: string | undefined;

  constructor(settings: ConnectionSettings) {
    this.settings = settings;
  }

  /** The first opening, which waits for nothing. Throws Failure `store-failed`. */
  async connect(): Promise<void> {
    for (let broken: string | undefined; ; ) {
      const database = await this.settings.open(broken);
      try {
        await this.settings.begin(database);
        this.database = database;
        return;
      } catch (error) {
        await database.close().catch(() => {});
        if (error instanceof Failure) throw error;
        // Files that open and do not read are repaired once.
        if (broken !== undefined || !isCorruption(error))
          throw new Failure('store-failed', `the store does not read: ${messageOf(error)}`);
        broken = messageOf(error);
      }
    }
  }

  /** Work beside others, which writes nothing. */
  async read<T>(work: (database: Database) => Promise<T>): Promise<T> {
    const database = await this.opened();
    return this.guarded(() => work(database));
  }

  /** One writer at a time, in order of the calls. */
  exclusive<T>(work: (database: Database) => Promise<T>): Promise<T> {
    const next = this.writing.catch(() => {}).then(() => this.read(work));
    this.writing = next;
    return next;
  }

  /** Resolves when nobody writes. */
  async settled(): Promise<void> {
    await this.writing.catch(() => {});
  }

  async close(): Promise<void> {
    await this.settled();
    const { database } = this;
    this.database = undefined;
    await database?.close();
  }

  private async opened(): Promise<Database> {
    if (this.database) return this.database;
    const { clock, open, begin } = this.settings;
    if (clock.now() < this.reopenAt) throw new Failure('store-failed', `store: ${this.failure ?? 'closed'}`);
    this.reopenAt = later(clock.now(), reopenPauseMs);
    let database: Database | undefined;
    try {
      database = await open(this.broken);
      await begin(database);
      this.broken = undefined;
      this.database = database;
      return database;
    } catch (error) {
      this.failure = messageOf(error);
      if (isCorruption(error)) this.broken = this.failure;
      await database?.close().catch(() => {});
      throw error instanceof Failure ? error : new Failure('store-failed', `store: ${this.failure}`);
    }
  }

  /** After an I/O error LevelDB stays failed until it is closed and opened again. */
  private async guarded<T>(work: () => Promise<T>): Promise<T> {
    try {
      const result = await work();
      this.failure = undefined;
      return result;
    } catch (error) {
      if (error instanceof Failure) throw error;
      this.failure = messageOf(error);
      this.broken = isCorruption(error) ? this.failure : undefined;
      this.reopenAt = later(this.settings.clock.now(), reopenPauseMs);
      const { database } = this;
      this.database = undefined;
      await database?.close().catch(() => {});
      throw new Failure('store-failed', `store: ${this.failure}`);
    }
  }
}
