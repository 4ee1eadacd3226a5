/** An emulated machine with USB sockets (scripts/usb makes its disk): adapters are plugged and unplugged by qemu, commands run inside. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { until } from '../support/broker.ts';
import type { Result } from '../support/programs.ts';

const { USB_MACHINE: machine, USB_DISK: disk } = process.env;
/** Why there is no emulated machine; undefined where there is one. */
export const unavailable = (): string | undefined =>
  machine === undefined || disk === undefined
    ? 'scripts/usb makes the machine, and takes about two minutes'
    : undefined;

/** An adapter, and the converter that its line leads to. */
export interface Adapter {
  /** Its serial number: the by-id name has it. */
  readonly serial: string;
  /** Where the line of its meters is served: tcp://127.0.0.1:PORT. */
  readonly line: string;
  /** A file that gets what goes over USB. */
  readonly capture?: string;
}
export interface Guest {
  /** Runs a command in it as root. */
  run(command: string): Promise<Result>;
  /** Into a socket of the hub, from 1. */
  plug(adapter: Adapter, socket: number): Promise<void>;
  unplug(adapter: Adapter): Promise<void>;
  stop(): Promise<void>;
}

/** Not by hardware: where /dev/kvm is offered, guests hang in some containers. */
const processor = '-accel tcg,thread=multi -cpu max -smp 2 -m 768 -display none -nic none -no-reboot';
const devices = '-device qemu-xhci,id=usb -device virtio-serial-pci -device virtserialport,chardev=agent,name=agent';
const argumentsOf = (folder: string): string[] =>
  [
    processor.split(' '),
    ['-kernel', join(machine ?? '', 'vmlinuz'), '-initrd', join(machine ?? '', 'initrd')],
    ['-append', 'console=ttyS0 quiet panic=-1 mitigations=off systemd.show_status=0'],
    ['-drive', `file=${disk},format=raw,if=virtio,snapshot=on`],
    ['-chardev', `socket,id=agent,path=${join(folder, 'agent')},server=on,wait=off`],
    devices.split(' '),
    ['-qmp', `unix:${join(folder, 'qmp')},server=on,wait=off`, '-serial', `file:${join(folder, 'console')}`],
  ].flat();

async function socketAt(path: string): Promise<Socket> {
  let socket: Socket | undefined;
  await until(
    () =>
      new Promise((resolve) => {
        const trying = connect(path);
        trying.once('connect', () => {
          socket = trying;
          resolve(true);
        });
        trying.once('error', () => resolve(false));
      }),
    path,
  );
  return socket as Socket;
}

/** Commands of qemu's control socket, each with its answer; `deleted`: devices that are gone. */
async function control(folder: string) {
  const socket = await socketAt(join(folder, 'qmp'));
  const deleted = new Set<string>();
  const waiting: ((answer: { readonly error?: unknown }) => void)[] = [];
  createInterface({ input: socket }).on('line', (line) => {
    const message = JSON.parse(line) as {
      readonly QMP?: unknown;
      readonly event?: string;
      readonly data?: { readonly device?: string };
      readonly error?: unknown;
    };
    if (message.event === 'DEVICE_DELETED' && message.data?.device !== undefined) deleted.add(message.data.device);
    if (message.QMP === undefined && message.event === undefined) waiting.shift()?.(message);
  });
  const ask = (execute: string, given: object = {}): Promise<void> =>
    new Promise((resolve, reject) => {
      waiting.push(({ error }) =>
        error === undefined ? resolve() : reject(new Error(`${execute}: ${JSON.stringify(error)}`)),
      );
      socket.write(`${JSON.stringify({ execute, arguments: given })}\n`);
    });
  await ask('qmp_capabilities');
  return { ask, deleted, close: () => socket.destroy() };
}

/** Emulated, on a machine that others use as well. */
const bootLimitMs = 600_000;
/** The service inside that runs commands. */
async function agent(folder: string) {
  const socket = await socketAt(join(folder, 'agent'));
  const waiting = new Map<string, (result: Result) => void>();
  let ready = false;
  createInterface({ input: socket }).on('line', (line) => {
    ready ||= line === 'ready';
    const [number = '', code = '', out = '', err = ''] = line.split(' ');
    const text = (coded: string) => Buffer.from(coded.slice(1), 'base64').toString();
    waiting.get(number)?.({ code: Number(code), out: text(out), err: text(err) });
    waiting.delete(number);
  });
  await until(() => ready, 'the emulated machine is up', bootLimitMs);
  let last = 0;
  return {
    run: (command: string): Promise<Result> =>
      new Promise((resolve) => {
        const number = String(++last);
        waiting.set(number, resolve);
        socket.write(`${number} ${Buffer.from(command).toString('base64')}\n`);
      }),
    close: () => socket.destroy(),
  };
}

async function ended(child: ChildProcess): Promise<void> {
  const exit = new Promise((resolve) => child.once('exit', resolve));
  if (child.exitCode !== null) return;
  child.kill('SIGKILL');
  await exit;
}

export async function bootGuest(): Promise<Guest> {
  const folder = mkdtempSync(join(tmpdir(), 'usb-test-'));
  // It ends with us, however we end.
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', 'qemu-system-x86_64', ...argumentsOf(folder)], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let words = '';
  child.stderr.on('data', (chunk: Buffer) => (words += chunk.toString()));
  const stopping: (() => void)[] = [];
  const stop = async (): Promise<void> => {
    for (const close of stopping) close();
    await ended(child);
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const qemu = await control(folder);
    const inside = await agent(folder);
    stopping.push(qemu.close, inside.close);
    let plugged = 0;
    const names = new Map<string, string>();
    return {
      run: inside.run,
      async plug({ serial, line, capture }, socket) {
        // Each time another one: qemu frees a name some time after its device is gone.
        const name = `adapter-${++plugged}`;
        const [host = '', port = ''] = line.replace('tcp://', '').split(':');
        await qemu.ask('chardev-add', {
          id: `line-${name}`,
          backend: {
            type: 'socket',
            data: { addr: { type: 'inet', data: { host, port } }, server: false, reconnect: 1 },
          },
        });
        const place = { bus: 'usb.0', port: String(socket) };
        const more = {
          serial,
          chardev: `line-${name}`,
          'always-plugged': true,
          ...(capture !== undefined && { pcap: capture }),
        };
        await qemu.ask('device_add', { driver: 'usb-serial', id: name, ...place, ...more });
        names.set(serial, name);
      },
      async unplug({ serial }) {
        const name = names.get(serial) ?? '';
        names.delete(serial);
        await qemu.ask('device_del', { id: name });
        await until(() => qemu.deleted.has(name), `${serial} is unplugged`);
        await qemu.ask('chardev-remove', { id: `line-${name}` });
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw new Error(words, { cause: error });
  }
}
