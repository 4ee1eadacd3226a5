/** Who switches an RS-485 driver: what the device is asked for, in which order, and what is said where it cannot do it. */
import { afterAll, describe, expect, test } from 'vitest';
import { Failure } from '../../src/base/errors.ts';
import { type DeviceControl, directed } from '../../src/line/direction.ts';
import { openPort } from '../../src/line/open-port.ts';
import type { Port } from '../../src/line/port.ts';
import { systemClock } from '../../src/line/system-clock.ts';
import { openPty } from '../../src/simulator/pty.ts';

const names: Readonly<Record<number, string>> = {
  0x542e: 'TIOCGRS485',
  0x542f: 'TIOCSRS485',
  0x5416: 'TIOCMBIS',
  0x5417: 'TIOCMBIC',
};
const word = (octets: Uint8Array, at = 0): number => new DataView(octets.buffer).getUint32(at, true);

/** A device that writes down what is done to it. */
function device(given: { readonly rs485?: readonly number[]; readonly fails?: string; readonly writes?: Error } = {}) {
  const done: string[] = [];
  let settings = new Uint8Array(Uint32Array.from({ length: 8 }, (_, i) => given.rs485?.[i] ?? 0).buffer);
  const control: DeviceControl = (request, argument) => {
    const name = names[request] ?? String(request);
    if (given.fails === name) throw new Error('ENOTTY');
    if (name === 'TIOCGRS485') argument.set(settings);
    else
      done.push(
        `${name} ${word(argument)}${name === 'TIOCSRS485' ? ` ${word(argument, 4)} ${word(argument, 8)}` : ''}`,
      );
    if (name === 'TIOCSRS485') settings = argument.slice();
  };
  const port: Port = {
    device: '/dev/ttyX',
    connection: false,
    closed: false,
    async write(octets) {
      done.push(`write ${octets.length}`);
      await Promise.resolve();
      if (given.writes) throw given.writes;
      done.push('drained');
    },
    read: () => Promise.resolve(undefined),
    setBaud: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
  return { done, control, port };
}
const failureOf = async (work: () => unknown): Promise<Failure> => {
  try {
    await work();
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
  throw new Error('it did not fail');
};

describe('RTS', () => {
  test('is off after the opening, on before the first octet, and off when the last one is out', async () => {
    const { done, control, port } = device();
    const line = directed(port, 'rts', control);
    await line.write(new Uint8Array(9));
    await line.write(new Uint8Array(2));
    const turn = (octets: number) => ['TIOCMBIS 4', `write ${octets}`, 'drained', 'TIOCMBIC 4'];
    expect(done).toEqual(['TIOCMBIC 4', ...turn(9), ...turn(2)]);
  });
  test('the other way round where the adapter sends while it is off', async () => {
    const { done, control, port } = device();
    await directed(port, 'rts-inverted', control).write(new Uint8Array(1));
    expect(done).toEqual(['TIOCMBIS 4', 'TIOCMBIC 4', 'write 1', 'drained', 'TIOCMBIS 4']);
  });
  test('a write that fails does not leave the driver on: the meters of the line could not speak', async () => {
    const { done, control, port } = device({ writes: new Failure('port-lost', 'gone') });
    const failure = await failureOf(() => directed(port, 'rts', control).write(new Uint8Array(1)));
    expect(failure.message).toBe('gone');
    expect(done.at(-1)).toBe('TIOCMBIC 4');
  });
});

describe('the kernel', () => {
  test('is asked to switch, RTS on while sending where the device tree says nothing', () => {
    const { done, control, port } = device();
    expect(directed(port, 'kernel', control)).toBe(port);
    expect(done).toEqual(['TIOCSRS485 3 0 0']);
  });
  test('keeps the sense of RTS and the delays of the device tree', () => {
    const { done, control, port } = device({ rs485: [4, 1, 2] });
    directed(port, 'kernel', control);
    expect(done).toEqual(['TIOCSRS485 5 1 2']);
  });
  test('a driver that takes the call and stays as it was is not believed', async () => {
    const { control, port } = device();
    const deaf: DeviceControl = (request, argument) => (request === 0x542f ? undefined : control(request, argument));
    expect((await failureOf(() => directed(port, 'kernel', deaf))).code).toBe('direction-unsupported');
  });
});

describe('a pseudo-terminal, which has neither', () => {
  const pty = openPty();
  afterAll(() => pty.close());
  test.each([
    ['kernel', /has no RS-485 mode in its driver: ENOTTY/],
    ['rts', /has no RTS line: ENOTTY/],
    ['rts-inverted', /has no RTS line: ENOTTY/],
  ] as const)('%s says so and lets go of the device', async (direction, what) => {
    const failure = await failureOf(() => openPort(pty.path, 9600, systemClock, direction));
    expect(failure.code).toBe('direction-unsupported');
    expect(failure.fault).toBe('operator');
    expect(failure.message).toMatch(what);
    expect(failure.nextStep).toMatch(/direction = "auto".*"kernel" and "rts"/);
    // Locked it would be busy.
    await (await openPort(pty.path, 9600, systemClock)).close();
  });
});
