/** A twin of LevelDB that loses what was not synced when the power goes, keeping a prefix of the batches in order. */
import type { Database, Operation } from '../../src/store/database.ts';

export class MemoryDatabase implements Database {
  data = new Map<string, Uint8Array>();
  /** Batches since the last sync, oldest first. */
  private unsynced: (readonly Operation[])[] = [];
  private synced = new Map<string, Uint8Array>();
  /** Set to make the next operations fail as LevelDB does on an I/O error: until it is reopened. */
  failing: Error | undefined;
  batches = 0;

  get(key: string): Promise<Uint8Array | undefined> {
    return this.failing ? Promise.reject(this.failing) : Promise.resolve(this.data.get(key));
  }
  batch(operations: readonly Operation[], { sync }: { sync: boolean }): Promise<void> {
    if (this.failing) return Promise.reject(this.failing);
    this.batches++;
    this.keys();
    apply(this.data, operations);
    this.index(operations);
    this.unsynced.push(operations);
    if (sync) {
      for (const batch of this.unsynced) apply(this.synced, batch);
      this.unsynced = [];
    }
    return Promise.resolve();
  }
  range(gte: string, lt: string, limit: number): Promise<[string, Uint8Array][]> {
    if (this.failing) return Promise.reject(this.failing);
    const sorted = this.keys();
    const pairs: [string, Uint8Array][] = [];
    for (let i = firstFrom(sorted, gte); i < sorted.length && pairs.length < limit; i++) {
      const key = sorted[i] as string;
      if (key >= lt) break;
      pairs.push([key, this.data.get(key) as Uint8Array]);
    }
    return Promise.resolve(pairs);
  }
  async *all(): AsyncGenerator<[string, Uint8Array][]> {
    yield await this.range('', '\u{10ffff}', Number.MAX_SAFE_INTEGER);
  }
  /** Keys in order; kept up to date as long as tests do not put into `data` themselves. */
  private keys(): string[] {
    if (this.sorted.length !== this.data.size) this.sorted = [...this.data.keys()].toSorted();
    return this.sorted;
  }
  private sorted: string[] = [];
  private index(operations: readonly Operation[]): void {
    for (const { type, key } of operations) {
      const at = firstFrom(this.sorted, key);
      const there = this.sorted[at] === key;
      if (type === 'put' && !there) this.sorted.splice(at, 0, key);
      else if (type === 'del' && there) this.sorted.splice(at, 1);
    }
  }
  remove(gte: string, lt: string): Promise<void> {
    const gone = this.keys().filter((key) => key >= gte && key < lt);
    if (gone.length === 0) return Promise.resolve();
    return this.batch(
      gone.map((key) => ({ type: 'del', key })),
      { sync: false },
    );
  }
  compact(): Promise<void> {
    return Promise.resolve();
  }
  close(): Promise<void> {
    return Promise.resolve();
  }
  /** The disk holds something else now: damage, an old copy, nothing. */
  replace(data: ReadonlyMap<string, Uint8Array>): void {
    this.data = new Map(data);
    this.synced = new Map(data);
    this.sorted = [];
    this.unsynced = [];
  }
  /** Power cut: the synced state and so many of the first batches after it. */
  powerCut(batches = 0): void {
    for (const batch of this.unsynced.slice(0, batches)) apply(this.synced, batch);
    this.data = new Map(this.synced);
    this.sorted = [];
    this.unsynced = [];
    this.failing = undefined;
  }
}

function apply(data: Map<string, Uint8Array>, operations: readonly Operation[]): void {
  for (const operation of operations) {
    if (operation.type === 'put') data.set(operation.key, operation.value);
    else data.delete(operation.key);
  }
}

function firstFrom(sorted: readonly string[], key: string): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] as string) < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
