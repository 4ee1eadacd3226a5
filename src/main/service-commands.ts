/** The commands of the service: the gateway itself, the link to its page, and root taking what the page hands over. */
import type { Command } from 'commander';
import { type AskOptions, socketOf } from '../cli/ask.ts';
import { runCommand } from '../cli/fail.ts';
import { print } from '../cli/terminal.ts';
import { ticketText } from '../cli/ticket-text.ts';
import { askPage } from '../desk/client.ts';
import { defaultListen, listenOf, type PagePlan } from '../config/resolve-page.ts';
import { bad } from '../cli/connection.ts';
import { run } from './run.ts';
import { takeHandOver } from './take.ts';

function waitingPage(address: string): PagePlan {
  const listen = listenOf(address);
  return listen
    ? { ...listen, hosts: [] }
    : bad(`--page takes an address and a port such as 127.0.0.1:8080, not '${address}'`);
}

export const runGateway = (command: Command): Command =>
  command
    .description('run the gateway in the foreground')
    .requiredOption('--config <file>', 'configuration, TOML')
    .option(
      '--wait',
      'where no configuration is in force, stay and show why on the page; there the first one is made, too',
    )
    .option('--page <address>', 'with --wait: where the page is served until a configuration says so', defaultListen)
    .action((options: { readonly config: string; readonly wait?: boolean; readonly page: string }) =>
      runCommand(() => run(options.config, options.wait ? waitingPage(options.page) : undefined)).then(() =>
        process.exit(),
      ),
    );

export const pageCommand = (command: Command): Command =>
  command
    .description('a link that opens the page of the running gateway: once, within ten minutes')
    .option('--json', 'as JSON')
    .action((options: AskOptions) =>
      runCommand(async () => {
        const ticket = await askPage(socketOf(options));
        if (options.json) print(JSON.stringify(ticket));
        else for (const line of ticketText(ticket)) print(line);
        return 0;
      }),
    );

export const takeCommand = (command: Command, configuration: string): Command =>
  command
    .description(
      'as root: put into place what the gateway handed over: a first configuration, or meters (meter-gateway-take.service)',
    )
    .option('--state <dir>', 'state directory of the service', '/var/lib/private/meter-gateway')
    .option('--config <file>', 'where the configuration belongs', configuration)
    .action((options: { readonly state: string; readonly config: string }) =>
      runCommand(() => Promise.resolve(takeHandOver(options.state, options.config))),
    );
