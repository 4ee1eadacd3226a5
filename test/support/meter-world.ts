/** A session with a simulated meter in virtual time. */
import { fromHex } from '../../src/base/hex.ts';
import { Secret } from '../../src/base/secret.ts';
import { type Millis, millis } from '../../src/base/time.ts';
import { genericModel } from '../../src/meter/model.ts';
import type { MeterAccess } from '../../src/meter/access.ts';
import { Session } from '../../src/meter/session.ts';
import { buildBus } from '../../src/simulator/build-bus.ts';
import { parseScenario, type ScenarioInput } from '../../src/simulator/scenario.ts';
import { VirtualClock } from './virtual-clock.ts';
import { virtualPort } from './virtual-port.ts';

export const start = millis(Date.UTC(2026, 10, 24, 12, 20));
export const profile = '1.0.99.1.0.255' as const;

/** Client 17 by LLS "meter", over HDLC, to the only meter of a line. */
export const lineAccess = (more: Partial<MeterAccess> = {}): MeterAccess => ({
  link: 'hdlc',
  modeE: false,
  signOnAddress: '',
  client: 17,
  logical: 1,
  physical: undefined,
  auth: 'lls',
  secret: new Secret(Buffer.from('meter')),
  model: genericModel,
  baud: 9600,
  timed: true,
  answerTimeoutMs: 1500,
  retries: 2,
  guardMs: 0,
  sessionMs: 86_400_000,
  ...more,
});
/** Client 16 without authentication, in the wrapper, to a meter that has a connection of its own. */
export const nobodyOverTcp = (more: Partial<MeterAccess> = {}): MeterAccess =>
  lineAccess({
    link: 'wrapper',
    client: 16,
    auth: 'none',
    secret: undefined,
    timed: false,
    retries: 0,
    sessionMs: 60_000,
    ...more,
  });

export function meterWorld(scenario: ScenarioInput, access: Partial<MeterAccess> = {}, at: Millis = start) {
  const clock = new VirtualClock(at);
  const house = buildBus(parseScenario(scenario), at);
  const port = virtualPort(house.bus, clock);
  const meter = house.meters[0] as (typeof house.meters)[0];
  const baud = house.bus.lineBaud || 9600;
  const settings = lineAccess({ baud, timed: house.bus.lineBaud > 0, ...access });
  return {
    clock,
    house,
    port,
    meter,
    session: new Session(port, clock, settings),
    /** Another session; `without`: fields that it has not. */
    again: (more: Partial<MeterAccess> = {}, without: readonly (keyof MeterAccess)[] = []) => {
      const fields = Object.entries({ ...settings, ...more }).filter(
        ([field]) => !without.includes(field as keyof MeterAccess),
      );
      return new Session(port, clock, Object.fromEntries(fields) as unknown as MeterAccess);
    },
  };
}

const key = (hex: string) => new Secret(fromHex(hex));
let counter = 0;
/** The keys that every simulated meter has at first. */
export const simulatedCiphering: NonNullable<MeterAccess['ciphering']> = {
  suite: 0,
  policy: 'authenticated-encrypted',
  wrapping: 'service',
  ownTitle: Buffer.from('TSTCLNT1'),
  keys: {
    encryption: key('000102030405060708090a0b0c0d0e0f'),
    authentication: key('d0d1d2d3d4d5d6d7d8d9dadbdcdddedf'),
  },
  nextCounter: () => ++counter,
};
