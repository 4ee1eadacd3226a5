/** A scan of a converter of which the wrong TCP port was named. */
import { Failure } from '../base/errors.ts';
import type { Clock } from '../base/time.ts';
import { openPort, parseSelector } from '../line/open-port.ts';
import { openDoors } from './converter-ports.ts';
import type { ScanEvent } from './scan.ts';
import type { ScanPlan } from './scan-plan.ts';
import { doorFinding, scanVerdicts } from './scan-verdict.ts';

/** Where nobody answers at the TCP port that was named, the other ones of that host are tried; blind only. */
export async function* withOtherDoors(
  device: string,
  plan: ScanPlan,
  events: AsyncIterable<ScanEvent>,
  clock: Clock,
  signal: AbortSignal,
): AsyncGenerator<ScanEvent, void> {
  const selector = parseSelector(device);
  async function* others(): AsyncGenerator<ScanEvent, boolean> {
    let found = false;
    if (selector.kind !== 'tcp' || !plan.blind) return found;
    const open = (other: string) => openPort(other, 9600, clock);
    for await (const door of openDoors(selector.host, plan, { clock, open, signal, except: selector.port })) {
      yield { kind: 'note', message: `${door.device} is open: ${door.answer ? 'meters answer' : 'nobody answers'}` };
      if (!door.answer) continue;
      found = true;
      yield { kind: 'finding', ...doorFinding(door.device, door.answer) };
    }
    return found;
  }
  try {
    for await (const event of events) {
      if (event.kind === 'finding' && event.verdict === 'line-silent') yield* others();
      yield event;
    }
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== 'host-missing') throw error;
    if (!(yield* others())) throw error;
    yield { kind: 'note', message: error.message };
    yield { kind: 'end', seconds: 0, probes: 0, exit: scanVerdicts['other-port'].exit };
  }
}
