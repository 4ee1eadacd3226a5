/** `meter-gateway`: the command line. */
import { Command, Option } from 'commander';
import { showAgain } from '../cli/watch.ts';
import { type AskOptions, requireMeter, requirePort, serviceSocket, socketOf } from '../cli/ask.ts';
import { browse, type BrowseOptions } from '../cli/browse.ts';
import { runCommand } from '../cli/fail.ts';
import { listen, type ListenOptions } from '../cli/listen.ts';
import { read, type ReadOptions } from '../cli/read.ts';
import { note, print, printText, screenWidth } from '../cli/terminal.ts';
import { scanLine, type ScanOptions } from '../cli/scan.ts';
import { configExample } from '../config/example.ts';
import { systemZone, withLocalTimes } from '../base/words.ts';
import { loadConfig } from '../config/judge.ts';
import { addAdapterCommand, directionOption } from './adapter-command.ts';
import { systemClock } from '../line/system-clock.ts';
import { browseThroughDesk, isLine, readThroughDesk } from '../cli/through-desk.ts';
import { diagnose } from '../cli/diagnose.ts';
import { appendTo } from '../cli/trace-file.ts';
import { logText } from '../cli/log-text.ts';
import { captureTo, showTrace } from '../cli/live-trace.ts';
import { lineLegend, lineText } from '../status/line-text.ts';
import {
  askGaps,
  askLines,
  askQuarantine,
  askRead,
  askReload,
  askStatus,
  watchLog,
  watchStatus,
  watchTrace,
} from '../desk/client.ts';
import { gapsText, heldText, readingText } from '../status/answer-texts.ts';
import { type Screen, screenOf, shownTime, snapshotText } from '../status/status-text.ts';
import { acceptedText } from '../schedule/counter-accept.ts';
import { checkConfig, type CheckOptions } from './config-check.ts';
import { acceptMeterCounter } from './accept-counter.ts';
import { backUp, restoreBackup } from './backup.ts';
import { pageCommand, runGateway, takeCommand } from './service-commands.ts';
import { newProgram } from './new-program.ts';
import { version } from './version.ts';
import { addDecodeCommand } from './decode-command.ts';
import { addSecretCommands } from './secret-commands.ts';
import { addMeterCommands, addSiteCommands, addTechnicianCommands } from './technician-commands.ts';

const collect = (value: string, before: string[]) => [...before, value];
/** Also what the manual page and the completion of the shell are made from. */
export const program = newProgram();

runGateway(program.command('run'));

/** Where the unit has it. */
const serviceConfiguration = '/etc/meter-gateway/gateway.toml';
const config = program.command('config').description('work with the configuration file');
takeCommand(config.command('take'), serviceConfiguration);
/** Under two names: a technician looks for `check`, whoever writes the file for `config check`. */
const addCheck = (parent: Command): Command =>
  parent
    .command('check')
    .argument('[file]', 'the configuration', serviceConfiguration)
    .description('say everything that is wrong with the configuration, and with what it refers to')
    .option('--text-only', 'only the file itself: its secrets, certificates and folders are on another machine')
    .option(
      '--live',
      'also open what it names and look at the machine: lines (nothing is sent on them), broker, certificates, clock, disk, card, supply, credentials of the unit',
    )
    .option('--json', 'the findings as JSON, one line each')
    .action((file: string, options: CheckOptions) =>
      runCommand(() => checkConfig(file, options, options.json ? print : printText)),
    );
addCheck(config);
addCheck(program);
config
  .command('example')
  .description('print a commented file to start from')
  .action(() => configExample.trimEnd().split('\n').forEach(print));

/** How to reach and enter a meter: the same for every command that talks to one. */
const withConnection = (command: Command): Command =>
  command
    .addOption(new Option('--link <link>', 'link layer').choices(['hdlc', 'wrapper']).default('hdlc'))
    .option('--model <name>', 'meter model of hardware/meters; options given beside it win')
    .option('--mode-e', 'sign on by IEC 62056-21 at 300 Bd first')
    .option('--client <n>', 'client SAP', '16')
    .option('--server <n[/physical]>', 'logical device, and the HDLC physical address', '1')
    .option('--address-size <n>', 'server address in 1, 2 or 4 octets; default: the smallest that holds it')
    .addOption(
      new Option('--auth <mechanism>', 'authentication')
        .choices(['none', 'lls', 'hls-manufacturer', 'hls-md5', 'hls-sha1', 'hls-gmac', 'hls-sha256', 'hls-ecdsa'])
        .default('none'),
    )
    .addOption(
      new Option(
        '--security <policy>',
        'ciphered association; with hls-gmac authenticated-encrypted where left out',
      ).choices(['authenticated', 'encrypted', 'authenticated-encrypted']),
    )
    .addOption(new Option('--suite <n>', 'security suite').choices(['0', '1', '2']).default('0'))
    .option('--dedicated', 'a key of its own for this association')
    .option('--signing-key <file>', 'hls-ecdsa: our private key in PEM, mode 0600')
    .option('--meter-certificate <file>', 'hls-ecdsa: the certificate of the meter')
    .addOption(
      new Option('--wrapping <how>', 'ciphered APDUs for each service, general, or by general-ciphering')
        .choices(['service', 'general', 'general-ciphering'])
        .default('service'),
    )
    .option('--keys <file>', 'file of mode 0600 with ek, ak (hex) and secret; or METER_EK, METER_AK, METER_SECRET')
    .option(
      '--system-title <hex>',
      'our system title, 8 octets, where the meter wants a certain one; left out: a fresh one for each session',
    )
    .option('--meter-title <hex>', "the meter's system title, 8 octets, where its AARE carries none")
    .addOption(
      new Option(
        '--initiate <protection>',
        'InitiateRequest protected so, and InitiateResponse at least, where the meter wants it otherwise than the rest',
      ).choices(['authenticated', 'encrypted']),
    )
    .option('--socket <path>', 'status socket of a gateway that may use the same key', serviceSocket)
    .option('--config <file>', 'take the socket from this configuration')
    .option('--force', 'although the meter refused us again and again: every try counts towards its lock')
    .option('--counter-object <obis>', 'where the meter keeps what it heard last', '0-0:43.1.0*255')
    .option('--invocation-counter <n>', 'begin with this counter instead of asking the meter')
    .option('--secret-file <file>', 'file with the password, mode 0600')
    .option('--baud <n>', 'speed of the serial port', '9600')
    .addOption(directionOption())
    .option('--max-info <n>', 'HDLC information field to propose, octets', '1024')
    .option('--window <n>', 'HDLC window to propose', '1')
    .option('--timeout <ms>', 'time for an answer', '2000')
    .option('--retries <n>', 'how often a frame is sent again', '2')
    .option(
      '--standard-offset <minutes>',
      'how far its standard time is ahead of UTC, where its stamps do not tell: 120 in Finland, -300 in New York',
    )
    .option('--trace <file>', 'append the exchange to a file that decode reads');

withConnection(
  program
    .command('read')
    .description(
      'read one meter: at a line directly, the password by METER_SECRET, --secret-file or prompt; or by its id, through the running gateway',
    )
    .argument('<meter>', 'tcp://HOST:PORT, serial:/dev/… or a device path; or the id of a configured meter'),
)
  .option('--object <obis:attribute>', 'read an attribute; may stand several times', collect, [])
  .option('--class <n>', 'class of the objects, where it cannot be told from the OBIS code')
  .option('--profile <obis>', 'read rows of a load profile')
  .option('--from <utc>', 'first stamp')
  .option('--to <utc>', 'last stamp')
  .option('--entries <first-last>', 'rows by number, from 1')
  .option('--json', 'one JSON line for each row or object')
  .action((line: string, given: ReadOptions & AskOptions, command: Command) =>
    runCommand(async () => {
      const options = { ...given, socket: askedAt(given, command) };
      if (isLine(line)) await read(line, options, systemClock, print);
      else await readThroughDesk(line, options, givenOptions(command), print);
      return 0;
    }),
  );

addDecodeCommand(program);

withConnection(
  program
    .command('browse')
    .description('list the objects of a meter with access rights and values; --save keeps them in a file')
    .argument('<meter>', 'tcp://HOST:PORT, serial:/dev/… or a device path; or the id of a configured meter'),
)
  .option('--only <obis>', 'only this object; may stand several times', collect, [])
  .option('--rows <n>', 'newest entries to read of each buffer', '24')
  .option('--save <file>', 'write a snapshot that meter-simulator run --snapshot serves')
  .option('--json', 'one JSON line for each object')
  .action((line: string, given: BrowseOptions & AskOptions, command: Command) =>
    runCommand(async () => {
      const options = { ...given, socket: askedAt(given, command) };
      if (isLine(line)) await browse(line, options, systemClock, print);
      else await browseThroughDesk(line, options, givenOptions(command), print);
      return 0;
    }),
  );

program
  .command('listen')
  .description('decode what meters send unasked: on a serial line, or from connections that they make to this machine')
  .argument(
    '<line>',
    'serial:/dev/… or a device path; tcp://HOST:PORT or udp://HOST:PORT to listen on, for example tcp://127.0.0.1:4059',
  )
  .addOption(
    new Option('--link <link>', 'link layer; p1: telegrams of a P1 port')
      .choices(['hdlc', 'wrapper', 'p1'])
      .default('hdlc'),
  )
  .option('--model <name>', 'meter model of hardware/meters: order of lists, deviation of stamps')
  .option('--baud <n>', 'speed of the serial port', '9600')
  .addOption(directionOption())
  .option('--keys <file>', 'file of mode 0600 with ek and ak (hex); or METER_EK, METER_AK')
  .addOption(
    new Option('--security <policy>', 'what ciphered notifications must have at least')
      .choices(['authenticated', 'encrypted', 'authenticated-encrypted'])
      .default('authenticated-encrypted'),
  )
  .addOption(new Option('--suite <n>', 'security suite').choices(['0', '1', '2']).default('0'))
  .option('--system-title <hex>', 'the sender of notifications that carry no system title')
  .option('--count <n>', 'end after so many notifications')
  .option('--trace <file>', 'append what came to a file that decode reads')
  .option('--json', 'one JSON line for each notification')
  .action((line: string, options: ListenOptions) =>
    runCommand(async () => {
      const stop = new AbortController();
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
      await listen(line, options, systemClock, print, stop.signal);
      return 0;
    }),
  );

/** The options that stand on the command line, by their names. */
const givenOptions = (command: Command): string[] =>
  Object.keys(command.opts()).filter((name) => command.getOptionValueSource(name) === 'cli');

/** The socket of a command that has a default for it: one that was named, or that of the configuration that was. */
const askedAt = ({ socket, config }: AskOptions, command: Command): string =>
  config === undefined || givenOptions(command).includes('socket') ? (socket ?? serviceSocket) : socketOf({ config });

const withSocket = (command: Command): Command =>
  command
    .option('--socket <path>', `status socket of the gateway; default: ${serviceSocket}`)
    .option('--config <file>', 'take the socket from this configuration');

/** The width of the screen, and the zone of the gateway. */
const screenAt = async (options: AskOptions): Promise<Screen> =>
  screenOf(await askStatus(socketOf(options)), screenWidth());

/** The same of a gateway that is starting, and answers nothing else yet. */
const screenNow = (options: AskOptions): Promise<Screen> => screenAt(options).catch(() => screenOf({}, screenWidth()));

withSocket(program.command('status').description('show what the running gateway does'))
  .option('--json', 'the whole snapshot as JSON')
  .option('--watch', 'again and again, until Ctrl-C')
  .action((options: AskOptions & { readonly watch?: boolean }) =>
    runCommand(async () => {
      if (options.watch) {
        await showAgain(watchStatus(socketOf(options)), options.json === true, print);
        return 0;
      }
      const snapshot = await askStatus(socketOf(options));
      if (options.json) print(JSON.stringify(snapshot));
      else for (const line of snapshotText(snapshot, screenWidth())) print(line);
      return 0;
    }),
  );

addAdapterCommand(program);

withSocket(
  program
    .command('scan')
    .description('find out which meters answer on a line; while the gateway runs, between the sessions of its polls')
    .argument('<port>', 'name of a port of the configuration; tcp://HOST:PORT, serial:/dev/… or a device path'),
)
  .option('--list <file>', 'work list, CSV: point, serial, place, fuse, transformer ratio')
  .option('--blind', 'also the likely addresses, speeds and ways in that no list names')
  .option('--fresh', 'begin anew, although a scan was cut')
  .option('--journal <file>', 'where the progress is kept, for a line that this command opens itself')
  .option('--baud <n>', 'speed that is tried first, for a line that this command opens itself', '9600')
  .addOption(directionOption())
  .addOption(
    new Option('--link <link>', 'what is tried first, for a line that this command opens itself')
      .choices(['hdlc', 'wrapper', 'mode-e'])
      .default('hdlc'),
  )
  .option('--json', 'one JSON line for each event, the findings last')
  .action((port: string, options: ScanOptions) =>
    runCommand(async () => {
      const stop = new AbortController();
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
      const code = await scanLine(port, options, systemClock, stop.signal);
      // A gateway that was asked has its progress, and need not be waited for.
      if (stop.signal.aborted) process.exit(code);
      return code;
    }),
  );

withSocket(
  program.command('gaps').description('every interval that is not measured, delivered and acknowledged, and why'),
)
  .option('--meter <id>', 'only this meter')
  .option('--json', 'one JSON line for each run of intervals')
  .action((options: AskOptions & { readonly meter?: string }) =>
    runCommand(async () => {
      const all = await askGaps(socketOf(options));
      const gaps = options.meter === undefined ? all : all.filter(({ meter }) => meter === options.meter);
      // No gap of a meter that nobody knows is no all-clear.
      if (options.meter !== undefined && gaps.length === 0)
        requireMeter(await askStatus(socketOf(options)), options.meter);
      if (options.json) for (const gap of gaps) print(JSON.stringify(gap));
      else for (const line of gapsText(gaps, await screenAt(options))) print(line);
      return 0;
    }),
  );

withSocket(
  program
    .command('trace')
    .description('what goes over the lines of the running gateway, explained while it goes; secrets are struck out')
    .argument('[meter]', 'only the turns of this meter'),
)
  .option('--port <name>', 'only this port')
  .option('--save <file>', 'append it to a file that decode reads; to *.pcapng for a protocol analyser')
  .option('--json', 'one JSON line for each piece of it')
  .action((meter: string | undefined, options: AskOptions & { readonly port?: string; readonly save?: string }) =>
    runCommand(async () => {
      const socket = socketOf(options);
      const snapshot = await askStatus(socket);
      if (meter !== undefined) requireMeter(snapshot, meter);
      if (options.port !== undefined) requirePort(snapshot, options.port);
      const events = watchTrace(socket, { meter, port: options.port });
      const save = options.save === undefined ? undefined : appendTo(options.save);
      // A capture that is appended to begins a new section: readers take files of several.
      const saved = !save ? {} : options.save?.endsWith('.pcapng') ? { capture: captureTo(save) } : { save };
      await showTrace(events, { json: options.json === true, ...saved }, options.json ? print : printText);
      return 0;
    }),
  );

withSocket(
  program
    .command('line')
    .description('how each line serves its meters since the start: answer times, silence, echo, wasted time'),
)
  .option('--json', 'as JSON')
  .action((options: AskOptions) =>
    runCommand(async () => {
      const lines = await askLines(socketOf(options));
      if (options.json) print(JSON.stringify(lines));
      else for (const line of [...lineText(lines), '', ...lineLegend]) print(line);
      return 0;
    }),
  );

pageCommand(withSocket(program.command('page')));

withSocket(program.command('log').description('the newest lines of the log of the running gateway'))
  .option('--follow', 'and those that come, until Ctrl-C')
  .option('--json', 'the lines as they were written')
  .action((options: AskOptions & { readonly follow?: boolean }) =>
    runCommand(async () => {
      for await (const one of watchLog(socketOf(options), options.follow === true))
        if (options.json) print(one.line);
        else printText(logText(one));
      return 0;
    }),
  );

withSocket(
  program
    .command('diag')
    .description('one archive for support: state, lines, log, configuration; no secret and no reading is in it')
    .argument('<file>', 'a new file, *.zip'),
).action((file: string, options: AskOptions) =>
  runCommand(async () => {
    const parts = await diagnose(file, options, version);
    for (const { name, octets, why } of parts) print(`${name.padEnd(20)} ${why ?? `${octets} octets`}`);
    print(`${file}: send this file to support.`);
    return 0;
  }),
);

withSocket(
  program
    .command('poll')
    .description('have the running gateway read a meter now: registers, clock, switch, and its newest rows')
    .argument('<meter>', 'id of the meter in the configuration'),
)
  .option('--force', 'once, although the meter refused us: every try counts towards its lock')
  .option('--json', 'the reading as JSON')
  .action((meter: string, options: AskOptions & { readonly force?: boolean }) =>
    runCommand(async () => {
      const reading = await askRead(socketOf(options), meter, options.force);
      if (options.json) print(JSON.stringify(reading));
      else for (const line of readingText(reading, await screenAt(options))) print(line);
      return 0;
    }),
  );

withSocket(
  program.command('quarantine').description('what is held back of meters that answer where others are configured'),
)
  .option('--json', 'one JSON line for each meter')
  .action((options: AskOptions) =>
    runCommand(async () => {
      const held = await askQuarantine(socketOf(options));
      if (options.json) for (const one of held) print(JSON.stringify(one));
      else for (const line of heldText(held, await screenAt(options))) print(line);
      return 0;
    }),
  );

withSocket(
  program
    .command('reload')
    .description('have the running gateway take its configuration file as it is now, and wait for the outcome'),
)
  .option('--json', 'the outcome as JSON')
  .action((options: AskOptions) =>
    runCommand(async () => {
      const answer = await askReload(socketOf(options));
      for (const warning of answer.warnings) note(warning);
      print(
        options.json
          ? JSON.stringify(answer)
          : `configuration ${answer.hash} in force since ${shownTime(answer.since, await screenNow(options))}`,
      );
      return 0;
    }),
  );

withSocket(
  program
    .command('backup')
    .description(
      'write the whole state, as it is now, to a file; the gateway goes on. With --config also while it is stopped',
    )
    .argument('<file>', 'a new file; readings of homes are in it, secrets are not'),
).action((file: string, options: AskOptions) =>
  runCommand(async () => {
    const octets = await backUp(file, socketOf(options), options.config && loadConfig(options.config).config, version);
    print(`${file}: ${octets} octets. The configuration and the secrets are not in it: keep them as well.`);
    return 0;
  }),
);

program
  .command('restore')
  .description('put the state of a backup in the place of the present one, while the gateway is stopped')
  .argument('<file>', 'what meter-gateway backup wrote')
  .requiredOption('--config <file>', 'the configuration, which names the state directory')
  .action((file: string, options: { readonly config: string }) =>
    runCommand(async () => {
      const directory = loadConfig(options.config).config.gateway.state_directory;
      const { madeAt, records } = await restoreBackup(file, directory);
      print(
        `${directory}: state of ${withLocalTimes(madeAt, systemZone())}, ${records} records; what was there is kept as *.replaced-N.`,
      );
      print('The next start begins a new epoch: what the meters still have is read and said anew.');
      return 0;
    }),
  );

const meter = program.command('meter').description('changes of meters');
withSocket(
  meter
    .command('counter')
    .description('invocation counters of ciphered meters')
    .command('accept')
    .description(
      'your word that what a meter said of our invocation counter, or who it authenticates itself as now, is right; with --config also while the gateway is stopped',
    )
    .argument('<meter>', 'id of the meter in the configuration'),
).action((id: string, options: AskOptions) =>
  runCommand(async () => {
    const known = options.config === undefined ? undefined : loadConfig(options.config).config;
    for (const line of acceptedText(await acceptMeterCounter(id, socketOf(options), known))) print(line);
    return 0;
  }),
);

addTechnicianCommands(program);
addSiteCommands(program);
addMeterCommands(meter);
addSecretCommands(program);
