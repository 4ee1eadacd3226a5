/** `meter-gateway meter swap`: writes the change of a meter into the configuration file; the file stays the one truth. */
import { isDeepStrictEqual } from 'node:util';
import { Failure, messageOf } from '../base/errors.ts';
import { dayMs, type Millis, millis } from '../base/time.ts';
import { localTime, systemZone } from '../base/words.ts';
import { parseConfig } from '../config/judge.ts';
import { everyMeter } from '../config/listened.ts';
import { blockOf } from '../config/meter-block.ts';
import { meterModels } from '../config/meter-models.ts';
import type { Config } from '../config/schema.ts';
import { obis, parseLogicalName } from '../dlms/cosem/logical-name.ts';
import type { MeterModel } from '../meter/model.ts';
import { changeFile } from './replace-file.ts';

export interface SwapOptions {
  readonly serial?: string;
  readonly at?: string;
  readonly final?: readonly string[];
  readonly first?: readonly string[];
  /** False with --no-registers. */
  readonly registers?: boolean;
  readonly physical?: string;
  /** Corrects the last swap instead of telling another one. */
  readonly amend?: boolean;
}
type Meter = Config['port'][number]['meter'][number];
type Swap = NonNullable<Meter['swap']>;
type Registers = Swap['final'];

const bad = (message: string): never => {
  throw new Failure('bad-argument', message);
};
/** What a register of long64-unsigned can hold. */
const largestRegister = 2n ** 64n - 1n;
/** A swap that is entered later than this has a slip in its year. */
const oldestMs = 400 * dayMs;

/** `1-0:1.8.0=12345678`, several times, by the one spelling of the OBIS code. */
function registersOf(name: string, given: readonly string[], modulus: number | undefined): Registers {
  const registers: Record<string, number | string> = {};
  for (const text of given) {
    const [code = '', value = '', ...more] = text.split('=');
    if (more.length > 0 || !/^\d+$/.test(value))
      bad(`${name} takes OBIS=REGISTER in whole units of the register, not '${text}'`);
    const key = obis(parseLogicalName(code));
    if (Object.hasOwn(registers, key)) bad(`${name} gives ${key} twice`);
    const register = BigInt(value);
    const limit = modulus === undefined ? largestRegister : BigInt(modulus) - 1n;
    if (register > limit) bad(`${name} ${key}: the register goes up to ${limit}, not to ${register}`);
    registers[key] = register > BigInt(Number.MAX_SAFE_INTEGER) ? String(register) : Number(register);
  }
  return registers;
}

/** Somebody says that nobody noted them: forgotten is another thing. What is known of one meter alone can be amended. */
function requireRegisters(final: Registers, first: Registers, without: boolean): void {
  const finals = Object.keys(final);
  const firsts = Object.keys(first);
  if (without) {
    if (finals.length + firsts.length > 0) bad('--no-registers goes without --final and --first');
    return;
  }
  if (finals.length + firsts.length === 0)
    bad(
      '--final and --first are missing: what the old meter and the new one showed, e.g. --final 1-0:1.8.0=12345678 --first 1-0:1.8.0=0; with --no-registers the energy of the interval across the change is lost',
    );
}

/** An instant that can be true: not to come, not before the change before it, not before the series, not long ago. */
function instantOf(text: string, now: Millis, known: Meter, before: Swap | undefined): Millis {
  const at = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(at)) bad(`--at takes an instant such as 2026-11-24T10:37:00Z, not '${text}'`);
  const option = `--at ${text}`;
  if (at > now)
    bad(`${option} is still to come (it is ${localTime(now, systemZone())}): tell it when the meter has been replaced`);
  if (at < now - oldestMs) bad(`${option} is more than 400 days ago: is the year right?`);
  if (before && at <= Date.parse(before.at))
    bad(`${option} is not after the swap before it (${before.at}); to correct that one: --amend`);
  if (known.since !== undefined && at < Date.parse(known.since))
    bad(`${option} is before the series of ${known.id} begins (since = "${known.since}")`);
  return millis(at);
}

/** The meter as it is to stand in the file. */
function changed(
  known: Meter,
  options: SwapOptions,
  now: Millis,
  modulus: number | undefined,
): Pick<Meter, 'serial' | 'physical'> & { swap: Swap } {
  const { amend = false } = options;
  const last = known.swap;
  if (amend && !last) return bad(`${known.id} has no swap to amend`);
  const correcting = amend ? last : undefined;
  const serial = options.serial ?? (correcting ? known.serial : '');
  if (!/^[\x21-\x7e]+$/.test(serial)) return bad('--serial takes the serial number of the new meter, without blanks');
  const from = correcting?.from ?? known.serial;
  if (serial === from)
    return bad(`${known.id} has the serial number ${serial} already: a meter is not its own successor`);
  const given = (name: '--final' | '--first', texts: readonly string[] = [], before: Registers = {}): Registers =>
    texts.length === 0 && options.registers !== false ? before : registersOf(name, texts, modulus);
  const final = given('--final', options.final, correcting?.final);
  const first = given('--first', options.first, correcting?.first);
  requireRegisters(final, first, options.registers === false);
  const at =
    options.at === undefined && correcting
      ? correcting.at
      : new Date(instantOf(options.at ?? '', now, known, correcting ? undefined : last)).toISOString();
  const physical = options.physical === undefined ? known.physical : Number(options.physical);
  if (options.physical !== undefined && !(/^\d{1,5}$/.test(options.physical) && Number(options.physical) <= 16_383))
    return bad(`--physical takes a whole number from 0 to 16383, not '${options.physical}'`);
  return { serial, ...(physical !== undefined && { physical }), swap: { from, at, final, first } };
}

/** Of registers of which only one side is known: both spans stay partial until somebody amends them (R33). */
export function unpaired({ final, first }: Pick<Swap, 'final' | 'first'>): string[] {
  const lone = (name: string, of: Registers, other: Registers) =>
    Object.keys(other)
      .filter((code) => !Object.hasOwn(of, code))
      .map(
        (code) =>
          `${name} ${code} is missing: the energy of the interval across the change is not known until it is amended`,
      );
  return [...lone('--final', final, first), ...lone('--first', first, final)];
}

/** A TOML basic string is a JSON string, for what may stand in a serial number. */
const quote = (text: string): string => JSON.stringify(text);
const table = (registers: Registers): string => {
  const entries = Object.entries(registers).map(
    ([code, value]) => `${quote(code)} = ${typeof value === 'string' ? quote(value) : value}`,
  );
  return entries.length > 0 ? `{ ${entries.join(', ')} }` : '{}';
};
const swapText = ({ from, at, final, first }: Swap): string =>
  `{ from = ${quote(from)}, at = ${quote(at)}, final = ${table(final)}, first = ${table(first)} }`;

/** The end of a value: a comment is what follows it, and no sign within a string begins one. */
const valuePattern = /(?:"(?:\\.|[^"\\])*"|'[^']*'|[^"'#])*/;

/** Puts a value in the place of another one: indentation, comment and line end stay. */
function withValue(line: string, key: string, value: string): string {
  const [, head = '', rest = ''] = /^(\s*[A-Za-z_]+\s*=\s*)(.*)$/s.exec(line) ?? [];
  const old = valuePattern.exec(rest)?.[0] ?? '';
  return head === ''
    ? `${key} = ${value}`
    : `${head}${value}${old.slice(old.trimEnd().length)}${rest.slice(old.length)}`;
}

const isKey = (key: string, line: string): boolean => new RegExp(`^\\s*${key}\\s*=`).test(line);

const byHand = (meter: string): never =>
  bad(`${meter} is not written as a [[port.meter]] block with lines of its own for id and serial: edit it by hand`);

/** The text with the meter replaced; everything else stays as it is. Failure where the file has no such meter. */
export function withSwap(
  text: string,
  meter: string,
  options: SwapOptions,
  now: Millis,
  models: ReadonlyMap<string, MeterModel> = meterModels(),
): string {
  const { config } = parseConfig(text, 'configuration');
  const known = everyMeter(config).find(({ id }) => id === meter);
  if (!known) return bad(`the configuration has no meter '${meter}'`);
  if (options.physical !== undefined && isListened(config, meter))
    return bad(`${meter} only pushes: it has no --physical address`);
  const next = changed(known, options, now, models.get(known.model)?.register_modulus);
  const lines = text.split('\n');
  const block = blockOf(lines, meter);
  if (!block) return byHand(meter);
  const within = (key: string) => {
    const at = lines.findIndex((line, i) => i >= block[0] && i < block[1] && isKey(key, line));
    return at < 0 ? undefined : at;
  };
  const serialAt = within('serial');
  if (serialAt === undefined) return byHand(meter);
  const serialLine = lines[serialAt] as string;
  const indent = /^\s*/.exec(serialLine)?.[0] ?? '';
  const lineEnd = serialLine.endsWith('\r') ? '\r' : '';
  const added: string[] = [];
  for (const [key, value] of [
    ['physical', next.physical === known.physical ? undefined : String(next.physical)],
    ['swap', swapText(next.swap)],
  ] as const) {
    if (value === undefined) continue;
    const at = within(key);
    if (at === undefined) added.push(`${indent}${key} = ${value}${lineEnd}`);
    else lines[at] = withValue(lines[at] as string, key, value);
  }
  lines[serialAt] = withValue(serialLine, 'serial', quote(next.serial));
  lines.splice(serialAt + 1, 0, ...added);
  const written = lines.join('\n');
  let proven: Config;
  try {
    proven = parseConfig(written, 'the new configuration').config;
  } catch (error) {
    return bad(`with this change the file would not be good, and it is left as it was: ${messageOf(error)}`);
  }
  // The lines were found by their looks: this is the proof that the right ones were changed, and no other.
  const expected: Config = {
    ...config,
    port: config.port.map((port) => ({
      ...port,
      meter: port.meter.map((one) => (one.id === meter ? { ...one, ...next } : one)),
    })),
    listen: config.listen.map((listen) => ({
      ...listen,
      meter: listen.meter.map((one) => (one.id === meter ? { ...one, serial: next.serial, swap: next.swap } : one)),
    })),
  };
  return isDeepStrictEqual(proven, expected) ? written : byHand(meter);
}

const isListened = (config: Config, meter: string): boolean =>
  config.listen.some((listen) => listen.meter.some(({ id }) => id === meter));

export function swapMeter(
  meter: string,
  options: SwapOptions & { readonly config: string },
  now: Millis,
  print: (line: string) => void,
): void {
  let serial = '';
  let physical: number | undefined;
  let swap: Swap | undefined;
  let listened = false;
  const backup = changeFile(options.config, 'before-swap', (text) => {
    const written = withSwap(text, meter, options, now);
    const { config } = parseConfig(written, options.config);
    const next = everyMeter(config);
    listened = isListened(config, meter);
    ({ serial = '', physical, swap } = next.find(({ id }) => id === meter) ?? {});
    return written;
  });
  print(`${meter} is ${serial} now; the file as it was: ${backup}`);
  if (listened)
    print(`it pushes: where the new meter has another system title or other keys, write them beside its serial number`);
  if (physical !== undefined && options.physical === undefined)
    print(`its HDLC address is still ${physical}; where the new meter has another one: --amend --physical N`);
  for (const line of swap ? unpaired(swap) : []) print(`warning: ${line}: meter-gateway meter amend ${meter}`);
  print('next: systemctl reload meter-gateway');
}
