/** A recording as a meter. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { Secret } from '../../src/base/secret.ts';
import type { LogicalName } from '../../src/dlms/cosem/logical-name.ts';
import { genericModel } from '../../src/meter/model.ts';
import { type Bench, type InjectedFault, startBench } from '../../src/simulator/bench.ts';
import { parseRecording, replayer } from '../../src/simulator/recording.ts';
import { readOf } from '../support/bench-read.ts';
import { meterWorld } from '../support/meter-world.ts';
import { folder } from '../support/programs.ts';
import { apdusOf, traceText } from '../support/recorded.ts';

let bench: Bench | undefined;
afterEach(() => bench?.close());
const pathOf = (name: string): string => new URL(`../traces/${name}`, import.meta.url).pathname;
const at = (logicalName: LogicalName, classId = 1) => ({ classId, logicalName, attribute: 2 });

test('an independent meter out of its recording: its name is what it was, and what was not asked then is an exception', async () => {
  const { clock, session, meter } = meterWorld(
    { meters: { replay: pathOf('c-tcp-hdlc-lls.tap'), max_info: 128 } },
    { secret: new Secret(Buffer.from('Gurux')), model: { ...genericModel, max_info: 128 } },
  );
  await clock.complete(session.connect());
  const name = await clock.complete(session.value(at('0.0.42.0.0.255')));
  expect(Buffer.from((name as { value: Uint8Array }).value).toString()).toMatch(/^GRX/);
  expect(meter.missing.filter((what) => !what.includes('AARQ'))).toEqual([]);
  await expect(clock.complete(session.value(at('0.0.97.97.9.255')))).rejects.toThrow();
});

test('each request of each recording is answered as it was, in its order, with the invoke id of whoever asks', () => {
  for (const name of ['c-tcp-hdlc-lls.tap', 'c-tcp-wrapper-lls.tap', 'm744-c-h-lls.tap', 'x-errors-lls.tap']) {
    const missing: string[] = [];
    const answer = replayer(parseRecording(traceText(name)), (what) => missing.push(what));
    const all = apdusOf(name);
    all.forEach(({ direction, octets }, i) => {
      const next = all[i + 1];
      if (direction === 'to-meter' && next?.direction === 'from-meter') expect(answer(octets)).toEqual(next.octets);
    });
    expect(missing, name).toEqual([]);
    const [get] = all.filter(({ octets }) => octets[0] === 0xc0);
    const other = Uint8Array.from(get?.octets ?? []);
    other[2] = 0x45;
    expect(answer(other)?.[2]).toBe(0x45);
  }
});

test('recorded from a meter by our own command, replayed, read again: the same words', async () => {
  const trace = join(folder, 'own.tap');
  const faults: InjectedFault[] = [];
  bench = await startBench({ bus: { kind: 'tcp' }, meters: { count: 2 } });
  const words = (text: string) => text.split('\n').filter((line) => /name|serial/.test(line));
  const live = await readOf(bench.devices[0] as string, { server: '1/1002', trace });
  await bench.close();
  bench = await startBench(
    { bus: { kind: 'tcp' }, meters: { replay: trace } },
    { injected: (fault) => faults.push(fault) },
  );
  expect(bench.meters()[0]).toMatchObject({ logical: 1, physical: 1002 });
  expect(words(await readOf(bench.devices[0] as string, { server: '1/1002' }))).toEqual(words(live));
  expect(words(live)).toHaveLength(2);
  expect(faults).toEqual([]);
});

test('what is not in it is an event, in words', async () => {
  const faults: InjectedFault[] = [];
  bench = await startBench(
    { bus: { kind: 'tcp' }, meters: { replay: pathOf('c-tcp-hdlc-lls.tap') } },
    { injected: (fault) => faults.push(fault) },
  );
  await readOf(bench.devices[0] as string, { timeout: '300', retries: '0' });
  const details = faults.map(({ kind, detail }) => `${kind}: ${detail}`);
  expect(details[0]).toContain('not-recorded: another AARQ');
  expect(details.slice(1).some((one) => one.includes('get-request'))).toBe(true);
});

test.each([
  ['a file of another kind', 'no hex at all', /line 1/],
  ['a recording of nobody', '# connect 1 -> 2\n', /no request of a client/],
  ['a client that was never answered', '0.1 -> 9 7e a0 07 03 23 93 bf 32 7e\n', /no request of a client/],
])('%s is refused by its name', async (_, text, words) => {
  const path = join(folder, 'refused.tap');
  writeFileSync(path, text);
  await expect(startBench({ meters: { replay: path } })).rejects.toThrow(words);
  await expect(startBench({ meters: { replay: path } })).rejects.toThrow(path);
});
test('a recording over the wrapper does not fit a bus of HDLC', async () => {
  await expect(startBench({ meters: { replay: pathOf('c-tcp-wrapper-lls.tap') } })).rejects.toThrow(/over wrapper/);
});
