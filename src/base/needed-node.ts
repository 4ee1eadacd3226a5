/**
 * All that an entry loads before it knows its Node. What an older Node does not have (a module, an export of one) is missed while the
 * files of the program are linked, before any of them could say a word; so this file imports nothing, and the program is loaded behind it.
 */
interface Process {
  readonly versions: { readonly node: string };
  readonly execPath: string;
  readonly stderr: { write(text: string): unknown };
  exitCode?: number | string | null | undefined;
}
interface Loaded {
  readonly program: { parseAsync(): Promise<unknown> };
}
/** As `engines` of package.json. */
const needed = [24, 11] as const;

export async function startOnNeededNode(on: Process, name: string, load: () => Promise<Loaded>): Promise<void> {
  const [major = 0, minor = 0] = on.versions.node.split('.').map(Number);
  if (major < needed[0] || (major === needed[0] && minor < needed[1])) {
    on.stderr.write(
      `${name} needs Node ${needed.join('.')} or later; ${on.execPath} is ${on.versions.node}.\n` +
        `next: in a checkout, scripts/setup and then scripts/${name}; where the package is installed, ${name}. Both have a Node of their own.\n`,
    );
    on.exitCode = 2;
    return;
  }
  await (await load()).program.parseAsync();
}
