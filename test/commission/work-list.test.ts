/** Work lists as offices and Excel write them: read where they can be, and else everything that is wrong with them, by line. */
import * as fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { listLines, readWorkList } from '../../src/commission/work-list.ts';
import { gsrnIsValid } from '../../src/config/schema.ts';

const models = new Set(['generic', 'idis', 'nordic']);
const read = (text: string | Uint8Array, wrongPoints: 'refuse' | 'warn' = 'refuse') =>
  readWorkList(typeof text === 'string' ? Buffer.from(text) : text, { models, wrongPoints });
const good = '643006966022791278';
const other = '643003825107340356';
const head = 'point,serial,place,fuse,transformer ratio';
const problemsOf = (text: string | Uint8Array) =>
  read(text).findings.map(({ severity, line, column, message }) =>
    [severity, line ?? '-', column ?? '-', message].join(' '),
  );

test('the list of the bench has 31 meters, and nothing is wrong with it', () => {
  const list = read(readFileSync(new URL('../../hardware/bench/worklist.csv', import.meta.url)));
  expect(list.findings).toEqual([]);
  expect(list.entries).toHaveLength(31);
  expect(list.entries[3]).toEqual({
    line: 5,
    point: '643000100000000044',
    serial: '60120004',
    place: 'Feeder 1 box 4',
    fuseA: 250,
    currentTransformer: { primary: 200, secondary: 5 },
    voltageTransformer: undefined,
    model: undefined,
    client: undefined,
    physical: undefined,
  });
});

describe('the same list, however it was written', () => {
  const cells = [
    ['point', 'serial', 'place', 'fuse', 'transformer ratio'],
    [good, '60120001', 'Feeder 1, box 1; left', '3x63 A', '200/5'],
    [other, '60120002', 'käytävä', '', ''],
  ];
  const rows = (sign: string, end: string) =>
    cells.map((row) => row.map((cell) => (/[,;\t]/.test(cell) ? `"${cell}"` : cell)).join(sign)).join(end) + end;
  const utf16 = (text: string) => Buffer.concat([Uint8Array.of(0xff, 0xfe), Buffer.from(text, 'utf16le')]);
  test.each<[string, string | Uint8Array]>([
    ['commas', rows(',', '\n')],
    ['semicolons, CR LF', rows(';', '\r\n')],
    ['tabs', rows('\t', '\n')],
    ['BOM', `\ufeff${rows(';', '\r\n')}`],
    ['UTF-16', utf16(rows('\t', '\r\n'))],
    ['sep= of Excel', `sep=;\r\n${rows(';', '\r\n')}`],
    ['empty lines and empty rows', rows(';', '\r\n\r\n').replace('\r\n\r\n', '\r\n;;;;\r\n')],
    ['other names of the columns', rows(';', '\n').replace('point;serial;place', 'Käyttöpaikka;Serial No.;Sijainti')],
    ['numbers kept from Excel', rows(';', '\n').replace(';60120001;', ';"=""60120001""";').replace(good, `'${good}`)],
  ])('%s', (_, text) => {
    const { entries, findings } = read(text);
    expect(findings).toEqual([]);
    expect(
      entries.map(({ point, serial, place, fuseA, currentTransformer }) => [
        point,
        serial,
        place,
        fuseA,
        currentTransformer,
      ]),
    ).toEqual([
      [good, '60120001', 'Feeder 1, box 1; left', 63, { primary: 200, secondary: 5 }],
      [other, '60120002', 'käytävä', undefined, undefined],
    ]);
  });
  test('western Windows is read, and said', () => {
    const { entries, findings } = read(Buffer.from(rows(';', '\r\n'), 'latin1'));
    expect(entries[1]?.place).toBe('käytävä');
    expect(findings).toMatchObject([
      { severity: 'warning', message: 'is not UTF-8: read as a file of western Windows' },
    ]);
  });
});

describe('what is wrong is said by line and column, all of it at once', () => {
  test('Excel lost the digits', () => {
    expect(problemsOf(`${head}\n6.43E+17,6.01E+07,a,63,\n643006966022791000,"6,01E+07",b,63,\n`)).toEqual([
      'error 2 point 6.43E+17: the digits are lost',
      'error 2 serial 6.01E+07: the digits are lost',
      'error 3 point 643006966022791000 has a wrong GS1 check digit (a table program keeps 15 digits, and writes 0 for the rest)',
      'error 3 serial 6,01E+07: the digits are lost',
    ]);
    expect(read(`${head}\n${good},6.01E+07,a,63,\n`).findings[0]?.next).toContain('format "text"');
  });
  test('twice the same serial number or point, also with zeros before it', () => {
    expect(problemsOf(`${head}\n${good},60120001,a,,\n${other},060120001,b,,\n${good},7,c,,\n`)).toEqual([
      'error 3 serial 060120001 stands in line 2 already',
      `error 4 point ${good} stands in line 2 already`,
    ]);
  });
  test('missing, doubled and unknown columns', () => {
    expect(problemsOf(`point,place\n${good},a\n`)).toEqual([
      "error 1 - there is no column 'serial'",
      "warning 1 - there is no column 'fuse'",
      "warning 1 - there is no column 'transformer ratio'",
    ]);
    expect(problemsOf(`point,serial,seriall,Meter,place,fuse,ratio\n${good},1,2,3,,,\n`)).toEqual([
      "warning 1 seriall nobody reads this column; did you mean 'serial'?",
      "error 1 Meter the same column as 'serial'",
    ]);
    expect(problemsOf('a;b\n1;2\n')).toContain("error 1 - there is no column 'point'");
  });
  test('cells that are none of the kind', () => {
    const row = (more: string) =>
      problemsOf(`${head},model,client,physical\n${good},60120001,a,${more}\n`).map((one) => one.slice(8));
    expect(row('fast,Feb 00,idiss,200,x')).toEqual([
      "fuse 'fast' is no fuse",
      "transformer ratio 'Feb 00' is no transformer ratio",
      "model there is no model 'idiss'; did you mean 'idis'?",
      "client '200' is no whole number from 1 to 127",
      "physical 'x' is no whole number from 0 to 16383",
    ]);
    expect(row('63,5/200,,,')).toEqual(["transformer ratio '5/200' is no transformer ratio"]);
    expect(row('63,direct,idis,1,17,too,many')).toEqual(["row has more cells than the first line: 'too'"]);
    expect(problemsOf(`${head}\n,,somewhere,,\n`)).toEqual(['error 2 point is empty', 'error 2 serial is empty']);
    expect(problemsOf(`${head}\n${good},0000,,,\n`)).toEqual(["error 2 serial '0000' is no serial number"]);
  });
  test('the wrong check digit of R34 is refused, or warned of', () => {
    const text = `${head}\n643006966022791277,60120001,a,63,\n`;
    expect(read(text).findings).toMatchObject([{ severity: 'error', line: 2 }]);
    expect(read(text, 'warn').findings).toMatchObject([{ severity: 'warning', line: 2 }]);
    expect(problemsOf(`${head}\n64300696602279127,60120001,a,63,\n`)).toEqual([
      'warning 2 point has 17 digits, and a GSRN has 18',
    ]);
  });
  test('no list at all', () => {
    expect(problemsOf('')).toEqual(['error - - is empty']);
    expect(problemsOf(`${head}\n`)).toEqual(['error - - names no meter']);
    expect(problemsOf(new Uint8Array(2 << 20))[0]).toMatch(/at most 1048576/);
    expect(problemsOf(`${head}\n${'x,y,,,\n'.repeat(1001)}`)).toEqual(['error - - has more than 1000 rows']);
    expect(problemsOf(`${head}\n${good},"60120001,a,63,\n`)[0]).toMatch(/^error \d - is no CSV: /);
  });
  test('lines to print', () => {
    expect(listLines('list.csv', read(`${head}\n${good},6.01E+07,a,63,\n`).findings)).toEqual([
      'list.csv:2: serial: 6.01E+07: the digits are lost',
      '    next: In the table program, give the column the format "text", put the numbers in again, and export once more.',
    ]);
  });
});

describe('whatever comes in', () => {
  test('octets that are no list are judged, never thrown of', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (octets) => {
        const { findings, entries } = read(octets);
        expect(entries.length === 0 ? findings.length : 1).toBeGreaterThan(0);
      }),
    );
  });
  test('what was written comes out again, with any separator and quotes', () => {
    const text = fc.stringMatching(/^[A-Za-zäö][A-Za-z0-9 ,;"äö-]{0,20}[a-z]$/);
    const digits = fc.stringMatching(/^[1-9]\d{16}$/);
    const point = digits.map((some) => Array.from({ length: 10 }, (_, i) => some + i).find(gsrnIsValid) as string);
    const row = fc.record({ point, serial: fc.stringMatching(/^[1-9]\d{5,9}$/), place: text });
    const rows = fc.uniqueArray(row, { minLength: 1, maxLength: 20, selector: ({ serial }) => serial });
    const quoted = (cell: string) => `"${cell.replaceAll('"', '""')}"`;
    fc.assert(
      fc.property(rows, fc.constantFrom(',', ';', '\t'), fc.boolean(), (all, sign, crlf) => {
        fc.pre(new Set(all.map((one) => one.point)).size === all.length);
        const lines = [head.replaceAll(',', sign)];
        for (const one of all) lines.push([one.point, one.serial, quoted(one.place), '', ''].join(sign));
        const { entries, findings } = read(lines.join(crlf ? '\r\n' : '\n'));
        expect(findings).toEqual([]);
        expect(entries.map(({ point, serial, place }) => ({ point, serial, place }))).toEqual(all);
      }),
    );
  });
});
