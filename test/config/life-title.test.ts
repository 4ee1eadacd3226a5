import { describe, expect, test } from 'vitest';
import { judgeText, requirePlan } from '../../src/config/judge.ts';
import type { Sources } from '../../src/config/findings.ts';
import { configuration, type GatewayKeys, gmac } from '../support/configuration.ts';

const text = (gateway: GatewayKeys) => configuration({ gateway, port: [{ meter: [gmac] }] });
const securityOf = (life: string, gateway: GatewayKeys = {}) => {
  const sources: Sources = {
    secret: (reference) => new Uint8Array(16).fill(reference === 'file:/ek' ? 0 : 1),
    file: () => new Uint8Array(0),
    socket: () => {},
    group: () => {},
    device: (path) => path,
    state: () => {},
    now: () => 0,
    lifeTitle: Buffer.from(life),
  };
  const plan = requirePlan(judgeText(text(gateway), { name: 'c', sources }), 'c');
  const [meter] = plan.ports[0]?.meters ?? [];
  return {
    title: Buffer.from(meter?.security?.settings.ownTitle ?? []).toString(),
    access: Buffer.from(meter?.access.systemTitle ?? []).toString(),
    counter: meter?.security?.counterName,
    pinned: meter?.security?.titlePinned,
  };
};

describe('incident: an image of the card was put back, and the counters that it had went out once more under the same title', () => {
  test('each life of the process has a title of its own; its counter goes on where the state says', () => {
    const [one, two] = [securityOf('MGW00001'), securityOf('MGW00002')];
    expect([one.title, two.title]).toEqual(['MGW00001', 'MGW00002']);
    expect(one.access).toBe(one.title);
    expect(two.counter).toBe(one.counter);
    // As versions before kept it: an upgrade loses no counter.
    expect(one.counter).toBe('2887d9586b6db22905f728d9');
  });
  test('sibling: a title that the configuration pins is the same in each life, and then the meter is asked first', () => {
    const pinned = { system_title: '4d47570000000042' };
    const [one, two] = [securityOf('MGW00001', pinned), securityOf('MGW00002', pinned)];
    expect(one).toEqual(two);
    expect([one.title, one.pinned]).toEqual(['MGW\0\0\0\0B', true]);
  });
});
