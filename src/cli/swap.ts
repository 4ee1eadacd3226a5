/** `meter-gateway meter swap`: writes the change of a meter into the configuration file; the file stays the one truth. */
import { renameSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { Failure, messageOf } from '../base/errors.ts';
import { parseConfig } from '../config/load.ts';
import { sameSerial } from '../meter/identity.ts';
import { obis, parseLogicalName } from '../dlms/cosem/logical-name.ts';

export interface SwapOptions {
  readonly config: string;
  readonly serial: string;
  readonly at: string;
  readonly final?: readonly string[];
  readonly first?: readonly string[];
  readonly physical?: string;
}
const bad = (message: string): never => {
  throw new Failure('bad-argument', message);
};

/** `1-0:1.8.0=12345678`, several times, as an inline table. */
function registers(name: string, given: readonly string[] = []): string {
  const entries = given.map((text) => {
    const [code = '', value = '', ...more] = text.split('=');
    if (more.length > 0 || !/^\d+$/.test(value))
      return bad(`${name} takes OBIS=REGISTER in whole units of the register, not '${text}'`);
    return `"${obis(parseLogicalName(code))}" = ${BigInt(value) > BigInt(Number.MAX_SAFE_INTEGER) ? `"${value}"` : BigInt(value)}`;
  });
  return entries.length > 0 ? `{ ${entries.join(', ')} }` : '{}';
}

/** The text with the meter replaced; everything else stays as it is. Failure where the file has no such meter. */
export function withSwap(text: string, meter: string, options: Omit<SwapOptions, 'config'>): string {
  const at = Date.parse(options.at);
  if (!/^\d{4}-\d\d-\d\dT/.test(options.at) || Number.isNaN(at))
    bad(`--at takes an instant such as 2026-11-24T10:37:00Z, not '${options.at}'`);
  const { config } = parseConfig(text, 'configuration');
  const known = config.port.flatMap(({ meter: meters }) => meters).find(({ id }) => id === meter);
  if (!known) return bad(`the configuration has no meter '${meter}'`);
  if (sameSerial(known.serial, options.serial)) bad(`${meter} has the serial number ${options.serial} already`);
  const lines = text.split('\n');
  const head = /^\s*\[\[port\.meter\]\]\s*(#.*)?$/;
  const quoted = (key: string, value: string) => {
    const escaped = value.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
    return new RegExp(`^\\s*${key}\\s*=\\s*["']${escaped}["']`);
  };
  for (let start = lines.findIndex((line) => head.test(line)); start >= 0; ) {
    const after = lines.findIndex((line, i) => i > start && /^\s*\[/.test(line));
    const end = after < 0 ? lines.length : after;
    const block = lines.slice(start, end);
    const serialAt = block.findIndex((line) => quoted('serial', known.serial).test(line));
    if (block.some((line) => quoted('id', meter).test(line)) && serialAt >= 0) {
      const kept = block
        .filter((line, i) => i !== serialAt && !/^\s*swap\s*=/.test(line))
        .map((line) =>
          options.physical !== undefined && /^\s*physical\s*=/.test(line) ? `physical = ${options.physical}` : line,
        );
      const swap = `swap = { from = "${known.serial}", at = "${new Date(at).toISOString()}", final = ${registers('--final', options.final)}, first = ${registers('--first', options.first)} }`;
      kept.splice(1, 0, `serial = "${options.serial}"`, swap);
      const written = [...lines.slice(0, start), ...kept, ...lines.slice(end)].join('\n');
      parseConfig(written, 'the new configuration');
      return written;
    }
    start = lines.findIndex((line, i) => i >= end && head.test(line));
  }
  return bad(
    `${meter} is not written as a [[port.meter]] block with lines of its own for id and serial: edit it by hand`,
  );
}

export function swapMeter(meter: string, options: SwapOptions, print: (line: string) => void): void {
  let text: string;
  try {
    text = readFileSync(options.config, 'utf8');
  } catch (error) {
    throw new Failure('config-invalid', messageOf(error));
  }
  const written = withSwap(text, meter, options);
  try {
    const { mode } = statSync(options.config);
    writeFileSync(`${options.config}.before-swap`, text, { mode });
    writeFileSync(`${options.config}.new`, written, { mode });
    renameSync(`${options.config}.new`, options.config);
  } catch (error) {
    throw new Failure('config-invalid', messageOf(error));
  }
  print(`${meter} is ${options.serial} now; the file as it was: ${options.config}.before-swap`);
  print('next: systemctl reload meter-gateway');
}
