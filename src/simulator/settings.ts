/** What a virtual meter is: made from the scenario file. */
import type { Millis } from '../base/time.ts';
import type { CipheringSettings } from '../dlms/association/ciphering.ts';
import type { LogicalName } from '../dlms/cosem/logical-name.ts';
import type { Snapshot } from '../dlms/cosem/snapshot.ts';
import type { ClientSettings } from './clients.ts';
import type { ImageSettings } from './image-transfer.ts';
import type { Dark } from './load-curve.ts';
import type { Transformers } from './objects.ts';
import type { Recording } from './recording.ts';
import type { QuirkName } from './quirks.ts';

export interface VirtualMeterSettings {
  readonly seed: number;
  readonly serial: number;
  readonly logical: number;
  readonly physical: number;
  /** The physical address stands in the upper half of the HDLC address. */
  readonly addressReversed: boolean;
  /** Takes frames with its logical address alone: the only meter on its line. */
  readonly onlyOne: boolean;
  readonly link: 'hdlc' | 'wrapper';
  readonly modeE: boolean;
  /** What it offers in its sign-on, Bd. */
  readonly modeEBaud: number;
  /** Period of unasked lists, seconds; 0 = none. */
  readonly pushS: number;
  /** So many of the newest rows stand in each list. */
  readonly pushRows: number;
  readonly pushCiphered: boolean;
  readonly baud: number;
  readonly turnaroundMs: number;
  readonly periodS: number;
  readonly depthDays: number;
  /** First instant with rows. */
  readonly installed: Millis;
  /** Minutes from local standard time to UTC. */
  readonly deviationMin: number;
  /** European summer time: an hour ahead from the last Sunday of March to that of October, 01:00 UTC. */
  readonly dst: boolean;
  /** The statuses say summer time all year. */
  readonly dstStatus: boolean;
  readonly password: string;
  /** Global encryption and authentication key of the client by HLS-GMAC, hex. */
  readonly encryptionKey: string;
  readonly authenticationKey: string;
  /** Wraps new keys, hex. */
  readonly masterKey: string;
  /** The security policy of the associations with those keys. */
  readonly securityPolicy: CipheringSettings['policy'];
  readonly image: ImageSettings;
  /** Client 7 by HLS-ECDSA: the meter's private key in PEM and the client's certificate. */
  readonly signing?: ClientSettings['signing'];
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
  readonly loadProfile: LogicalName;
  readonly transformers: Transformers;
  /** Serves these objects instead of its own. */
  readonly snapshot?: Snapshot;
  /** Answers out of this recording instead. */
  readonly replay?: Recording;
}
