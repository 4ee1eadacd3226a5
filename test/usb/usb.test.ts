/** USB adapters under the drivers of a real kernel, with the shipped package: plugged in late, the rules, and who switches the direction. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type Bench, startBench } from '../../src/simulator/bench.ts';
import type { Snapshot } from '../../src/status/snapshot.ts';
import { until } from '../support/broker.ts';
import { configuration, lls, type PortKeys } from '../support/configuration.ts';
import { folder, type Result } from '../support/programs.ts';
import { type Adapter, bootGuest, type Guest, unavailable } from './guest.ts';
import { controlOf, type UsbTransfer, usbTransfers } from './usb-capture.ts';

const reason = unavailable();
const byId = (serial: string) => `/dev/serial/by-id/usb-QEMU_QEMU_USB_SERIAL_${serial}-if00-port0`;
/** As the rule of the package names a socket of this machine's hub. */
const bySocket = (socket: number) => `/dev/meter/pci-0000:00:03.0-usb-0:${socket}:1.0`;
const [serialA, serialB] = [60_120_001, 60_120_002];
/** Emulated, on a machine that others use as well. */
const slow = 600_000;

vi.setConfig({ testTimeout: 2 * slow });

describe.skipIf(reason !== undefined)(`adapters on a real USB${reason ? ` NOT RUN: ${reason}` : ''}`, () => {
  const benches: Bench[] = [];
  let guest: Guest;
  let [a, b]: Adapter[] = [];
  const capture = join(folder, 'rts.pcap');

  const good = async (command: string): Promise<string> => {
    const { code, out, err }: Result = await guest.run(command);
    expect(code, `${command}\n${out}\n${err}`).toBe(0);
    return out.trim();
  };
  /** The newest that the watch saw. A program of ours that is started takes ten seconds of the emulated processor. */
  const status = async (): Promise<Snapshot> => {
    let newest: Snapshot | undefined;
    await until(async () => {
      const line = (await guest.run('tail -n 1 /run/status')).out;
      if (line.endsWith('}\n')) newest = JSON.parse(line) as Snapshot;
      return newest !== undefined;
    }, 'the gateway says what it does');
    return newest as Snapshot;
  };
  const watch =
    'systemd-run -q --collect --unit watch -p Restart=always -p StandardOutput=truncate:/run/status meter-gateway status --watch --json';
  const stop = () => good('systemctl stop meter-gateway; systemctl stop watch; rm -f /run/status');
  const start = () => good(`systemctl start meter-gateway && ${watch}`);
  const journal = async () => (await guest.run('journalctl -u meter-gateway -o cat --no-pager | tail -15')).out;
  /** What is seen of the port and of its meter. */
  const seen = async (port = 0) => {
    const found = (await status()).ports[port] as Snapshot['ports'][number];
    const meter = found.meters[0] as (typeof found.meters)[number];
    return {
      open: found.open,
      error: found.error,
      verdict: meter.verdict,
      code: meter.lastCode,
      missing: meter.intervalsMissing,
    };
  };
  const seenUntil = (what: string, fits: (now: Awaited<ReturnType<typeof seen>>) => boolean, port = 0) =>
    until(async () => fits(await seen(port)), what, slow).catch(async (error: unknown) => {
      throw new Error(`${String(error)} ${JSON.stringify(await seen(port))} ${await journal()}`);
    });
  const configured = async (
    ports: readonly (PortKeys & { serial: number })[],
    trust: 'assume' | 'kernel' = 'assume',
  ) => {
    const text = configuration({
      gateway: { poll_offset_s: 0, back_fill_days: 20, clock_trust: trust },
      mqtt: { url: 'mqtt://127.0.0.1:1' },
      port: ports.map(({ serial, ...keys }) => ({
        ...keys,
        // One address on both lines: who listens to the wrong line is answered.
        meter: [
          {
            id: `m${serial}`,
            point: `p${serial}`,
            serial: String(serial),
            physical: 1001,
            ...lls,
            secret: 'credential:meter',
          },
        ],
      })),
    });
    await good(`echo ${Buffer.from(text).toString('base64')} | base64 -d > /etc/meter-gateway/gateway.toml`);
  };
  const deviceOf = (name: string) => good(`readlink -f ${name}`);
  const there = (name: string, is = true) =>
    until(
      async () => ((await guest.run(`test -e ${name}`)).code === 0) === is,
      `${name} ${is ? 'is there' : 'is gone'}`,
      slow,
    );

  beforeAll(async () => {
    for (const serial of [serialA, serialB])
      benches.push(
        await startBench({
          bus: { kind: 'tcp', turnaround_ms: 120 },
          meters: { count: 1, first_serial: serial, physical: 1001, max_info: 128 },
        }),
      );
    const [lineA = '', lineB = ''] = benches.map(({ devices }) => devices[0] ?? '');
    a = { serial: 'FTAAAA', line: lineA };
    b = { serial: 'FTBBBB', line: lineB, capture };
    guest = await bootGuest();
    // A fresh installation runs. It would take the file itself, as soon as it is there.
    await guest.run('systemctl stop meter-gateway');
    await good('printf meter | meter-gateway secret set meter');
  }, 2 * slow);
  afterAll(async () => {
    await guest?.stop();
    for (const bench of benches) await bench.close();
  });

  test('incident: a machine that started without its adapter could never open it: DeviceAllow= knew no ttyUSB yet', async () => {
    await configured([{ device: `serial:${byId('FTAAAA')}`, serial: serialA }]);
    expect(await good('cat /proc/devices')).not.toContain('ttyUSB');
    await start();
    await seenUntil('the missing adapter is named', ({ code }) => code === 'port-missing');
    expect(await seen()).toMatchObject({ open: false, error: expect.stringMatching(/No such file/) as string });
    await guest.plug(a as Adapter, 1);
    await seenUntil('the meter is read', ({ verdict }) => verdict === 'REACHABLE');
    expect(await good('systemctl show -p NRestarts --value meter-gateway')).toBe('0');
  });

  test('the rules of the package: a name for the socket, 1 ms for short answers, the group of serial ports', async () => {
    const device = await deviceOf(byId('FTAAAA'));
    expect(await deviceOf(bySocket(1))).toBe(device);
    expect(await good(`cat /sys/bus/usb-serial/devices/${device.split('/').pop()}/latency_timer`)).toBe('1');
    expect(await good(`stat -c '%a %G' ${device}`)).toBe('660 dialout');
  });

  test('no battery and no network: a clock of 1970 is trusted by nobody, asks the meter for no half a million of rows, and is set later', async () => {
    await stop();
    await good('rm -rf /var/lib/private/meter-gateway/*');
    await configured([{ device: `serial:${byId('FTAAAA')}`, serial: serialA }], 'kernel');
    await good('date -s 1970-01-02');
    await start();
    // No clock that is right shows that: nobody is asked, and nothing is given a number.
    await seenUntil('the gateway runs', ({ verdict }) => verdict === 'UNKNOWN');
    const { time, store } = await status();
    expect(time).toMatchObject({
      trust: 'untrusted',
      trouble: expect.stringContaining('nothing is read until') as string,
    });
    expect(store.pending).toBeLessThan(1000);
    await good(`date -s @${Math.floor(Date.now() / 1000)}`);
    await seenUntil('the meter answers', ({ verdict }) => verdict === 'REACHABLE');
    expect((await status()).time).toMatchObject({
      trust: 'untrusted',
      trouble: expect.stringContaining('the kernel says') as string,
    });
    expect(await good('systemctl is-active meter-gateway; systemctl show -p NRestarts --value meter-gateway')).toBe(
      'active\n0',
    );
  });

  test('ftdi_sio has no RS-485 mode, and says so; by RTS the driver is on before each frame and off behind it', async () => {
    await stop();
    await guest.plug(b as Adapter, 2);
    await there(byId('FTBBBB'));
    const read = (direction: string) =>
      guest.run(
        `printf meter > /run/pw; chmod 600 /run/pw; meter-gateway read ${byId('FTBBBB')} --server 1/1001 --client 17 --auth lls --secret-file /run/pw --object 0-0:96.1.0*255:2 --direction ${direction}`,
      );
    const kernel = await read('kernel');
    expect(kernel.code).toBe(2);
    expect(kernel.err).toMatch(/direction-unsupported \(operator\): .* has no RS-485 mode in its driver: ENO/);
    const rts = await read('rts');
    expect(`${rts.code} ${rts.out} ${rts.err}`).toMatch(/^0 .*60120002/s);
    await guest.unplug(b as Adapter);
    const steps = rtsAround(usbTransfers(readFileSync(capture)));
    expect(steps.length).toBeGreaterThan(4);
    expect(steps.filter((step) => step !== 'on, frame, off')).toEqual([]);
  });
});

/** Of each frame that went out by RTS: what was done around it. The first words switch RTS off, and so does what follows a close. */
function rtsAround(transfers: readonly UsbTransfer[]): string[] {
  const steps: string[] = [];
  let own = '';
  for (const transfer of transfers) {
    const to = controlOf(transfer)?.rts;
    if (to === true) own = 'on';
    else if (transfer.kind === 'bulk-out' && transfer.octets > 0)
      own += own.endsWith('frame') ? '' : `${own === '' ? '' : ', '}frame`;
    else if (to === false) {
      if (own.includes('frame')) steps.push(`${own}, off`);
      own = '';
    }
  }
  return steps;
}
