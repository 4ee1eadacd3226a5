/** Wrong configurations: each is named with line, key, whose it is and the next step, by check and by the start, all at once. */
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { type Finding, findingText, nextText } from '../../src/config/findings.ts';
import { judgeFile, judgeText, requirePlan } from '../../src/config/judge.ts';
import { checkSources, serviceSources } from '../../src/config/sources.ts';
import { defaultDoor } from '../../src/main/doors.ts';
import { opensslIn, selfSigned } from '../support/certificates.ts';
import { gateway, run } from '../support/programs.ts';
import { centralKey, nextKey, publicOf } from '../support/signed-order.ts';

const folder = mkdtempSync(join(tmpdir(), 'wrong-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const path = (name: string) => join(folder, name);
const put = (name: string, text: string | Uint8Array, mode = 0o600) => {
  writeFileSync(path(name), text);
  chmodSync(path(name), mode);
};
const openssl = opensslIn(folder);
for (const name of ['ca', 'other', 'old']) selfSigned(folder, name);
// Signed once more, for a year that is over.
put(
  'ca.cnf',
  '[ca]\ndefault_ca = c\n[c]\ndatabase = index\nserial = serial\nnew_certs_dir = .\ndefault_md = sha256\npolicy = p\n[p]\ncommonName = supplied\n',
);
put('index', '');
put('serial', '01');
openssl('req', '-new', '-key', 'old.key', '-subj', '/CN=old', '-out', 'old.csr');
const again = 'ca -batch -notext -selfsign -config ca.cnf -keyfile old.key -in old.csr -out old.pem';
openssl(...again.split(' '), '-startdate', '20200101000000Z', '-enddate', '20210101000000Z');
put('secret', 'hunter22\n');
put('empty', '\n');
put('open', 'hunter22\n', 0o644);
put('ek', '000102030405060708090A0B0C0D0E0F\n');
put('ek-copy', Buffer.from('000102030405060708090A0B0C0D0E0F', 'hex'));
put('ak', 'D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF\n');
put('short', 'hunter22\n');
put('half', '0001020304050607\n');
put('cut.pem', `${readFileSync(path('ca.pem'), 'utf8')}-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n`);
put('signing.pem', readFileSync(new URL('../vectors/ecdsa/client.key.pem', import.meta.url)));
put('meter.pem', readFileSync(new URL('../vectors/ecdsa/meter.pem', import.meta.url)));
put('central.jwk', JSON.stringify(publicOf(centralKey)));
put('next.jwk', JSON.stringify(publicOf(nextKey)));
put('private.jwk', JSON.stringify(centralKey));
put('adapter', '');
for (const name of ['by-id', 'another', 'outer', 'outer/its']) mkdirSync(path(name));
symlinkSync(path('adapter'), path('by-id/usb-FTDI'));
symlinkSync('/', path('root'));
for (const name of ['another', 'outer/its']) put(`${name}/provisioned.json`, '{}');

const sound: Readonly<Record<string, readonly string[]>> = {
  gateway: ['[gateway]', 'id = "gw"', 'tenant = "t"', `state_directory = "${folder}/state"`],
  mqtt: ['[mqtt]', 'url = "mqtt://localhost"'],
  log: ['[log]', 'level = "info"'],
  port1: ['[[port]]', 'name = "bus"', 'device = "/dev/ttyUSB7"', 'baud = 9600'],
  meter1: ['[[port.meter]]', 'id = "m1"', 'point = "643006966022791278"', 'serial = "60120001"', 'physical = 1001'],
  meter2: ['[[port.meter]]', 'id = "m2"', 'point = "p2"', 'serial = "60120002"', 'physical = 1002'],
  port2: ['[[port]]', 'name = "lan"', 'device = "tcp://10.0.0.7:4059"', 'link = "wrapper"'],
  meter3: ['[[port.meter]]', 'id = "m3"', 'point = "p3"', 'serial = "60120003"'],
  orders: ['[orders]', `keys = ["${folder}/central.jwk"]`],
  end: [],
};
/** Whose a section is, by what stands in it. */
function aboutOf(section: string, lines: readonly string[]): string {
  const kind = /^(port|meter)\d$/.exec(section)?.[1];
  if (kind === undefined) return section === 'mqtt' ? 'broker' : section;
  const name = lines.map((line) => /^(?:id|name) = "(.+)"/.exec(line)?.[1]).find((found) => found !== undefined);
  return `${kind} ${name ?? '*'}`;
}

interface Expected {
  readonly severity: string;
  readonly path: string;
  readonly says: string;
  readonly section: string;
  /** Of the text; undefined where the key does not stand there: that of the table. */
  readonly text: string | undefined;
}
interface Case {
  readonly name: string;
  readonly text: string;
  readonly expected: readonly (Expected & { readonly line: number; readonly about: string })[];
}
const keyOf = (line: string): string => /^\s*([^=\s]+)/.exec(line)?.[1] ?? '';

/** One edit of a section; gives what is to be said of it. */
function edit(sections: Record<string, string[]>, given: string): Expected[] {
  const [, section = '', adding, rest = ''] = /^(\w+)(\+?): ?(.*)$/.exec(given) ?? [];
  const [raw = '', ...expectations] = rest.split('#!');
  const text = raw.trim().replaceAll('$DIR', folder);
  const lines = sections[section] ?? [];
  const head = /^@head ?(.*)$/.exec(text);
  const gone = /^-(\w+)$/.exec(text)?.[1];
  const at = lines.findIndex((line, i) => i > 0 && keyOf(line) === keyOf(text));
  if (head) lines.splice(0, 1, head[1] as string);
  else if (gone !== undefined)
    lines.splice(
      lines.findIndex((line) => keyOf(line) === gone),
      1,
    );
  else if (adding === '' && at > 0 && section !== 'end') lines[at] = text;
  else lines.push(text);
  return expectations
    .filter((one) => one.trim() !== '')
    .map((one) => {
      const [, severity = 'error', absent, key = '', says = ''] =
        /^\s*(?:\[(\w+)\])?\s*(~?)([^|]*?)\s*\|\s*(.*?)\s*$/.exec(one) ?? [];
      return {
        severity,
        path: key,
        says,
        section,
        text: absent === '~' || gone !== undefined ? undefined : (head?.[1] ?? text),
      };
    });
}

function caseOf(block: string): Case {
  const [name = '', ...edits] = block.split('\n').filter((line) => line.trim() !== '');
  const sections = Object.fromEntries(Object.entries(sound).map(([key, lines]) => [key, [...lines]]));
  const edited = edits.flatMap((one) => edit(sections, one));
  const starts = new Map<string, number>();
  const lines: string[] = [];
  for (const [section, own] of Object.entries(sections)) {
    starts.set(section, lines.length);
    lines.push(...own);
  }
  const expected = edited.map((one) => {
    const start = starts.get(one.section) as number;
    const within = one.text === undefined ? 0 : (sections[one.section] ?? []).lastIndexOf(one.text);
    return { ...one, line: start + within + 1, about: aboutOf(one.section, sections[one.section] ?? []) };
  });
  return { name, text: `${lines.join('\n')}\n`, expected };
}
const cases = readFileSync(new URL('wrong-configurations.txt', import.meta.url), 'utf8')
  .split(/^== /m)
  .slice(1)
  .map(caseOf);

const shown = ({ severity, line, path: key, about }: Finding): string => `${line} ${severity} ${key} ${about}`;
const fileOf = ({ name, text }: Case): string => {
  put(`${name.replaceAll(/\W+/g, '-')}.toml`, text, 0o644);
  return path(`${name.replaceAll(/\W+/g, '-')}.toml`);
};

test('the sound one is sound, and there are enough wrong ones', () => {
  const { text } = caseOf('sound');
  expect(judgeText(text, { name: 'sound', sources: serviceSources }).findings).toEqual([]);
  expect(cases.length).toBeGreaterThanOrEqual(180);
  expect(new Set(cases.map(({ name }) => name)).size).toBe(cases.length);
});

describe('check names each with its line, key, whose it is, and the next step; nothing else, and no secret', () => {
  test.each(cases.map((one) => [one.name, one] as const))('%s', (_, one) => {
    const { findings } = judgeText(one.text, { name: 'c.toml', sources: checkSources });
    const expected = one.expected.map(({ line, severity, path: key, about }) => {
      const whose = key === '' ? 'file' : about === 'end' ? '*' : about;
      return `${line} ${severity} ${key} ${whose}`;
    });
    // Where a case takes the name away, or stands at the end of the file, it is called by its number or its own name.
    const nameless = expected.some((line) => line.endsWith('*'));
    const comparable = (line: string) => (nameless ? line.split(' ').slice(0, 3).join(' ') : line);
    expect(findings.map(shown).map(comparable).toSorted()).toEqual(expected.map(comparable).toSorted());
    for (const { says, path: key, line } of one.expected) {
      const here = findings.filter((finding) => finding.path === key && finding.line === line);
      expect(here.map(({ message }) => message).join('\n')).toContain(says);
    }
    for (const finding of findings) {
      expect(finding.next.length).toBeGreaterThan(10);
      expect(finding.fault).toBe('operator');
      expect(finding.column).toBeGreaterThan(0);
      expect(JSON.stringify(finding)).not.toContain('hunter22');
    }
  });
});
describe('the start names the same', () => {
  test.each(cases.map((one) => [one.name, one] as const))('%s', (_, one) => {
    const file = fileOf(one);
    const checked = judgeFile(file, { sources: checkSources });
    const started = judgeFile(file, { sources: serviceSources, door: defaultDoor });
    expect(started.findings.map((finding) => [findingText(finding), nextText(finding)])).toEqual(
      checked.findings.map((finding) => [findingText(finding), nextText(finding)]),
    );
    if (started.findings.some(({ severity }) => severity === 'error'))
      expect(() => requirePlan(started, file)).toThrow(findingText(started.findings[0] as Finding));
    else expect(requirePlan(started, file).findings).toEqual(started.findings);
  });
});

/** Those that the start refuses; one that it takes would run. */
const refused = cases.filter(({ expected }) => expected.some(({ severity }) => severity === 'error'));
describe('a file that is none', () => {
  test.each([
    ['nothing', () => path('nothing.toml'), /nothing\.toml does not exist\n.*next/],
    ['a folder', () => folder, / is a folder\n.*next/],
    ['a device without an end', () => '/dev/zero', /no regular file/],
    [
      'a text of Windows',
      () => (put('utf-16.toml', Buffer.from('\ufeff[gateway]\n', 'utf16le')), path('utf-16.toml')),
      /no text in UTF-8/,
    ],
  ])('%s', (_, file, says) => {
    expect(() => judgeFile(file(), { sources: checkSources })).toThrow(says);
  });
});

describe('and so do the programs', () => {
  test.each(refused.filter((_, i) => i % 16 === 0 || i > refused.length - 4).map((one) => [one.name, one] as const))(
    '%s',
    async (_, one) => {
      const file = fileOf(one);
      const { findings } = judgeFile(file, { sources: checkSources });
      for (const args of [
        ['config', 'check', file],
        ['run', '--config', file],
      ]) {
        const { code, err } = await run(gateway, args);
        expect(code).toBe(2);
        for (const finding of findings) {
          expect(err).toContain(findingText(finding));
          expect(err).toContain(nextText(finding).trim());
        }
      }
      const asJson = await run(gateway, ['config', 'check', '--json', file]);
      expect(
        asJson.out
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line) as Finding),
      ).toEqual(findings);
    },
  );
});
