/** The command line without its commands: what all of them have in common. */
import { Command } from 'commander';
import { noteLines } from '../cli/terminal.ts';
import { version } from './version.ts';

// Every file that any command makes is for its user alone: state, traces, snapshots, copies of the configuration.
process.umask(0o077);

// A closed pipe (| head) is no error of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

export const newProgram = (): Command =>
  new Command('meter-gateway')
    .description(
      'Polls electricity meters over DLMS/COSEM and delivers each meter-hour over MQTT until the head-end has it',
    )
    .version(version)
    .showHelpAfterError('(see --help)')
    .configureOutput({ writeErr: noteLines })
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));
