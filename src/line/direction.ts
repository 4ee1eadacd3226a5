/**
 * Who switches an RS-485 driver between sending and listening. Most adapters do it themselves; the kernel does it by the RTS
 * line of a UART (TIOCSRS485), to the bit; and where neither can, RTS is switched here around each frame, as late as this
 * process is busy.
 */
import { Failure, messageOf } from '../base/errors.ts';
import type { Port } from './port.ts';

export const directions = ['auto', 'kernel', 'rts', 'rts-inverted'] as const;
/** `rts`: RTS is on while we send; `rts-inverted`: off. */
export type Direction = (typeof directions)[number];

/** An ioctl of an open device. Throws with the name of what went wrong, such as ENOTTY. */
export type DeviceControl = (request: number, argument: Uint8Array) => void;

// Linux, asm-generic: the same on all boards that Node 24 has.
const requests = { getRs485: 0x542e, setRs485: 0x542f, setModemBits: 0x5416, clearModemBits: 0x5417 } as const;
const rtsBit = 0x004;
/** struct serial_rs485: flags, two delays in ms, and room. */
const rs485Octets = 32;
const rs485 = { enabled: 1 << 0, onWhileSending: 1 << 1, onWhileListening: 1 << 2 } as const;

const unsupported = (device: string, what: string, error: unknown): Failure =>
  new Failure('direction-unsupported', `${device} has no ${what}: ${messageOf(error)}`);

/** What the device tree says of delays and of the sense of RTS stays; where it says nothing, RTS is on while we send. */
function switchedByKernel(device: string, control: DeviceControl): void {
  const settings = new Uint8Array(rs485Octets);
  const view = new DataView(settings.buffer);
  try {
    control(requests.getRs485, settings);
    const flags = view.getUint32(0, true);
    const sense = flags & (rs485.onWhileSending | rs485.onWhileListening);
    view.setUint32(0, flags | rs485.enabled | (sense === 0 ? rs485.onWhileSending : 0), true);
    control(requests.setRs485, settings);
    // A driver may take less than it was given.
    control(requests.getRs485, settings);
  } catch (error) {
    throw unsupported(device, 'RS-485 mode in its driver', error);
  }
  if ((view.getUint32(0, true) & rs485.enabled) === 0)
    throw unsupported(device, 'RS-485 mode in its driver', 'it was asked for and is off');
}

/** RTS around each frame: `write` of the port ends when its last bit is out. */
function switchedByRts(port: Port, inverted: boolean, control: DeviceControl): Port {
  const { device } = port;
  const bits = new Uint8Array(Uint32Array.of(rtsBit).buffer);
  const [send, listen] = inverted
    ? [requests.clearModemBits, requests.setModemBits]
    : [requests.setModemBits, requests.clearModemBits];
  // Opening a serial port switches RTS on: until it is off, nobody else can speak on the line.
  try {
    control(listen, bits);
  } catch (error) {
    throw unsupported(device, 'RTS line', error);
  }
  const turn = (to: number): void => {
    try {
      control(to, bits);
    } catch (error) {
      throw new Failure('port-lost', `${device}: RTS: ${messageOf(error)}`);
    }
  };
  return {
    device,
    connection: port.connection,
    get closed() {
      return port.closed;
    },
    read: (until) => port.read(until),
    async write(octets) {
      turn(send);
      try {
        await port.write(octets);
      } catch (error) {
        // What went wrong first is what is reported.
        try {
          control(listen, bits);
        } catch {
          // The adapter is gone.
        }
        throw error;
      }
      turn(listen);
    },
    setBaud: (baud) => port.setBaud(baud),
    close: () => port.close(),
  };
}

/** The port, with its direction switched. Failure `direction-unsupported` where the device cannot do it. */
export function directed(port: Port, direction: Direction, control: DeviceControl): Port {
  if (direction === 'auto') return port;
  if (direction === 'kernel') {
    switchedByKernel(port.device, control);
    return port;
  }
  return switchedByRts(port, direction === 'rts-inverted', control);
}

/** By libc. */
export async function deviceControl(fd: number): Promise<DeviceControl> {
  // koffi: no package of npm has TIOCSRS485, and set() of serialport switches every other modem line with RTS.
  const { default: koffi } = await import('koffi');
  const ioctl = koffi.load('libc.so.6').func('int ioctl(int, unsigned long, _Inout_ uint8_t *)');
  return (request, argument) => {
    if ((ioctl(fd, request, argument) as number) >= 0) return;
    const errno = koffi.errno();
    const name = Object.entries(koffi.os.errno).find(([, value]) => value === errno)?.[0];
    throw new Error(name ?? `errno ${errno}`);
  };
}
