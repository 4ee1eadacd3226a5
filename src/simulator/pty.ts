/** Opens a pseudo-terminal whose far end is an ordinary serial device, without socat, and tells its live speed. */
import { closeSync, constants, openSync, symlinkSync, unlinkSync, write } from 'node:fs';
import { ReadStream } from 'node:tty';
import koffi from 'koffi';

export interface Pty {
  readonly path: string;
  write(octets: Uint8Array): void;
  onData(listener: (octets: Uint8Array) => void): void;
  /** The speed that the program at the far end has set. */
  baud(): number;
  close(): void;
}

const TCGETS2 = 0x802c542a;

export function openPty(link?: string): Pty {
  const libc = koffi.load('libc.so.6');
  const openpt = libc.func('int posix_openpt(int)');
  const grant = libc.func('int grantpt(int)');
  const unlock = libc.func('int unlockpt(int)');
  const nameOf = libc.func('str ptsname(int)');
  const ioctl = libc.func('int ioctl(int, unsigned long, _Out_ uint8_t *)');
  const getAttributes = libc.func('int tcgetattr(int, _Out_ uint8_t *)');
  const makeRaw = libc.func('void cfmakeraw(_Inout_ uint8_t *)');
  const setAttributes = libc.func('int tcsetattr(int, int, uint8_t *)');

  const flags = constants.O_RDWR | constants.O_NOCTTY;
  const master = openpt(flags) as number;
  if (master < 0 || grant(master) !== 0 || unlock(master) !== 0) throw new Error('cannot open a pseudo-terminal');
  const device = nameOf(master) as string;
  // Held open, so that the master survives the gateway's closing and opening; raw before anybody comes.
  const slave = openSync(device, flags);
  const attributes = new Uint8Array(64);
  getAttributes(slave, attributes);
  makeRaw(attributes);
  setAttributes(slave, 0, attributes);
  if (link !== undefined) {
    try {
      unlinkSync(link);
    } catch {
      // There was none.
    }
    symlinkSync(device, link);
  }
  const reader = new ReadStream(master);
  let open = true;
  reader.on('error', () => {});
  const queue: Uint8Array[] = [];
  let writing = false;
  const flush = () => {
    if (writing || !open) return;
    const octets = queue.shift();
    if (!octets) return;
    writing = true;
    write(master, octets, (error, written) => {
      writing = false;
      if (!error && written < octets.length) queue.unshift(octets.subarray(written));
      flush();
    });
  };
  return {
    path: link ?? device,
    write: (octets) => {
      queue.push(octets.slice());
      flush();
    },
    onData: (listener) => {
      reader.on('data', (chunk: Buffer) => listener(chunk));
    },
    baud: () => {
      const termios = new Uint8Array(44);
      return ioctl(master, TCGETS2, termios) === 0 ? new DataView(termios.buffer).getUint32(40, true) : 0;
    },
    close: () => {
      if (!open) return;
      open = false;
      reader.destroy();
      closeSync(slave);
      if (link !== undefined) unlinkSync(link);
    },
  };
}
