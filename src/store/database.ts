/** What the store needs of LevelDB. The real one is opened in main and handed in; tests and the simulation have twins. */
export type Operation =
  | { readonly type: 'put'; readonly key: string; readonly value: Uint8Array }
  | { readonly type: 'del'; readonly key: string };

export interface Database {
  get(key: string): Promise<Uint8Array | undefined>;
  /** All or nothing; with `sync` the promise resolves when the batch is on the disk. */
  batch(operations: readonly Operation[], options: { readonly sync: boolean }): Promise<void>;
  /** Pairs with gte ≤ key < lt, in order of the keys. */
  range(gte: string, lt: string, limit: number): Promise<[string, Uint8Array][]>;
  /** Deletes gte ≤ key < lt, without sync; a crash may leave some of them. */
  remove(gte: string, lt: string): Promise<void>;
  /** All pairs as they were at one instant, in order of the keys, whatever is written meanwhile. */
  all(): AsyncIterable<[string, Uint8Array][]>;
  /** Gives the room of what was deleted back. */
  compact(): Promise<void>;
  close(): Promise<void>;
}
