/**
 * From any step of a session on the meter only trickles, in every way: the session ends in its time, says what it saw, and the
 * next one reads. Virtual time; generated, no pair of step and way is left out.
 */
import { describe, expect, test } from 'vitest';
import { concat } from '../../src/base/cursor.ts';
import { Failure } from '../../src/base/errors.ts';
import { later, type Millis, millis } from '../../src/base/time.ts';
import { encodeFrame, serverAddress } from '../../src/dlms/hdlc/frame.ts';
import { encodeWrapper } from '../../src/dlms/wrapper/wrapper.ts';
import type { Port } from '../../src/line/port.ts';
import { identify } from '../../src/meter/identity-reading.ts';
import { readLayout } from '../../src/meter/profile-layout.ts';
import { readRange } from '../../src/meter/profile-range.ts';
import { judge } from '../../src/schedule/reachability.ts';
import type { MeterAccess } from '../../src/meter/access.ts';
import { Session } from '../../src/meter/session.ts';
import type { ScenarioInput } from '../../src/simulator/scenario.ts';
import { lineAccess, meterWorld, profile, start } from '../support/meter-world.ts';
import type { VirtualClock } from '../support/virtual-clock.ts';

type Way = { readonly everyMs: number; readonly octets: (n: number, last: Uint8Array) => Uint8Array };
const own = serverAddress(1);
const peer = { logical: 17, size: 1 } as const;
const frame = (control: Parameters<typeof encodeFrame>[0]['control'], information: Uint8Array = new Uint8Array(0)) =>
  encodeFrame({ destination: peer, source: own, control, segmented: false, information });
const notification = Uint8Array.of(0x0f, 0, 0, 0, 1, 0, 0x09, 1, 0x55);

const ways: Record<string, Way> = {
  'a flag now and then': { everyMs: 700, octets: () => Uint8Array.of(0x7e) },
  'noise now and then': { everyMs: 700, octets: (n) => Uint8Array.of((n * 37) & 0xff) },
  'noise at line speed': {
    everyMs: 17,
    octets: (n) => Uint8Array.from({ length: 16 }, (_, i) => (n * 16 + i * 91) & 0xff),
  },
  'flags at line speed': { everyMs: 17, octets: () => new Uint8Array(16).fill(0x7e) },
  'a frame that never ends': {
    everyMs: 200,
    octets: (n) => (n % 2000 === 0 ? Uint8Array.of(0x7e, 0xa7, 0xff) : Uint8Array.of(0x55)),
  },
  'the last answer once more, for ever': { everyMs: 500, octets: (_, last) => last },
  'RNR for ever': { everyMs: 400, octets: (n) => frame({ kind: 'RNR', nr: n & 7, pollFinal: true }) },
  'RR for ever': { everyMs: 400, octets: (n) => frame({ kind: 'RR', nr: n & 7, pollFinal: true }) },
  'UI for ever': { everyMs: 100, octets: () => frame({ kind: 'UI', pollFinal: false }, notification) },
  'I for ever': {
    everyMs: 1400,
    octets: (n) =>
      frame({ kind: 'I', ns: n & 7, nr: n & 7, pollFinal: true }, Uint8Array.of(0xe6, 0xe7, 0, 0xc4, 1, 0xc1, 0, 0)),
  },
  'notifications for ever, wrapped': {
    everyMs: 1000,
    octets: () => encodeWrapper({ source: 1, destination: 17, apdu: notification }),
  },
  'a wrapper frame of 64 KiB, an octet at a time': {
    everyMs: 300,
    octets: (n) => (n === 0 ? Uint8Array.of(0, 1, 0, 1, 0, 17, 0xff, 0xf0) : Uint8Array.of(n & 0xff)),
  },
};

/** The meter answers the first writes; from then on `way` is all that comes. */
function turning(inner: Port, clock: VirtualClock, good: number, way: Way): Port & { writes: number } {
  let last: Uint8Array = new Uint8Array(0);
  let fresh = true;
  let n = 0;
  let nextAt: Millis | undefined;
  const it = {
    ...inner,
    writes: 0,
    write(octets: Uint8Array) {
      if (it.writes++ < good) {
        fresh = true;
        return inner.write(octets);
      }
      nextAt ??= later(clock.now(), way.everyMs);
      return Promise.resolve();
    },
    async read(until: Millis | undefined) {
      const end = until ?? millis(Number.MAX_SAFE_INTEGER);
      if (it.writes <= good) {
        const come = await inner.read(until);
        if (come) last = concat([fresh ? new Uint8Array(0) : last, come]);
        if (come) fresh = false;
        return come;
      }
      const at = nextAt ?? later(clock.now(), way.everyMs);
      if (at > end) {
        await clock.sleepUntil(end);
        return undefined;
      }
      await clock.sleepUntil(at);
      nextAt = later(at, way.everyMs);
      return way.octets(n++, last);
    },
  };
  return it;
}

async function day(clock: VirtualClock, port: Port, access: MeterAccess) {
  const session = new Session(port, clock, access);
  let code = 'none';
  let rows = 0;
  try {
    await session.connect();
    await identify(session, clock, access.model);
    const layout = await readLayout(session, profile);
    rows = (await readRange({ session, layout, model: access.model }, millis(start - 20 * 3_600_000), start)).length;
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    code = error.code;
  }
  await session.close();
  return { code, rows };
}

const lines: Record<string, { scenario: ScenarioInput; access: Partial<MeterAccess>; wrapped: boolean; maxS: number }> =
  {
    'HDLC at 9600 Bd': { scenario: { meters: { max_info: 128 } }, access: {}, wrapped: false, maxS: 150 },
    'HDLC at 300 Bd': {
      scenario: { bus: { baud: 300 }, meters: { max_info: 128 } },
      access: { baud: 300 },
      wrapped: false,
      maxS: 900,
    },
    'mode E': {
      scenario: { meters: { mode_e: true, max_info: 128 } },
      access: { modeE: true },
      wrapped: false,
      maxS: 150,
    },
    'HDLC over TCP': {
      scenario: { bus: { kind: 'tcp' }, meters: { max_info: 128 } },
      access: {},
      wrapped: false,
      maxS: 200,
    },
    wrapper: {
      scenario: { bus: { kind: 'tcp', link: 'wrapper' } },
      access: { link: 'wrapper' },
      wrapped: true,
      maxS: 200,
    },
  };

describe.each(Object.entries(lines))('%s', (_name, { scenario, access: more, wrapped, maxS }) => {
  test.each(Object.entries(ways))('%s, from each step on', async (_way, way) => {
    let longest = 0;
    for (let good = 0; good < 60; good++) {
      const it = meterWorld(scenario, more);
      const access = lineAccess({ ...more, timed: scenario.bus?.kind !== 'tcp', sessionMs: 600_000 });
      const port = turning(it.port, it.clock, good, way);
      const began = it.clock.now();
      const { code } = await it.clock.complete(day(it.clock, port, access));
      // All writes of the session were good ones: there are no further steps.
      if (code === 'none' && port.writes <= good) break;
      const seconds = (it.clock.now() - began) / 1000;
      longest = Math.max(longest, seconds);
      if (code !== 'none') {
        // Something was said all the time: that is no meter without power.
        const observed = {
          lastSuccess: undefined,
          failures: 3,
          lastError: code as Failure['code'],
          damaged: 0,
          sessions: 3,
        };
        const verdict = judge(new Map([['m', observed]])).get('m');
        // A flag or an octet in between is made by the bus itself, and what the wrapper cannot read is no answer of its.
        const mayBeNobody = wrapped || good === 0 || /wrap|UI|now and then|flags/.test(_way);
        if (!mayBeNobody) expect(verdict, `${good} good writes: ${code}`).not.toBe('SUSPECT_MAINS_OR_METER');
      }
      expect(seconds, `${good} good writes: ${code}`).toBeLessThan(maxS);
      // The meter's own time-out is two minutes.
      await it.clock.run(it.clock.now() + 180_000);
      const next = await it.clock.complete(day(it.clock, it.port, access));
      expect(next, `after ${good} good writes`).toMatchObject({ code: 'none' });
      expect(next.rows).toBeGreaterThan(15);
    }
    expect(longest).toBeGreaterThan(0);
  });
});
