/**
 * A multi-drop line with its meters and its faults, as a machine: octets take their time on the wire, meters their
 * turn-around. No timer, no clock; the shell (pty, TCP) or the virtual world moves it.
 */
import { later, type Millis, millis } from '../base/time.ts';
import type { DayTime } from './day-time.ts';
import type { Injected, InjectedKind, LineFault } from './line-fault.ts';
import { superposed, type Transmission } from './collision.ts';
import type { Piece } from './quirk.ts';
import { hashed, seeded, type Random } from './random.ts';
import type { VirtualMeter } from './virtual-meter.ts';

/** A fault of this bus, with its number and, for stray octets, when the next one comes by the time of the line. */
interface Standing {
  readonly number: number;
  readonly fault: LineFault;
  strayAt: Millis | undefined;
}
export interface BusSettings {
  readonly meters: readonly VirtualMeter[];
  /** The place of each in the scenario. */
  readonly indices: readonly number[];
  readonly day: DayTime;
  /** Called with everything that was done to somebody's octets. */
  readonly injected?: ((what: Injected) => void) | undefined;
  /** Speed of the line; 0 = octets take no time. */
  readonly baud: number;
  /** TCP: nobody but the meter's own side knows of a speed, so both ends always have the same. */
  readonly overTcp: boolean;
  /** With their numbers. */
  readonly faults: readonly (readonly [number, LineFault])[];
  readonly seed: number;
}
/** Octets come in pieces of this time, as an adapter hands them over. */
const pieceMs = 16;
const longPauseMs = 500;
/** The turn-arounds of two meters that have the same one in the scenario differ by so much at most. */
const unlikeMs = 1.5;
interface OnWire {
  readonly octets: Uint8Array;
  /** When the last octet has arrived. */
  readonly end: Millis;
  /** The speed it was sent at. */
  readonly baud: number;
}
interface Sending {
  readonly octets: Uint8Array;
  readonly start: Millis;
  readonly octetMs: number;
  sent: number;
}

export class SimulatedBus {
  readonly settings: BusSettings;
  private readonly random: Random;
  private inbound: OnWire[] = [];
  private outbound: Sending[] = [];
  private out: Uint8Array[] = [];
  private inFreeAt: Millis = millis(0);
  private outFreeAt: Millis = millis(0);
  /** When each meter has said all that it has to say. */
  private readonly freeAt: Millis[] = [];
  private readonly wasPowered: boolean[];
  /** The last request came at another speed than that of the meter. */
  private readonly wasWrong: boolean[] = [];
  private faults: Standing[] = [];
  readonly meters: VirtualMeter[];
  /** The speed at which the gateway's port really runs; differs from a meter's speed until the port switches. */
  lineBaud: number;
  octetsIn = 0;
  octetsOut = 0;

  constructor(settings: BusSettings) {
    this.settings = settings;
    this.random = seeded(settings.seed);
    this.lineBaud = settings.baud;
    this.meters = [...settings.meters];
    this.wasPowered = this.meters.map(() => true);
    for (const [number, fault] of settings.faults) this.addFault(number, fault);
  }
  addFault(number: number, fault: LineFault): void {
    this.faults.push({
      number,
      fault,
      strayAt: fault.kind === 'stray' ? this.settings.day.lineAt(fault.from) : undefined,
    });
  }
  /** False where no such fault is there. */
  removeFault(number: number): boolean {
    const left = this.faults.filter((standing) => standing.number !== number);
    const found = left.length < this.faults.length;
    this.faults = left;
    return found;
  }
  /** Another meter hangs there from now on. */
  swap(place: number, meter: VirtualMeter): void {
    this.meters[place] = meter;
    this.wasPowered[place] = true;
  }

  pollTransmit(): Uint8Array | undefined {
    return this.out.shift();
  }

  private octetMs(baud: number): number {
    return this.settings.baud === 0 ? 0 : 10_000 / baud;
  }
  private isActive(fault: LineFault, meter: number | undefined, line: Millis): boolean {
    const now = this.settings.day.at(line);
    return (fault.meter === undefined || fault.meter === meter) && now >= fault.from && now < fault.to;
  }
  private active<K extends LineFault['kind']>(kind: K, meter: number | undefined, line: Millis) {
    type Of = Standing & { readonly fault: Extract<LineFault, { kind: K }> };
    return this.faults.find(({ fault }) => fault.kind === kind && this.isActive(fault, meter, line)) as Of | undefined;
  }
  private report(kind: InjectedKind, place: number | undefined, line: Millis, more: Partial<Injected> = {}): void {
    const { injected, day, indices } = this.settings;
    if (!injected) return;
    const meter = place === undefined ? undefined : this.meters[place];
    injected({
      at: day.at(line),
      kind,
      meter: place === undefined ? null : (indices[place] ?? null),
      serial: meter?.settings.serial ?? null,
      ...more,
    });
  }
  private damage(octets: Uint8Array, meter: number | undefined, now: Millis): Uint8Array {
    let result = octets;
    for (const { number, fault } of this.faults) {
      if (fault.kind !== 'drop' && fault.kind !== 'flip') continue;
      if (!this.isActive(fault, meter, now)) continue;
      const before = result;
      if (fault.kind === 'drop') result = before.filter(() => this.random() >= fault.rate);
      else
        result = before.map((octet) =>
          this.random() < fault.rate ? octet ^ (1 << Math.floor(this.random() * 8)) : octet,
        );
      const changed =
        before.length - result.length || result.reduce((sum, octet, i) => sum + Number(octet !== before[i]), 0);
      if (changed > 0) this.report(fault.kind, meter, now, { fault: number, octets: changed });
    }
    return result;
  }

  /** Octets leave the gateway now. */
  receive(octets: Uint8Array, now: Millis): void {
    this.octetsIn += octets.length;
    const start = Math.max(now, this.inFreeAt);
    const end = millis(start + octets.length * this.octetMs(this.lineBaud));
    this.inFreeAt = end;
    const echo = this.active('echo', undefined, now);
    if (echo) {
      this.report('echo', undefined, now, { fault: echo.number, octets: octets.length });
      this.outbound.push({
        octets: octets.map((octet) => (this.random() < echo.fault.rate ? octet ^ 0x24 : octet)),
        start: millis(start),
        octetMs: this.octetMs(this.lineBaud),
        sent: 0,
      });
    }
    const sent = this.switched('early-release', this.damage(octets.slice(), undefined, now), now);
    this.inbound.push({ octets: sent, end, baud: this.lineBaud });
    this.resting(end);
    this.wake(now);
  }

  /** What is left where the adapter switches its direction too late, or too early. */
  private switched(kind: 'late-release' | 'early-release', octets: Uint8Array, now: Millis): Uint8Array {
    const standing = this.active(kind, undefined, now);
    if (!standing) return octets;
    const lost = Math.min(standing.fault.octets, octets.length);
    this.report(kind, undefined, now, { fault: standing.number, octets: lost });
    return kind === 'late-release' ? octets.subarray(lost) : octets.subarray(0, octets.length - lost);
  }
  /** What the adapter takes the line for when nobody drives it any more. */
  private resting(at: Millis): void {
    const reversed = this.active('polarity', undefined, at);
    const floating = this.active('floating', undefined, at);
    const number = reversed?.number ?? floating?.number;
    if (number === undefined) return;
    // The rest of the line is a break, which is one 00; without bias the edge of the driver rings off.
    const octets = reversed
      ? Uint8Array.of(0)
      : Uint8Array.from({ length: 2 }, () => (0xff << Math.floor(this.random() * 9)) & 0xff);
    this.report(reversed ? 'polarity' : 'floating', undefined, at, { fault: number, octets: octets.length });
    this.outbound.push({ octets, start: at, octetMs: this.octetMs(this.lineBaud), sent: 0 });
  }

  /** The TCP connection is gone. */
  connectionClosed(): void {
    for (const meter of this.meters) meter.connectionClosed();
  }
  /** A meter closes the connection; all that it said is sent. */
  get hangsUp(): boolean {
    const { out, outbound, meters } = this;
    return out.length + outbound.length === 0 && meters.some(({ hangsUp }) => hangsUp);
  }

  deadline(): Millis | undefined {
    let next: Millis | undefined;
    const consider = (at: Millis | undefined) => {
      if (at !== undefined && (next === undefined || at < next)) next = at;
    };
    consider(this.inbound[0]?.end);
    for (const { start, sent, octets, octetMs } of this.outbound) {
      const piece = Math.min(
        octets.length - sent,
        octetMs === 0 ? octets.length : Math.max(1, Math.floor(pieceMs / octetMs)),
      );
      consider(later(start, Math.ceil((sent + piece) * octetMs)));
    }
    for (const meter of this.meters) consider(meter.deadline());
    for (const { strayAt } of this.faults) consider(strayAt);
    return next;
  }

  /** What is late is not made up for: a line is read while somebody listens. */
  private stray(now: Millis): void {
    const day = this.settings.day.at(now);
    for (const standing of this.faults) {
      const { number, fault, strayAt: at } = standing;
      if (fault.kind !== 'stray' || at === undefined || at > now) continue;
      standing.strayAt = day < fault.to ? later(now, fault.everyMs) : undefined;
      if (day >= fault.to) continue;
      this.out.push(Uint8Array.of(Math.floor(this.random() * 256)));
      this.report('stray', undefined, now, { fault: number, octets: 1 });
    }
  }

  wake(now: Millis): void {
    while (this.inbound[0] && this.inbound[0].end <= now) {
      const { octets, end, baud } = this.inbound.shift() as OnWire;
      const answers = this.meters.map((meter, i) => this.deliver(meter, i, octets, end, baud));
      this.answer(answers, end);
    }
    this.meters.forEach((meter, i) => {
      const deadline = meter.deadline();
      if (deadline === undefined || deadline > now) return;
      if (meter.powered(now)) meter.wake(now);
      else meter.sleep(now);
      // Who begins by itself waits until the line is free.
      this.send(i, this.piecesOf(meter, i, now), now);
    });
    this.stray(now);
    for (const sending of this.outbound) {
      const due =
        sending.octetMs === 0
          ? now >= sending.start
            ? sending.octets.length
            : 0
          : Math.min(sending.octets.length, Math.floor((now - sending.start) / sending.octetMs));
      if (due <= sending.sent) continue;
      this.out.push(sending.octets.subarray(sending.sent, due));
      this.octetsOut += due - sending.sent;
      sending.sent = due;
    }
    this.outbound = this.outbound.filter(({ sent, octets }) => sent < octets.length);
  }

  /** What a meter answers to octets that reach it. */
  private deliver(meter: VirtualMeter, index: number, octets: Uint8Array, now: Millis, baud: number): Piece[] {
    const powered = meter.powered(now);
    const was = this.wasPowered[index];
    if (powered !== was) this.report(powered ? 'power-on' : 'power-off', index, now);
    if (powered && !was) meter.powerUp();
    this.wasPowered[index] = powered;
    if (!powered) return [];
    let heard = this.heardBy(index, octets, now);
    // At the wrong speed a meter hears something, but nothing of sense.
    const wrong = !this.settings.overTcp && baud !== this.baudOf(meter);
    if (wrong) heard = heard.map((octet) => octet ^ Math.floor(this.random() * 255 + 1));
    if (wrong && this.wasWrong[index] !== true) this.report('wrong-speed', index, now);
    this.wasWrong[index] = wrong;
    meter.receive(heard, now);
    for (const detail of meter.missing.splice(0)) this.report('not-recorded', index, now, { detail });
    return this.piecesOf(meter, index, now);
  }
  /** Over exchanged wires every bit is another one. */
  private heardBy(index: number, octets: Uint8Array, now: Millis): Uint8Array {
    const standing = this.faults.find(({ fault }) => fault.kind === 'polarity' && this.isActive(fault, index, now));
    if (!standing) return octets;
    this.report('polarity', index, now, { fault: standing.number, octets: octets.length });
    return octets.map((octet) => octet ^ 0xff);
  }
  private baudOf({ stack, settings }: VirtualMeter): number {
    return stack.baud ?? (settings.baud > 0 ? settings.baud : this.settings.baud);
  }
  private piecesOf(meter: VirtualMeter, index: number, now: Millis): Piece[] {
    const silence = this.active('silence', index, now);
    const pieces: Piece[] = [];
    for (let piece = meter.pollTransmit(); piece; piece = meter.pollTransmit())
      if (silence) this.report('silence', index, now, { fault: silence.number, octets: piece.octets.length });
      else pieces.push({ ...piece, octets: this.switched('late-release', this.damage(piece.octets, index, now), now) });
    return pieces;
  }

  /** What the meters answer to one request: several at once drive the line against each other. */
  private answer(answers: readonly (readonly Piece[])[], now: Millis): void {
    const several = answers.filter((pieces) => pieces.length > 0).length > 1;
    if (!several || this.settings.baud === 0) return answers.forEach((pieces, i) => this.send(i, pieces, now));
    const all = answers.flatMap((pieces, i) => {
      if (pieces.length > 0) this.report('collision', i, now);
      const meter = this.meters[i] as VirtualMeter;
      const { settings } = meter;
      const octetMs = this.octetMs(this.baudOf(meter));
      // No two are alike in their turn-around; where they were, equal answers would cover each other bit by bit.
      let at = now + settings.turnaroundMs + hashed(settings.seed, settings.serial, 7) * unlikeMs;
      return pieces.map(({ octets, pauseMs }): Transmission => {
        const start = millis(at + pauseMs);
        at = start + octets.length * octetMs;
        return { octets, start, octetMs };
      });
    });
    for (const heard of superposed(all)) {
      this.outbound.push({ ...heard, sent: 0 });
      this.outFreeAt = millis(Math.max(this.outFreeAt, heard.start + heard.octets.length * heard.octetMs));
    }
  }

  private send(index: number, pieces: readonly Piece[], now: Millis): void {
    const meter = this.meters[index] as VirtualMeter;
    const octetMs = this.octetMs(this.baudOf(meter));
    for (const { octets, pauseMs } of pieces) {
      // Who pauses for long does not keep the line from the others.
      const pausing = pauseMs >= longPauseMs;
      const free = Math.max(this.freeAt[index] ?? 0, pausing ? 0 : this.outFreeAt);
      const start = millis(Math.max(now + meter.settings.turnaroundMs, free) + pauseMs);
      const end = millis(start + octets.length * octetMs);
      this.freeAt[index] = end;
      if (!pausing) this.outFreeAt = end;
      this.outbound.push({ octets, start, octetMs, sent: 0 });
      this.resting(end);
    }
  }
}
