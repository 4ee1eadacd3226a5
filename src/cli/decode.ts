/** `meter-gateway decode`: explains hex and recorded exchanges. */
import { readFileSync } from 'node:fs';
import { parse } from 'smol-toml';
import { Failure, messageOf } from '../base/errors.ts';
import { fromHex } from '../base/hex.ts';
import { Secret } from '../base/secret.ts';
import { rowJson } from '../reading/load-profile-row.ts';
import { parseExchange } from './exchange-file.ts';
import { type DecodeKeys, explain, explainedJson, requireReadable } from './explain.ts';
import { secretFromFile } from './secret.ts';

/** Larger than any recording of a session. */
const inputLimit = 64 << 20;

function keyOf(name: string, hex: string | undefined): Secret | undefined {
  if (hex === undefined || hex === '') return undefined;
  let octets: Uint8Array;
  try {
    octets = fromHex(hex);
  } catch {
    // Not the codec's message: it would repeat a character of the key.
    throw new Failure('secret-missing', `${name} is not hex`);
  }
  if (octets.length !== 16 && octets.length !== 32) {
    throw new Failure('secret-missing', `${name} has ${octets.length} octets; 16 or 32 are needed`);
  }
  return new Secret(octets);
}

/** Keys from the environment, or from a TOML file of mode 0600: ek = "hex", ak = "hex", secret = "text". */
function decodeKeys(path: string | undefined, environment: NodeJS.ProcessEnv): DecodeKeys {
  let { METER_EK: ek, METER_AK: ak, METER_SECRET: password } = environment;
  if (path !== undefined) {
    let table: Record<string, unknown>;
    try {
      table = parse(Buffer.from(secretFromFile(path)).toString('utf8'));
    } catch (error) {
      if (error instanceof Failure) throw error;
      // TOML's message shows the line, and the line holds a key.
      throw new Failure('bad-argument', `${path} is no TOML`);
    }
    const unknown = Object.keys(table).find((key) => !['ek', 'ak', 'secret'].includes(key));
    if (unknown !== undefined) {
      throw new Failure('bad-argument', `${path}: unknown key '${unknown}'; it holds ek, ak and secret`);
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

export function decodeInput(
  file: string,
  options: { json?: boolean; rows?: boolean; keys?: string },
  print: (line: string) => void,
): number {
  let octets: Buffer;
  try {
    octets = readFileSync(file === '-' ? 0 : file);
  } catch (error) {
    throw new Failure('bad-argument', messageOf(error));
  }
  if (octets.length > inputLimit) throw new Failure('bad-argument', `${file}: more than ${inputLimit} octets`);
  const explanation = explain(parseExchange(octets.toString('latin1')), decodeKeys(options.keys, process.env));
  requireReadable(explanation);
  if (options.rows) for (const row of explanation.rows) print(JSON.stringify(rowJson(row)));
  else {
    for (const frame of explanation.frames) {
      if (options.json) print(JSON.stringify(explainedJson(frame)));
      else {
        const [first = '', ...rest] = frame.text;
        const arrow = frame.direction === 'to-meter' ? '→' : frame.direction === 'from-meter' ? '←' : ' ';
        print(`${frame.time.padEnd(9)}${arrow} ${first}`);
        for (const line of rest) print(`${' '.repeat(11)}  ${line}`);
      }
    }
  }
  for (const problem of explanation.problems) process.stderr.write(`${problem}\n`);
  return explanation.problems.length > 0 ? 1 : 0;
}
