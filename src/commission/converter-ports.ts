/** A converter has several TCP ports, one for each of its lines or ways to speak: which of them leads to meters. */
import { Failure } from '../base/errors.ts';
import type { Clock } from '../base/time.ts';
import { inTime } from '../line/lease.ts';
import type { Port } from '../line/port.ts';
import { ask, isOfLine } from './probe.ts';
import { doorProbes, type ProbeAnswer, type ScanPlan, wasHeard } from './scan-plan.ts';

/** Where DLMS and the makers of converters listen: 4059 is the registered one, the others are factory settings. */
export const converterPorts = [4059, 4001, 4002, 4003, 4004, 950, 951, 8000, 8899, 10001, 10002, 2101, 23, 502];
/** A port that is filtered does not answer at all. */
const openMs = 2000;

export interface OpenDoor {
  readonly device: string;
  readonly port: number;
  /** The first answer of a meter; undefined where somebody listens and none answers. */
  readonly answer: ProbeAnswer | undefined;
}
export interface Knocking {
  readonly clock: Clock;
  readonly open: (device: string) => Promise<Port>;
  readonly signal: AbortSignal;
  /** Already tried. */
  readonly except: number;
}

/** Each port that opens, and who answers behind it. */
export async function* openDoors(host: string, plan: ScanPlan, knocking: Knocking): AsyncGenerator<OpenDoor, void> {
  const { clock, open, signal, except } = knocking;
  for (const port of converterPorts.filter((one) => one !== except)) {
    if (signal.aborted) return;
    const device = `tcp://${host.includes(':') ? `[${host}]` : host}:${port}`;
    let answer: ProbeAnswer | undefined;
    let opened = false;
    try {
      // Each way to speak has a connection of its own: what one of them sent may close it.
      for (const probe of doorProbes(plan)) {
        const slow = () => new Failure('host-missing', `${device} does not open`);
        const line = await inTime(clock, openMs, open(device), slow, (late) => void late.close());
        opened = true;
        try {
          const given = await ask(line, clock, probe, plan.models);
          if (wasHeard(given)) answer = given;
        } finally {
          await line.close();
        }
        if (answer) break;
      }
    } catch (error) {
      if (!isOfLine(error)) throw error;
    }
    if (opened) yield { device, port, answer };
  }
}
