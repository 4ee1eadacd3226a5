/**
 * Pushes of whom nobody configured, kept as octets: when somebody configures the sender, they are taken as if they came then.
 * Of each sender the newest are kept, of so many senders; a loss of them is none that anybody was promised.
 */
import { fromHex, toHex } from '../base/hex.ts';
import type { Clock } from '../base/time.ts';
import { heldPushKey, senderOfHeld, spaceOf } from '../store/keys.ts';
import { decodeRecord, encodeRecord } from '../store/record.ts';
import type { Store } from '../store/store.ts';

export interface HeldPush {
  readonly key: string;
  readonly listener: string;
  readonly from: string;
  readonly octets: Uint8Array;
}
const maxSenders = 64;
const maxOfSender = 200;
const maxOctets = 16_384;

export class HeldPushes {
  private readonly store: Pick<Store, 'aside'>;
  private readonly clock: Clock;
  /** Keys by sender, oldest first; read once. */
  private index: Map<string, string[]> | undefined;
  private count = 0;

  constructor({ store, clock }: { readonly store: Pick<Store, 'aside'>; readonly clock: Clock }) {
    this.store = store;
    this.clock = clock;
  }

  async all(): Promise<HeldPush[]> {
    const found: HeldPush[] = [];
    this.index = new Map();
    const pairs = await this.store.aside((database) => database.range(...spaceOf('h'), maxSenders * maxOfSender));
    for (const [key, value] of pairs) {
      const body = decodeRecord(key, value)?.body as { listener: string; from: string; octets: string } | undefined;
      this.keysOf(this.index, senderOfHeld(key)).push(key);
      if (body) found.push({ key, listener: body.listener, from: body.from, octets: fromHex(body.octets) });
    }
    return found;
  }
  private keysOf(index: Map<string, string[]>, sender: string): string[] {
    let keys = index.get(sender);
    if (!keys) index.set(sender, (keys = []));
    return keys;
  }

  async hold(sender: string, { listener, from, octets }: Omit<HeldPush, 'key'>): Promise<void> {
    if (!/^[A-Za-z0-9_.:-]{1,64}$/.test(sender) || octets.length === 0 || octets.length > maxOctets) return;
    if (!this.index) await this.all();
    const index = this.index as Map<string, string[]>;
    if (!index.has(sender) && index.size >= maxSenders) return;
    const keys = this.keysOf(index, sender);
    const key = heldPushKey(sender, this.clock.wall(), this.count++ % 1_000_000);
    const dropped = keys.splice(0, Math.max(0, keys.length + 1 - maxOfSender));
    keys.push(key);
    const value = encodeRecord(key, { sequence: 0, body: { listener, from, octets: toHex(octets) } });
    await this.store.aside((database) =>
      database.batch(
        [...dropped.map((old) => ({ type: 'del' as const, key: old })), { type: 'put' as const, key, value }],
        // A power cut may take it: nobody was promised that it is kept.
        { sync: false },
      ),
    );
  }

  async drop(keys: readonly string[]): Promise<void> {
    if (keys.length === 0) return;
    for (const key of keys) {
      const sender = senderOfHeld(key);
      const left = (this.index?.get(sender) ?? []).filter((one) => one !== key);
      if (left.length > 0) this.index?.set(sender, left);
      else this.index?.delete(sender);
    }
    await this.store.aside((database) =>
      database.batch(
        keys.map((key) => ({ type: 'del' as const, key })),
        { sync: false },
      ),
    );
  }
}
