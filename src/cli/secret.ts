/** Secrets come by environment, file or prompt; never by argument, where every process can read them. */
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { Failure } from '../base/errors.ts';
import { parseToml } from '../base/toml.ts';
import { fromHex } from '../base/hex.ts';
import { Secret } from '../base/secret.ts';
import { secretFromFile } from '../config/secrets.ts';
import type { DecodeKeys } from '../recording/explained.ts';
import { answerTo } from './question.ts';

export async function prompt(question: string): Promise<Uint8Array> {
  const silent = new Writable({ write: (_chunk, _encoding, callback) => callback() });
  // The terminal echoes nothing from here on; asked before, whoever pastes at once would see the secret.
  const lines = createInterface({ input: process.stdin, output: silent, terminal: true });
  process.stderr.write(question);
  try {
    return Buffer.from(await answerTo(lines, ''));
  } finally {
    lines.close();
    process.stderr.write('\n');
  }
}

export async function askSecret(file: string | undefined): Promise<Uint8Array> {
  if (file !== undefined) return secretFromFile(file);
  const environment = process.env['METER_SECRET'];
  if (environment) return Buffer.from(environment);
  if (process.stdin.isTTY) return prompt('Password of the meter: ');
  throw new Failure('secret-missing', 'no password: METER_SECRET is not set and there is no terminal to ask at');
}

function keyOf(name: string, hex: string | undefined): Secret | undefined {
  if (hex === undefined || hex === '') return undefined;
  let octets: Uint8Array;
  try {
    octets = fromHex(hex);
  } catch {
    // Not the codec's message: it would repeat a character of the key.
    throw new Failure('key-unfit', `${name} is not hex`);
  }
  if (octets.length !== 16 && octets.length !== 32) {
    throw new Failure('key-unfit', `${name} has ${octets.length} octets; 16 or 32 are needed`);
  }
  return new Secret(octets);
}

/** Keys from the environment, or from a TOML file of mode 0600: ek = "hex", ak = "hex", secret = "text". */
export function decodeKeys(path: string | undefined, environment: NodeJS.ProcessEnv): DecodeKeys {
  let { METER_EK: ek, METER_AK: ak, METER_SECRET: password } = environment;
  if (path !== undefined) {
    let table: Record<string, unknown>;
    try {
      table = parseToml(Buffer.from(secretFromFile(path)).toString('utf8'));
    } catch (error) {
      if (error instanceof Failure) throw error;
      // TOML's message shows the line, and the line holds a key.
      throw new Failure('input-unreadable', `${path} is no TOML`);
    }
    const unknown = Object.keys(table).find((key) => !['ek', 'ak', 'secret'].includes(key));
    if (unknown !== undefined) {
      throw new Failure('input-unreadable', `${path}: unknown key '${unknown}'; it holds ek, ak and secret`);
    }
    const textOf = (key: string) => (typeof table[key] === 'string' ? table[key] : undefined);
    ek = textOf('ek');
    ak = textOf('ak');
    password = textOf('secret');
  }
  const encryption = keyOf('the encryption key', ek);
  const authentication = keyOf('the authentication key', ak);
  return {
    ...(encryption && { encryption }),
    ...(authentication && { authentication }),
    ...(password !== undefined && password !== '' && { secret: new Secret(Buffer.from(password)) }),
  };
}
