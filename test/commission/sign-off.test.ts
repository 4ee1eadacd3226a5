/** The report of a site: what it says, when it is final, and that nothing of it can be changed unnoticed. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { canonicalJson } from '../../src/base/canonical.ts';
import { readSigned, type Signed, verified } from '../../src/commission/canonical.ts';
import { freshRecord, type MeterRecord } from '../../src/commission/meter-record.ts';
import { escaped, reportHtml } from '../../src/commission/report-html.ts';
import { pendingSignOff, signOff } from '../../src/commission/sign-off.ts';
import { finishSignOff } from '../../src/main/site-answers.ts';
import { siteFolder } from '../../src/commission/site-folder.ts';
import type { Running, SiteReport } from '../../src/commission/site-report.ts';
import type { SeriesGap } from '../../src/schedule/series-gaps.ts';
import { meterTarget } from '../support/meter-target.ts';

const folder = mkdtempSync(join(tmpdir(), 'sign-off-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const target = meterTarget({ place: 'Box <1> & "co"', currentTransformer: '200/5' });
const good: MeterRecord = {
  ...freshRecord(target, 'Anna', '2026-11-28T10:00:00Z'),
  finished: '2026-11-28T10:01:00Z',
  result: 'good',
  steps: {
    day: {
      at: '2026-11-28T10:00:30Z',
      from: '2026-11-27T10:00:00Z',
      to: '2026-11-28T10:00:00Z',
      expected: 24,
      rows: 24,
      tookMs: 900,
      sums: [],
    },
  },
};
const gap = (from: string, to: string, state: SeriesGap['state']): SeriesGap => ({
  meter: 'm-1',
  point: 'p',
  serial: '60120001',
  series: '1-0:99.1.0*255',
  periodS: 3600,
  from,
  to,
  intervals: (Date.parse(to) - Date.parse(from)) / 3_600_000,
  state,
});
const gateway = { id: 'g', tenant: 't', version: '0' };
let sites = 0;
function site(records: readonly MeterRecord[]): string {
  const path = join(folder, `site-${sites++}`);
  for (const record of records) siteFolder(path).write(record);
  return path;
}
const sign = (path: string, running: Running | undefined, at = '2026-11-28T12:00:00Z'): Signed<SiteReport> =>
  signOff({ who: 'Anna', note: null }, { folder: path, gateway, running, at });
const running = (...gaps: SeriesGap[]): Running => ({ meters: ['m-1'], gaps });

describe('it is pending until the central system has the first day of each meter', () => {
  test.each([
    ['no gateway runs', undefined, 'does not run'],
    ['the gateway does not have the meter', { meters: [], gaps: [] }, 'meter-gateway reload'],
    [
      'the day is not read',
      running(gap('2026-11-28T00:00:00Z', '2026-11-28T12:00:00Z', 'PENDING')),
      '10 intervals of its first day are not read',
    ],
    [
      'nobody acknowledged',
      running(gap('2026-11-20T00:00:00Z', '2026-11-27T11:00:00Z', 'UNACKNOWLEDGED')),
      '1 intervals of its first day are not acknowledged',
    ],
  ] as const)('%s', (_, found, words) => {
    const { report } = sign(site([good]), found);
    expect(report.state).toBe('pending');
    expect(report.open.join()).toContain(words);
  });
  test('what is missing before and behind that day, or is proven, does not keep it', () => {
    const others = running(
      gap('2026-11-20T00:00:00Z', '2026-11-27T10:00:00Z', 'UNACKNOWLEDGED'),
      gap('2026-11-28T10:00:00Z', '2026-11-28T12:00:00Z', 'PENDING'),
      gap('2026-11-27T12:00:00Z', '2026-11-27T13:00:00Z', 'MISSING'),
    );
    expect(sign(site([good]), others).report).toMatchObject({ state: 'final', open: [] });
  });
  test('one meter that is not good keeps the site open', () => {
    const bad: MeterRecord = {
      ...good,
      meter: 'm-2',
      result: 'failed',
      findings: [{ kind: 'ratio', severity: 'fault', what: 'w', next: 'n' }],
    };
    expect(sign(site([good, bad]), { meters: ['m-1', 'm-2'], gaps: [] }).report.open).toEqual([
      'm-2 (60120001): ratio',
    ]);
  });
  test('an empty site is not signed', () => {
    expect(() => sign(site([]), running())).toThrow('meter-gateway commission comes first');
  });
});

describe('the signature', () => {
  test('a report verifies from its file; with one letter changed, in the report or the signature, it does not', () => {
    const path = site([good]);
    const result = sign(path, running());
    expect(verified(result)).toMatchObject({ good: true });
    const [name = ''] = readdirSync(join(path, 'reports'));
    expect(verified(readSigned(join(path, 'reports', name)))).toMatchObject({ good: true });
    const changed = (change: Partial<Signed<unknown>>) => verified({ ...result, ...change });
    expect(changed({ report: { ...result.report, who: 'Bob' } })).toMatchObject({ good: false });
    expect(changed({ digest: result.digest.replace(/./, (digit) => (digit === '0' ? '1' : '0')) })).toMatchObject({
      good: false,
    });
    expect(changed({ signature: sign(site([good]), running()).signature })).toMatchObject({ good: false });
    expect(changed({ publicKey: 'nonsense' })).toMatchObject({ good: false });
  });
  test('the key is made once, for its user alone; one that others may read, or that is none, is not replaced in silence', () => {
    const path = site([good]);
    const first = sign(path, running());
    const key = join(path, 'signing-key.pem');
    expect(statSync(key).mode & 0o777).toBe(0o600);
    expect(sign(path, running(), '2026-11-28T13:00:00Z').publicKey).toBe(first.publicKey);
    expect(JSON.stringify(first)).not.toContain(readFileSync(key, 'utf8').split('\n')[1]);
    writeFileSync(key, 'TOP-SECRET');
    expect(() => sign(path, running())).toThrow(/no Ed25519 key/);
    expect(() => sign(path, running())).not.toThrow(/TOP-SECRET/);
  });
  test('canonical JSON does not hang on the order of keys', () => {
    expect(canonicalJson({ b: [1, { d: null, c: 'ä' }], a: undefined, A: 1 })).toBe(
      '{"A":1,"b":[1,{"c":"ä","d":null}]}',
    );
  });
});

test('no room at the sign-off: it says so, and records, reports and key are as they were', () => {
  const path = site([good]);
  sign(path, running());
  const before = readdirSync(path);
  // A file in the place of the folder stands for a disk that takes nothing.
  rmSync(join(path, 'reports'), { recursive: true });
  writeFileSync(join(path, 'reports'), '');
  expect(() => sign(path, running())).toThrow();
  expect(siteFolder(path).read('m-1')).toEqual(good);
  expect(before).toContain('signing-key.pem');
});

test('photos go when the report is final; what they were stays in it', () => {
  const path = site([good]);
  const photo = join(folder, 'photo.jpg');
  writeFileSync(photo, 'octets');
  siteFolder(path).attach('m-1', photo, 'seal 4711', '2026-11-28T10:02:00Z');
  sign(path, undefined);
  expect(readdirSync(join(path, 'attachments'))).toHaveLength(1);
  const { report } = sign(path, running(), '2026-11-29T10:02:00Z');
  expect(report.state).toBe('final');
  expect(readdirSync(join(path, 'attachments'))).toEqual([]);
  expect(report.meters[0]?.record.attachments).toMatchObject([{ note: 'seal 4711', bytes: 6 }]);
});

test('the page has nothing from outside, and no text of a meter acts in it', () => {
  const evil = '<script>alert(1)</script>\u0007';
  const html = reportHtml(sign(site([{ ...good, place: evil, point: `"${evil}`, who: evil }]), running()));
  expect(html).not.toMatch(/<script|\u0007/);
  expect(html).not.toMatch(/(src|href)=|url\(|@import|https?:/);
  expect(html).toContain('&#60;script&#62;');
  expect(html).toContain('@page{size:A4');
  expect(escaped(`<>&"'`)).toBe('&#60;&#62;&#38;&#34;&#39;');
});

test('a pending report becomes final by itself when nothing is open any more, once, and the central system hears of it', async () => {
  const state = mkdtempSync(join(folder, 'state-'));
  siteFolder(join(state, 'site')).write(good);
  const reports = join(state, 'site', 'reports');
  let gaps = [gap('2026-11-27T10:00:00Z', '2026-11-28T10:00:00Z', 'UNACKNOWLEDGED')];
  const events: unknown[] = [];
  const context = {
    force: {
      plan: { config: { gateway: { id: 'g', tenant: 't', state_directory: state } } },
      house: {
        snapshot: () => Promise.resolve({ ports: [{ meters: [{ meter: 'm-1' }] }] }),
        gaps: () => Promise.resolve(gaps),
      },
    },
    store: { commit: ({ facts }: { facts: unknown[] }) => Promise.resolve(events.push(...facts)) },
    log: { info: () => {}, warn: () => {}, error: () => {} },
    configPath: '',
    version: '0',
  } as unknown as Parameters<typeof finishSignOff>[0];
  await finishSignOff(context);
  expect(pendingSignOff(join(state, 'site'))).toBeUndefined();
  const gateway = { id: 'g', tenant: 't', version: '0' };
  signOff(
    { who: 'Anna', note: 'box 3 is open' },
    { folder: join(state, 'site'), gateway, running: { meters: ['m-1'], gaps }, at: '2026-11-28T11:00:00.000Z' },
  );
  expect(pendingSignOff(join(state, 'site'))).toEqual({ who: 'Anna', note: 'box 3 is open' });
  await finishSignOff(context);
  expect([readdirSync(reports).length, events.length]).toEqual([1, 0]);
  gaps = [];
  await finishSignOff(context);
  await finishSignOff(context);
  expect(
    readdirSync(reports)
      .map((name) => name.replace(/^.*-/, ''))
      .toSorted(),
  ).toEqual(['final.json', 'pending.json']);
  expect(events).toEqual([
    expect.objectContaining({
      name: 'SITE_SIGNED_OFF',
      detail: expect.objectContaining({ state: 'final', who: 'Anna' }) as object,
    }),
  ]);
});
