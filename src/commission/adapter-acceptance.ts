/** Whether an adapter is fit for meters: it talks to a second one on the desk, or to a known meter. Each row is a fact with its limit. */
import { Failure } from '../base/errors.ts';
import { type Clock, later, type Millis } from '../base/time.ts';
import { concat } from '../base/cursor.ts';
import type { Port } from '../line/port.ts';

export interface AcceptanceRow {
  readonly what: string;
  /** `note`: to be known, and no reason to refuse it. */
  readonly outcome: 'good' | 'bad' | 'note';
  readonly seen: string;
  readonly next?: string | undefined;
}
export const acceptanceSpeeds = [300, 600, 1200, 2400, 4800, 9600, 19_200, 38_400, 57_600, 115_200] as const;
/** What a busy machine and a USB frame may add to the time on the wire, ms. */
const slackMs = 400;
/** Silence after which nothing more comes of what was sent. */
const quietMs = 60;
const direction = 'See direction in hardware/adapters.md; take another adapter where none of its values helps.';

async function received(port: Port, count: number, until: Millis, clock: Clock): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  while (length < count && clock.now() < until) {
    const piece = await port.read(until);
    if (!piece) break;
    pieces.push(piece);
    length += piece.length;
  }
  return concat(pieces);
}
/** What is left of before is let go. */
const emptied = (port: Port, clock: Clock): Promise<Uint8Array> =>
  received(port, Number.MAX_SAFE_INTEGER, later(clock.now(), quietMs), clock);

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
/** What became of octets on the way. */
function fate(sent: Uint8Array, heard: Uint8Array): string | undefined {
  if (same(sent, heard)) return undefined;
  const lost = sent.length - heard.length;
  if (lost === sent.length) return 'nothing arrived';
  if (lost > 0 && same(sent.subarray(lost), heard)) return `the first ${lost} octets did not arrive`;
  if (lost > 0 && same(sent.subarray(0, heard.length), heard)) return `the last ${lost} octets did not arrive`;
  return lost === 0 ? 'octets arrived changed' : `${heard.length} octets arrived of ${sent.length}`;
}
const nextFor = (trouble: string | undefined): string | undefined => {
  if (trouble === undefined) return undefined;
  return /first|last/.test(trouble)
    ? direction
    : 'Check the three wires and 120 ohm between the two adapters; then take another one.';
};

/** Octets of every value, none of which stands where it may be taken for another one. */
const everyOctet = Uint8Array.from({ length: 256 }, (_, i) => (i * 167 + 13) & 0xff);
const patternOf = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 8) + 7) & 0xff);

interface Pair {
  readonly adapter: Port;
  readonly peer: Port;
  readonly clock: Clock;
}
async function sent(from: Port, to: Port, octets: Uint8Array, baud: number, clock: Clock) {
  const wireMs = (octets.length * 10_000) / baud;
  const begun = clock.now();
  const hearing = received(to, octets.length, later(begun, wireMs * 1.5 + slackMs + 500), clock);
  await from.write(octets);
  const heard = await hearing;
  return { trouble: fate(octets, heard), tookMs: clock.now() - begun, wireMs };
}
async function setSpeed({ adapter, peer }: Pair, baud: number): Promise<void> {
  await adapter.setBaud(baud);
  await peer.setBaud(baud);
}

async function atSpeed(pair: Pair, baud: number): Promise<AcceptanceRow> {
  const { adapter, peer, clock } = pair;
  await setSpeed(pair, baud);
  await Promise.all([emptied(adapter, clock), emptied(peer, clock)]);
  const octets = baud < 1200 ? everyOctet.subarray(0, 32) : everyOctet;
  const there = await sent(adapter, peer, octets, baud, clock);
  await emptied(adapter, clock);
  const back = await sent(peer, adapter, octets, baud, clock);
  await emptied(peer, clock);
  const late = Math.max(there.tookMs - there.wireMs, back.tookMs - back.wireMs);
  const trouble = there.trouble ?? back.trouble ?? (late > slackMs ? 'it takes much longer than the wire' : undefined);
  return {
    what: `${baud} Bd`,
    outcome: trouble === undefined ? 'good' : 'bad',
    seen: trouble ?? `${octets.length} octets each way, ${Math.max(0, Math.round(late))} ms beyond the wire`,
    next: nextFor(trouble),
  };
}

/** As mode E does: 7E1 made in software at 300 Bd, then another speed within one opening, and back. */
async function modeE(pair: Pair): Promise<AcceptanceRow> {
  const { adapter, peer, clock } = pair;
  const even = (octet: number): number => octet | ((octet.toString(2).replaceAll('0', '').length % 2) << 7);
  const signOn = Uint8Array.from(Buffer.from('/?!\r\n'), even);
  let trouble: string | undefined;
  for (const [baud, octets] of [
    [300, signOn],
    [9600, everyOctet],
    [300, signOn],
  ] as const) {
    await setSpeed(pair, baud);
    await Promise.all([emptied(adapter, clock), emptied(peer, clock)]);
    trouble ??= (await sent(adapter, peer, octets, baud, clock)).trouble;
    await emptied(adapter, clock);
  }
  const seen = trouble ?? 'parity bits arrive, and the speed changes and changes back';
  return {
    what: '7E1 at 300 Bd, 8N1 at 9600 Bd',
    outcome: trouble === undefined ? 'good' : 'bad',
    seen,
    next: nextFor(trouble),
  };
}

async function longFrame(pair: Pair): Promise<AcceptanceRow> {
  await setSpeed(pair, 9600);
  const octets = patternOf(2048);
  const { trouble } = await sent(pair.adapter, pair.peer, octets, 9600, pair.clock);
  await emptied(pair.adapter, pair.clock);
  const back = trouble ?? (await sent(pair.peer, pair.adapter, octets, 9600, pair.clock)).trouble;
  await emptied(pair.peer, pair.clock);
  return {
    what: 'frames of 2048 octets',
    outcome: back === undefined ? 'good' : 'bad',
    seen: back ?? 'whole, both ways',
    next: nextFor(back),
  };
}

async function echo({ adapter, clock }: Pair): Promise<AcceptanceRow> {
  const octets = patternOf(24);
  await emptied(adapter, clock);
  await adapter.write(octets);
  const heard = await received(adapter, octets.length, later(clock.now(), 100), clock);
  const isEcho = heard.length > 0 && same(heard, octets.subarray(0, heard.length));
  const seen = isEcho
    ? 'it hears itself; the gateway drops its own octets'
    : heard.length === 0
      ? 'none'
      : 'octets come that nobody sent';
  return { what: 'echo', outcome: heard.length === 0 ? 'good' : 'note', seen };
}

const quantile = (sorted: readonly number[], share: number): number =>
  Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0);

/** The peer answers at once, as no meter does: who listens too late shows here. */
async function exchanges(pair: Pair, count: number, baud: number): Promise<AcceptanceRow[]> {
  const { adapter, peer, clock } = pair;
  await setSpeed(pair, baud);
  await Promise.all([emptied(adapter, clock), emptied(peer, clock)]);
  const [request, answer] = [patternOf(20), patternOf(60).toReversed()];
  const troubles = new Map<string, number>();
  const turns: number[] = [];
  for (let i = 0; i < count; i++) {
    const limit = later(clock.now(), ((request.length + answer.length) * 15_000) / baud + slackMs);
    const peerHears = received(peer, request.length, limit, clock);
    await adapter.write(request);
    const asked = fate(request, await peerHears);
    const begun = clock.now();
    const adapterHears = received(adapter, answer.length, limit, clock);
    await peer.write(answer);
    const heard = await adapterHears;
    // An echo of its own stands before the answer.
    const own = heard.length > answer.length ? heard.subarray(heard.length - answer.length) : heard;
    const trouble = asked ? `of requests ${asked}` : fate(answer, own);
    if (trouble === undefined) turns.push(clock.now() - begun - (answer.length * 10_000) / baud);
    else {
      troubles.set(trouble, (troubles.get(trouble) ?? 0) + 1);
      await Promise.all([emptied(adapter, clock), emptied(peer, clock)]);
    }
  }
  const sorted = turns.map((turn) => Math.max(0, turn)).toSorted((a, b) => a - b);
  const worst = [...troubles].toSorted((a, b) => b[1] - a[1])[0];
  return [
    {
      what: `${count} exchanges at ${baud} Bd`,
      outcome: worst ? 'bad' : 'good',
      seen: worst ? `${turns.length} good; ${worst[1]} times: ${worst[0]}` : 'all of them whole',
      next: worst && nextFor(worst[0]),
    },
    {
      what: 'beyond the wire, an answer',
      outcome: sorted.length > 0 && quantile(sorted, 0.5) > 20 ? 'bad' : 'good',
      seen: `p50 ${quantile(sorted, 0.5)} ms, p95 ${quantile(sorted, 0.95)} ms`,
      next: quantile(sorted, 0.5) > 20 ? 'Set its latency timer to 1 ms (hardware/99-meter-gateway.rules).' : undefined,
    },
  ];
}

export interface PairTest extends Pair {
  readonly exchanges: number;
  readonly baud: number;
  readonly speeds: readonly number[];
}
/** With a second adapter: A to A, B to B, C to C. */
export async function* acceptWithPeer(test: PairTest): AsyncGenerator<AcceptanceRow, void> {
  const first = await atSpeed(test, 9600);
  if (first.seen === 'nothing arrived') {
    yield {
      ...first,
      what: 'anything at all',
      next: 'Exchange A and B at one of the two adapters; check that both are the right devices.',
    };
    return;
  }
  for (const baud of test.speeds) yield await atSpeed(test, baud);
  yield await modeE(test);
  yield await longFrame(test);
  yield await echo(test);
  yield* await exchanges(test, test.exchanges, test.baud);
}

/** What somebody must do with the plug, and what was seen of it. */
export interface Replug {
  readonly device: string;
  readonly open: () => Promise<Port>;
  readonly clock: Clock;
  readonly ask: (words: string) => void;
  readonly limitMs: number;
}
const lookAgainMs = 100;
/** Pulled out and plugged in again; the port is open afterwards. */
export async function replugged(
  port: Port,
  { device, open, clock, ask, limitMs }: Replug,
): Promise<{ row: AcceptanceRow; port?: Port }> {
  const what = 'unplugged, plugged in again';
  const waited = async (fits: () => Promise<boolean>): Promise<number | undefined> => {
    const begun = clock.now();
    while (!(await fits())) {
      if (clock.now() > later(begun, limitMs)) return undefined;
      await clock.sleepUntil(later(clock.now(), lookAgainMs));
    }
    return clock.now() - begun;
  };
  ask(`Pull ${device} out of its socket now.`);
  if ((await waited(() => Promise.resolve(port.closed))) === undefined)
    return {
      row: {
        what,
        outcome: 'bad',
        seen: 'its loss was not noticed',
        next: 'Take another adapter, or report its driver: dmesg.',
      },
      port,
    };
  await port.close();
  ask('Plug it in again.');
  let again: Port | undefined;
  const opens = async (): Promise<boolean> => {
    try {
      again = await open();
      return true;
    } catch (error) {
      if (error instanceof Failure) return false;
      throw error;
    }
  };
  if ((await waited(opens)) === undefined || !again)
    return {
      row: {
        what,
        outcome: 'bad',
        seen: 'it has not the same name again',
        next: 'Use a name by socket: /dev/meter (hardware/adapters.md).',
      },
    };
  return { row: { what, outcome: 'good', seen: 'noticed, and open again under the same name' }, port: again };
}
