/**
 * `scripts/soak`: 500 meters for 30 days in virtual time on a real disk and a real broker. Prints memory, handles and files
 * day by day; the last line is the summary. Exit code 1 on any loss, or where the heap after collection, handles or files
 * rise.
 */
import { realBroker } from '../support/broker.ts';
import { soak } from './soak.ts';
import { options } from './options.ts';

const { days, buses, meters: metersPerBus } = options('soak', { days: 30, buses: 20, meters: 25 });
/** More than the noise of a collected heap over weeks; a leak of one object for each session is far above. */
const maxHeapMiB = 0.5;
const maxHandles = 0.1;
// Without it each answer waits 40 ms for the kernel's delayed ACK, and virtual time waits for each answer.
const broker = await realBroker(['set_tcp_nodelay true']);
const { intervals, slopes, loopDelayMs, problems } = await soak({
  days,
  buses,
  metersPerBus,
  broker,
  progress: (text) => process.stdout.write(`${text}\n`),
});
await broker.remove();
if (slopes.heapMiB > maxHeapMiB) problems.push(`the heap rises by ${slopes.heapMiB.toFixed(2)} MiB a day`);
if (slopes.handles > maxHandles) problems.push(`handles rise by ${slopes.handles.toFixed(2)} a day`);
if (slopes.files > maxHandles) problems.push(`open files rise by ${slopes.files.toFixed(2)} a day`);
for (const problem of problems) process.stdout.write(`${problem}\n`);
process.stdout.write(
  `soak: ${days} days x ${buses * metersPerBus} meters, ${intervals} meter-hours; a day: resident ${slopes.ownMiB.toFixed(2)} MiB of its own and ${slopes.mappedMiB.toFixed(2)} MiB of mapped files, heap ${slopes.heapMiB.toFixed(3)} MiB, handles ${slopes.handles.toFixed(3)}, files ${slopes.files.toFixed(3)}; event-loop delay p50 ${loopDelayMs.p50.toFixed(1)} ms, p99 ${loopDelayMs.p99.toFixed(1)} ms, most ${loopDelayMs.max.toFixed(0)} ms with the simulated meters in the same process; ${problems.length} problems\n`,
);
process.exit(problems.length > 0 ? 1 : 0);
