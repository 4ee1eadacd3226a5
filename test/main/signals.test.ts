/** Incident: SIGHUP before the gateway ran ended it, and SIGTERM then killed it. */
import { afterEach, expect, test } from 'vitest';
import { listenToSignals } from '../../src/main/signals.ts';

const names = ['SIGHUP', 'SIGTERM', 'SIGINT'] as const;
const before = new Map(names.map((name) => [name, process.listeners(name)]));
afterEach(() => {
  for (const name of names)
    for (const listener of process.listeners(name))
      if (!before.get(name)?.includes(listener)) process.removeListener(name, listener);
});

test('what is asked during a start is remembered: a reload is done once, when there is something to reload', () => {
  const signals = listenToSignals();
  process.emit('SIGHUP');
  process.emit('SIGHUP');
  let reloads = 0;
  signals.onReload(() => reloads++);
  expect(reloads).toBe(1);
  process.emit('SIGHUP');
  expect(reloads).toBe(2);
  expect(signals.stop.aborted).toBe(false);
});

test.each(['SIGTERM', 'SIGINT'] as const)('%s is known before anything is opened', (name) => {
  const signals = listenToSignals();
  process.emit(name);
  expect([signals.stop.aborted, signals.stop.reason]).toEqual([true, name]);
});
