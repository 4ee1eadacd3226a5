/** `meter-gateway diag`: what support asks for, in one archive. What cannot be had is named in it and does not end the rest. */
import { readFileSync, writeFileSync } from 'node:fs';
import { arch, cpus, freemem, loadavg, release, totalmem, uptime } from 'node:os';
import { strToU8, zipSync } from 'fflate';
import { Failure, messageOf } from '../base/errors.ts';
import { askGaps, askLines, askQuarantine, askStatus, watchLog } from '../desk/client.ts';
import { type AskOptions, socketOf } from './ask.ts';
import { logText } from './log-text.ts';

export interface DiagPart {
  readonly name: string;
  readonly octets: number;
  /** Why it is not there. */
  readonly why?: string;
}

const json = (value: unknown): string => `${JSON.stringify(value, undefined, 1)}\n`;

function aboutMachine(version: string): string {
  return json({
    taken: new Date().toISOString(),
    version,
    node: process.version,
    kernel: release(),
    arch: arch(),
    cpus: cpus().length,
    model: cpus()[0]?.model,
    uptimeS: Math.round(uptime()),
    load: loadavg(),
    memory: { freeBytes: freemem(), totalBytes: totalmem() },
  });
}

/** Whatever a hand wrote into the file: a value that is no reference, at a key that wants one, does not go out. */
const secretKeys = /^(\s*(?:password|secret|key|[a-z_]*_key)\s*=\s*)(?!["'](?:file:|credential:))[^\n]*$/gim;
const withoutSecrets = (toml: string): string => toml.replace(secretKeys, '$1"(withheld)"');

async function logOf(socket: string): Promise<string> {
  const lines: string[] = [];
  for await (const line of watchLog(socket, false)) lines.push(logText(line));
  return `${lines.join('\n')}\n`;
}

export async function diagnose(file: string, options: AskOptions, version: string): Promise<DiagPart[]> {
  const socket = socketOf(options);
  const requested: readonly (readonly [name: string, make: () => Promise<string> | string])[] = [
    ['machine.json', () => aboutMachine(version)],
    ['status.json', async () => json(await askStatus(socket))],
    ['gaps.json', async () => json(await askGaps(socket))],
    ['lines.json', async () => json(await askLines(socket))],
    ['quarantine.json', async () => json(await askQuarantine(socket))],
    ['log.txt', () => logOf(socket)],
    ['gateway.toml', () => withoutSecrets(readFileSync(options.config ?? '/etc/meter-gateway/gateway.toml', 'utf8'))],
  ];
  const files: Record<string, Uint8Array> = {};
  const parts: DiagPart[] = [];
  for (const [name, make] of requested) {
    try {
      const octets = strToU8(await make());
      files[name] = octets;
      parts.push({ name, octets: octets.length });
    } catch (error) {
      parts.push({ name, octets: 0, why: messageOf(error) });
    }
  }
  files['missing.json'] = strToU8(json(parts.filter(({ why }) => why !== undefined)));
  try {
    writeFileSync(file, zipSync(files), { flag: 'wx', mode: 0o600 });
  } catch (error) {
    throw new Failure('file-unusable', `${file}: ${messageOf(error)}`);
  }
  return parts;
}
