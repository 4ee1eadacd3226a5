/** What the unit files say, without a systemd: it has to hold on boards that no test here boots. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { root } from '../support/programs.ts';

const services = readdirSync(join(root, 'systemd')).filter((name) => name.endsWith('.service'));
/** Directories of every Debian, on each architecture, and what systemd makes for the unit itself. */
const everywhere = ['/', '/usr/lib', '/lib', '/etc/meter-gateway'];

test.each(services)(
  'incident: /lib64 is on amd64 and not on arm64, so that no Raspberry Pi could start the unit: %s names only what is everywhere',
  (name) => {
    const text = readFileSync(join(root, 'systemd', name), 'utf8');
    const named = [...text.matchAll(/^(?:\w*Paths|Bind\w*|InaccessibleDirectories)=(.*)$/gm)].flatMap(
      ([, paths = '']) => paths.split(' '),
    );
    expect(named).toContain('/');
    expect(named.filter((path) => !path.startsWith('-') && !everywhere.includes(path))).toEqual([]);
  },
);
