/** The commands of whoever puts a site into service: commission, what is attached to it, and meters within the configuration. */
import type { Command } from 'commander';
import { commissionMeters, type CommissionHands, type CommissionOptions } from '../cli/commission.ts';
import { runCommand } from '../cli/fail.ts';
import {
  addMeter,
  type AddOptions,
  attachTo,
  type AttachOptions,
  removeMeter,
  type RemoveOptions,
} from '../cli/meter-changes.ts';
import { replaceMeter, type ReplaceOptions } from '../cli/replace-meter.ts';
import { swapMeter, type SwapOptions } from '../cli/swap.ts';
import { type CapacityOptions, showCapacity } from '../cli/capacity.ts';
import { signOffSite, type SignOffOptions, verifyReport } from '../cli/sign-off.ts';
import { print } from '../cli/terminal.ts';
import { systemClock } from '../line/system-clock.ts';
import { defaultDoor } from './doors.ts';
import { version } from './version.ts';
import { synchronisedTeller } from './synchronised.ts';

const untilStopped = (): AbortSignal => {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
  return stop.signal;
};
function handsOf(signal: AbortSignal): CommissionHands {
  const isSynchronised = synchronisedTeller();
  return {
    clock: systemClock,
    print,
    signal,
    gatewayClock: () => (isSynchronised().known ? 'trusted' : 'untrusted'),
    door: defaultDoor,
  };
}

const withSite = (command: Command): Command =>
  command
    .option('--config <file>', 'the configuration; the folder of the site is in its state directory')
    .option(
      '--site <dir>',
      'another folder for records, attachments and reports; with --line instead of a configuration',
    );

/** How new meters are entered. */
const withEntry = (command: Command): Command =>
  command
    .option('--port <name>', 'the line of new meters; not needed where there is only one')
    .option(
      '--like <meter>',
      'new meters are entered as this one is: client, auth, references of secrets; default: the first of the port',
    )
    .option('--client <n>', 'client SAP of new meters')
    .option('--auth <mechanism>', 'authentication of new meters: none, lls, hls-…')
    .option(
      '--secret <reference>',
      'their password: file:/path or credential:name; {serial} in it is the serial number',
    )
    .option('--encryption-key <reference>', 'their encryption key, by reference')
    .option('--authentication-key <reference>', 'their authentication key, by reference')
    .option('--model <name>', 'model of new meters; default: auto, found out by their names')
    .option('--period <s>', 'capture period that new meters should have, s', '3600')
    .option('--profile <obis>', 'load profile of new meters', '1-0:99.1.0*255');

export function addTechnicianCommands(program: Command): void {
  const commission = withEntry(
    withSite(
      program
        .command('commission')
        .description(
          'put meters into service: who they are, clock, ratios, display, profile, 24 h with their sum, line; writes the good ones into the configuration. Goes on where it was stopped',
        )
        .argument('[meter...]', 'ids of the configuration, or serial numbers of the work list; left out: all'),
    ),
  );
  commission
    .option('--list <file>', 'work list, CSV: point, serial, place, fuse, transformer ratio')
    .option('--scan <file>', 'what scan --json printed of its list: each meter is asked where it was found')
    .option('--line <device>', 'without a configuration: the line; a draft is written into the folder of the site')
    .option('--baud <n>', 'its speed', '9600')
    .option('--exchanges <n>', 'questions by which the line of each meter is measured', '20')
    .option('--who <name>', 'who commissions: stands in the records')
    .option('--unattended', 'nobody stands at the displays: they are not compared')
    .option('--again', 'also meters that were found good before')
    .option('--force', 'also meters that refused us several times: every try counts towards their lock')
    .option('--socket <path>', 'where the gateway is asked to take what was written')
    .option('--no-write', 'write records only, not the configuration')
    .option('--json', 'events as JSON, one line each')
    .action((meters: string[], options: CommissionOptions) =>
      runCommand(() => commissionMeters(meters, options, handsOf(untilStopped()))),
    );
  withSite(
    program
      .command('attach')
      .description('keep a photo, a file or a note beside the record of a meter until the site is signed off')
      .argument('<meter>', 'id of the meter')
      .argument('[file]', 'at most 8 MiB'),
  )
    .option('--note <text>', 'a note')
    .action((meter: string, file: string | undefined, options: AttachOptions) =>
      runCommand(() => attachTo(meter, file, options, systemClock.wall(), print)),
    );
}

export function addSiteCommands(program: Command): void {
  const signOff = withSite(
    program
      .command('sign-off')
      .description(
        'the report of the site, signed by the key of this gateway: JSON, and a page that prints. Pending until the central system has the first day of each meter',
      ),
  );
  signOff
    .option('--socket <path>', 'where the running gateway is asked')
    .option('--who <name>', 'who signs the site off')
    .option('--note <text>', 'a note')
    .option('--out <dir>', 'folder for the report', '.')
    .option('--json', 'the signed report as JSON')
    .action((options: SignOffOptions) =>
      runCommand(() => signOffSite(options, { now: systemClock.wall(), version }, print)),
    );
  signOff
    .command('verify')
    .description('prove that a report is as it was signed')
    .argument('<file>', 'the JSON of the report')
    .action((file: string) => runCommand(() => verifyReport(file, print)));
  withSite(
    program
      .command('capacity')
      .description('how many meters a line bears, and how long a back-fill takes, by times that were measured on it'),
  )
    .option('--socket <path>', 'where the running gateway is asked')
    .option('--port <name>', 'the line; not needed where there is only one')
    .option('--period <s>', 'period of the meters that are to be added, s', '3600')
    .option('--days <n>', 'days to be fetched of each meter', '30')
    .option('--json', 'as JSON')
    .action((options: CapacityOptions) => runCommand(() => showCapacity(options, print)));
}

const collect = (value: string, before: string[]) => [...before, value];

/** What a replacement left in the configuration. */
const withRegisters = (command: Command): Command =>
  command
    .option(
      '--final <obis=register>',
      'register of the old meter when it was taken down; may stand several times',
      collect,
      [],
    )
    .option('--no-registers', 'nobody noted the registers: the energy of the interval across the change is lost')
    .option('--serial <serial>', 'serial number of the new meter')
    .option('--physical <n>', 'HDLC physical address of the new meter');

const withSwap = (command: Command): Command =>
  withRegisters(
    command
      .argument('<meter>', 'id of the meter in the configuration; the point keeps it')
      .requiredOption('--config <file>', 'the configuration file')
      .option('--at <utc>', 'when it was replaced, e.g. 2026-11-24T10:37:00Z')
      .option(
        '--first <obis=register>',
        'register of the new meter when it began; may stand several times',
        collect,
        [],
      ),
  );

function addSwapCommands(meter: Command): void {
  withSwap(
    meter
      .command('swap')
      .description('a meter was replaced: writes its serial number and both registers into the configuration file'),
  )
    .option('--amend', 'correct the last swap of this meter; what is not given stays as it was told')
    .action((id: string, options: SwapOptions & { readonly config: string }) =>
      runCommand(() => {
        swapMeter(id, options, systemClock.wall(), print);
        return 0;
      }),
    );
  withSwap(
    meter.command('amend').description('correct the last swap of a meter; what is not given stays as it was told'),
  ).action((id: string, options: SwapOptions & { readonly config: string }) =>
    runCommand(() => {
      swapMeter(id, { ...options, amend: true }, systemClock.wall(), print);
      return 0;
    }),
  );
  withRegisters(
    meter
      .command('replace')
      .description(
        'replace a meter, step by step: the old one read or typed, the new one found, its voltage, read, its first interval; writes the swap. Goes on where it was stopped',
      )
      .argument('<meter>', 'id of the meter in the configuration; the point keeps it')
      .requiredOption('--config <file>', 'the configuration file'),
  )
    .option('--photo <file>', 'of the display of the old meter; kept in the folder of --site')
    .option('--site <dir>', 'the folder of the site, where no gateway runs')
    .option('--socket <path>', 'where the running gateway is asked')
    .option('--who <name>', 'who replaces it')
    .action((id: string, options: ReplaceOptions) =>
      runCommand(() => replaceMeter(id, options, handsOf(untilStopped()))),
    );
}

export function addMeterCommands(meter: Command): void {
  addSwapCommands(meter);
  withEntry(
    meter
      .command('add')
      .description('write a meter into the configuration without asking it anything')
      .argument('<serial>', 'its serial number')
      .requiredOption('--config <file>', 'the configuration file')
      .requiredOption('--point <point>', 'the metering point'),
  )
    .option('--id <id>', 'its name in commands and topics; default: m-SERIAL')
    .option('--physical <n>', 'HDLC physical address; default: by the formula of its model')
    .action((serial: string, options: AddOptions) => runCommand(() => addMeter(serial, options, defaultDoor, print)));
  meter
    .command('remove')
    .description('take a meter out of the configuration; what was read of it is still delivered')
    .argument('<meter>', 'id of the meter')
    .requiredOption('--config <file>', 'the configuration file')
    .option('--yes', 'do not ask')
    .action((id: string, options: RemoveOptions) =>
      runCommand(() => removeMeter(id, options, { now: systemClock.wall(), door: defaultDoor }, print)),
    );
}
