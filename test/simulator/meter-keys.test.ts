/** Keys of one meter in a scenario: what a client meets of them. */
import { expect, test } from 'vitest';
import { integerOf } from '../../src/dlms/axdr/data.ts';
import { stripParity, withEvenParity } from '../../src/dlms/iec62056-21/parity.ts';
import type { LogicalName } from '../../src/dlms/cosem/logical-name.ts';
import { readLayout } from '../../src/meter/profile-layout.ts';
import { genericModel } from '../../src/meter/model.ts';
import type { MeterAccess } from '../../src/meter/access.ts';
import type { ScenarioInput } from '../../src/simulator/scenario.ts';
import { meterWorld } from '../support/meter-world.ts';

type MeterKeys = ScenarioInput['meters'];
async function connected(meters: MeterKeys, access: Partial<MeterAccess> = {}) {
  const world = meterWorld({ meters }, access);
  await world.clock.complete(world.session.connect());
  const value = (logicalName: LogicalName, classId = 1, attribute = 2) =>
    world.clock.complete(world.session.value({ classId, logicalName, attribute }));
  return { ...world, value, number: async (name: LogicalName) => integerOf(await value(name)) };
}

test.each([300, 1200, 2400, 4800, 9600, 19_200] as const)('the sign-on goes on at %d Bd', async (baud) => {
  const { house, value } = await connected(
    { mode_e: true, mode_e_baud: baud },
    { modeE: true, baud: 19_200, physical: undefined },
  );
  expect(house.bus.lineBaud).toBe(baud);
  await expect(value('0.0.96.1.0.255')).resolves.toMatchObject({ type: 'octet-string' });
});
test('the maker of its device name signs on', () => {
  const { meter, clock } = meterWorld({ meters: { mode_e: true, device_name: 'QZX0{serial}' } });
  meter.receive(withEvenParity(Buffer.from('/?!\r\n')), clock.now());
  const { octets } = stripParity(meter.pollTransmit()?.octets ?? new Uint8Array(0));
  expect(Buffer.from(octets).toString()).toBe('/QZX5\\2VM60120001\r\n');
});
test('the ratios of its transformers; a direct meter has no such objects', async () => {
  const { number } = await connected({ current_transformer: '200/5', voltage_transformer: '20000/100' });
  const names = ['1.0.0.4.2.255', '1.0.0.4.5.255', '1.0.0.4.3.255', '1.0.0.4.6.255'] as const;
  const ratios: unknown[] = [];
  for (const name of names) ratios.push(await number(name));
  expect(ratios).toEqual([200n, 5n, 20_000n, 100n]);
  const direct = await connected({});
  await expect(direct.value('1.0.0.4.2.255')).rejects.toThrow();
});
test('the name of its load profile is another one', async () => {
  const { clock, session } = await connected({ load_profile: '1.0.99.2.0.255' });
  const layout = await clock.complete(readLayout(session, '1.0.99.2.0.255', genericModel));
  expect(layout).toMatchObject({ capturePeriodMs: 3_600_000 });
  await expect(clock.complete(readLayout(session, '1.0.99.1.0.255', genericModel))).rejects.toThrow();
});
test.each([
  ['SIM100{serial}', 'SIM1000060120001'],
  ['QZX{serial}-K', 'QZX00060120001-K'],
  ['0123456789abcdef', '0123456789abcdef'],
])('device name %s is %s', async (device_name, name) => {
  const { value } = await connected({ device_name });
  const data = await value('0.0.42.0.0.255');
  expect(Buffer.from((data as { value: Uint8Array }).value).toString()).toBe(name);
});
