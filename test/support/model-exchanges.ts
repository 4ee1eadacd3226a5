/**
 * One exchange for each meter model that no independent recording proves: identify, learn the layout, read a day. Recorded
 * from the simulator with the habits that the model is about, replayed octet by octet.
 */
import { toHex } from '../../src/base/hex.ts';
import { later, millis } from '../../src/base/time.ts';
import type { RecordedLine } from '../../src/base/exchange-file.ts';
import type { Port } from '../../src/line/port.ts';
import { identify, type Identity } from '../../src/meter/identity-reading.ts';
import { readLayout } from '../../src/meter/profile-layout.ts';
import { readRange } from '../../src/meter/profile-range.ts';
import type { MeterModel } from '../../src/meter/model.ts';
import type { MeterAccess } from '../../src/meter/access.ts';
import { Session } from '../../src/meter/session.ts';
import type { LoadProfileRow } from '../../src/reading/load-profile-row.ts';
import type { ScenarioInput } from '../../src/simulator/scenario.ts';
import { lineAccess, meterWorld, profile } from './meter-world.ts';
import { VirtualClock } from './virtual-clock.ts';

export const from = millis(Date.UTC(2026, 10, 23));
export const to = millis(Date.UTC(2026, 10, 24));
/** What the simulated meter is like, beside the model's name. */
export const scenarios: Readonly<Record<string, ScenarioInput['meters']>> = {
  'plain-128': { max_info: 128 },
  'generic-mode-e': { max_info: 128, mode_e: true },
  idis: { max_info: 128, device_name: 'SIM1030060120001', deviation_min: -60 },
  dsmr: { max_info: 512, device_name: 'XMX5SIM060120001', deviation_min: -60 },
  nordic: { max_info: 128, deviation_min: -120, quirks: ['deviation-unspecified', 'range-without-deviation'] },
  'short-name': { max_info: 128, referencing: 'short-name' },
};
export interface Outcome {
  readonly identity: Identity;
  readonly rows: readonly LoadProfileRow[];
}
const access = (model: MeterModel): Partial<MeterAccess> => ({ model, modeE: model.mode_e });

async function day(session: Session, clock: VirtualClock, model: MeterModel): Promise<Outcome> {
  await session.connect();
  const identity = await identify(session, clock, model);
  const layout = await readLayout(session, profile);
  const rows = await readRange({ session, layout, model }, from, to);
  await session.close();
  return { identity, rows };
}

/** The exchange as a file, and the truth of the meter. */
export async function record(model: MeterModel) {
  const lines: string[] = [
    `# Recorded from the simulator (not from a meter of a maker) with hardware/meters/${model.name}.toml: client 17, LLS "meter".`,
  ];
  const it = meterWorld({ meters: scenarios[model.name] ?? {} }, access(model));
  const start = it.clock.now();
  const session = it.again();
  Object.assign(session, {
    trace: (direction: string, octets: Uint8Array) =>
      lines.push(`${((it.clock.now() - start) / 1000).toFixed(3)} ${direction} ${octets.length} ${toHex(octets, ' ')}`),
  });
  const outcome = await it.clock.complete(day(session, it.clock, model));
  return { text: `${lines.join('\n')}\n`, outcome, meter: it.meter };
}

/** The model's session against the recorded octets: whatever we send must be what was sent then. */
export async function replay(model: MeterModel, recorded: readonly RecordedLine[]): Promise<Outcome> {
  const clock = new VirtualClock(Date.UTC(2026, 10, 24, 12, 20));
  let at = 0;
  const differences: string[] = [];
  const port: Port = {
    device: 'recording',
    connection: false,
    closed: false,
    write(octets) {
      const line = recorded[at];
      if (line?.direction !== 'to-meter' || toHex(line.octets) !== toHex(octets))
        differences.push(`line ${line?.line}: ${toHex(octets)} instead of ${line ? toHex(line.octets) : 'nothing'}`);
      at++;
      return Promise.resolve();
    },
    async read(until) {
      const line = recorded[at];
      if (line?.direction === 'from-meter' && differences.length === 0) {
        at++;
        return line.octets;
      }
      await clock.sleepUntil(until ?? later(clock.now(), 1000));
      return undefined;
    },
    setBaud: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
  const session = new Session(port, clock, lineAccess(access(model)));
  const outcome = await clock.complete(day(session, clock, model)).catch((error: unknown) => error);
  if (differences.length > 0) throw new Error(differences[0]);
  if (outcome instanceof Error) throw outcome;
  if (at !== recorded.length) throw new Error(`${recorded.length - at} recorded messages were not reached`);
  return outcome as Outcome;
}
