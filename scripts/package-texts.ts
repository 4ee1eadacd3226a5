/**
 * `package-texts FOLDER`: manual pages and completion for bash, under FOLDER/man/man1 and FOLDER/bash-completion/completions.
 * Both are made from the commands of the programs themselves, so that they cannot say anything else.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { program as central } from '../src/office/program.ts';
import { program as gateway } from '../src/main/program.ts';
import { program as simulator } from '../src/simulator/program.ts';

const version = (JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string })
  .version;

interface Place {
  /** The words that lead to it, without the name of the program. */
  readonly words: readonly string[];
  readonly command: Command;
}
/** A command and all below it, in their order. */
const places = (command: Command, words: readonly string[] = []): Place[] => [
  { words, command },
  ...command.commands.flatMap((one) => places(one, [...words, one.name()])),
];
const optionsOf = ({ command }: Place) => command.createHelp().visibleOptions(command);
const leadsOn = ({ command }: Place): boolean => command.commands.length > 0;

/** Text of roff: nothing in it is taken for a request or for another hyphen. */
const roff = (text: string): string =>
  text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('…', '...')
    .replace(/^([.'])/gm, '\\&$1');

function choiceText(choices: readonly string[] | undefined, defaultValue: unknown): string {
  const parts = [
    ...(choices === undefined ? [] : [`one of ${choices.join(', ')}`]),
    ...(typeof defaultValue === 'string' ? [`default: ${defaultValue}`] : []),
  ];
  return parts.length === 0 ? '' : ` (${parts.join('; ')})`;
}

export function manualPage(program: Command, beside: string, epochSeconds: number): string {
  const day = new Date(epochSeconds * 1000).toISOString().slice(0, 10);
  const name = program.name();
  const lines = [
    `.TH "${roff(name.toUpperCase())}" 1 "${day}" "${roff(name)} ${version}"`,
    '.SH NAME',
    `${roff(name)} \\- ${roff(program.description())}`,
    '.SH SYNOPSIS',
    `.B ${roff(name)}`,
    'COMMAND [OPTIONS]',
    '.SH COMMANDS',
  ];
  for (const place of places(program)) {
    if (leadsOn(place)) continue;
    const { command, words } = place;
    lines.push(`.SS "${roff([name, ...words, command.usage()].join(' ')).replaceAll('"', '\\(dq')}"`);
    lines.push(roff(`${command.description()}.`));
    for (const argument of command.registeredArguments) {
      const { description, defaultValue, argChoices } = argument;
      lines.push('.TP', `.I ${roff(argument.name())}`);
      lines.push(roff(`${description}${choiceText(argChoices, defaultValue)}`) || '\\&');
    }
    for (const { flags, description, defaultValue, argChoices } of optionsOf(place))
      lines.push('.TP', `.B ${roff(flags)}`, roff(`${description}${choiceText(argChoices, defaultValue)}`));
  }
  lines.push(
    '.SH EXIT STATUS',
    '0: done. 1: it failed. 2: what was asked, or the configuration, is wrong. What went wrong, whose fault it is and the next step',
    'stand on standard error.',
    '.SH FILES',
    '.I /etc/meter\\-gateway/gateway.toml',
    '.br',
    '.I /usr/share/doc/meter\\-gateway',
    '.SH SEE ALSO',
    `.BR ${roff(beside)} (1)`,
  );
  return `${lines.filter((line) => line !== '').join('\n')}\n`;
}

const quoted = (words: readonly string[]): string => `'${words.join(' ')}'`;

/** Commands, options, and values with names; elsewhere files. No program is started while somebody types. */
export function bashCompletion(program: Command): string {
  const name = program.name();
  const all = places(program);
  const rows = all.map((place) => {
    const flags = optionsOf(place).flatMap(({ long, short }) => [long, short].filter((flag) => flag != null));
    const commands = place.command.commands.map((command) => command.name());
    return `    ${quoted(place.words)}) commands=${quoted(commands)} flags=${quoted(flags)} ;;`;
  });
  const values = all.flatMap((place) =>
    optionsOf(place)
      .filter(({ required, optional }) => required || optional)
      .map(
        ({ long, argChoices }) =>
          `    ${quoted([...place.words, `${long}`])}) takes=1 values=${quoted(argChoices ?? [])} ;;`,
      ),
  );
  const known = all.filter(({ words }) => words.length > 0).map(({ words }) => quoted(words));
  const call = `_${name.replaceAll('-', '_')}`;
  return `# Completion of ${name} ${version} for bash. Made from its commands.
${call}() {
  local word=\${COMP_WORDS[COMP_CWORD]} path='' i commands='' flags='' takes='' values=''
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "\${path:+$path }\${COMP_WORDS[i]}" in
    ${known.join(' | ')}) path="\${path:+$path }\${COMP_WORDS[i]}" ;;
    esac
  done
  case "\${path:+$path }\${COMP_WORDS[COMP_CWORD - 1]}" in
${values.join('\n')}
  esac
  case "$path" in
${rows.join('\n')}
  esac
  if [ -n "$values" ]; then
    mapfile -t COMPREPLY < <(compgen -W "$values" -- "$word")
  elif [ -z "$takes" ] && [ "\${word:0:1}" = - ]; then
    mapfile -t COMPREPLY < <(compgen -W "$flags" -- "$word")
  elif [ -z "$takes" ] && [ -n "$commands" ]; then
    mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$word")
  else
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$word")
  fi
}
complete -F ${call} ${name}
`;
}

if (import.meta.main) {
  const [folder] = process.argv.slice(2);
  if (folder === undefined) throw new Error('usage: package-texts FOLDER');
  const manual = join(folder, 'man/man1');
  const completions = join(folder, 'bash-completion/completions');
  for (const one of [manual, completions]) mkdirSync(one, { recursive: true, mode: 0o755 });
  const epoch = Number(process.env['SOURCE_DATE_EPOCH'] ?? Math.floor(Date.now() / 1000));
  for (const [program, beside] of [
    [gateway, simulator.name()],
    [simulator, gateway.name()],
    [central, gateway.name()],
  ] as const) {
    writeFileSync(join(manual, `${program.name()}.1`), manualPage(program, beside, epoch));
    writeFileSync(join(completions, program.name()), bashCompletion(program));
  }
}
