/** A virtual meter: COSEM objects over a seeded load curve and a clock that may be wrong. */
import { fromHex } from '../base/hex.ts';
import { Secret } from '../base/secret.ts';
import { dayMs, later, type Millis, millis } from '../base/time.ts';
import type { Data } from '../dlms/axdr/data.ts';
import type { CipheringSettings } from '../dlms/association/ciphering.ts';
import { serverConformance, shortNameServerConformance } from '../dlms/association/server-conformance.ts';
import { utcOf } from '../dlms/cosem/date-time.ts';
import type { CaptureObject } from '../dlms/cosem/profile-generic.ts';
import { accessResult, array, octets, type ServerObject, structure } from '../dlms/cosem/server-object.ts';
import { snapshotServer } from '../dlms/cosem/snapshot.ts';
import type { ProtectionKeys } from '../dlms/security/protection.ts';
import { SignOnServer } from '../dlms/iec62056-21/sign-on.ts';
import { ServerStack } from '../dlms/stack/server.ts';
import { conformance } from '../dlms/xdlms/conformance.ts';
import type { Selection } from '../dlms/xdlms/apdu.ts';
import { aroundServer, deviationsOf, signOnDeviationsOf, transmitted } from './around.ts';
import { columnsOf, projected, selectedRows } from './buffers.ts';
import { clientsOf, gmacClient, lowCipheredClient } from './clients.ts';
import { DayTime } from './day-time.ts';
import { eventsOf, logBuffer, type MeterEvent } from './event-log.ts';
import { type LoadCurve, loadCurve, type VirtualRow } from './load-curve.ts';
import { baseNames, meterObjects, u32, u8 } from './objects.ts';
import {
  deviationAt,
  instantsOf,
  type MeterClock,
  moveBy,
  saysSummer,
  setClock,
  shownAt,
  stampOf,
  wasAdjusted,
} from './meter-clock.ts';
import { change, isDark, type Mains, mainsOf } from './mains.ts';
import { identificationOf, linkOf } from './meter-link.ts';
import { firstPush, pushedList, type PushedRows } from './push.ts';
import type { Memory, Piece, Quirk } from './quirk.ts';
import { quirkOf } from './quirks.ts';
import { type ImageState, imageTransfer, noImage } from './image-transfer.ts';
import { type Random, seeded } from './random.ts';
import { securitySetup, type SecurityState } from './security-setup.ts';
import { replayer } from './recording.ts';
import type { VirtualMeterSettings } from './settings.ts';
import { deviatingSignOn } from './sign-on-deviations.ts';

const logicalDeviceName = (serial: number): string => `SIM${String(serial).padStart(13, '0')}`;
/** Manufacturer 'SIM' and the serial number. */
const systemTitle = (serial: number): Uint8Array => {
  const title = Buffer.from('SIM\0\0\0\0\0', 'latin1');
  title.writeUInt32BE(serial, 4);
  return title;
};
const counterOrigin = Date.UTC(2026, 0, 1);

export class VirtualMeter {
  readonly settings: VirtualMeterSettings;
  readonly curve: LoadCurve;
  stack: ServerStack;
  private now: Millis;
  private readonly time: MeterClock;
  private readonly events: MeterEvent[] = [];
  controlState = 1;
  private readonly day: DayTime;
  private readonly mains: Mains;
  /** Counters survive power cuts. */
  private readonly heard = new Map<number, number>();
  /** A meter that is begun again never counts below what it counted: 20 a second since 2026, as it sends fewer. */
  private ownCounter: number;
  private readonly random: Random;
  private readonly quirks: readonly Quirk[];
  private readonly memories: readonly Memory[];
  private pieces: Piece[] = [];
  private pushAt: Millis | undefined;
  private pushes = 0;
  private keysChanged = false;
  readonly image: ImageState = noImage();
  readonly security: SecurityState;

  constructor(settings: VirtualMeterSettings, day = new DayTime()) {
    this.settings = settings;
    this.day = day;
    this.ownCounter = Math.min(Math.max(0, Math.floor((settings.start - counterOrigin) / 50)), 3_000_000_000);
    this.capturePeriodS = settings.periodS;
    const key = (hex: string) => new Secret(fromHex(hex));
    this.security = {
      keys: new Map([
        [0, key(settings.encryptionKey)],
        [2, key(settings.authenticationKey)],
        [3, key(settings.masterKey)],
      ]),
      certificates: [],
      policy: 0,
    };
    this.mains = mainsOf(settings.dark);
    this.curve = loadCurve(settings.seed, settings.serial, this.mains.unfed, settings.registerWrapsAt);
    this.now = settings.start;
    this.quirks = settings.quirks.map(quirkOf);
    this.memories = this.quirks.map(() => ({}));
    this.random = seeded(settings.seed ^ settings.serial);
    const { start, driftPpm, deviationMin, dst, dstStatus, clockOffsetMs } = settings;
    this.time = {
      start,
      driftPpm,
      deviationMin,
      dst,
      dstStatus,
      sets: [{ since: millis(0), offsetMs: clockOffsetMs }],
    };
    for (const { logged } of this.quirks)
      for (let i = 0; i < (logged?.times ?? 0); i++)
        this.events.push({ at: later(settings.start, -6 * 3_600_000), code: logged?.code ?? 0 });
    for (const { from, to } of settings.dark) this.events.push({ at: from, code: 1 }, { at: to, code: 2 });
    this.pushAt = firstPush(settings);
    this.replay = settings.replay && replayer(settings.replay, (what) => void this.missing.push(what));
    this.stack = this.newStack();
  }
  private readonly replay: ReturnType<typeof replayer> | undefined;
  /** What was asked of a recording and is not in it, in words. */
  readonly missing: string[] = [];

  /** The customer's button (manual disconnection, then manual connection); the link stays alive. */
  pressButton(at: Millis): void {
    this.now = at;
    if (this.controlState === 1) {
      this.controlState = 2;
      this.events.push({ at, code: 60 }, { at: later(at, 1000), code: 59 });
      change(this.mains, 'open', true, at);
    } else {
      this.controlState = 1;
      this.events.push({ at, code: 61 });
      change(this.mains, 'open', false, at);
    }
  }
  /** Other capture objects: the export register is no longer captured. Such a write wipes the buffer. */
  reconfigure(at: Millis): void {
    this.now = at;
    this.changes++;
    this.wipedAt = at;
    this.importOnly = true;
    this.events.push({ at, code: 47 }, { at, code: 254 });
    this.stack = this.newStack();
  }
  private changes = 0;
  /** Rows stamped earlier are gone. */
  wipedAt: Millis = millis(0);
  private importOnly = false;
  /** Capture period, s; a write of it empties the buffer. */
  capturePeriodS: number;

  /** Somebody sets the clock by hand. */
  moveClock(at: Millis, byMs: number): void {
    this.now = at;
    this.events.push({ at, code: 4, stamp: this.clock(at) });
    moveBy(this.time, at, byMs);
    this.events.push({ at, code: 5 });
  }
  /** Power came back: nothing of the protocols survives. */
  powerUp(): void {
    this.stack = this.newStack();
  }
  powered(line: Millis): boolean {
    return !isDark(this.mains, this.day.at(line));
  }
  /** Somebody takes the voltage away, or gives it back. */
  switchMains(on: boolean, line: Millis): void {
    if (on === this.powered(line)) return;
    const at = this.day.at(line);
    this.now = at;
    change(this.mains, 'dark', !on, at);
    this.events.push({ at, code: on ? 2 : 1 });
  }
  receive(received: Uint8Array, line: Millis): void {
    this.now = this.day.at(line);
    const age = this.now - this.settings.start;
    if (!this.remembering().every(([{ accepts }, memory]) => accepts?.(received, memory, age) ?? true)) return;
    this.stack.receive(received, line);
  }
  wake(line: Millis): void {
    const now = this.day.at(line);
    this.now = now;
    if (this.pushAt !== undefined && now >= this.pushAt) {
      this.nextPush(now);
      this.push();
    }
    this.stack.wake(line);
  }
  /** Without power nothing is sent. */
  sleep(line: Millis): void {
    this.nextPush(this.day.at(line));
    this.stack.wake(line);
    while (this.stack.pollTransmit());
  }
  /** When wake must be called next. */
  deadline(): Millis | undefined {
    const stack = this.stack.deadline();
    const pushAt = this.pushAt && this.day.lineAt(this.pushAt);
    if (pushAt === undefined || stack === undefined) return pushAt ?? stack;
    return stack < pushAt ? stack : pushAt;
  }
  private nextPush(now: Millis): void {
    while (this.pushAt !== undefined && this.pushAt <= now)
      this.pushAt = later(this.pushAt, this.settings.pushS * 1000);
  }

  private push(): void {
    const { settings, quirks } = this;
    const ciphering: CipheringSettings = {
      suite: this.suite,
      ownTitle: systemTitle(settings.serial),
      policy: settings.securityPolicy,
      wrapping: 'general',
      keys: this.keys(),
      nextCounter: () => ++this.ownCounter,
    };
    this.pushes += 1;
    const list = { clock: this.stamp(this.clock(this.now)), registers: this.registers(this.now), number: this.pushes };
    const whole = settings.pushRows > 0 ? { ...list, rows: this.pushedRows() } : list;
    const { apdus, maxInfo } = pushedList(whole, quirks, ciphering, settings.pushCiphered);
    for (const apdu of apdus) this.stack.notify(apdu, 16, maxInfo);
  }
  private pushedRows(): PushedRows {
    const { serial, loadProfile: profile, pushRows } = this.settings;
    const newest = this.rows(millis(0), millis(Number.MAX_SAFE_INTEGER)).slice(-pushRows);
    const rows = newest.map((row) => this.rowData(row));
    return { serial, profile, columns: this.columns(), periodS: this.capturePeriodS, buffer: array(...rows) };
  }
  /** Asked for with each association: after a change of keys the next one has the new keys, and counters begin anew. */
  private keysOfAssociation(): ProtectionKeys {
    if (this.keysChanged) this.heard.clear();
    this.keysChanged = false;
    return this.keys();
  }
  private keys(): ProtectionKeys {
    const { keys } = this.security;
    return { encryption: keys.get(0) as Secret, authentication: keys.get(2) as Secret };
  }

  /** The connection is closed when what was said is sent. */
  hangsUp = false;
  /** The TCP connection is gone, and with it the association that ran in wrapper frames, and who signed on by it. */
  connectionClosed(): void {
    this.hangsUp = false;
    for (const [{ connected }, memory] of this.remembering()) connected?.(memory);
    if (this.settings.link === 'wrapper' || this.settings.modeE) this.powerUp();
  }

  private remembering(): readonly (readonly [Quirk, Memory])[] {
    return this.quirks.map((quirk, i) => [quirk, this.memories[i] as Memory]);
  }

  /** The next octets for the line. */
  pollTransmit(): Piece | undefined {
    while (this.pieces.length === 0) {
      const octets = this.stack.pollTransmit();
      if (!octets) return undefined;
      this.pieces.push(...transmitted(octets, this.remembering()));
    }
    return this.pieces.shift();
  }

  /** InitiateResponse of a meter that wants it encrypted only carries counter 0. */
  private entering = false;
  private whileEntering(answer: () => Uint8Array | undefined): Uint8Array | undefined {
    this.entering = true;
    const answered = answer();
    this.entering = false;
    return answered;
  }

  private get suite(): 0 | 2 {
    return this.settings.encryptionKey.length === 64 ? 2 : 0;
  }
  private newStack(): ServerStack {
    const { settings } = this;
    const objects = settings.snapshot ? snapshotServer(settings.snapshot) : this.objects();
    const shortNamed = settings.referencing === 'short-name';
    const deviations = deviationsOf(this.quirks);
    const able = shortNamed ? shortNameServerConformance : serverConformance;
    return new ServerStack({
      link: linkOf(settings),
      ...(settings.modeE && {
        signOn: deviatingSignOn(
          new SignOnServer({
            ...identificationOf(settings),
            readOut: () => this.readOut(),
          }),
          signOnDeviationsOf(this.quirks),
        ),
      }),
      server: {
        clients: clientsOf({
          password: settings.password,
          suite: this.suite,
          securityPolicy: settings.securityPolicy,
          initiate: deviations.initiate,
          ...(settings.signing && { signing: settings.signing }),
          keys: () => this.keysOfAssociation(),
          nextCounter: () => (this.entering ? 0 : ++this.ownCounter),
        }),
        objects,
        serverSap: settings.logical,
        conformance: settings.pushS > 0 ? able | conformance('data-notification') : able,
        ...(shortNamed && { shortNames: baseNames(objects) }),
        maxPdu: settings.maxPdu,
        systemTitle: systemTitle(settings.serial),
        challenge: () => Uint8Array.from({ length: 16 }, () => Math.floor(this.random() * 256)),
        heard: this.heard,
        around: aroundServer({
          replay: this.replay,
          deviations,
          quirks: () => this.remembering(),
          whileEntering: (answer) => this.whileEntering(answer),
          hangUp: () => {
            this.hangsUp = true;
          },
        }),
      },
    });
  }

  private readOut(): string {
    const [wh1, wh2] = this.registers(this.now);
    const kwh = (value: number) =>
      `${String(Math.floor(value / 1000)).padStart(8, '0')}.${String(value % 1000).padStart(3, '0')}`;
    return `0.0.0(${this.settings.serial})\r\n1.8.0(${kwh(wh1)}*kWh)\r\n2.8.0(${kwh(wh2)}*kWh)\r\n`;
  }

  registers(at: Millis): [number, number] {
    return [this.curve.register(0, at), this.curve.register(1, at)];
  }

  /** An instant as the meter writes it. */
  private stamp(at: Millis): Uint8Array {
    return this.quirks.reduce((octets, { stamp }) => stamp?.(octets) ?? octets, stampOf(this.time, at));
  }
  /** What the meter's clock shows at a true instant. */
  clock(at: Millis): Millis {
    return shownAt(this.time, at);
  }
  /** The true instants at which the clock showed a stamp. */
  instantsOf(stamp: Millis): Millis[] {
    return instantsOf(this.time, stamp);
  }

  /** Rows whose stamp lies in [from, to], oldest first: the truth that a reader must get. */
  rows(from: Millis, to: Millis): VirtualRow[] {
    const first = Math.max(from, this.wipedAt);
    // So much the buffer holds at least; without power nothing was written, and what it holds reaches further back.
    const reach = this.clock(this.now) - this.settings.depthDays * dayMs + 1;
    if (first >= reach) return this.truth(millis(first), to);
    const buffered = this.truth(millis(this.wipedAt), millis(Number.MAX_SAFE_INTEGER)).slice(-this.entries());
    return buffered.filter(({ end }) => end >= first && end <= to);
  }
  /** The same at a moment of the line. */
  rowsAt(line: Millis, from: Millis, to: Millis): VirtualRow[] {
    this.now = this.day.at(line);
    return this.rows(from, to);
  }
  /** profile_entries: the newest are kept. */
  private entries(): number {
    return Math.floor((this.settings.depthDays * dayMs) / (this.capturePeriodS * 1000));
  }
  /** Without the limit of the buffer: every row that was ever written. */
  truth(from: Millis, to: Millis): VirtualRow[] {
    const { settings } = this;
    const period = this.capturePeriodS * 1000;
    const oldest = Math.max(settings.installed + 1, from);
    const newest = Math.min(this.clock(this.now), to);
    const written: { at: Millis; row: VirtualRow }[] = [];
    for (let stamp = Math.ceil(oldest / period) * period; stamp <= newest; stamp += period) {
      for (const at of this.instantsOf(millis(stamp))) {
        if (at > this.now) continue;
        const darkness = this.mains.dark.find(({ from: began, to: ended }) => at >= began && at < ended);
        // In a long outage only the first and the last period have rows; the first is written when the power is back.
        if (darkness && (darkness.from <= at - period || this.now < darkness.to)) continue;
        const cut = this.mains.dark.some((dark) => dark.from < at && dark.to > at - period);
        const status =
          (cut ? 0x80 : 0) |
          (saysSummer(this.time, millis(stamp)) ? 0x08 : 0) |
          (wasAdjusted(this.time, at - period, at) ? 0x20 : 0);
        written.push({ at, row: { end: millis(stamp), status, registers: this.registers(at) } });
      }
    }
    // In the order in which they were written: a clock that was set back writes a stamp again.
    const rows = written.toSorted((a, b) => a.at - b.at).map(({ row }) => row);
    return this.quirks.reduce((changed, quirk) => quirk.rows?.(changed) ?? changed, rows);
  }

  private columns(): readonly CaptureObject[] {
    return columnsOf(this.settings, this.quirks, this.importOnly);
  }

  private rowData(row: VirtualRow): Data {
    const cells: readonly Data[] = [
      octets(this.stamp(row.end)),
      u8(row.status),
      u32(row.registers[0]),
      ...(this.importOnly ? [] : [u32(row.registers[1])]),
      ...(this.settings.capturesEnergies ? [u32(this.energyOf(row))] : []),
    ];
    return structure(...this.quirks.reduce((all, { profile }) => profile?.cells(all, row) ?? all, cells));
  }

  /** The energy of the interval of a row, rounded to 10 Wh. */
  private energyOf({ end, registers }: VirtualRow): number {
    const [at] = this.instantsOf(millis(end - this.capturePeriodS * 1000));
    return at === undefined ? 0 : Math.round((registers[0] - this.registers(at)[0]) / 10);
  }

  private buffer(asked: Selection | undefined): Data | { refused: number } {
    let selection = asked;
    for (const { select } of this.quirks) {
      const changed = selection && select?.(selection);
      if (changed && 'refused' in changed) return changed;
      selection = changed ?? selection;
    }
    // Bounds that leave their deviation open are the meter's local time.
    const rows = selectedRows(selection, deviationAt(this.time, this.now), (from, to) => this.rows(from, to));
    if ('refused' in rows) return rows;
    const sent = this.quirks.reduce((changed, quirk) => quirk.sent?.(changed) ?? changed, rows);
    let buffer: Data = array(...sent.map((row) => this.rowData(row)));
    for (const quirk of this.quirks) {
      const changed = quirk.buffer?.(buffer);
      if (changed && 'refused' in changed) return changed;
      buffer = changed ?? buffer;
    }
    return projected(buffer, this.columns(), selection);
  }

  private log(log: number, selection: Selection | undefined): Data | { refused: number } {
    const events = eventsOf(this.events, log, this.now);
    return logBuffer(
      events,
      selection,
      this.quirks,
      (at) => this.clock(at),
      (stamp) => this.stamp(stamp),
    );
  }
  private setTime(value: Data): number {
    const { deviationMin } = this.settings;
    const to = value.type === 'octet-string' ? utcOf(value.value, { deviationMin }) : undefined;
    if (to === undefined) return accessResult['type-unmatched'];
    this.events.push({ at: this.now, code: 4, stamp: this.clock(this.now) });
    setClock(this.time, this.now, to);
    this.events.push({ at: this.now, code: 5 });
    return accessResult.success;
  }
  private setPeriod(value: Data): number {
    if (value.type !== 'double-long-unsigned') return accessResult['type-unmatched'];
    this.capturePeriodS = value.value;
    this.wipedAt = this.now;
    this.changes++;
    return accessResult.success;
  }
  private switchTo(state: 0 | 1): void {
    this.controlState = state;
    this.events.push({ at: this.now, code: state === 1 ? 63 : 62 });
  }

  private objects(): ServerObject[] {
    const { settings, quirks } = this;
    return meterObjects({
      settings: { ...settings, descending: settings.quirks.includes('first-stamp-only-descending') },
      quirks,
      deviceName: settings.deviceName ?? logicalDeviceName(settings.serial),
      register: (channel) => this.curve.register(channel, this.now),
      time: () => {
        const stamp = this.stamp(this.clock(this.now));
        return quirks.reduce((octets, { clock }) => clock?.(octets) ?? octets, stamp);
      },
      setTime: (value) => this.setTime(value),
      configurationChanges: () => this.changes,
      invocationCounter: () => Math.max(0, this.heard.get(gmacClient) ?? 0, this.heard.get(lowCipheredClient) ?? 0),
      profile: {
        columns: () => this.columns(),
        buffer: (selection) => this.buffer(selection),
        periodS: () => this.capturePeriodS,
        setPeriod: (value) => this.setPeriod(value),
        inUse: () => this.rows(millis(0), millis(Number.MAX_SAFE_INTEGER)).length,
        entries: () => this.entries(),
      },
      log: (log, selection) => this.log(log, selection),
      logEntries: (log) => eventsOf(this.events, log, this.now).length,
      supply: { state: () => this.controlState, switchTo: (state) => this.switchTo(state) },
      others: [
        imageTransfer(this.image, settings.image, () => this.now),
        securitySetup(this.security, {
          suite: this.suite,
          clientTitle: new Uint8Array(8),
          ownTitle: systemTitle(settings.serial),
          changed: () => {
            this.keysChanged = true;
          },
        }),
      ],
    });
  }
}
