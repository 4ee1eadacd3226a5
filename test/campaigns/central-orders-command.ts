/** `scripts/central-orders`: the order of messages is of no account. Exit code 1 where it is. */
import { engines } from '../support/central-engines.ts';
import { centralOrders } from './central-orders.ts';
import { options } from './options.ts';

const { orders, seed } = options('central-orders', { orders: 1000, seed: 1 });
let bad = 0;
for (const kind of ['sqlite', 'postgres'] as const) {
  const made = await engines(kind);
  const { engine, again } = await made.fresh();
  const workers = kind === 'sqlite' ? [engine, engine] : [engine, await again()];
  const { problems, octets } = await centralOrders(workers, { orders, seed });
  await made.close();
  bad += problems.length;
  for (const problem of problems.slice(0, 10)) process.stdout.write(`${problem}\n`);
  process.stdout.write(
    `central-orders ${kind}: ${orders} orders with duplicates and splits over two workers, ${octets} octets each time, ${problems.length} differ\n`,
  );
}
process.exit(bad > 0 ? 1 : 0);
