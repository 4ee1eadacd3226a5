/** Lists that a virtual meter sends unasked, as push setups describe them (Blue Book 4.4.8). */
import type { Data } from '../dlms/axdr/data.ts';
import { Ciphering, type CipheringSettings } from '../dlms/association/ciphering.ts';
import { captureObjectData } from '../dlms/cosem/profile-generic.ts';
import { array, octets, structure } from '../dlms/cosem/server-object.ts';
import { encodeApdu } from '../dlms/xdlms/apdu.ts';
import { pushedObjects, u32, wh } from './objects.ts';
import type { Quirk } from './quirk.ts';

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

/** The APDUs of one list, and the octets that one information field of them may have. */
export function pushedList(
  { clock, registers, number }: { clock: Uint8Array; registers: readonly [number, number]; number: number },
  quirks: readonly Quirk[],
  settings: CipheringSettings,
  ciphered: boolean,
): { readonly apdus: readonly Uint8Array[]; readonly maxInfo: number } {
  const [imported, exported] = registers;
  let body: Data = structure(
    array(...pushedObjects.map(captureObjectData)),
    octets(clock),
    u32(imported),
    wh,
    u32(exported),
  );
  for (const { push } of quirks) body = push?.list?.(body) ?? body;
  let apdu = encodeApdu({ kind: 'data-notification', longInvokeId: number, dateTime: new Uint8Array(0), body });
  for (const { push } of quirks) apdu = push?.apdu?.(apdu) ?? apdu;
  const protection = quirks.find(({ push }) => push?.protection !== undefined)?.push?.protection;
  if (ciphered || protection) apdu = new Ciphering({ ...settings, ...protection }).wrap(apdu);
  const block = quirks.find(({ push }) => push?.block !== undefined)?.push?.block;
  const maxInfo = quirks.find(({ push }) => push?.maxInfo !== undefined)?.push?.maxInfo ?? 128;
  return { apdus: block === undefined ? [apdu] : inBlocks(apdu, block), maxInfo };
}
