/** `meter-gateway secret`: a secret comes by prompt or standard input, never as an argument, where every process can read it. */
import type { Command } from 'commander';
import { runCommand } from '../cli/fail.ts';
import { requireName, secretInput, secretNames, serviceSecrets, setSecret } from '../cli/secret-folder.ts';
import { note, print } from '../cli/terminal.ts';

interface FolderOption {
  readonly folder: string;
}
const withFolder = (command: Command): Command =>
  command.option('--folder <dir>', 'another folder than the one that the unit passes', serviceSecrets);

export function addSecretCommands(program: Command): void {
  const secret = program.command('secret').description('secrets that systemd passes to the service');
  withFolder(
    secret
      .command('set')
      .description('write a secret, asked for at the terminal or read from standard input, for root alone')
      .argument('<name>', 'its name behind credential: in the configuration')
      // Refused here, where nothing repeats what may be the secret.
      .allowExcessArguments(),
  ).action((name: string, { folder }: FolderOption, { args }: Command) =>
    runCommand(async () => {
      // Before anybody types a secret that is then not taken.
      requireName(...args);
      setSecret(folder, name, await secretInput());
      note(`credential:${name} is written; the service has it after: systemctl restart meter-gateway`);
      return 0;
    }),
  );
  withFolder(secret.command('list').description('the names of the secrets, and nothing else of them')).action(
    ({ folder }: FolderOption) =>
      runCommand(() => {
        for (const name of secretNames(folder)) print(name);
        return 0;
      }),
  );
}
