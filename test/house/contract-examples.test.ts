/**
 * The published contract: each message of docs/contract/examples is what the gateway really publishes, and the schemas and
 * the AsyncAPI document beside them are judged by tools that are not ours. UPDATE_EXAMPLES=1 takes the examples anew.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Parser } from '@asyncapi/parser';
import { Ajv } from 'ajv';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  ackPayload,
  againPayload,
  birthPayload,
  healthPayload,
  statePayload,
  upPayload,
} from '../../src/contract/payloads.ts';
import { checked, isUnfit } from '../../src/contract/parse.ts';
import { holdCrypto } from '../support/held-crypto.ts';
import { hourMs, minute } from '../support/house-facts.ts';
import { root } from '../support/programs.ts';
import { order, signed } from '../support/signed-order.ts';
import { virtualHouse } from '../support/virtual-house.ts';

const folder = join(root, 'docs/contract');
const fileOf = (kind: string) => `${kind.replace('/', '-')}.json`;
const schemas = {
  state: statePayload,
  birth: birthPayload,
  health: healthPayload,
  profile: upPayload,
  gap: upPayload,
  reading: upPayload,
  event: upPayload,
  void: upPayload,
  manifest: upPayload,
  result: upPayload,
  'down/ack': ackPayload,
  'down/again': againPayload,
} as const;
type Kind = keyof typeof schemas;
const kinds = Object.keys(schemas) as Kind[];

/** A day and a half of two meters, one of them dark for three hours; an order; a record of the outbox that rots. */
async function published(): Promise<Map<Kind, unknown>> {
  const it = await virtualHouse(
    {
      meters: { count: 2 },
      fault: [{ kind: 'power-cut', meter: 1, from_s: 14 * 3600, to_s: 17 * 3600 }],
    },
    { days: 1, orders: { keys: ['/central.jwk', '/next.jwk'] } },
  );
  const release = await holdCrypto(it.clock);
  it.broker.connect();
  await it.run(20 * hourMs);
  it.broker.send('amr/v1/t1/g1/down/cmd', signed(order(it.clock.wall(), 'read')));
  await it.run(5 * minute);
  it.broker.disconnect();
  await it.run(2 * hourMs);
  const rotten = [...it.database.data].find(([key]) => key.startsWith('o/'));
  if (!rotten) throw new Error('nothing waits in the outbox');
  const octets = Uint8Array.from(rotten[1]);
  octets[30] = (octets[30] as number) ^ 4;
  await it.clock.complete(it.house.stop());
  it.database.data.set(rotten[0], octets);
  await it.restart();
  it.broker.connect();
  await it.run(2 * hourMs);
  await it.clock.complete(it.house.stop());
  release();
  const found = new Map<Kind, unknown>();
  const take = (kind: Kind, value: unknown) => void (found.has(kind) || found.set(kind, value));
  for (const { topic, payload } of it.broker.published) {
    const message = JSON.parse(payload) as { kind?: Kind; count?: number; name?: string };
    const status = (['state', 'birth', 'health'] as const).find((one) => topic.endsWith(`/${one}`));
    if (status) take(status, message);
    // The block that says most in few rows.
    else if (message.kind && (message.kind !== 'profile' || (message.count as number) >= 3))
      take(message.kind, message);
  }
  return found;
}

describe('the published contract', () => {
  let real: Map<Kind, unknown>;
  const example = (kind: Kind): unknown =>
    JSON.parse(readFileSync(join(folder, 'examples', fileOf(kind)), 'utf8')) as unknown;
  beforeAll(async () => {
    real = await published();
    // Neither the next release nor a new key of the configuration is another contract.
    const hash = '9a01f18054a5da13';
    real.set('birth', { ...(real.get('birth') as object), version: '0.2.0', configHash: hash });
    real.set('health', { ...(real.get('health') as object), configuration: { hash, refused: null } });
    real.set('down/ack', { epoch: (real.get('birth') as { epoch: number }).epoch, upTo: 41, seen: 43, nack: [40] });
    const { meter, series, start } = real.get('gap') as { meter: string; series: string; start: string };
    real.set('down/again', { meter, series, from: start, to: '2026-11-26T00:00:00Z' });
    if (process.env['UPDATE_EXAMPLES'] === undefined) return;
    mkdirSync(join(folder, 'examples'), { recursive: true });
    for (const kind of kinds)
      writeFileSync(join(folder, 'examples', fileOf(kind)), `${JSON.stringify(real.get(kind), null, 2)}\n`);
  });

  test.each(kinds)('%s: the example is what the gateway publishes, and fits the schema of run time', (kind) => {
    expect(example(kind), 'UPDATE_EXAMPLES=1 vitest run test/house/contract-examples.test.ts').toEqual(real.get(kind));
    const judged = checked(schemas[kind], real.get(kind));
    expect(isUnfit(judged) ? judged.unfit : 'fits').toBe('fits');
  });
  test.each(kinds)(
    '%s: its JSON Schema takes the example, and refuses what the schema of run time refuses for its form',
    (kind) => {
      const ajv = new Ajv({ strict: true, allErrors: true });
      const fits = ajv.compile(JSON.parse(readFileSync(join(folder, 'schemas', fileOf(kind)), 'utf8')) as object);
      const good = real.get(kind) as Record<string, unknown>;
      expect(fits(good), JSON.stringify(fits.errors)).toBe(true);
      let refused = 0;
      for (const name of Object.keys(good))
        for (const wrong of [undefined, null, -1, 1.5, 'x\u0000/', [], {}, [[]], true, 2 ** 60]) {
          const { [name]: _, ...rest } = good;
          const mutant = wrong === undefined ? rest : { ...rest, [name]: wrong };
          // An empty list is an empty table to valibot, and comes out as one.
          if (Array.isArray(wrong) && wrong.length === 0) continue;
          // A check sees more than JSON Schema can; the other way round one of the two would be wrong.
          const byUs = !isUnfit(checked(schemas[kind], mutant));
          if (!fits(mutant)) refused++;
          if (byUs) expect(fits(mutant), `${kind}.${name} = ${JSON.stringify(wrong)}`).toBe(true);
        }
      expect(refused).toBeGreaterThan(Object.keys(good).length);
    },
  );
  test('the AsyncAPI document is accepted by @asyncapi/parser, and has every topic, direction and example', async () => {
    const text = readFileSync(join(folder, 'asyncapi.json'), 'utf8');
    const { document, diagnostics } = await new Parser().parse(text);
    // 3.1 is out: we say 3.0, which more tools know.
    expect(diagnostics.filter(({ code }) => code !== 'asyncapi-latest-version')).toEqual([]);
    expect(
      document
        ?.allMessages()
        .all()
        .map((message) => message.name())
        .toSorted(),
    ).toEqual([...kinds].toSorted());
    for (const message of document?.allMessages().all() ?? [])
      expect(message.examples().all()[0]?.payload(), message.name()).toEqual(example(message.name() as Kind));
    expect(
      document
        ?.channels()
        .all()
        .map((channel) => channel.address())
        .toSorted(),
    ).toEqual([
      'amr/v1/{tenant}/{gateway}/birth',
      'amr/v1/{tenant}/{gateway}/down/ack',
      'amr/v1/{tenant}/{gateway}/down/again',
      'amr/v1/{tenant}/{gateway}/health',
      'amr/v1/{tenant}/{gateway}/state',
      'amr/v1/{tenant}/{gateway}/up/_/manifest',
      'amr/v1/{tenant}/{gateway}/up/_/result',
      'amr/v1/{tenant}/{gateway}/up/{meter}/event',
      'amr/v1/{tenant}/{gateway}/up/{meter}/gap',
      'amr/v1/{tenant}/{gateway}/up/{meter}/profile',
      'amr/v1/{tenant}/{gateway}/up/{meter}/reading',
    ]);
    const broken = await new Parser().parse(text.replace('"send"', '"shout"'));
    expect(broken.document).toBeUndefined();
  });
});
