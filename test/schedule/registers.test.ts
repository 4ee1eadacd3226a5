/** Events that no slice took along are stored on their own, and none is lost on the way. */
import { expect, test } from 'vitest';
import { Failure } from '../../src/base/errors.ts';
import type { EventFact } from '../../src/reading/facts.ts';
import { gatewayEvent } from '../../src/schedule/gateway-event.ts';
import { freshState, type MeterState } from '../../src/schedule/meter-state.ts';
import { flushEvents } from '../../src/schedule/registers.ts';
import { polled, portWorld } from '../support/port-world.ts';

async function world() {
  const made = await portWorld([polled('a')]);
  const state = freshState(polled('a'));
  const event = (port: string) => gatewayEvent(made.house, state, 'BUS_FAULT', { port, meters: 1 });
  const stored = async () => ((await made.facts()) as EventFact[]).map(({ detail }) => detail?.['port']);
  return { ...made, state, event, stored };
}
const waiting = ({ pendingEvents }: MeterState) => pendingEvents.map(({ detail }) => detail?.['port']);

test('they are stored in their order with the cursors of the logs, once', async () => {
  const { house, state, event, stored, store, database } = await world();
  state.pendingEvents.push(event('1'), event('2'));
  state.logs = { ...store.meterLogs('a'), lastPower: 'down' };
  await flushEvents(house, state);
  expect(await stored()).toEqual(['1', '2']);
  expect(store.meterLogs('a').lastPower).toBe('down');
  expect([state.pendingEvents, state.logs]).toEqual([[], undefined]);
  const { batches } = database;
  await flushEvents(house, state);
  expect(database.batches).toBe(batches);
});

test('cursors alone are stored as well', async () => {
  const { house, state, store } = await world();
  state.logs = { ...store.meterLogs('a'), lastPower: 'up' };
  await flushEvents(house, state);
  expect(store.meterLogs('a').lastPower).toBe('up');
});

test('one that comes while the commit is under way stays for the next', async () => {
  const { house, state, event, stored } = await world();
  state.pendingEvents.push(event('1'));
  const flushed = flushEvents(house, state);
  state.pendingEvents.push(event('2'));
  await flushed;
  expect([await stored(), waiting(state)]).toEqual([['1'], ['2']]);
  await flushEvents(house, state);
  expect([await stored(), waiting(state)]).toEqual([['1', '2'], []]);
});

test('where the store does not take them they wait, and so do the cursors', async () => {
  const { house, state, event, database, store, clock, stored } = await world();
  state.pendingEvents.push(event('1'));
  state.logs = { ...store.meterLogs('a'), lastPower: 'down' };
  database.failing = new Error('ENOSPC');
  await expect(flushEvents(house, state)).rejects.toThrow(Failure);
  expect([waiting(state), state.logs?.lastPower]).toEqual([['1'], 'down']);
  database.failing = undefined;
  await clock.run(clock.now() + 60_000);
  await flushEvents(house, state);
  expect(await stored()).toEqual(['1']);
});
