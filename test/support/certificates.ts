/** Certificates out of openssl, in a folder of the test. */
import { execFileSync } from 'node:child_process';
import { chmodSync } from 'node:fs';
import { join } from 'node:path';

export const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'] as const;
export const opensslIn =
  (folder: string) =>
  (...args: string[]): Buffer =>
    execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });

/** NAME.pem, signed by itself, and NAME.key, which only its owner reads. */
export function selfSigned(folder: string, name: string, ...more: string[]): void {
  const files = ['-keyout', `${name}.key`, '-out', `${name}.pem`];
  opensslIn(folder)('req', '-x509', ...newKey, ...files, '-subj', `/CN=${name}`, ...more);
  chmodSync(join(folder, `${name}.key`), 0o600);
}
