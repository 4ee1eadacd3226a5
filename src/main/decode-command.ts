/** `meter-gateway decode` and its options. */
import { type Command, Option } from 'commander';
import { decodeInput, type DecodeOptions } from '../cli/decode.ts';
import { runCommand } from '../cli/fail.ts';
import { bulkOutput } from '../cli/terminal.ts';
import { formatNames } from '../recording/input/item.ts';

const collect = (value: string, before: string[]): string[] => [...before, value];

export function addDecodeCommand(program: Command): void {
  program
    .command('decode')
    .description('explain a recording: traces, hex, logs of tools, dumps, captures; the format is found by itself')
    .argument('[file]', 'file, or - for standard input', '-')
    .addOption(new Option('--format <name>', 'instead of what the input looks like').choices(formatNames))
    .option(
      '--port <n>',
      'ports of a capture, several times or with commas; otherwise 4059 and what looks like DLMS',
      collect,
      [],
    )
    .option('--to <format>', 'pcapng or tap: write the recording anew, on standard output; else the last stamp of rows')
    .option('--from <utc>', 'first stamp of rows')
    .option('--meter <address>', 'only this meter, by its address as the frames show it')
    .option('--json', 'one JSON line for each frame')
    .option('--rows', 'only the load profile rows found in it, one JSON line each')
    .option('--xml', 'one XML document in the style of DLMS tools')
    .option('--keys <file>', 'file of mode 0600 with ek, ak (hex) and secret; or METER_EK, METER_AK, METER_SECRET')
    .option('--model <name>', 'meter model of hardware/meters: deviation of stamps, status of rows')
    .option('--standard-offset <minutes>', 'from UTC to standard time, where stamps leave it open: 60 in Berlin')
    .action((file: string, options: DecodeOptions) =>
      runCommand(() => {
        const stop = new AbortController();
        for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
        return decodeInput(file, options, bulkOutput(), stop.signal);
      }),
    );
}
