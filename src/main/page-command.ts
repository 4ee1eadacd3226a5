/** `meter-gateway page`: whoever may open the local sockets may open the page. */
import type { Command } from 'commander';
import { type AskOptions, socketOf } from '../cli/ask.ts';
import { runCommand } from '../cli/fail.ts';
import { print } from '../cli/terminal.ts';
import { ticketText } from '../cli/ticket-text.ts';
import { askPage } from '../desk/client.ts';

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
