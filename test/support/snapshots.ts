/** Snapshots of gateways, as large and as strange as they may be. */
import { type Verdict, verdicts } from '../../src/reading/verdict.ts';
import type { MeterStatus } from '../../src/schedule/port-report.ts';
import type { Snapshot } from '../../src/status/snapshot.ts';

export function meterOf(verdict: Verdict, n: number, more: Partial<MeterStatus> = {}): MeterStatus {
  const well = verdict === 'REACHABLE' || verdict === 'SUPPLY_OFF_BY_METER_SWITCH';
  return {
    meter: `m6012${String(n).padStart(4, '0')}`,
    serial: `6012${String(n).padStart(4, '0')}`,
    verdict,
    lastSuccess: n % 5 === 0 ? null : `2026-11-${10 + (n % 18)}T07:${10 + n}:00Z`,
    failures: well ? 0 : n,
    lastError: well ? null : 'the meter said something that is longer than what fits on one line of a terminal',
    lastCode: well ? null : 'no-answer',
    fault: well ? null : 'line',
    nextStep: well ? null : 'Check power, A/B polarity, the address and the speed.',
    clockDeviationS: [null, 0.2, 1200, -12, 7.5][n % 5] ?? null,
    clockVerdict: n % 5 === 2 ? 'CLOCK_ALARM' : null,
    clockNextStep: n % 5 === 2 ? 'Set it with the tool of the maker, and look at its battery.' : null,
    intervalsRead: 100 * n,
    intervalsMissing: n % 7,
    damagedFrames: n % 6 === 0 ? n : 0,
    repeatedFrames: n % 6 === 0 ? 2 * n : 0,
    ways: n % 9 === 0 ? ['read by number: it does not select by stamps'] : [],
    alarms: n % 8 === 0 ? ['CLOCK_DOUBTFUL: next: look at the battery, by 2026-11-28T09:00:00Z'] : [],
    ...more,
  };
}
export function snapshotOf(meters: readonly MeterStatus[], more: Partial<Snapshot> = {}): Snapshot {
  return {
    gateway: 'substation-7',
    version: '0.1.0',
    boot: 'boot',
    at: '2026-11-28T08:24:35Z',
    uptimeS: 93_784.5,
    broker: {
      connected: true,
      trouble: null,
      sent: 12_345,
      acknowledged: 12_340,
      sentAgain: 3,
      split: 0,
      refused: 0,
      unfit: 0,
    },
    configuration: { hash: 'abcd', since: '2026-11-27T06:21:31Z', warnings: [], refused: null },
    time: { trust: 'kernel', trouble: null, zone: 'Europe/Helsinki' },
    store: { pending: 5, damage: { quarantined: 0, missing: 0, log: [] } } as unknown as Snapshot['store'],
    ports: [
      {
        name: 'bus-1',
        device: 'serial:/dev/serial/by-id/usb-FTDI_FT232R_USB_UART_A10LTKHW-if00-port0',
        open: true,
        error: null,
        activity: meters[0]?.meter ?? null,
        trouble: null,
        busFault: null,
        meters,
      },
    ],
    rssBytes: 65_000_000,
    ...more,
  };
}
/** 31 meters, which have all verdicts. */
export const fullBus = (): MeterStatus[] =>
  Array.from({ length: 31 }, (_, n) => meterOf(verdicts[n % verdicts.length] as Verdict, n));
