/** The command of whoever chooses an adapter, and the option of every command that opens a serial line. */
import { type Command, Option } from 'commander';
import { acceptAdapter, type AdapterOptions } from '../cli/adapter.ts';
import { runCommand } from '../cli/fail.ts';
import { print } from '../cli/terminal.ts';
import { directions } from '../line/direction.ts';
import { systemClock } from '../line/system-clock.ts';

export const directionOption = (): Option =>
  new Option('--direction <who>', 'who switches the RS-485 driver of a serial line, as the key of the configuration')
    .choices(directions)
    .default('auto');

export function addAdapterCommand(program: Command): void {
  program
    .command('adapter')
    .description('acceptance test of a serial adapter, with a second one that is wired to it, or with a known meter')
    .argument('<device>', 'serial:/dev/… or a device path')
    .option('--peer <device>', 'the second adapter: A to A, B to B, C to C')
    .option('--server <n/physical>', 'the known meter: logical device and HDLC physical address')
    .option('--baud <n>', 'speed of the exchanges', '9600')
    .option('--exchanges <n>', 'how many exchanges, or sessions with the meter', '1000')
    .addOption(directionOption())
    .addOption(
      new Option('--peer-direction <who>', 'the same of the second adapter').choices(directions).default('auto'),
    )
    .option('--replug', 'at the end it is to be pulled out and plugged in again')
    .option('--json', 'the result as JSON')
    .action((device: string, options: AdapterOptions) =>
      runCommand(() => acceptAdapter(device, options, systemClock, print)),
    );
}
