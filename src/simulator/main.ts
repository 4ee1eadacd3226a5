#!/usr/bin/env node
/** `meter-simulator`: virtual meters on a pty or a TCP port of this machine. */
import { readFileSync } from 'node:fs';
import { Command, Option } from 'commander';
import { Failure, messageOf } from '../base/errors.ts';
import { visible } from '../base/visible.ts';
import { millis } from '../base/time.ts';
import { localTime, systemZone } from '../base/words.ts';
import { buildBus } from './build-bus.ts';
import { parseScenario, readScenario } from './scenario.ts';
import { connectTcp, servePty, serveTcp } from './serve.ts';

interface Options {
  scenario?: string;
  meters?: string;
  pty?: string;
  tcp?: string;
  link?: 'hdlc' | 'wrapper';
  baud?: string;
  turnaround?: string;
  seed?: string;
  password?: string;
  modeE?: boolean;
  push?: string;
  pushTo?: string;
  snapshot?: string;
}
const number = (text: string | undefined): number | undefined => (text === undefined ? undefined : Number(text));

async function run(options: Options): Promise<void> {
  let scenario = parseScenario({});
  if (options.scenario !== undefined) {
    let text: string;
    try {
      text = readFileSync(options.scenario, 'utf8');
    } catch (error) {
      throw new Failure('input-unreadable', messageOf(error));
    }
    scenario = readScenario(text);
  }
  const given = <T extends object>(fields: T): T =>
    Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;
  const bus = given({
    kind: options.pushTo !== undefined ? 'push' : options.tcp === undefined ? undefined : 'tcp',
    port: number(options.pushTo ?? options.tcp),
    path: options.pty,
    link: options.link,
    baud: number(options.baud),
    turnaround_ms: number(options.turnaround),
  });
  const meters = given({
    count: number(options.meters),
    push_s: number(options.push),
    password: options.password,
    mode_e: options.modeE,
    snapshot: options.snapshot,
  });
  const seed = number(options.seed);
  scenario = parseScenario({
    ...scenario,
    ...(seed !== undefined && { seed }),
    bus: { ...scenario.bus, ...bus },
    meters: { ...scenario.meters, ...meters },
  });
  const start = millis(Date.now());
  const house = buildBus(scenario, start);
  const { kind, port, path } = scenario.bus;
  const served =
    kind === 'tcp'
      ? await serveTcp(house.bus, port)
      : kind === 'push'
        ? connectTcp(house.bus, port)
        : servePty(house.bus, path);
  process.stdout.write(`${visible(served.device)}\n`);
  process.stderr.write(
    `bus on ${visible(served.device)}, ${scenario.bus.link}, seed ${scenario.seed}, since ${localTime(start, systemZone())}\n`,
  );
  for (const { settings } of house.meters) {
    process.stderr.write(
      `meter ${settings.serial}: server ${settings.logical}/${settings.physical}, clients 16 none, 17 lls, period ${settings.periodS} s\n`,
    );
  }
  const stop = () => {
    void served.close().then(() => process.exit(0));
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
}

const program = new Command('meter-simulator').description(
  'Virtual electricity meters with DLMS/COSEM on a serial line or TCP',
);
program
  .command('run')
  .description('serve a bus of meters; the device to open is the first line on stdout')
  .option('--scenario <file>', 'TOML file: bus, meters, faults')
  .option('--meters <n>', 'number of meters')
  .option('--pty <link>', 'make this symbolic link to the pseudo-terminal')
  .option('--tcp <port>', 'listen on 127.0.0.1 instead; 0 = any free port')
  .addOption(new Option('--link <link>', 'link layer').choices(['hdlc', 'wrapper']))
  .option('--baud <n>', 'speed of the line')
  .option('--turnaround <ms>', 'pause of a meter before it answers')
  .option('--seed <n>', 'seed of consumption and faults')
  .option('--password <text>', 'LLS password of the virtual meters; not a secret')
  .option('--push <seconds>', 'meters send a list of their values unasked so often')
  .option('--push-to <port>', 'meters connect to a listener on 127.0.0.1')
  .option('--snapshot <file>', 'serve the objects of a file that meter-gateway browse --save wrote')
  .option('--mode-e', 'meters want the IEC 62056-21 sign-on')
  .action(async (options: Options) => {
    try {
      await run(options);
    } catch (error) {
      process.stderr.write(`${visible(messageOf(error))}\n`);
      process.exitCode = error instanceof Failure ? 2 : 1;
    }
  });
await program.parseAsync();
