/** Who is asked whether the clock is right, and what is said where nobody tells. */
import { execFileSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { askKernel, evenly } from '../../src/main/kernel-clock.ts';
import { synchronisedTeller } from '../../src/main/synchronised.ts';

const synchronised = (...given: Parameters<typeof synchronisedTeller>) => synchronisedTeller(...given)();

describe('incident: in the unit the kernel could not be asked, so no time was trusted, and nobody said why', () => {
  const forbidden = () => ({ at: 0, why: 'adjtimex EPERM' });
  const unread = (): string => {
    throw new Error('not to be read');
  };
  const wrote = (clock: object) => () => JSON.stringify(clock);
  test('where the kernel tells, nothing else is read', () => {
    expect(synchronised(() => ({ at: 0, maxErrorUs: 15_999_999 }), unread)).toEqual({ known: true });
    const not = synchronised(() => ({ at: 0, maxErrorUs: 16_000_000 }), unread);
    expect(not).toMatchObject({ known: false, why: expect.stringContaining('timedatectl') as string });
  });
  test('where that is forbidden, what the kernel told the other service counts, while it is fresh', () => {
    const judge = (clock: object, now: number) => synchronised(forbidden, wrote(clock), () => now);
    expect(judge({ at: 1000, maxErrorUs: 4000 }, 301_000)).toEqual({ known: true });
    expect(judge({ at: 1000, maxErrorUs: 4000 }, 301_001)).toMatchObject({ known: false });
    // Of another boot: its clock was further on.
    expect(judge({ at: 900_000, maxErrorUs: 4000 }, 1000)).toMatchObject({ known: false });
    expect(judge({ at: 1000, maxErrorUs: 16_000_000 }, 2000)).toMatchObject({
      why: expect.stringContaining('nothing keeps its clock right') as string,
    });
  });
  test.each([
    ['it is not there', unread, 'not to be read'],
    ['it is cut', () => '{"at": 10', 'JSON'],
    ['it is something else', () => '[]', 'nothing of the last five minutes'],
    ['the other service may not ask either', wrote({ at: 0, why: 'adjtimex ENOSYS' }), 'adjtimex ENOSYS'],
  ])('%s: both reasons are said, and what to do', (_, read, why) => {
    const clock = synchronised(forbidden, read, () => 0);
    expect(clock).toMatchObject({ known: false });
    if (clock.known) return;
    expect(clock.why).toContain('adjtimex EPERM');
    expect(clock.why).toContain(why);
    expect(clock.why).toContain('systemctl enable --now meter-gateway-clock.timer');
  });
  test('what is read while it is written takes nothing away; it holds as long as it is fresh', () => {
    let now = 0;
    let text = JSON.stringify({ at: 0, maxErrorUs: 4000 });
    const tell = synchronisedTeller(
      forbidden,
      () => text,
      () => now,
    );
    expect(tell()).toEqual({ known: true });
    text = '';
    now = 300_000;
    expect(tell()).toEqual({ known: true });
    now++;
    expect(tell()).toMatchObject({ known: false });
  });
  test('the program of the other service tells what the kernel says, by the same clock', () => {
    const before = evenly();
    const program = new URL('../../dist/main/kernel-clock.js', import.meta.url).pathname;
    const printed = execFileSync(process.execPath, [program, '--tell'], { encoding: 'utf8' });
    const clock = JSON.parse(printed) as ReturnType<typeof askKernel>;
    expect(clock.at).toBeGreaterThanOrEqual(before);
    expect(clock.at).toBeLessThanOrEqual(evenly());
    expect(typeof clock.maxErrorUs).toBe(typeof askKernel().maxErrorUs);
  });
});
