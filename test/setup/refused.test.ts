/** A configuration that is refused, or cannot be used: the page says what, where, whose and the next step; mended, the gateway starts by itself. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { ifNobody, nobody, notAsNobody } from '../support/nobody.ts';
import type { SetupState } from '../../src/setup/rows.ts';
import { freePort, until } from '../support/broker.ts';
import { configuration } from '../support/configuration.ts';
import { gateway as program, run } from '../support/programs.ts';
import { type SetupGateway, setupGateway } from '../support/setup-gateway.ts';

const folder = mkdtempSync(join(tmpdir(), 'refused-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let count = 0;

/** A folder with a configuration, its state beside it; the service is a user that is not root. */
interface Planted {
  readonly etc: string;
  readonly state: string;
  readonly config: string;
  /** A sound file. */
  readonly text: string;
}
async function wrong(plant: (at: Planted) => void): Promise<{
  readonly gateway: SetupGateway;
  readonly state: () => Promise<SetupState>;
  readonly good: () => void;
  readonly page: Awaited<ReturnType<SetupGateway['enter']>>;
}> {
  const own = join(folder, String(count++));
  const etc = join(own, 'etc');
  const state = join(own, 'state');
  const config = join(etc, 'gateway.toml');
  for (const one of [folder, own]) {
    mkdirSync(one, { recursive: true });
    chmodSync(one, 0o777);
  }
  mkdirSync(etc);
  const port = await freePort();
  const text = configuration({ gateway: { state_directory: state }, page: { listen: `127.0.0.1:${port}` } });
  plant({ etc, state, config, text });
  const gateway = await setupGateway(own, { port, uid: nobody });
  const page = await gateway.enter();
  const good = () => {
    rmSync(config, { recursive: true, force: true });
    writeFileSync(config, text, { mode: 0o644 });
  };
  return { gateway, page, good, state: () => page.state() };
}
const runs = (gateway: SetupGateway) =>
  until(() => gateway.out().includes('gateway runs'), 'the gateway runs').catch((error: unknown) => {
    throw new Error(`${String(error)} ${gateway.out()}`);
  });

interface Kind {
  readonly what: string;
  readonly plant: Parameters<typeof wrong>[0];
  readonly expected: RegExp;
  readonly line?: number;
  readonly code?: string;
}
const kinds: readonly Kind[] = [
  {
    what: 'a value of the wrong kind',
    plant: ({ config, text }) => writeFileSync(config, text.replace('id = "g"', 'id = 1'), { mode: 0o644 }),
    expected: /a text in quotes is expected, not 1/,
    line: 2,
  },
  {
    what: 'no TOML',
    plant: ({ config, text }) => writeFileSync(config, text.replace('tenant = "t"', 'tenant = "t'), { mode: 0o644 }),
    expected: /is no TOML/,
    line: 3,
  },
  { what: 'a folder', plant: ({ config }) => mkdirSync(config), expected: /is a folder/ },
  {
    what: 'a link to nowhere',
    plant: ({ config }) => symlinkSync('/nowhere/gateway.toml', config),
    expected: /does not exist/,
  },
  {
    what: 'no right to read it',
    plant: ({ config, text }) => writeFileSync(config, text, { mode: 0o600 }),
    expected: /cannot be read by uid/,
  },
  {
    what: 'no UTF-8',
    plant: ({ config }) => writeFileSync(config, Buffer.from([0xff, 0xfe, 0x41]), { mode: 0o644 }),
    expected: /UTF-8/,
  },
  { what: 'an empty file', plant: ({ config }) => writeFileSync(config, '', { mode: 0o644 }), expected: /is empty/ },
  {
    what: 'a secret that is missing',
    plant: ({ config, text, etc }) =>
      writeFileSync(config, text.replace('[mqtt]', `[mqtt]\nusername = "u"\npassword = "file:${etc}/absent"`), {
        mode: 0o644,
      }),
    expected: /absent does not exist/,
    line: 7,
    code: 'secret-missing',
  },
  {
    what: 'a state directory that it may not write',
    plant: ({ config, text, state }) => {
      mkdirSync(state, { mode: 0o755 });
      writeFileSync(config, text, { mode: 0o644 });
    },
    expected: /cannot be written by uid/,
    line: 4,
  },
  {
    what: 'a state directory that is a file',
    plant: ({ config, text, state }) => {
      writeFileSync(state, '');
      writeFileSync(config, text, { mode: 0o644 });
    },
    expected: /is no folder/,
    line: 4,
  },
];

describe.skipIf(notAsNobody !== undefined)(`a refused configuration${ifNobody}`, () => {
  test('each kind is said at its place, never becomes a first run, and when it is mended the gateway starts', async () => {
    let at: Planted | undefined;
    const { gateway, page, state, good } = await wrong((planted) => {
      at = planted;
      writeFileSync(planted.config, '[gateway', { mode: 0o644 });
    });
    const { etc, state: stateFolder, config, text } = at as unknown as Planted;
    for (const { what, plant, expected, line, code } of kinds) {
      for (const path of [config, stateFolder]) rmSync(path, { recursive: true, force: true });
      plant({ etc, state: stateFolder, config, text });
      await page.ask('/v1/setup/again', {});
      expect(await page.mode(), what).toBe('refused');
      const { findings, mode, draft } = await state();
      expect({ mode, draft }, what).toEqual({ mode: 'refused', draft: null });
      const [finding] = findings.filter(({ severity }) => severity === 'error');
      expect(finding?.message, what).toMatch(expected);
      const next = expect.stringMatching(/./) as string;
      expect(finding, what).toMatchObject({ line: line ?? null, fault: 'operator', next });
      if (code !== undefined) expect(finding?.code).toBe(code);
      // The line is there as it stands in the file.
      if (line !== undefined) expect(finding?.text, what).not.toBeNull();
      // It never becomes a first run: nothing is entered or written.
      const site = { id: 'a', tenant: 'b', timeZone: 'UTC' };
      expect((await page.ask('/v1/setup/enter', { site })).status, what).toBe(409);
      expect((await page.ask('/v1/setup/write', {})).status, what).toBe(409);
    }
    // Of the last kind the file is good, and the state directory is mended.
    rmSync(stateFolder);
    good();
    await page.ask('/v1/setup/again', {});
    await runs(gateway);
    await until(async () => (await page.mode()) === 'running', 'the same session is at the running gateway');
  }, 60_000);

  test('a file that is mended is seen by itself; the terminal says the same as the page', async () => {
    const { gateway, good } = await wrong(({ config, text }) =>
      writeFileSync(config, text.replace('"g"', '1'), { mode: 0o644 }),
    );
    const socket = join(gateway.config, '../../run/status.sock');
    const status = await run(program, ['status', '--socket', socket]);
    expect(status.code).toBe(2);
    expect(status.err).toMatch(/gateway\.toml:2:\d+: gateway\.id/);
    expect((await run(program, ['reload', '--socket', socket])).code).toBe(2);
    good();
    await runs(gateway);
  }, 60_000);

  test('a reload of the unit takes a mended file, and waits for the outcome', async () => {
    const { gateway, good } = await wrong(({ config }) => writeFileSync(config, '[gateway', { mode: 0o644 }));
    good();
    const reload = await run(program, ['reload', '--socket', join(gateway.config, '../../run/status.sock')]);
    expect(`${reload.err}${reload.code}`).toBe('0');
    await runs(gateway);
  }, 60_000);

  test('incident: a secret in the place of its reference stood on the page with its line', async () => {
    const { state } = await wrong(({ config, text }) =>
      writeFileSync(config, text.replace('[mqtt]', '[mqtt]\nusername = "u"\npassword = "hunter22"'), { mode: 0o644 }),
    );
    const { findings } = await state();
    expect(findings.some(({ text }) => text === 'password = …')).toBe(true);
    expect(JSON.stringify(findings)).not.toContain('hunter22');
  }, 60_000);

  test('a store that another process has, or that a later version wrote, is told; when it is free the gateway starts', async () => {
    const { gateway, good } = await wrong(({ config }) => writeFileSync(config, '[gateway', { mode: 0o644 }));
    good();
    await runs(gateway);
    // Another gateway with the same state, at sockets of its own.
    const own = join(gateway.config, '../..');
    const second = join(own, 'second');
    const port = await freePort();
    mkdirSync(join(second, 'etc'), { recursive: true });
    const text = configuration({
      gateway: { state_directory: join(own, 'state') },
      page: { listen: `127.0.0.1:${port}` },
    });
    writeFileSync(join(second, 'etc/gateway.toml'), text, { mode: 0o644 });
    const other = await setupGateway(second, { port, uid: nobody });
    const page = await other.enter();
    const { findings } = await page.state();
    expect(findings[0]).toMatchObject({ code: 'store-locked', fault: 'operator', about: 'start' });
    gateway.child.kill('SIGKILL');
    await until(() => gateway.child.signalCode !== null, 'the other one is gone');
    await page.ask('/v1/setup/again', {});
    await runs(other);
  }, 60_000);

  test('a gateway that had a configuration and lost it is in no first run', async () => {
    const own = join(folder, String(count++));
    const state = join(own, 'state');
    mkdirSync(state, { recursive: true });
    writeFileSync(join(state, 'provisioned.json'), '{}');
    const gateway = await setupGateway(own, { env: { STATE_DIRECTORY: state } });
    const page = await gateway.enter();
    expect(await page.mode()).toBe('refused');
    expect((await page.state()).findings[0]?.message).toMatch(
      /is missing, and this gateway has the state of an earlier one/,
    );
  }, 60_000);
});
