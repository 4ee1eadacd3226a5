/** Packages that differ from one that was built: another version, other maintainer scripts, other files. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

type Edit = (text: string) => string;
export interface Changes {
  /** Of the files that dpkg itself takes, by name. */
  readonly control: Readonly<Record<string, Edit>>;
  /** Of files that it installs, by path. */
  readonly files?: Readonly<Record<string, Edit>>;
}
const scripts = ['preinst', 'postinst', 'prerm', 'postrm'];
/** Its maintainer scripts can be cut (cutsh). */
export const cuttable: Changes['control'] = Object.fromEntries(
  scripts.map((script) => [script, (text: string) => text.replace('#!/bin/sh', '#!/root/cutsh')]),
);
/** Another version, as dpkg and as the program itself say it; the example of the configuration is another one, too. */
export const ofVersion = (version: string, control: Changes['control'] = {}): Changes => ({
  control: { ...control, control: (text) => text.replace(/^Version: .*$/m, `Version: ${version}`) },
  files: {
    'usr/lib/meter-gateway/package.json': (text) => text.replace(/"version": "[^"]*"/, `"version": "${version}"`),
    'etc/meter-gateway/gateway.toml': (text) => `${text}# of ${version}\n`,
  },
});

/** A member of an archive of `ar`. */
function member(name: string, octets: Buffer): Buffer[] {
  const head = [name.padEnd(16), '0'.padEnd(12), '0'.padEnd(6), '0'.padEnd(6), '100644'.padEnd(8)].join('');
  const odd = octets.length % 2 === 1 ? [Buffer.from('\n')] : [];
  return [Buffer.from(`${head}${String(octets.length).padEnd(10)}\`\n`), octets, ...odd];
}
const run = (program: string, ...words: string[]): Buffer =>
  execFileSync(program, words, { maxBuffer: 1 << 30, stdio: ['ignore', 'pipe', 'inherit'] });
const owned = ['--owner=root:0', '--group=root:0', '--sort=name'];
const change = (path: string, edit: Edit) => writeFileSync(path, edit(readFileSync(path, 'utf8')));

/**
 * OUT is the package FILE, changed. What is not changed is not unpacked: `dpkg-deb -R` and `--build` take a hundred times as long
 * for the thousands of files.
 */
export function repacked(file: string, out: string, { control, files = {} }: Changes): void {
  const work = `${out}.work`;
  mkdirSync(dirname(out), { recursive: true });
  run('dpkg-deb', '--control', file, work);
  for (const [name, edit] of Object.entries(control)) change(join(work, name), edit);
  const words = run('tar', '-C', work, ...owned, '-cf', '-', '.');
  rmSync(work, { recursive: true });
  const data = join(`${work}.tar`);
  writeFileSync(data, run('dpkg-deb', '--fsys-tarfile', file));
  const paths = Object.keys(files).map((path) => `./${path}`);
  if (paths.length > 0) {
    mkdirSync(work);
    run('tar', '-C', work, '-xpf', data, ...paths);
    for (const [path, edit] of Object.entries(files)) change(join(work, path), edit);
    run('tar', '-f', data, '--delete', ...paths);
    run('tar', '-C', work, ...owned, '-rf', data, ...paths);
    rmSync(work, { recursive: true });
  }
  const members = [
    member('debian-binary', Buffer.from('2.0\n')),
    member('control.tar', words),
    member('data.tar', readFileSync(data)),
  ];
  rmSync(data);
  writeFileSync(out, Buffer.concat([Buffer.from('!<arch>\n'), ...members.flat()]));
}

/** A package that nothing is installed of: whoever refuses it looks at its words alone. */
export function emptied(file: string, out: string, { control }: Changes): void {
  const work = `${out}.work`;
  mkdirSync(dirname(out), { recursive: true });
  mkdirSync(work);
  run('dpkg-deb', '--control', file, join(work, 'DEBIAN'));
  for (const name of ['conffiles', 'md5sums']) rmSync(join(work, 'DEBIAN', name));
  for (const [name, edit] of Object.entries(control)) change(join(work, 'DEBIAN', name), edit);
  run('dpkg-deb', '--root-owner-group', '-Znone', '--build', work, out);
  rmSync(work, { recursive: true });
}
