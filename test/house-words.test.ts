/** What leaves the house says one thing in one spelling. */
import { expect, test } from 'vitest';
import { birthPayload, parsePayload } from '../src/forward/payload.ts';
import { factsOf } from './support/house-facts.ts';
import { virtualHouse } from './virtual-house.ts';

const minute = 60_000;

test('incident: the birth spelled a series 1.0.99.1.0.255 and its rows 1-0:99.1.0*255; both spell it as the rows do', async () => {
  const it = await virtualHouse({ meters: { count: 1 } }, { days: 1 });
  it.broker.connect();
  await it.run(10 * minute);
  const [birth] = it.broker.published.filter(({ topic }) => topic.endsWith('/birth'));
  const told = parsePayload(birthPayload, Buffer.from(birth?.payload ?? ''));
  const born = 'meters' in told ? told.meters.flatMap(({ series }) => series.map(({ profile }) => profile)) : [];
  const rows = factsOf(it, 'profile').map(({ series }) => series);
  expect(new Set(born)).toEqual(new Set(rows));
  expect(born).toEqual(['1-0:99.1.0*255']);
  const gaps = (await it.house.gaps()).map(({ series }) => series);
  for (const one of gaps) expect(born).toContain(one);
  await it.house.stop();
});
