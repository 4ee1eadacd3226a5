/** Incident: a meter's name with ESC ] 0 ; changed the title of the technician's terminal, and a line of its own said "next:". */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert, property, string } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encode } from '../../src/base/codec.ts';
import { Failure } from '../../src/base/errors.ts';
import { toHex } from '../../src/base/hex.ts';
import { visible } from '../../src/base/visible.ts';
import { fitting, folded } from '../../src/cli/terminal.ts';
import { type Data, dataCodec } from '../../src/dlms/axdr/data.ts';
import { encodeApdu } from '../../src/dlms/xdlms/apdu.ts';
import type { SeriesGap } from '../../src/schedule/series-gaps.ts';
import { serveStatus } from '../../src/desk/server.ts';
import type { LocalAnswers } from '../../src/desk/routes.ts';
import type { HeldRows, Snapshot } from '../../src/status/snapshot.ts';
import { folder, gateway, root, run, simulate } from '../support/programs.ts';

/** Title, clear screen, C1 CSI, DEL, overrides, isolates, zero width, separators, tags, a filler, a line of its own. */
const nasty =
  'A\u001b]0;owned\u0007\u001b[2J\u009b31m\u007f\u202eevil\u2066\u200b\u200f\ufeff\u2028\u{e0041}\u3164\u00ad\r\nnext: rm -rf /';
/** As it may stand where a meter can only say one octet for each character. */
const nastyOctets = Buffer.from('A\u001b]0;owned\u0007\u001b[2J\u009b31m\u007f\r\nnext: rm -rf /', 'latin1');
const acts = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\u3164]/u;

/** Nothing acts, and no line is a stranger's. */
function expectTame(output: string): void {
  for (const line of output.split('\n')) {
    expect(line).not.toMatch(acts);
    expect(line).not.toMatch(/^next: rm/);
  }
}

describe('a screen of 80 columns', () => {
  test('incident: errors, findings and decoded frames ran over the edge, and words were cut by the terminal', () => {
    const lines = [
      'next: Mend key, password or client address first, then try once with --force (`meter-gateway poll METER --force`).',
      'gw.toml:5:1: gateway.clock_trust: warning: the kernel says that nothing keeps its clock right: does a time service run?',
      '    next (gateway): Set the clock (timedatectl set-time) or let a time server set it (timedatectl timesync-status).',
      '13:36:19.724 ← AARE accepted; initiate-response version 6, max PDU 1024, block-transfer-with-get-or-read selective-access',
    ];
    for (const line of lines) {
      const parts = folded(line, 80);
      expect(parts.length).toBeGreaterThan(1);
      for (const part of parts) expect(part.length).toBeLessThanOrEqual(80);
      expect(parts.join(' ').replace(/ +/g, ' ')).toBe(line.replace(/ +/g, ' '));
    }
    expect(folded(lines[2] ?? '', 80)[1]).toMatch(/^ {20}\S/);
    expect(folded('columns   that   fit', 80)).toEqual(['columns   that   fit']);
  });
  test('incident: the watched status ended at the last row of the screen, and nothing said that meters were left out', () => {
    const lines = Array.from({ length: 40 }, (_, i) => `line ${i}`);
    expect(fitting(lines, 24)).toHaveLength(23);
    expect(fitting(lines, 24).at(-1)).toBe('… 18 more lines: a higher screen, or without --watch');
    expect(fitting(lines.slice(0, 23), 24)).toEqual(lines.slice(0, 23));
  });
});

describe('one line', () => {
  test('each of them is seen, and the rest stays as it is', () => {
    expectTame(visible(nasty));
    expect(visible('a\u001b[2J\u009b\u202e')).toBe('a\\u001b[2J\\u009b\\u202e');
    expect(visible('\u{e0041}\ud800')).toBe('\\udb40\\udc41\\ud800');
    const people = 'Zähler Mäkelä, Ωμέγα, 電力計, 𝄞, 25 °C · » ✓ × 10³ {"a":"\\n"}';
    expect(visible(people)).toBe(people);
  });
  test('JSON stays the same value', () => {
    assert(
      property(string({ unit: 'binary' }), (text) => {
        const line = visible(JSON.stringify({ text }));
        expect(line).not.toMatch(acts);
        expect(JSON.parse(line)).toEqual({ text });
      }),
    );
  });
});

test('nobody else writes to the screen', () => {
  const doors = new Set([
    'src/cli/terminal.ts',
    // Prompts and a count of octets, without any text of a stranger.
    'src/cli/connection.ts',
    'src/cli/secret.ts',
    // A child whose standard error the daemon reads.
    'src/disk/salvage.ts',
    // A service of its own, whose one line the gateway reads.
    'src/main/kernel-clock.ts',
    // Before anything else is loaded.
    'src/base/needed-node.ts',
    // Another program, with the same function around what is not its own.
    'src/simulator/program.ts',
    'src/central/program.ts',
    'src/office/program.ts',
  ]);
  const found = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .map((path) => `src/${path}`)
    .filter((path) =>
      /\bstd(out|err)\b[^\n]*\.write|\{ std(out|err) \} = process|process\.std(out|err)\.write|console\./.test(
        readFileSync(join(root, path), 'utf8'),
      ),
    );
  expect(found.filter((path) => !doors.has(path))).toEqual([]);
  for (const path of ['src/cli/connection.ts', 'src/cli/secret.ts']) {
    for (const [, text] of readFileSync(join(root, path), 'utf8').matchAll(/std(?:out|err)\.write\((.*)\)/g))
      expect(text, path).toMatch(/^('[^']*'|question|`\\r\$\{octets\} octets`)\)?/);
  }
});

const text = (octets: Uint8Array): Data => ({ type: 'octet-string', value: octets });
const named = (value: Data) => toHex(encode(dataCodec, value));

describe('a meter', () => {
  const file = join(folder, 'nasty.json');
  const utf8: Data = { type: 'utf8-string', value: nasty };
  const latin: Data = { type: 'visible-string', value: nastyOctets.toString('latin1') };
  const object = (id: number, name: string, values: readonly (Data | undefined)[]) => ({
    class: id,
    className: 'x',
    version: 0,
    name,
    attributes: values.map((value, i) => ({
      id: i + 2,
      attribute: 'x',
      access: 1,
      ...(value && { value: named(value) }),
    })),
    methods: [],
  });
  writeFileSync(
    file,
    JSON.stringify({
      snapshot: 1,
      taken: '2026-11-28T00:00:00.000Z',
      objects: [
        object(15, '0-0:40.0.0*255', [undefined]),
        object(1, '0-0:42.0.0*255', [text(nastyOctets)]),
        object(1, '0-0:96.1.0*255', [latin]),
        object(1, '0-0:96.1.1*255', [utf8]),
      ],
    }),
  );
  test('read, browse and decode, as text, JSON and XML', async () => {
    const { device } = await simulate(['--snapshot', file, '--tcp', '0']);
    const trace = join(folder, 'nasty.trace');
    const commands = [
      ['read', device, '--trace', trace],
      ['read', device, '--json'],
      ['read', device, '--object', '0-0:96.1.0', '--object', '0-0:96.1.1', '--object', '0-0:42.0.0'],
      ['read', device, '--json', '--object', '0-0:96.1.0', '--object', '0-0:96.1.1'],
      ['browse', device],
      ['browse', device, '--json'],
      ['decode', trace],
      ['decode', trace, '--json'],
      ['decode', trace, '--xml'],
    ];
    for (const command of commands) {
      const { out, err } = await run(gateway, command);
      expect(out.length, command.join(' ')).toBeGreaterThan(20);
      expectTame(out);
      expectTame(err);
    }
    const { out } = await run(gateway, ['read', device, '--json', '--object', '0-0:96.1.1']);
    expect(JSON.parse(out)).toMatchObject({ value: { 'utf8-string': nasty } });
  });

  test('decode of a value in XML keeps it', async () => {
    const apdu = encodeApdu({ kind: 'get-response-normal', invokeId: 1, result: { data: utf8 } });
    const { out } = await run(gateway, ['decode', '--xml'], { input: toHex(apdu) });
    expectTame(out);
    expect(out).toContain('&#x202e;evil');
    expect(out).toContain('&#x9b;31m');
  });
});

describe('the gateway', () => {
  const gap = { meter: nasty, point: nasty, serial: nasty, series: nasty, from: nasty, to: nasty, intervals: 1 };
  const house: Partial<LocalAnswers> = {
    snapshot: () =>
      Promise.resolve({
        gateway: nasty,
        version: nasty,
        boot: '',
        at: '',
        uptimeS: 1,
        rssBytes: 1,
        broker: { connected: false, trouble: nasty, sent: 0, acknowledged: 0, sentAgain: 0 },
        configuration: { hash: nasty, since: nasty, warnings: [nasty], refused: { at: nasty, why: nasty } },
        time: { trust: 'untrusted', trouble: nasty },
        store: { pending: 0, failure: nasty, damage: { quarantined: 0, missing: 0, log: [] } },
        ports: [
          {
            name: nasty,
            device: nasty,
            open: false,
            error: nasty,
            activity: nasty,
            trouble: nasty,
            meters: [
              {
                meter: nasty,
                verdict: nasty,
                intervalsRead: 0,
                intervalsMissing: 0,
                damagedFrames: 0,
                repeatedFrames: 0,
                lastSuccess: nasty,
                clockDeviationS: 1,
                alarms: [nasty],
                ways: [nasty],
                lastError: nasty,
                nextStep: nasty,
              },
            ],
          },
        ],
      } as unknown as Snapshot),
    gaps: () => Promise.resolve([{ ...gap, state: nasty } as unknown as SeriesGap]),
    quarantine: () => Promise.resolve([{ meter: nasty, serial: nasty, messages: 1, from: '', to: '' } as HeldRows]),
    readNow: (meter) =>
      meter === 'm'
        ? Promise.resolve({
            kind: 'reading',
            meter: nasty,
            serial: nasty,
            readAt: nasty,
            registers: { [nasty]: { raw: nasty, scaler: 1, unit: nasty } },
            clockDeviationS: null,
          } as never)
        : Promise.reject(new Failure('identity-mismatch', nasty)),
  };
  test('status, gaps, quarantine and poll, as text and JSON; refusals too', async () => {
    const socket = join(folder, 'nasty.sock');
    // Members that this test does not know may be missing in a snapshot made by hand: what is printed is the matter.
    const close = await serveStatus(socket, () => house as LocalAnswers);
    for (const command of [['status'], ['gaps'], ['quarantine'], ['poll', 'm'], ['poll', 'other']]) {
      for (const style of [[], ['--json']]) {
        const { out, err } = await run(gateway, [...command, '--socket', socket, ...style]);
        expect(out.length + err.length, command.join(' ')).toBeGreaterThan(20);
        expect(`${out}${err}`, command.join(' ')).toContain('\\u202eevil');
        expectTame(out);
        expectTame(err);
      }
    }
    const { out } = await run(gateway, ['status', '--json', '--socket', socket]);
    expect((JSON.parse(out) as Snapshot).gateway).toBe(nasty);
    await close();
  });
  test('a configuration, an option, a file name', async () => {
    const config = join(folder, 'nasty.toml');
    writeFileSync(config, `[gateway]\nid = ${JSON.stringify(nasty)}\n${JSON.stringify(nasty)} = 1\n`);
    for (const command of [
      ['config', 'check', config],
      ['status', `--${nasty}`],
      [nasty],
      ['decode', join(folder, nasty)],
      ['read', `tcp://127.0.0.1:1/${nasty}`],
    ]) {
      const { err } = await run(gateway, command);
      expect(err).not.toBe('');
      for (const line of err.split('\n')) expect(line).not.toMatch(acts);
    }
  });
});
