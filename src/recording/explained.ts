/** What a recording says: frames in words, rows of profiles, and what could not be understood. */
import type { RecordedLine } from '../base/exchange-file.ts';
import type { Secret } from '../base/secret.ts';
import type { AcseApdu } from '../dlms/acse/apdu.ts';
import type { LogicalName } from '../dlms/cosem/logical-name.ts';
import type { Apdu, ApduOf } from '../dlms/xdlms/apdu.ts';
import type { MeterModel } from '../meter/model.ts';
import type { LoadProfileRow } from '../reading/load-profile-row.ts';

/** Where and when something stood on the line, and which way it went. */
export interface Place {
  readonly line: number;
  /** As the recording writes it. */
  readonly time: string;
  readonly direction: RecordedLine['direction'];
}
export interface Explained extends Place {
  /** One line for the frame, one for each APDU or value in it. */
  readonly text: readonly string[];
  /** Address of the meter, where the frame tells it. */
  readonly meter?: string;
  /** With its secrets struck out. */
  readonly apdu?: Apdu | AcseApdu;
  /** The general block that came; `apdu` is then what the blocks carried, with the last of them. Stars where it may hold a secret. */
  readonly block?: ApduOf<'general-block-transfer'>;
}
export interface FoundRow {
  /** Address of the meter; empty where the recording has none. */
  readonly meter: string;
  /** Logical name of the profile; undefined where nobody asked for it by name. */
  readonly profile: LogicalName | undefined;
  readonly row: LoadProfileRow;
}
/** What became known by a part of a recording. */
export interface Reading {
  readonly frames: Explained[];
  readonly rows: FoundRow[];
  /** What could not be understood: a message with line and offset each. */
  readonly problems: string[];
}
export const nothingRead = (): Reading => ({ frames: [], rows: [], problems: [] });

/** What deciphering takes; every part may be missing. */
export interface DecodeKeys {
  readonly encryption?: Secret;
  readonly authentication?: Secret;
  /** Password of HLS by MD5, SHA-1, SHA-256 and of the recorded manufacturer's mechanism. */
  readonly secret?: Secret;
}
export interface ReaderSettings {
  readonly keys: DecodeKeys;
  /** How the meters stamp their rows, and where their status stands. */
  readonly model: MeterModel;
}
