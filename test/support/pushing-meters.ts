/** Simulated meters that push, on listeners of a house in virtual time: each bus is one connection. */
import { type Clock, millis } from '../../src/base/time.ts';
import { toHex } from '../../src/base/hex.ts';
import { obis } from '../../src/dlms/cosem/logical-name.ts';
import { arrivals } from '../../src/line/arrivals.ts';
import type { Listening } from '../../src/line/open-port.ts';
import type { Port } from '../../src/line/port.ts';
import { buildBus, type SimulatedHouse } from '../../src/simulator/build-bus.ts';
import { loadProfileName } from '../../src/simulator/objects.ts';
import { parseScenario, type ScenarioInput } from '../../src/simulator/scenario.ts';
import type { ConfigurationKeys, PushingKeys } from './configuration.ts';
import { meterOf } from './configuration.ts';
import { type Ingest, valueKey } from './memory-central.ts';
import { virtualPort } from './virtual-port.ts';

/** The system title of a simulated meter: SIM and its serial number. */
export function titleOf(serial: number): string {
  const title = Buffer.from('SIM\0\0\0\0\0', 'latin1');
  title.writeUInt32BE(serial, 4);
  return toHex(title);
}

export interface PushingBus {
  readonly link: 'hdlc' | 'wrapper';
  readonly ciphered: boolean;
  readonly house: SimulatedHouse;
}
export interface PushingOptions {
  readonly link: 'hdlc' | 'wrapper';
  readonly ciphered?: boolean;
  readonly count: number;
  readonly firstSerial: number;
  readonly periodS?: 900 | 3600;
  /** Rows in each list. */
  readonly rows?: number;
  readonly more?: NonNullable<ScenarioInput['meters']>;
}
export function pushingBus(options: PushingOptions, start: number): PushingBus {
  const { link, ciphered = false, count, firstSerial, periodS = 3600, rows = 3, more } = options;
  const house = buildBus(
    parseScenario({
      bus: { link },
      meters: {
        count,
        first_serial: firstSerial,
        period_s: periodS,
        push_s: periodS,
        push_rows: rows,
        push_ciphered: ciphered,
        history_days: 3,
        ...more,
      },
    }),
    millis(start),
  );
  return { link, ciphered, house };
}

/** How the meters of a bus stand in the configuration. */
export const pushingMeters = ({ house, ciphered }: PushingBus): PushingKeys[] =>
  house.meters.map(({ settings: { serial, periodS } }) => ({
    ...meterOf(serial),
    profiles: [{ obis: '1-0:99.1.0*255', period_s: periodS as 3600 }],
    ...(ciphered && { meter_title: titleOf(serial), encryption_key: 'file:/ek', authentication_key: 'file:/ak' }),
  }));

/** A listener for each bus, on a port of its own: the number of the bus. */
export function pushingLine(buses: readonly PushingBus[]) {
  /** Ports of the connections that stand now, for what a test says on them. */
  const open: { hear(octets: Uint8Array): void }[] = [];
  /** What each bus said, as it came. */
  const recorded: Uint8Array[][] = buses.map(() => []);
  /** Buses whose octets are lost on the way. */
  const deaf = new Set<number>();
  const listen = (device: string, clock: Clock): Promise<Listening> => {
    const number = Number(/(\d+)$/.exec(device)?.[1]);
    const bus = buses[number] as PushingBus;
    const line = virtualPort(bus.house.bus, clock);
    open[number] = line;
    const read: Port['read'] = async (until) => {
      for (;;) {
        const octets = await line.read(until);
        if (!octets) return undefined;
        if (deaf.has(number)) continue;
        (recorded[number] as Uint8Array[]).push(octets.slice());
        return octets;
      }
    };
    const port: Port = { ...line, read, device: `tcp://10.0.0.${number}:40000`, connection: true };
    const { accept, end } = arrivals(port);
    return Promise.resolve({
      port: number,
      accept,
      close() {
        end();
        return Promise.resolve();
      },
    });
  };
  const listeners: NonNullable<ConfigurationKeys['listen']> = buses.map((bus, i) => ({
    name: `push${i}`,
    device: `tcp://127.0.0.1:${i}`,
    link: bus.link,
    meter: pushingMeters(bus),
  }));
  return { listen, listeners, open, recorded, deaf };
}

export interface Compared {
  expected: number;
  right: number;
  readonly wrong: string[];
  readonly absent: string[];
}
/** What arrived of these meters in [from, to), beside the truth. */
export function comparePushed(ingest: Ingest, buses: readonly PushingBus[], from: number, to: number): Compared {
  const result: Compared = { expected: 0, right: 0, wrong: [], absent: [] };
  for (const { settings, curve } of buses.flatMap(({ house }) => house.meters)) {
    const period = settings.periodS * 1000;
    for (let end = from + period; end <= to; end += period) {
      result.expected++;
      const values = ([0, 1] as const).map((channel) => {
        const name = channel === 0 ? '1-0:1.8.0*255' : '1-0:2.8.0*255';
        const value = ingest.values.get(valueKey(`m${settings.serial}`, obis(loadProfileName), name, end - period));
        const register = curve.register(channel, millis(end));
        return { value, register, energy: register - curve.register(channel, millis(end - period)) };
      });
      if (values.every(({ value, register, energy }) => value?.register === register && value.energy === energy))
        result.right++;
      else if (values.some(({ value, register }) => value && value.register !== register))
        result.wrong.push(`${settings.serial} ${new Date(end).toISOString()} ${JSON.stringify(values)}`);
      else result.absent.push(`${settings.serial} ${new Date(end).toISOString()} ${JSON.stringify(values)}`);
    }
  }
  return result;
}
