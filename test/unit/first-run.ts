/**
 * The first run by the page's own requests, as a process in the network of another machine: `first-run.ts LINK DEVICE PASSWORD BROKER`.
 * It says a line of JSON for each step, and ends with 1 where one is not as it should be.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ScanEvent } from '../../src/commission/scan.ts';
import type { WorkList } from '../../src/commission/work-list.ts';
import type { BrokerTest, EffectiveConfiguration, Written } from '../../src/setup/rows.ts';
import { enter, lineOf, metersFound, twoMeters } from '../support/setup-page.ts';

const [link = '', device = '', password = '', broker = ''] = process.argv.slice(2);
const publish = (step: string, what: unknown) => process.stdout.write(`${JSON.stringify({ step, what })}\n`);
const required = (step: string, good: boolean, what: unknown) => {
  publish(step, what);
  if (!good) process.exit(1);
};

const page = await enter({ url: link });
required('mode', (await page.mode()) === 'first-run', await page.mode());
const { entries } = (await page.ask<WorkList>('/v1/setup/work-list', { octets: twoMeters })).body;
const events = await page.lines<ScanEvent>('/v1/setup/scan', { device, entries });
const found = metersFound(events);
required(
  'scan',
  found.length === 2,
  found.map(({ serial }) => serial),
);
const parts = [
  { lines: [lineOf(device, entries, found)] },
  { site: { id: 'g', tenant: 't', timeZone: 'Europe/Helsinki' } },
  { broker: { url: broker, protocol: '5', username: '', password: false, ca: null, certificate: null } },
];
for (const part of parts) {
  const { status, body } = await page.ask('/v1/setup/enter', part);
  required('enter', status === 200, body);
}
await page.ask('/v1/setup/secret', { name: 'bus-1-password', secret: password });
const tried = (await page.ask<BrokerTest>('/v1/setup/broker', {})).body;
required('broker', tried.wrong.length === 0, tried);
const effective = (await page.ask<EffectiveConfiguration>('/v1/setup/configuration')).body;
required('configuration', effective.good && !effective.text.includes(password), effective.findings);
const written = (await page.ask<Written>('/v1/setup/write', {})).body;
required('write', written.outcome === 'restarts', written);
// The same session goes on at the gateway that is started with what was written.
while ((await page.mode()) !== 'running') await sleep(100);
publish('running', (await page.ask<{ version: string }>('/v1/status')).body.version);
process.exit();
