/** An optical head behind a TCP converter: sign-on, then HDLC, over a real socket. */
import { connect } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { millis } from '../../src/base/time.ts';
import type { ConnectionOptions } from '../../src/cli/connection.ts';
import { read } from '../../src/cli/read.ts';
import { systemClock } from '../../src/line/system-clock.ts';
import { buildBus } from '../../src/simulator/build-bus.ts';
import { parseScenario, type ScenarioInput } from '../../src/simulator/scenario.ts';
import { type ServedBus, serveTcp } from '../../src/simulator/serve.ts';
import { nobody } from '../support/bench-read.ts';

let served: ServedBus | undefined;
afterEach(() => served?.close());
const simulate = async (bus: ScenarioInput['bus'] = {}): Promise<string> => {
  const scenario = parseScenario({ bus: { kind: 'tcp', ...bus }, meters: { mode_e: true } });
  served = await serveTcp(buildBus(scenario, millis(Date.now())).bus, 0);
  return served.device;
};
const options: ConnectionOptions = { ...nobody, modeE: true };
async function identity(device: string): Promise<string> {
  const lines: string[] = [];
  await read(device, options, systemClock, (line) => void lines.push(line));
  return lines.join('\n');
}

test('incident: nothing of the sign-on was understood over TCP; one session after the other now', async () => {
  const device = await simulate();
  expect(await identity(device)).toContain('SIM0000060120001');
  expect(await identity(device)).toContain('SIM0000060120001');
});
test('sibling: a line of a speed behind the converter, which nobody can switch over TCP', async () => {
  expect(await identity(await simulate({ baud: 19_200 }))).toContain('SIM0000060120001');
});
test('sibling: the connection breaks after the sign-on: the next one signs on again at once', async () => {
  const device = await simulate();
  const { hostname, port } = new URL(device);
  const sent: Buffer[] = [];
  await new Promise<void>((resolve, reject) => {
    const socket = connect({ host: hostname, port: Number(port) });
    socket.on('error', reject);
    socket.on('data', (octets: Buffer) => {
      sent.push(octets);
      // The identification is there: on to HDLC at 9600 Bd, and away.
      if (!Buffer.concat(sent).includes(0x0a)) return;
      socket.end(Buffer.from('\u0006252\r\n'));
      resolve();
    });
    socket.write('/?!\r\n');
  });
  expect(Buffer.concat(sent.map((octets) => Buffer.from(octets.map((octet) => octet & 0x7f)))).toString()).toBe(
    '/SIM5\\2VM60120001\r\n',
  );
  expect(await identity(device)).toContain('SIM0000060120001');
});
