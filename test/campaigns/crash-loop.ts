/**
 * A house whose first meter ends the process whenever it is asked for its clock, started on a state directory as systemd
 * would start it again: `crash-loop.ts DIRECTORY MINUTES`. The last line tells the rows of the neighbour and what was said.
 */
import { silentLog } from '../../src/base/log.ts';
import { turnFile } from '../../src/disk/turn-file.ts';
import { virtualHouse } from '../support/virtual-house.ts';
import { requestOf, takeOver } from './hostile-answers.ts';

const [, , directory, minutes] = process.argv;
const it = await virtualHouse(
  { bus: { baud: 0 }, meters: { count: 2 } },
  { days: 0, turns: () => turnFile(directory as string, silentLog) },
);
const print = async (): Promise<void> => {
  const { right } = it.compare(10 * 60_000).get(1) as { right: number };
  const { ports } = await it.house.snapshot();
  const [first] = ports[0]?.meters ?? [];
  const events = it.broker.published.filter(({ payload }) => payload.includes('METER_SET_ASIDE')).length;
  process.stdout.write(`${JSON.stringify({ right, events, alarms: first?.alarms, lastError: first?.lastError })}\n`);
};
takeOver(it.simulated.meters[0] as (typeof it.simulated.meters)[0], (request, honest) => {
  const apdu = requestOf(request);
  const asked =
    apdu?.kind === 'get-request-with-list'
      ? apdu.attributes
      : apdu?.kind === 'get-request-normal'
        ? [apdu.attribute]
        : [];
  if (asked.some(({ classId }) => classId === 8)) process.kill(process.pid, 'SIGKILL');
  return honest();
});
it.broker.connect();
for (let step = 0; step < Number(minutes) * 15; step++) {
  await it.run(4000);
  await print();
}
