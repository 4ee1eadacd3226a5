/** Deviations stand around an honest server: what each makes of requests and answers, alone and together. */
import { expect, test } from 'vitest';
import { encode } from '../../src/base/codec.ts';
import type { Standing } from '../../src/dlms/association/server.ts';
import { asBlock, blockRefused, longAnswer, takeBlock } from '../../src/dlms/association/server-blocks.ts';
import { type Data, dataCodec } from '../../src/dlms/axdr/data.ts';
import { logicalNameOf } from '../../src/dlms/cosem/logical-name.ts';
import type { Apdu } from '../../src/dlms/xdlms/apdu.ts';
import { type Deviations, deviatingService } from '../../src/simulator/deviations.ts';

const invokeId = 0xc1;
const logicalName = logicalNameOf(Uint8Array.of(1, 0, 99, 1, 0, 255));
const get: Apdu = { kind: 'get-request-normal', invokeId, attribute: { classId: 7, logicalName, attribute: 2 } };
const next = (number: number): Apdu => ({ kind: 'get-request-next', invokeId, number });
const standing: Standing = { room: 14, proving: undefined, counters: { atEntry: 0, heard: 0 } };
const value: Data = { type: 'octet-string', value: Uint8Array.of(1, 2, 3) };

/** A server with one value, in blocks of two octets, that keeps what it was asked. */
function honest() {
  let long: ReturnType<typeof longAnswer> | undefined;
  const asked: Apdu[] = [];
  const answer = (request: Apdu): Apdu => {
    asked.push(request);
    if (request.kind === 'get-request-next') {
      if (long?.number === request.number) return asBlock('get', invokeId, takeBlock(long, standing.room));
      const underWay = long !== undefined;
      long = undefined;
      return blockRefused('get', invokeId, request.number, underWay);
    }
    if (request.kind === 'set-request-with-first-datablock') {
      const result = request.block.number === 1 ? 0 : 19;
      return { kind: 'set-response-last-datablock', invokeId, result, number: request.block.number };
    }
    long = longAnswer('get', encode(dataCodec, value));
    return asBlock('get', invokeId, takeBlock(long, standing.room));
  };
  return { answer, asked };
}
function meter(deviations: Deviations) {
  const { answer, asked } = honest();
  const service = deviatingService(deviations);
  const ask = (request: Apdu) => service(request, answer, standing);
  /** Block numbers and octets, as a client that asks for what comes next sees them. */
  const read = () => {
    const blocks: string[] = [];
    for (let request = get; ; ) {
      const block = ask(request);
      if (block.kind !== 'get-response-with-datablock' || !('raw' in block.result)) throw new Error(block.kind);
      blocks.push(`${block.number}:${Buffer.from(block.result.raw).toString('hex')}${block.last ? '.' : ''}`);
      if (block.last) return blocks.join(' ');
      request = next(block.number);
    }
  };
  return { ask, asked, read };
}

test.each<[Deviations, string, string]>([
  [{}, '1:0903 2:0102 3:03.', '1:0903 2:0102 3:03.'],
  [{ firstBlock: 'zero' }, '0:0903 1:0102 2:03.', '0:0903 1:0102 2:03.'],
  [{ firstBlock: 'goes-on' }, '1:0903 2:0102 3:03.', '4:0903 5:0102 6:03.'],
  [{ emptyBlock: 'middle' }, '1:0903 2: 3:0102 4:03.', '1:0903 2: 3:0102 4:03.'],
  [{ emptyBlock: 'last' }, '1:0903 2:0102 3:03 4:.', '1:0903 2:0102 3:03 4:.'],
  [{ firstBlock: 'goes-on', emptyBlock: 'last' }, '1:0903 2:0102 3:03 4:.', '5:0903 6:0102 7:03 8:.'],
  [{ firstBlock: 'zero', value: () => Uint8Array.of(0xff, 0, 1) }, '0:ff00 1:01.', '0:ff00 1:01.'],
  [{ emptyBlock: 'middle', value: () => undefined }, '1:0903 2: 3:0102 4:03.', '1:0903 2: 3:0102 4:03.'],
])('%j: the blocks of a value, twice', (deviations, first, again) => {
  const { read } = meter(deviations);
  expect([read(), read()]).toEqual([first, again]);
});

test.each<Deviations>([
  { firstBlock: 'zero' },
  { firstBlock: 'goes-on' },
  { emptyBlock: 'middle' },
  { value: () => undefined },
])('%j: a block that is not the next one is refused by the number that was asked for', (deviations) => {
  const { ask, read } = meter(deviations);
  read();
  ask(get);
  expect(ask(next(9))).toMatchObject({ kind: 'get-response-with-datablock', number: 9, result: { refused: 19 } });
});

test('a SET that is aborted was not taken by the server inside, even where it came in one block', () => {
  const { ask, asked } = meter({ abortsSet: true });
  const attribute = { classId: 1, logicalName, attribute: 2 };
  const block = { last: true, number: 1, raw: encode(dataCodec, value) };
  const answer = ask({ kind: 'set-request-with-first-datablock', invokeId, attribute, block });
  expect(answer).toEqual({ kind: 'set-response-last-datablock', invokeId, result: 17, number: 1 });
  expect(asked).toMatchObject([{ block: { number: 0 } }]);
});
