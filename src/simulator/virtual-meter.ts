/** A virtual meter: COSEM objects over a seeded load curve and a clock that may be wrong. */
import { fromHex } from '../base/hex.ts';
import { Secret } from '../base/secret.ts';
import { dayMs, later, type Millis, millis } from '../base/time.ts';
import type { Data } from '../dlms/axdr/data.ts';
import { Ciphering } from '../dlms/association/ciphering.ts';
import { proposedWithShortNames } from '../dlms/association/client.ts';
import { type ServerClient, serverConformance, type ServerMischief } from '../dlms/association/server.ts';
import type { LogicalName } from '../dlms/cosem/logical-name.ts';
import { dateTimeOctets, utcOf } from '../dlms/cosem/date-time.ts';
import { clockColumn, type CaptureObject, captureObjectData, captureObjectsOf } from '../dlms/cosem/profile-generic.ts';
import {
  accessResult,
  array,
  nameData,
  octets,
  readable,
  type ServerObject,
  structure,
} from '../dlms/cosem/server-object.ts';
import { associationBaseName, associationShortNameObject } from '../dlms/cosem/short-name.ts';
import { type Snapshot, snapshotServer } from '../dlms/cosem/snapshot.ts';
import { serverAddress } from '../dlms/hdlc/frame.ts';
import { signingOf } from '../dlms/security/certificate.ts';
import type { ProtectionKeys } from '../dlms/security/protection.ts';
import { ServerStack } from '../dlms/stack/server.ts';
import { encodeApdu, type Selection } from '../dlms/xdlms/apdu.ts';
import { type Dark, type LoadCurve, loadCurve, type VirtualRow } from './load-curve.ts';
import type { Memory, Piece, Quirk } from './quirk.ts';
import { type QuirkName, quirkOf } from './quirks.ts';
import { type ImageSettings, type ImageState, imageTransfer, noImage } from './image-transfer.ts';
import { type Random, seeded } from './random.ts';
import { securitySetup, type SecurityState } from './security-setup.ts';

export interface VirtualMeterSettings {
  readonly seed: number;
  readonly serial: number;
  readonly logical: number;
  readonly physical: number;
  /** Takes frames with its logical address alone: the only meter on its line. */
  readonly alone: boolean;
  readonly link: 'hdlc' | 'wrapper';
  readonly modeE: boolean;
  /** Period of unasked lists, seconds; 0 = none. */
  readonly pushS: number;
  readonly pushCiphered: boolean;
  readonly baud: number;
  readonly periodS: number;
  readonly depthDays: number;
  /** First instant with rows. */
  readonly installed: Millis;
  /** Of standard time, from local time to UTC. */
  readonly deviationMin: number;
  /** European summer time: an hour ahead from the last Sunday of March to that of October, 01:00 UTC. */
  readonly dst: boolean;
  readonly password: string;
  /** Global encryption and authentication key of the client by HLS-GMAC, hex. */
  readonly encryptionKey: string;
  readonly authenticationKey: string;
  /** Wraps new keys, hex. */
  readonly masterKey: string;
  readonly image: ImageSettings;
  /** Client 7 by HLS-ECDSA: the meter's private key in PEM and the client's certificate. */
  readonly signing?: { readonly key: Secret; readonly clientCertificate: Uint8Array };
  readonly maxInfo: number;
  readonly window: number;
  readonly maxPdu: number;
  readonly octetMs: number;
  readonly inactivityMs: number;
  readonly dark: readonly Dark[];
  readonly clockOffsetMs: number;
  readonly driftPpm: number;
  /** Energies of the intervals in units of 10 Wh are captured as well. */
  readonly capturesEnergies: boolean;
  /** The import register begins anew about then. */
  readonly registerWrapsAt?: Millis;
  readonly start: Millis;
  /** What this meter does against the rules. */
  readonly quirks: readonly QuirkName[];
  readonly referencing?: 'logical-name' | 'short-name';
  /** Logical device name; left out: SIM and the serial number. */
  readonly deviceName?: string;
  /** Serves these objects instead of its own. */
  readonly snapshot?: Snapshot;
}
export const logicalDeviceName = (serial: number): string => `SIM${String(serial).padStart(13, '0')}`;
/** Manufacturer 'SIM' and the serial number. */
const systemTitle = (serial: number): Uint8Array => {
  const title = Buffer.from('SIM\0\0\0\0\0', 'latin1');
  title.writeUInt32BE(serial, 4);
  return title;
};
const gmacClient = 5;
const lowCipheredClient = 8;
const counterOrigin = Date.UTC(2026, 0, 1);
const invocationCounterName = '0.0.43.1.0.255';
export const loadProfileName = '1.0.99.1.0.255';
const import18 = '1.0.1.8.0.255';
const export28 = '1.0.2.8.0.255';
const statusName = '0.0.96.10.1.255';
const profileColumns: readonly CaptureObject[] = [
  clockColumn,
  { classId: 1, logicalName: statusName, attribute: 2, dataIndex: 0 },
  { classId: 3, logicalName: import18, attribute: 2, dataIndex: 0 },
  { classId: 3, logicalName: export28, attribute: 2, dataIndex: 0 },
];
const energyColumn: CaptureObject = { classId: 3, logicalName: '1.0.1.29.0.255', attribute: 2, dataIndex: 0 };
const u8 = (value: number): Data => ({ type: 'unsigned', value });
const u16 = (value: number): Data => ({ type: 'long-unsigned', value });
const u32 = (value: number): Data => ({ type: 'double-long-unsigned', value });
const wh: Data = structure({ type: 'integer', value: 0 }, { type: 'enum', value: 30 });

/** Column selection: of a range by capture objects, of entries by numbers from 1 (Blue Book 4.3.6.2.3). */
function projected(buffer: Data, columns: readonly CaptureObject[], selection: Selection | undefined): Data {
  if (buffer.type !== 'array' || selection?.parameters.type !== 'structure') return buffer;
  const [, , third, fourth] = selection.parameters.value;
  let kept: number[];
  if (selection.selector === 1 && fourth?.type === 'array' && fourth.value.length > 0) {
    const wanted = captureObjectsOf(fourth);
    kept = wanted.map((one) => columns.findIndex(({ logicalName }) => logicalName === one.logicalName));
  } else if (selection.selector === 2 && third?.type === 'long-unsigned' && fourth?.type === 'long-unsigned') {
    const last = fourth.value === 0 ? columns.length : fourth.value;
    kept = columns.map((_, i) => i).filter((i) => i + 1 >= third.value && i + 1 <= last);
  } else return buffer;
  const value = buffer.value.map((row): Data => {
    const cells = row.type === 'structure' ? row.value : [];
    return structure(...kept.flatMap((i) => cells[i] ?? []));
  });
  return { type: 'array', value };
}

/** From 01:00 UTC of the last Sunday of March to that of October. */
export function isEuropeanSummer(at: Millis): boolean {
  const year = new Date(at).getUTCFullYear();
  const lastSunday = (month: number) => {
    const last = new Date(Date.UTC(year, month + 1, 0, 1));
    return last.getTime() - last.getUTCDay() * dayMs;
  };
  return at >= lastSunday(2) && at < lastSunday(9);
}

/** IDIS: 40 to 46 and 49, 50 are fraud, 59 to 69 the disconnector's. */
const logOf = (code: number): number =>
  (code >= 40 && code <= 46) || code === 49 || code === 50 ? 1 : code >= 59 && code <= 69 ? 2 : 0;

/** Base names of a meter with short-name referencing: the association where it always is, the others far enough apart. */
const baseNames = (objects: readonly ServerObject[]): Map<LogicalName, number> =>
  new Map(
    objects.map(({ logicalName }, i) => [
      logicalName,
      logicalName === associationShortNameObject ? associationBaseName : 0x1000 + i * 0x100,
    ]),
  );

/** General blocks nobody asked for: streamed, the last one marked (Green Book 9.4.6.13). */
function inBlocks(apdu: Uint8Array, size: number): Uint8Array[] {
  const blocks: Uint8Array[] = [];
  for (let at = 0; at < apdu.length; at += size) {
    const last = at + size >= apdu.length;
    const content = apdu.subarray(at, at + size);
    blocks.push(
      encodeApdu({
        kind: 'general-block-transfer',
        control: last ? 0x80 : 0x40,
        number: blocks.length + 1,
        acknowledged: 0,
        content,
      }),
    );
  }
  return blocks;
}

export class VirtualMeter {
  readonly settings: VirtualMeterSettings;
  readonly curve: LoadCurve;
  stack: ServerStack;
  private now: Millis;
  /** The meter's clock minus true time, since an instant; the last one holds. Drift comes on top. */
  private readonly clockSets: { since: Millis; offsetMs: number }[];
  /** `stamp`: where the entry does not tell what the clock shows after it. */
  private readonly events: { at: Millis; code: number; stamp?: Millis }[] = [];
  controlState = 1;
  /** Spans in which nothing is consumed: without mains, or with the meter's switch open. */
  private readonly unfed: Dark[];
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

  constructor(settings: VirtualMeterSettings) {
    this.settings = settings;
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
    this.unfed = [...settings.dark];
    this.curve = loadCurve(settings.seed, settings.serial, this.unfed, settings.registerWrapsAt);
    this.now = settings.start;
    this.quirks = settings.quirks.map(quirkOf);
    this.memories = this.quirks.map(() => ({}));
    this.random = seeded(settings.seed ^ settings.serial);
    this.clockSets = [{ since: millis(0), offsetMs: settings.clockOffsetMs }];
    for (const { from, to } of settings.dark) this.events.push({ at: from, code: 1 }, { at: to, code: 2 });
    this.pushAt = settings.pushS > 0 ? later(settings.start, settings.pushS * 1000) : undefined;
    this.stack = this.newStack();
  }

  /** The customer's button (manual disconnection, then manual connection); the link stays alive. */
  pressButton(at: Millis): void {
    this.now = at;
    if (this.controlState === 1) {
      this.controlState = 2;
      this.events.push({ at, code: 60 }, { at: later(at, 1000), code: 59 });
      this.unfed.push({ from: at, to: millis(Number.MAX_SAFE_INTEGER) });
    } else {
      this.controlState = 1;
      this.events.push({ at, code: 61 });
      const last = this.unfed.at(-1) as Dark;
      this.unfed[this.unfed.length - 1] = { ...last, to: at };
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
    const { offsetMs } = this.clockSets.findLast(({ since }) => since <= at) as { offsetMs: number };
    this.events.push({ at, code: 4, stamp: this.clock(at) });
    this.clockSets.push({ since: at, offsetMs: offsetMs + byMs });
    this.events.push({ at, code: 5 });
  }
  /** Power came back: nothing of the protocols survives. */
  powerUp(): void {
    this.stack = this.newStack();
  }
  powered(now: Millis): boolean {
    return !this.settings.dark.some(({ from, to }) => now >= from && now < to);
  }
  receive(received: Uint8Array, now: Millis): void {
    this.now = now;
    const age = now - this.settings.start;
    if (!this.quirks.every(({ heeds }, i) => heeds?.(received, this.memories[i] as Memory, age) ?? true)) return;
    this.stack.receive(received, now);
  }
  wake(now: Millis): void {
    this.now = now;
    if (this.pushAt !== undefined && now >= this.pushAt) {
      this.nextPush(now);
      this.push();
    }
    this.stack.wake(now);
  }
  /** Without power nothing is sent. */
  sleep(now: Millis): void {
    this.nextPush(now);
    this.stack.wake(now);
    while (this.stack.pollTransmit());
  }
  /** When wake must be called next. */
  deadline(): Millis | undefined {
    const stack = this.stack.deadline();
    const { pushAt } = this;
    if (pushAt === undefined || stack === undefined) return pushAt ?? stack;
    return stack < pushAt ? stack : pushAt;
  }
  private nextPush(now: Millis): void {
    while (this.pushAt !== undefined && this.pushAt <= now)
      this.pushAt = later(this.pushAt, this.settings.pushS * 1000);
  }

  /** A list as push setups describe it (Blue Book 4.4.8): what it holds, then the values. */
  private push(): void {
    const { settings, quirks } = this;
    const objects: CaptureObject[] = [
      { classId: 40, logicalName: '0.0.25.9.0.255', attribute: 2, dataIndex: 0 },
      clockColumn,
      { classId: 3, logicalName: import18, attribute: 2, dataIndex: 0 },
      { classId: 3, logicalName: import18, attribute: 3, dataIndex: 0 },
      { classId: 3, logicalName: export28, attribute: 2, dataIndex: 0 },
    ];
    const clock = octets(this.stamp(this.clock(this.now)));
    const [imported, exported] = this.registers(this.now);
    let body: Data = structure(array(...objects.map(captureObjectData)), clock, u32(imported), wh, u32(exported));
    for (const { push } of quirks) body = push?.list?.(body) ?? body;
    this.pushes += 1;
    let apdu = encodeApdu({
      kind: 'data-notification',
      longInvokeId: this.pushes,
      dateTime: new Uint8Array(0),
      body,
    });
    for (const { push } of quirks) apdu = push?.apdu?.(apdu) ?? apdu;
    if (settings.pushCiphered) {
      const ciphering = new Ciphering({
        suite: settings.encryptionKey.length === 64 ? 2 : 0,
        ownTitle: systemTitle(settings.serial),
        policy: 'authenticated-encrypted',
        wrapping: 'general',
        keys: this.keys(),
        nextCounter: () => ++this.ownCounter,
      });
      apdu = ciphering.wrap(apdu);
    }
    const block = quirks.find(({ push }) => push?.block !== undefined)?.push?.block;
    const maxInfo = quirks.find(({ push }) => push?.maxInfo !== undefined)?.push?.maxInfo ?? 128;
    for (const part of block === undefined ? [apdu] : inBlocks(apdu, block)) this.stack.notify(part, 16, maxInfo);
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

  /** The next octets for the line. */
  pollTransmit(): Piece | undefined {
    while (this.pieces.length === 0) {
      const octets = this.stack.pollTransmit();
      if (!octets) return undefined;
      let pieces: readonly Piece[] = [{ octets, pauseMs: 0 }];
      this.quirks.forEach(({ transmit }, i) => {
        if (!transmit) return;
        pieces = pieces.flatMap((piece) =>
          transmit(piece.octets, this.memories[i] as Memory).map((made, at) =>
            at === 0 ? { ...made, pauseMs: made.pauseMs + piece.pauseMs } : made,
          ),
        );
      });
      this.pieces.push(...pieces);
    }
    return this.pieces.shift();
  }

  private mischief(): ServerMischief {
    const all: ServerMischief = Object.assign({}, ...this.quirks.map(({ server }) => server)) as ServerMischief;
    return {
      ...all,
      answer: (answer, request) => {
        let changed: Uint8Array | undefined = answer;
        this.quirks.forEach((quirk, i) => {
          if (changed && quirk.answer) changed = quirk.answer(changed, request, this.memories[i] as Memory);
        });
        return changed;
      },
    };
  }

  private newStack(): ServerStack {
    const { settings } = this;

    const own = serverAddress(settings.logical, settings.physical);
    const size = { maxInfoTransmit: settings.maxInfo, maxInfoReceive: settings.maxInfo };
    const window = { windowTransmit: settings.window, windowReceive: settings.window };
    const secret = new Secret(Buffer.from(settings.password));
    const password: ServerClient = { mechanism: 'lls', secret };
    const signing = settings.signing && signingOf(settings.signing.key, settings.signing.clientCertificate);
    const keysNow = () => this.keysOfAssociation();
    const gmac: ServerClient = {
      mechanism: 'hls-gmac',
      ciphering: {
        suite: settings.encryptionKey.length === 64 ? 2 : 0,
        policy: 'authenticated-encrypted',
        wrapping: 'service',
        get keys() {
          return keysNow();
        },
        nextCounter: () => ++this.ownCounter,
      },
    };
    const objects = settings.snapshot ? snapshotServer(settings.snapshot) : this.objects();
    const shortNamed = settings.referencing === 'short-name';
    return new ServerStack({
      link:
        settings.link === 'wrapper'
          ? { kind: 'wrapper', server: settings.logical }
          : {
              kind: 'hdlc',
              settings: {
                role: 'server',
                own,
                accepts: ({ logical, physical }) =>
                  logical === settings.logical &&
                  (physical === undefined ? settings.alone : physical === settings.physical),
                parameters: { ...size, ...window },
                answerTimeoutMs: 0,
                quietMs: 100,
                retries: 0,
                octetMs: settings.octetMs,
                inactivityMs: settings.inactivityMs,
                reassemblyLimit: 65_536,
              },
            },
      ...(settings.modeE && {
        signOn: {
          manufacturer: 'SIM',
          model: `VM${settings.serial}`,
          address: String(settings.serial),
          z: '5',
          readOut: () => this.readOut(),
          mischief: Object.assign({}, ...this.quirks.map(({ signOn }) => signOn)) as object,
        },
      }),
      server: {
        clients: new Map<number, ServerClient>([
          [16, { mechanism: 'none' }],
          [17, password],
          [1, password],
          [2, password],
          // High level security: the client's address is the number of the mechanism.
          [3, { mechanism: 'hls-md5', secret }],
          [4, { mechanism: 'hls-sha1', secret }],
          [gmacClient, gmac],
          [6, { mechanism: 'hls-sha256', secret }],
          // Low level security with the keys of 5.
          [lowCipheredClient, { ...gmac, mechanism: 'lls', secret }],
          ...(signing ? [[7, { mechanism: 'hls-ecdsa', signing }] as [number, ServerClient]] : []),
        ]),
        objects,
        conformance: shortNamed ? serverConformance | proposedWithShortNames : serverConformance,
        ...(shortNamed && { shortNames: baseNames(objects) }),
        maxPdu: settings.maxPdu,
        systemTitle: systemTitle(settings.serial),
        challenge: () => Uint8Array.from({ length: 16 }, () => Math.floor(this.random() * 256)),
        heard: this.heard,
        mischief: this.mischief(),
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

  private summer(at: Millis): boolean {
    return this.settings.dst && isEuropeanSummer(at);
  }
  private deviation(at: Millis): number {
    return this.settings.deviationMin - (this.summer(at) ? 60 : 0);
  }
  /** An instant as the meter writes it. */
  private stamp(at: Millis): Uint8Array {
    const written = dateTimeOctets(at, this.deviation(at), this.summer(at) ? 0x80 : 0);
    return this.quirks.reduce((octets, { stamp }) => stamp?.(octets) ?? octets, written);
  }

  private drift(at: number): number {
    return ((at - this.settings.start) * this.settings.driftPpm) / 1e6;
  }
  /** What the meter's clock shows at a true instant. */
  clock(at: Millis): Millis {
    const set = this.clockSets.findLast(({ since }) => since <= at) as { offsetMs: number };
    return later(at, set.offsetMs + this.drift(at));
  }
  /** The true instants at which the clock showed a stamp: none where a set skipped it, two where it was set back. */
  instantsOf(stamp: Millis): Millis[] {
    const rate = 1 + this.settings.driftPpm / 1e6;
    return this.clockSets.flatMap(({ since, offsetMs }, i) => {
      const at = millis(Math.round((stamp - offsetMs - this.settings.start) / rate + this.settings.start));
      const until = this.clockSets[i + 1]?.since ?? Number.POSITIVE_INFINITY;
      return at >= since && at < until ? [at] : [];
    });
  }
  /** Whether the clock made a step of more than the synchronisation limit between two instants. */
  private adjusted(from: number, to: number): boolean {
    return this.clockSets.some(({ since, offsetMs }, i) => {
      const before = this.clockSets[i - 1]?.offsetMs ?? offsetMs;
      return since >= from && since < to && Math.abs(offsetMs - before) > 9000;
    });
  }

  /** Rows whose stamp lies in [from, to], oldest first: the truth that a reader must get. */
  rows(from: Millis, to: Millis): VirtualRow[] {
    const first = Math.max(from, this.wipedAt);
    // So much the buffer holds at least; without power nothing was written, and what it holds reaches further back.
    const reach = this.clock(this.now) - this.settings.depthDays * dayMs + 1;
    if (first >= reach) return this.truth(millis(first), to);
    const kept = this.truth(millis(this.wipedAt), millis(Number.MAX_SAFE_INTEGER)).slice(-this.entries());
    return kept.filter(({ end }) => end >= first && end <= to);
  }
  /** profile_entries: the newest are kept. */
  private entries(): number {
    return Math.floor((this.settings.depthDays * dayMs) / (this.capturePeriodS * 1000));
  }
  /** The same without the limit of the buffer: every row that was ever written. */
  truth(from: Millis, to: Millis): VirtualRow[] {
    const { settings } = this;
    const period = this.capturePeriodS * 1000;
    const clockNow = this.clock(this.now);
    const oldest = Math.max(settings.installed + 1, from);
    const newest = Math.min(clockNow, to);
    const written: { at: Millis; row: VirtualRow }[] = [];
    for (let stamp = Math.ceil(oldest / period) * period; stamp <= newest; stamp += period) {
      for (const at of this.instantsOf(millis(stamp))) {
        if (at > this.now) continue;
        const darkness = settings.dark.find(({ from: began, to: ended }) => at >= began && at < ended);
        // Of a long outage only the first and the last period have rows; the first is written when the power is back.
        if (darkness && (darkness.from <= at - period || this.now < darkness.to)) continue;
        const cut = settings.dark.some((dark) => dark.from < at && dark.to > at - period);
        const status =
          (cut ? 0x80 : 0) | (this.summer(millis(stamp)) ? 0x08 : 0) | (this.adjusted(at - period, at) ? 0x20 : 0);
        written.push({ at, row: { end: millis(stamp), status, registers: this.registers(at) } });
      }
    }
    // In the order in which they were written: a clock that was set back writes a stamp again.
    const rows = written.toSorted((a, b) => a.at - b.at).map(({ row }) => row);
    return this.quirks.reduce((changed, quirk) => quirk.rows?.(changed) ?? changed, rows);
  }

  private columns(): readonly CaptureObject[] {
    const whole = this.settings.quirks.includes('whole-object-column');
    const registers = this.importOnly ? profileColumns.slice(0, -1) : profileColumns;
    const columns = this.settings.capturesEnergies ? [...registers, energyColumn] : registers;
    const captured = columns.map((column) =>
      whole && column.logicalName === import18 ? { ...column, attribute: 0 } : column,
    );
    return this.quirks.reduce<readonly CaptureObject[]>((all, { profile }) => profile?.columns(all) ?? all, captured);
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

  /** Of its interval, rounded to 10 Wh. */
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
    const rows = this.selected(selection);
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

  private selected(selection: Selection | undefined): VirtualRow[] | { refused: number } {
    const everything = () => this.rows(millis(0), millis(Number.MAX_SAFE_INTEGER));
    const parameters = selection?.parameters.type === 'structure' ? selection.parameters.value : [];
    if (!selection) return everything();
    const [first, second, third] = parameters;
    if (selection.selector === 1) {
      // Bounds that leave their deviation open are the meter's local time.
      const deviationMin = this.deviation(this.now);
      const instant = (data: Data | undefined) =>
        data?.type === 'octet-string' ? utcOf(data.value, { deviationMin }) : undefined;
      const from = instant(second);
      const to = instant(third);
      if (from === undefined || to === undefined) return { refused: accessResult['type-unmatched'] };
      return this.rows(from, to);
    }
    if (selection.selector !== 2 || first?.type !== 'double-long-unsigned' || second?.type !== 'double-long-unsigned') {
      return { refused: accessResult['type-unmatched'] };
    }
    const all = everything();
    const last = second.value === 0 ? all.length : Math.min(second.value, all.length);
    return all.slice(Math.max(0, first.value - 1), last);
  }

  /** Standard log 0, fraud log 1, disconnector log 2. */
  private eventBuffer(log: number, selection: Selection | undefined): Data {
    const parameters = selection?.parameters.type === 'structure' ? selection.parameters.value : [];
    const bound = (data: Data | undefined) =>
      data?.type === 'octet-string' ? utcOf(data.value, { deviationMin: 0 }) : undefined;
    const from = selection?.selector === 1 ? bound(parameters[1]) : undefined;
    const to = selection?.selector === 1 ? bound(parameters[2]) : undefined;
    const entries = array(
      ...this.events
        .filter(({ at, code }) => at <= this.now && logOf(code) === log)
        .map(({ at, code, stamp = this.clock(at) }) => ({ stamp, code }))
        .filter(({ stamp }) => (from === undefined || stamp >= from) && (to === undefined || stamp <= to))
        .map(({ stamp, code }) => structure(octets(this.stamp(stamp)), u8(code))),
    );
    return this.quirks.reduce((all, quirk) => quirk.log?.(all) ?? all, entries);
  }
  private eventLog(log: number): ServerObject {
    const code: CaptureObject = { classId: 1, logicalName: `0.0.96.11.${log}.255`, attribute: 2, dataIndex: 0 };
    return {
      classId: 7,
      version: 1,
      logicalName: `0.0.99.98.${log}.255`,
      attributes: [
        { id: 2, access: 1, selectors: [1], get: (selection) => this.eventBuffer(log, selection) },
        readable(3, array(captureObjectData(clockColumn), captureObjectData(code))),
        readable(4, u32(0)),
        readable(7, () => u32(this.events.filter(({ at, code: one }) => at <= this.now && logOf(one) === log).length)),
        readable(8, u32(1000)),
      ],
    };
  }

  private objects(): ServerObject[] {
    const { settings } = this;
    const data = (logicalName: LogicalName, value: Data | (() => Data)): ServerObject => ({
      classId: 1,
      version: 0,
      logicalName,
      attributes: [readable(2, value)],
    });
    const scalerUnit = () =>
      this.quirks.reduce<Data | { refused: number }>((value, quirk) => quirk.scalerUnit?.(wh) ?? value, wh);
    const register = (logicalName: LogicalName, channel: 0 | 1): ServerObject => ({
      classId: 3,
      version: 0,
      logicalName,
      attributes: [
        readable(2, () => u32(this.curve.register(channel, this.now))),
        { id: 3, access: 1, get: () => scalerUnit() },
      ],
    });
    const switchTo = (state: number) => ({
      act: () => {
        this.controlState = state;
        this.events.push({ at: this.now, code: state === 1 ? 63 : 62 });
        return { result: 0 };
      },
    });
    const association: ServerObject = {
      classId: 15,
      version: 1,
      logicalName: associationShortNameObject,
      attributes: [readable(2, array()), readable(8, { type: 'enum', value: 2 })],
    };
    return [
      settings.referencing === 'short-name'
        ? { ...association, classId: 12, attributes: [readable(2, array())] }
        : association,
      data('0.0.42.0.0.255', octets(Buffer.from(settings.deviceName ?? logicalDeviceName(settings.serial)))),
      data('0.0.96.1.0.255', octets(Buffer.from(String(settings.serial)))),
      data(statusName, () => u8(0)),
      // Changes of the configuration so far.
      data('0.0.96.2.0.255', () => u32(this.changes)),
      // What the meter heard last from the client by GMAC: whoever is behind reads it with the public client.
      data(invocationCounterName, () =>
        u32(Math.max(0, this.heard.get(gmacClient) ?? 0, this.heard.get(lowCipheredClient) ?? 0)),
      ),
      {
        classId: 8,
        version: 0,
        logicalName: '0.0.1.0.0.255',
        attributes: [
          {
            id: 2,
            access: 3,
            get: () => {
              const stamp = this.stamp(this.clock(this.now));
              return octets(this.quirks.reduce((octets, { clock }) => clock?.(octets) ?? octets, stamp));
            },
            set: (value) => {
              const { deviationMin } = settings;
              const to = value.type === 'octet-string' ? utcOf(value.value, { deviationMin }) : undefined;
              if (to === undefined) return accessResult['type-unmatched'];
              this.events.push({ at: this.now, code: 4, stamp: this.clock(this.now) });
              this.clockSets.push({ since: this.now, offsetMs: to - this.now - this.drift(this.now) });
              this.events.push({ at: this.now, code: 5 });
              return accessResult.success;
            },
          },
          readable(3, { type: 'long', value: settings.deviationMin }),
          readable(4, u8(0)),
          readable(7, { type: 'integer', value: 60 }),
          readable(8, { type: 'boolean', value: settings.dst }),
        ],
      },
      register(import18, 0),
      register(export28, 1),
      ...(settings.capturesEnergies
        ? [
            {
              classId: 3,
              version: 0,
              logicalName: energyColumn.logicalName,
              attributes: [
                readable(2, u32(0)),
                readable(3, structure({ type: 'integer', value: 1 }, { type: 'enum', value: 30 })),
              ],
            },
          ]
        : []),
      {
        classId: 7,
        version: 1,
        logicalName: loadProfileName,
        attributes: [
          { id: 2, access: 1, selectors: [1, 2], get: (selection) => this.buffer(selection) },
          readable(3, array(...this.columns().map(captureObjectData))),
          {
            id: 4,
            access: 3,
            get: () => u32(this.capturePeriodS),
            set: (value) => {
              if (value.type !== 'double-long-unsigned') return accessResult['type-unmatched'];
              this.capturePeriodS = value.value;
              this.wipedAt = this.now;
              this.changes++;
              return accessResult.success;
            },
          },
          readable(5, { type: 'enum', value: settings.quirks.includes('first-stamp-only-descending') ? 2 : 1 }),
          readable(6, captureObjectData(clockColumn)),
          readable(7, () => u32(this.rows(millis(0), millis(Number.MAX_SAFE_INTEGER)).length)),
          readable(8, u32(this.entries())),
        ],
      },
      ...this.quirks.flatMap(({ objects = [] }) => objects),
      this.eventLog(0),
      this.eventLog(1),
      this.eventLog(2),
      {
        classId: 70,
        version: 0,
        logicalName: '0.0.96.3.10.255',
        attributes: [
          readable(2, () => ({ type: 'boolean', value: this.controlState === 1 })),
          readable(3, () => ({ type: 'enum', value: this.controlState })),
          readable(4, { type: 'enum', value: 2 }),
        ],
        methods: [
          { id: 1, ...switchTo(0) },
          { id: 2, ...switchTo(1) },
        ],
      },
      {
        classId: 23,
        version: 1,
        logicalName: '0.0.22.0.0.255',
        attributes: [
          readable(2, { type: 'enum', value: 5 }),
          readable(3, u8(settings.window)),
          readable(4, u8(settings.window)),
          readable(5, u16(settings.maxInfo)),
          readable(6, u16(settings.maxInfo)),
          readable(7, u16(25)),
          readable(8, u16(Math.round(settings.inactivityMs / 1000))),
          readable(9, u16(settings.physical)),
        ],
      },
      imageTransfer(this.image, settings.image, () => this.now),
      securitySetup(this.security, {
        suite: settings.encryptionKey.length === 64 ? 2 : 0,
        clientTitle: new Uint8Array(8),
        ownTitle: systemTitle(settings.serial),
        changed: () => {
          this.keysChanged = true;
        },
      }),
      {
        classId: 17,
        version: 0,
        logicalName: '0.0.41.0.0.255',
        attributes: [readable(2, array(structure(u16(settings.logical), nameData('0.0.42.0.0.255'))))],
      },
    ];
  }
}
