/** What qemu writes of a USB device: pcap with headers of Linux usbmon (LINKTYPE_USB_LINUX_MMAPPED, 220). */
export interface UsbTransfer {
  readonly kind: 'control-out' | 'bulk-out' | 'other';
  readonly octets: number;
  /** Of a control transfer: its eight octets of setup. */
  readonly setup: Uint8Array;
}
const [fileHeader, recordHeader] = [24, 16];

/** Each transfer as it was asked for. */
export function usbTransfers(file: Uint8Array): UsbTransfer[] {
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  const found: UsbTransfer[] = [];
  for (let at = fileHeader; at + recordHeader <= file.length; ) {
    const length = view.getUint32(at + 8, true);
    const packet = at + recordHeader;
    // 'S': submitted. Transfer types: 2 control, 3 bulk; an endpoint above 0x80 is one to us.
    if (view.getUint8(packet + 8) === 0x53) {
      const type = view.getUint8(packet + 9);
      const isOut = (view.getUint8(packet + 10) & 0x80) === 0;
      const kind = type === 2 ? 'control-out' : type === 3 && isOut ? 'bulk-out' : 'other';
      found.push({ kind, octets: view.getUint32(packet + 32, true), setup: file.slice(packet + 40, packet + 48) });
    }
    at = packet + length;
  }
  return found;
}

/** SET_MODEM_CTRL of an FTDI chip: the upper octet says which lines are meant, the lower one what becomes of them; RTS is bit 1. */
export function controlOf({ kind, setup }: UsbTransfer): { readonly rts: boolean } | undefined {
  const [type, request, low = 0, high = 0] = setup;
  if (kind !== 'control-out' || type !== 0x40 || request !== 1 || (high & 2) === 0) return undefined;
  return { rts: (low & 2) !== 0 };
}
