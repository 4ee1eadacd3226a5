/** Lists that a virtual meter sends unasked, as push setups describe them (Blue Book 4.4.8). */
import type { Data } from '../dlms/axdr/data.ts';
import { Ciphering, type CipheringSettings } from '../dlms/association/ciphering.ts';
import { later, type Millis, millis } from '../base/time.ts';
import type { LogicalName } from '../dlms/cosem/logical-name.ts';
import { type CaptureObject, captureObjectData } from '../dlms/cosem/profile-generic.ts';
import { array, octets, structure } from '../dlms/cosem/server-object.ts';
import { encodeApdu } from '../dlms/xdlms/apdu.ts';
import { pushedObjects, u32, wh } from './objects.ts';
import type { Quirk } from './quirk.ts';
import type { VirtualMeterSettings } from './settings.ts';

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

/** What a list brings beside clock and registers: whose it is, and rows with what they mean. */
export interface PushedRows {
  readonly serial: number;
  readonly profile: LogicalName;
  readonly columns: readonly CaptureObject[];
  readonly periodS: number;
  /** An array of rows. */
  readonly buffer: Data;
}
/** Lists with rows come some seconds after a boundary, and those of many meters not at once. */
const spreadS = 20;
export function firstPush({ start, pushS, pushRows, serial }: VirtualMeterSettings): Millis | undefined {
  if (pushS === 0) return undefined;
  if (pushRows === 0) return later(start, pushS * 1000);
  const periodMs = pushS * 1000;
  return millis(Math.floor(start / periodMs) * periodMs + periodMs + (1 + (serial % spreadS)) * 1000);
}

const serialObject: CaptureObject = { classId: 1, logicalName: '0.0.96.1.0.255', attribute: 2, dataIndex: 0 };
const exportScaler: CaptureObject = { classId: 3, logicalName: '1.0.2.8.0.255', attribute: 3, dataIndex: 0 };
function listBody(
  clock: Uint8Array,
  [imported, exported]: readonly [number, number],
  rows: PushedRows | undefined,
): Data {
  const values = [octets(clock), u32(imported), wh, u32(exported)];
  if (!rows) return structure(array(...pushedObjects.map(captureObjectData)), ...values);
  const ofProfile = (attribute: number): CaptureObject => ({
    classId: 7,
    logicalName: rows.profile,
    attribute,
    dataIndex: 0,
  });
  const objects = [...pushedObjects, exportScaler, serialObject, ofProfile(3), ofProfile(4), ofProfile(2)];
  return structure(
    array(...objects.map(captureObjectData)),
    ...values,
    wh,
    octets(Buffer.from(String(rows.serial))),
    array(...rows.columns.map(captureObjectData)),
    u32(rows.periodS),
    rows.buffer,
  );
}

/** The APDUs of one list, and the octets that one information field of them may have. */
export function pushedList(
  {
    clock,
    registers,
    number,
    rows,
  }: {
    readonly clock: Uint8Array;
    readonly registers: readonly [number, number];
    readonly number: number;
    readonly rows?: PushedRows;
  },
  quirks: readonly Quirk[],
  settings: CipheringSettings,
  ciphered: boolean,
): { readonly apdus: readonly Uint8Array[]; readonly maxInfo: number } {
  let body = listBody(clock, registers, rows);
  for (const { push } of quirks) body = push?.list?.(body) ?? body;
  let apdu = encodeApdu({ kind: 'data-notification', longInvokeId: number, dateTime: new Uint8Array(0), body });
  for (const { push } of quirks) apdu = push?.apdu?.(apdu) ?? apdu;
  const protection = quirks.find(({ push }) => push?.protection !== undefined)?.push?.protection;
  if (ciphered || protection) apdu = new Ciphering({ ...settings, ...protection }).wrap(apdu);
  const block = quirks.find(({ push }) => push?.block !== undefined)?.push?.block;
  const maxInfo = quirks.find(({ push }) => push?.maxInfo !== undefined)?.push?.maxInfo ?? 128;
  return { apdus: block === undefined ? [apdu] : inBlocks(apdu, block), maxInfo };
}
