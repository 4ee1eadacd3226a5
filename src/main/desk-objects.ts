/** Objects of a configured meter, read for whoever asks at the desk: the work of the commands, in sessions of the daemon. */
import { eventsOf } from '../base/event-stream.ts';
import type { Clock } from '../base/time.ts';
import { browseWork } from '../cli/browse.ts';
import { readWork } from '../cli/read.ts';
import type { BrowseObjects, OutputEvent, ReadObjects } from '../desk/routes.ts';
import type { House } from '../house.ts';

/** A meter that is browsed has its line for so long, then the others have their turn. */
const shareMs = 10_000;

export function readObjects(
  house: Pick<House, 'inSession'>,
  clock: Clock,
  meter: string,
  wishes: ReadObjects,
): AsyncGenerator<OutputEvent, void> {
  return eventsOf<OutputEvent>(async (put) => {
    const work = readWork(wishes, clock, (line) => put({ line }));
    await house.inSession(meter, ({ session, model }) => work(session, model));
  });
}

export function browseObjects(
  house: Pick<House, 'inSession'>,
  clock: Clock,
  meter: string,
  wishes: BrowseObjects,
  signal: AbortSignal,
): AsyncGenerator<OutputEvent, void> {
  return eventsOf<OutputEvent>(async (put) => {
    const work = browseWork(wishes, {
      print: (line) => put({ line }),
      note: (note) => put({ note }),
      progress: (progress) => put({ progress }),
      found: (object) => put({ object }),
    });
    await work({
      inSession: (inOne) => {
        signal.throwIfAborted();
        return house.inSession(meter, ({ session, model }) => inOne(session, model));
      },
      shareMs,
      clock,
    });
  });
}
