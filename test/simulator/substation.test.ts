/** The bench of the technician: every meter of the substation is what its work list says, except for the twelve planted faults. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { Failure } from '../../src/base/errors.ts';
import { integerOf } from '../../src/dlms/axdr/data.ts';
import type { LogicalName } from '../../src/dlms/cosem/logical-name.ts';
import type { MeterAccess } from '../../src/meter/access.ts';
import { identify } from '../../src/meter/identity-reading.ts';
import { serialInName } from '../../src/meter/identity.ts';
import { readModels } from '../../src/config/meter-models.ts';
import { detectModel, genericModel, physicalAddressOf } from '../../src/meter/model.ts';
import { Session } from '../../src/meter/session.ts';
import { buildBus } from '../../src/simulator/build-bus.ts';
import { readScenario } from '../../src/simulator/scenario.ts';
import { lineAccess, simulatedCiphering, start } from '../support/meter-world.ts';
import { VirtualClock } from '../support/virtual-clock.ts';
import { virtualPort } from '../support/virtual-port.ts';

const file = (name: string) => readFileSync(new URL(`../../hardware/bench/${name}`, import.meta.url), 'utf8');
const [, ...lines] = file('worklist.csv').trimEnd().split('\n');
const workList = lines.map((line) => line.split(',')).map(([, serial, , , ratio]) => ({ serial, ratio }));

const { models } = readModels();

function desk() {
  const clock = new VirtualClock(start);
  const port = virtualPort(buildBus(readScenario(file('substation.toml')), start).bus, clock);
  const at = (name: LogicalName, classId = 1, attribute = 2) => ({ classId, logicalName: name, attribute });
  /** What is not as the work list says. */
  const look = async ({ serial = '', ratio }: (typeof workList)[number], more: Partial<MeterAccess> = {}) => {
    const physical = physicalAddressOf(genericModel, serial);
    // Client 8 needs the password and the keys.
    const session = new Session(
      port,
      clock,
      lineAccess({ physical, retries: 0, client: 8, ciphering: simulatedCiphering, ...more }),
    );
    try {
      await session.connect();
      const identity = await identify(session, clock, genericModel);
      const model = detectModel(models.values(), identity.logicalDeviceName ?? '');
      const number = async (name: LogicalName, classId = 1, attribute = 2) =>
        integerOf(await session.value(at(name, classId, attribute)));
      const found: string[] = [];
      if (model?.name !== 'idis') found.push('unknown kind');
      else if (Number(serialInName(identity.logicalDeviceName ?? '', model)) !== Number(serial)) found.push('serial');
      if (Math.abs(identity.clockDeviationMs ?? 0) > 60_000) found.push('clock');
      const time = await session.value(at('0.0.1.0.0.255', 8));
      if (time.type === 'octet-string' && ((time.value[11] as number) & 0x80) !== 0) found.push('summer time');
      if (`${await number('1.0.0.4.2.255')}/${await number('1.0.0.4.5.255')}` !== ratio) found.push('ratio');
      if (found.length === 0 && (await number('1.0.99.1.0.255', 7, 4)) !== 3600n) found.push('period');
      return found;
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      return [error.code];
    } finally {
      await session.close().catch(() => {});
    }
  };
  return { clock, look };
}

test('the twelve planted faults are there, and nothing else', async () => {
  const { clock, look } = desk();
  const found: Record<string, string[]> = {};
  for (const [i, row] of workList.entries()) {
    const seen = await clock.complete(look(row));
    if (seen.length > 0) found[i] = seen;
  }
  expect(found).toEqual({
    3: ['no-answer'],
    5: ['serial'],
    7: ['association-refused'],
    9: ['authentication-refused'],
    11: ['ratio'],
    13: ['clock'],
    15: ['summer time'],
    17: ['no-answer'],
    // One fault, two rows of the list.
    19: ['damaged-answer'],
    20: ['damaged-answer'],
    22: ['damaged-answer'],
    24: ['period'],
    26: ['unknown kind'],
  });
});
test('the meter whose address is the other way round answers there, and is as the list says', async () => {
  const { clock, look } = desk();
  const row = workList[17] as (typeof workList)[number];
  expect(await clock.complete(look(row, { logical: 1018, physical: 1 }))).toEqual([]);
});
test('the noisy stub is read where it is asked again; its neighbours need no repeats', async () => {
  const { clock, look } = desk();
  expect(await clock.complete(look(workList[22] as (typeof workList)[number], { retries: 5 }))).toEqual([]);
});
