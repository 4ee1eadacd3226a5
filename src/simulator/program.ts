/** `meter-simulator`: virtual meters on a pty or a TCP port of this machine. */
import { appendFileSync, openSync, readFileSync } from 'node:fs';
import { Command, Option } from 'commander';
import { Failure, messageOf } from '../base/errors.ts';
import { visible } from '../base/visible.ts';
import { millis } from '../base/time.ts';
import { localTime, systemZone } from '../base/words.ts';
import { type InjectedFault, startBench } from './bench.ts';
import { askControl, controlRows, serveControl } from './control.ts';
import { parseScenario, readScenario, type Scenario } from './scenario.ts';

interface Options {
  scenario?: string;
  meters?: string;
  pty?: string;
  tcp?: string;
  bind?: string;
  portPerMeter?: boolean;
  link?: 'hdlc' | 'wrapper';
  baud?: string;
  turnaround?: string;
  seed?: string;
  password?: string;
  modeE?: boolean;
  push?: string;
  pushTo?: string;
  snapshot?: string;
  replay?: string;
  events?: string;
  control?: string;
}
const number = (text: string | undefined): number | undefined => (text === undefined ? undefined : Number(text));

/** The scenario of the file, and what the options say otherwise. */
function scenarioOf(options: Options): Scenario {
  let scenario = parseScenario({});
  if (options.scenario !== undefined) {
    let text: string;
    try {
      text = readFileSync(options.scenario, 'utf8');
    } catch (error) {
      throw new Failure('input-unreadable', messageOf(error));
    }
    scenario = readScenario(text, options.scenario);
  }
  const given = <T extends object>(fields: T): T =>
    Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;
  const bus = given({
    kind: options.pushTo !== undefined ? 'push' : options.tcp === undefined ? undefined : 'tcp',
    port: number(options.pushTo ?? options.tcp),
    bind: options.bind,
    port_per_meter: options.portPerMeter,
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
    replay: options.replay,
  });
  const seed = number(options.seed);
  return parseScenario({
    ...scenario,
    ...(seed !== undefined && { seed }),
    bus: { ...scenario.bus, ...bus },
    meters: { ...scenario.meters, ...meters },
  });
}

/** JSON lines into a file, at its end, or to standard output. What cannot be written any more ends the run: events are evidence. */
function eventsTo(path: string): (fault: InjectedFault) => void {
  if (path === '-') return (fault) => void process.stdout.write(`${JSON.stringify(fault)}\n`);
  let file: number;
  try {
    file = openSync(path, 'a');
  } catch (error) {
    throw new Failure('bad-argument', messageOf(error));
  }
  return (fault) => {
    try {
      appendFileSync(file, `${JSON.stringify(fault)}\n`);
    } catch (error) {
      process.stderr.write(`${visible(`${path}: ${messageOf(error)}`)}\n`);
      process.exit(1);
    }
  };
}

async function run(options: Options): Promise<void> {
  const scenario = scenarioOf(options);
  const write = options.events === undefined ? undefined : eventsTo(options.events);
  const injected = (fault: InjectedFault) => {
    write?.(fault);
    if (fault.kind === 'not-recorded')
      process.stderr.write(`meter ${fault.serial}: not in the recording: ${visible(fault.detail ?? '')}\n`);
  };
  const bench = await startBench(scenario, { injected });
  process.stdout.write(bench.devices.map((device) => `${visible(device)}\n`).join(''));
  const since = localTime(millis(Date.now()), systemZone());
  process.stderr.write(
    `${bench.devices.length === 1 ? 'bus' : `${bench.devices.length} buses`} on ${visible(bench.devices[0] ?? '')}, ${scenario.bus.link}, seed ${scenario.seed}, since ${since}\n`,
  );
  for (const { serial, logical, physical, device } of bench.meters()) {
    const where = bench.devices.length === 1 ? '' : ` at ${visible(device)}`;
    process.stderr.write(`meter ${serial}: server ${logical}/${physical}${where}, clients 16 none, 17 lls\n`);
  }
  let closeControl = async () => {};
  if (options.control !== undefined)
    try {
      closeControl = await serveControl(options.control, bench);
    } catch (error) {
      await bench.close();
      throw error;
    }
  const stop = () => {
    void closeControl()
      .then(() => bench.close())
      .then(() => process.exit(0));
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
}

/** Also what the manual page and the completion of the shell are made from. */
export const program = new Command('meter-simulator').description(
  'Virtual electricity meters with DLMS/COSEM on a serial line or TCP',
);
program
  .command('run')
  .description('serve a bus of meters; the device to open is the first line on stdout')
  .option('--scenario <file>', 'TOML file: bus, meters, faults')
  .option('--meters <n>', 'number of meters')
  .option('--pty <link>', 'make this symbolic link to the pseudo-terminal')
  .option('--tcp <port>', 'listen on 127.0.0.1 instead; 0 = any free port')
  .option('--bind <address>', 'listen on this address of the machine: the meters are then open to the network')
  .option('--port-per-meter', 'with --tcp: each meter alone on a port of its own, from that one upwards')
  .addOption(new Option('--link <link>', 'link layer').choices(['hdlc', 'wrapper']))
  .option('--baud <n>', 'speed of the line')
  .option('--turnaround <ms>', 'pause of a meter before it answers')
  .option('--seed <n>', 'seed of consumption and faults')
  .option('--password <text>', 'LLS password of the virtual meters; not a secret')
  .option('--push <seconds>', 'meters send a list of their values unasked so often')
  .option('--push-to <port>', 'meters connect to a listener on 127.0.0.1')
  .option('--snapshot <file>', 'serve the objects of a file that meter-gateway browse --save wrote')
  .option('--control <socket>', 'a unix socket, for this user alone, where meter-simulator control acts on the run')
  .option('--events <file>', 'write each fault that is really injected as a line of JSON; - = standard output')
  .option('--replay <file>', 'answer as in a recording that --trace of meter-gateway wrote')
  .option('--mode-e', 'meters want the IEC 62056-21 sign-on')
  .action(async (options: Options) => {
    try {
      await run(options);
    } catch (error) {
      process.stderr.write(`${visible(messageOf(error))}\n`);
      process.exitCode = error instanceof Failure ? 2 : 1;
    }
  });
program
  .command('control')
  .description('act on a simulator that runs with --control')
  .argument('<socket>', 'its control socket')
  .argument('[act]', controlRows.map(({ path }) => path.slice('/v1/'.length)).join(', '), 'show')
  .argument('[key=value...]', 'what the act takes, with the keys of a scenario')
  .action(async (socket: string, act: string, pairs: string[]) => {
    try {
      process.stdout.write(`${JSON.stringify(await askControl(socket, act, pairs), undefined, 2)}\n`);
    } catch (error) {
      process.stderr.write(`${visible(messageOf(error))}\n`);
      process.exitCode = error instanceof Failure ? 2 : 1;
    }
  });
