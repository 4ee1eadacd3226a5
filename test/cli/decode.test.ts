import { describe, expect, test } from 'vitest';
import { parseExchange } from '../../src/base/exchange-file.ts';
import { meterModels } from '../../src/config/meter-models.ts';
import { explain } from '../../src/recording/reader.ts';
import { Failure } from '../../src/base/errors.ts';
import { fromHex, toHex } from '../../src/base/hex.ts';
import { protect } from '../../src/dlms/security/protection.ts';
import { encodeApdu } from '../../src/dlms/xdlms/apdu.ts';
import { Secret } from '../../src/base/secret.ts';
import { cellOf, rowJson } from '../../src/reading/load-profile-row.ts';
import { formulaIndex, formulaRow, linesOf, traceNames, traceText, vectorText } from '../support/recorded.ts';

const explainTrace = (name: string) => explain(parseExchange(traceText(name)));
const keys = ['1-0:1.8.0*255', '1-0:2.8.0*255', '1-0:3.8.0*255', '1-0:4.8.0*255'];

test.each(traceNames)('%s: every frame is explained, nothing is unreadable', (name) => {
  const { frames, problems } = explainTrace(name);
  expect(problems).toEqual([]);
  expect(frames).toHaveLength(linesOf(name).length);
});

test('incident: stamps that leave their deviation open had no instant; with the model of the meter they have, else it is said why', () => {
  const nordic = meterModels().get('nordic');
  const ends = (model?: typeof nordic) =>
    explain(parseExchange(traceText('models/nordic.tap')), {}, model).rows.map(rowJson);
  expect(ends()[0]).toMatchObject({
    end: null,
    why: 'the deviation is left open, and the model has no stamp_deviation_min',
  });
  expect(ends(nordic)[0]).toMatchObject({ end: expect.stringMatching(/^2026-11-2\dT\d\d:00:00Z$/) });
});

describe('rows of the first meter follow the formula', () => {
  const traces = traceNames.filter((name) => /^(c-tcp-(hdlc|wrapper)-(none|lls|hls)|m744-)/.test(name));
  test.each(traces)('%s', (name) => {
    const { rows } = explainTrace(name);
    expect(rows).toHaveLength(name.startsWith('m744') ? 744 : 27);
    const indexes = rows.map((row) => {
      const i = formulaIndex(row.end as number);
      const expected = formulaRow(i);
      expect(row.end).toBe(expected.end);
      expect(row.status).toBe(expected.status);
      expect(row.channels.map(({ key }) => key)).toEqual(keys);
      expect(row.cells).toEqual(expected.values);
      return i;
    });
    const from = (Date.UTC(2026, 9, 10) - Date.UTC(2026, 8, 23)) / 3_600_000;
    const range = Array.from({ length: 24 }, (_, i) => from + i);
    expect(indexes).toEqual(name.startsWith('m744') ? Array.from({ length: 744 }, (_, i) => i) : [...range, 0, 1, 2]);
  });
  test('one row as it is printed', () => {
    const { rows } = explainTrace('c-tcp-wrapper-lls.tap');
    expect(rowJson(rows[0] as never)).toEqual({
      start: null,
      end: '2026-10-10T00:00:00Z',
      clock: '07ea0a0a0600000000000000',
      status: 0,
      values: {
        '1-0:1.8.0*255': { raw: '1142861', scaler: 0, unit: 'Wh' },
        '1-0:2.8.0*255': { raw: '2008160', scaler: null, unit: null },
        '1-0:3.8.0*255': { raw: '3030603', scaler: null, unit: null },
        '1-0:4.8.0*255': { raw: '4002040', scaler: null, unit: null },
      },
    });
  });
});

describe('rows of the second meter: 24 by range, 3 by entry, one column, hundredths not specified', () => {
  test.each(traceNames.filter((name) => name.startsWith('jm-')))('%s', (name) => {
    const { rows } = explainTrace(name);
    expect(rows).toHaveLength(27);
    rows.slice(0, 24).forEach((row, i) => {
      expect(row.end).toBe(Date.UTC(2026, 10, 20, i));
      expect(cellOf(row, '1-1:21.25.0*255')).toBe(BigInt(0x26ae + i));
    });
    rows.slice(24).forEach((row, i) => {
      expect(row.end).toBe(Date.UTC(2025, 9, 3, 11 + i));
      expect(cellOf(row, '1-1:21.25.0*255')).toBe(BigInt(1 + i));
    });
  });
});

describe('plain hex, without a recording around it', () => {
  test.each(['data24', 'apdu24', 'wrap24', 'wrapblk24', 'hdlc24', 'data744', 'apdu744', 'wrap744', 'wrapblk744'])(
    '%s',
    (name) => {
      const { rows, problems } = explain(parseExchange(vectorText(`${name}.hex`)));
      expect(problems).toEqual([]);
      expect(rows).toHaveLength(name.endsWith('744') ? 744 : 24);
      for (const row of rows) {
        const expected = formulaRow(formulaIndex(row.end as number));
        expect([row.status, ...row.cells]).toEqual([expected.status, ...expected.values]);
      }
    },
  );
});

describe('ciphered exchanges, with the keys', () => {
  const keys = {
    encryption: new Secret(fromHex('000102030405060708090A0B0C0D0E0F')),
    authentication: new Secret(fromHex('D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF')),
  };
  test.each(['c-tcp-hdlc-gmac.tap', 'c-tcp-wrapper-gmac.tap'])(
    '%s: rows follow the formula, both HLS proofs fit',
    (name) => {
      const { rows, problems, frames } = explain(parseExchange(traceText(name)), keys);
      expect(problems).toEqual([]);
      const text = frames.flatMap((frame) => frame.text).join('\n');
      expect(text).toContain('hls-gmac: proof of the client verified');
      expect(text).toContain('hls-gmac: proof of the meter verified');
      expect(rows).toHaveLength(27);
      for (const row of rows) {
        const expected = formulaRow(formulaIndex(row.end as number));
        expect([row.status, ...row.cells]).toEqual([expected.status, ...expected.values]);
      }
    },
  );
  test.each([
    [0x30, 'the tag fits'],
    [0x10, 'the tag fits'],
    [0x20, 'decrypted, not authenticated'],
    [0x21, 'decrypted, not authenticated'],
    [0x00, 'nothing proves who sent it'],
  ])('incident: security control %s was told as if it proved who sent it', (control, words) => {
    const title = fromHex('4d4d4d0000000001');
    const whole = { ...keys, authentication: keys.authentication };
    const content = protect(
      Uint8Array.of(0xc0, 1, 0xc1, 0, 1, 0, 0, 96, 1, 0, 255, 2, 0),
      { control, counter: 7, systemTitle: title },
      whole,
    );
    const apdu = encodeApdu({ kind: 'general-glo-ciphering', systemTitle: title, content });
    const { frames, problems } = explain(parseExchange(toHex(apdu)), keys);
    expect(problems).toEqual([]);
    const text = frames.flatMap((frame) => frame.text).join('\n');
    expect(text).toContain(`; ${words}), counter 7`);
    expect(text).toContain('get-request-normal');
  });
  test.each(['x-push.tap', 'push-notification.txt'])('%s deciphers', (name) => {
    const { problems, frames } = explain(parseExchange(traceText(name)), keys);
    expect(problems).toEqual([]);
    expect(frames.some(({ apdu }) => apdu !== undefined && 'content' in apdu)).toBe(false);
  });
  test.each(['glo24', 'glo744'])('%s.hex', (name) => {
    const { rows, problems } = explain(parseExchange(vectorText(`${name}.hex`)), keys);
    expect(problems).toEqual([]);
    expect(rows).toHaveLength(name === 'glo24' ? 24 : 744);
  });
  test.each(traceNames.filter((name) => /hls|jm-c-w/.test(name)))('%s: the proofs fit the secret', (name) => {
    const { problems, frames } = explain(parseExchange(traceText(name)), { secret: new Secret(Buffer.from('Gurux')) });
    expect(problems).toEqual([]);
    const text = frames.flatMap((frame) => frame.text).join('\n');
    expect(text).toMatch(/proof of the client verified/);
    expect(text).toMatch(/proof of the meter verified/);
  });
  test('wrong keys are said, and nothing is invented', () => {
    const wrong = explain(parseExchange(traceText('c-tcp-wrapper-gmac.tap')), {
      ...keys,
      authentication: keys.encryption,
    });
    expect(wrong.rows).toEqual([]);
    expect(wrong.problems.length).toBeGreaterThan(5);
    expect(wrong.problems[0]).toContain('the tag does not fit');
  });
});

test('refusals are explained', () => {
  const text = explainTrace('c-tcp-hdlc-badpw.tap')
    .frames.flatMap((frame) => frame.text)
    .join('\n');
  expect(text).toContain('AARE refused: authentication failure (13)');
});

describe('bad input', () => {
  test('no hex: line and offset', () => {
    expect(() => parseExchange('7e a0\nhello')).toThrow(/line 2, offset 0: 'h' is not a hex digit/);
    expect(() => parseExchange('0.1 -> 3 7e a0')).toThrow(/line 1, offset 2: 2 octets where the line says 3/);
    expect(() => parseExchange('7e a')).toThrow(Failure);
  });
  test('hex that is no frame: what and where', () => {
    expect(explain(parseExchange('99 88 77')).problems[0]).toMatch(/line 1, offset 0: no APDU has the tag 0x99/);
    expect(explain(parseExchange('7e a0 07 03 23 93 bf 33 7e')).problems[0]).toMatch(/damaged frame \(FCS\)/);
    expect(explain(parseExchange('00 01 00 01 00 11 00 40 c4')).problems[0]).toMatch(/ends inside a frame/);
    expect(explain(parseExchange('7e a0 07 03')).problems[0]).toMatch(/ends inside a frame/);
  });
});
