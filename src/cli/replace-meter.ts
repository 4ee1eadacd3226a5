/**
 * `meter-gateway meter replace`: a meter is replaced in one guided step. What the old one counted is read, or typed from its
 * display; the new one is found, read, and written into the configuration. Whoever is cut off goes on with the same command.
 */
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Failure, messageOf } from '../base/errors.ts';
import { iso, type Millis } from '../base/time.ts';
import type { MeterRecord } from '../commission/meter-record.ts';
import { siteFolder, writeWhole } from '../commission/site-folder.ts';
import { parseConfig } from '../config/judge.ts';
import { everyMeter } from '../config/listened.ts';
import { meterModels } from '../config/meter-models.ts';
import { sameSerial } from '../meter/identity.ts';
import { genericModel, physicalAddressOf } from '../meter/model.ts';
import { askedToReload, type CommissionHands, type CommissionOptions, runCommission } from './commission.ts';
import { bad } from './connection.ts';
import { stateDirectory } from './nonces.ts';
import { changeFile } from './replace-file.ts';
import { placesOf, socketFor, textOf } from './site-options.ts';
import { type SwapOptions, withSwap } from './swap.ts';
import { note } from './terminal.ts';
import { answerTo } from './question.ts';

export interface ReplaceOptions {
  readonly config: string;
  readonly socket?: string;
  readonly site?: string;
  readonly serial?: string;
  readonly physical?: string;
  readonly final?: readonly string[];
  /** Of the display of the old meter. */
  readonly photo?: string;
  /** False with --no-registers. */
  readonly registers?: boolean;
  readonly who?: string;
}

/** What was done of a replacement, on the disk before the next step begins. */
interface Journal {
  readonly format: 1;
  readonly meter: string;
  readonly oldSerial: string;
  /** `1-0:1.8.0*255=12345`; empty where nobody knows. */
  readonly final: readonly string[];
  readonly finalBy: 'read' | 'typed' | 'nobody';
  readonly finalAt: string;
  readonly newSerial?: string;
  readonly swappedAt?: string;
}
const journalPath = (meter: string): string => {
  const folder = join(stateDirectory(process.env), 'replacements');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return join(folder, `${encodeURIComponent(meter)}.json`);
};
function readJournal(path: string): Journal | undefined {
  if (!existsSync(path)) return undefined;
  try {
    const journal = JSON.parse(readFileSync(path, 'utf8')) as Journal;
    if (journal.format === 1 && Array.isArray(journal.final)) return journal;
  } catch {
    // What cannot be read says nothing: the replacement begins anew.
  }
  return undefined;
}

type Ask = (question: string) => Promise<string>;
async function asking<T>(work: (ask: Ask | undefined) => Promise<T>): Promise<T> {
  if (!process.stdin.isTTY) return work(undefined);
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return await work(async (question) => (await answerTo(lines, question)).trim());
  } finally {
    lines.close();
  }
}

interface Context {
  readonly meter: string;
  readonly options: ReplaceOptions;
  readonly hands: CommissionHands;
  readonly ask: Ask | undefined;
}

/** Who is there now, by a run of the commissioning that writes nothing into the configuration. */
async function commissioned({ meter, options, hands }: Context): Promise<MeterRecord | undefined> {
  const { config, socket, site, who } = options;
  const wishes: CommissionOptions = {
    config,
    ...(socket !== undefined && { socket }),
    ...(site !== undefined && { site }),
    ...(who !== undefined && { who }),
    exchanges: '5',
    unattended: true,
    again: true,
    write: false,
  };
  const { records } = await runCommission([meter], wishes, hands);
  return records[0];
}
const registersOf = (record: MeterRecord | undefined): string[] =>
  (record?.steps.registers?.registers ?? []).map(({ obis, raw }) => `${obis}=${raw}`);

/** What the old meter counted: typed, read, or asked for. */
async function outRead(context: Context, oldSerial: string): Promise<Journal> {
  const { meter, options, hands, ask } = context;
  const journal = (final: readonly string[], finalBy: Journal['finalBy']): Journal => ({
    format: 1,
    meter,
    oldSerial,
    final,
    finalBy,
    finalAt: iso(hands.clock.wall()),
  });
  if (options.registers === false) return journal([], 'nobody');
  if (options.final !== undefined && options.final.length > 0) return journal(options.final, 'typed');
  hands.print(`The old meter ${oldSerial} is read:`);
  const read = registersOf(await commissioned(context));
  if (read.length > 0) return journal(read, 'read');
  if (!ask)
    return bad(
      'the old meter cannot be read: type what its display shows, --final 1-0:1.8.0=12345678 in whole units of the register (and --photo FILE); or --no-registers',
    );
  const shown = await ask(
    'It cannot be read. Its import register 1-0:1.8.0 by its display, in whole Wh (nothing: nobody knows): ',
  );
  if (shown === '') return journal([], 'nobody');
  if (!/^\d+$/.test(shown)) return bad(`'${shown}' is no register in whole Wh`);
  return journal([`1-0:1.8.0=${shown}`], 'typed');
}

async function newSerial({ options, ask }: Context, oldSerial: string): Promise<string> {
  const given =
    options.serial ??
    (await ask?.('Take the old meter down, mount the new one, give it voltage. The serial number on its label: ')) ??
    '';
  if (given === '') return bad('--serial is missing: the serial number on the label of the new meter');
  if (sameSerial(given, oldSerial)) return bad(`${given} is the serial number of the old meter`);
  return given;
}

/** The address follows the serial number, where it was written by its formula. */
function physicalOf(text: string, meter: string, serial: string, given: string | undefined): string | undefined {
  if (given !== undefined) return given;
  const { config } = parseConfig(text, 'configuration');
  const known = everyMeter(config).find(({ id }) => id === meter);
  if (known?.physical === undefined) return undefined;
  const model = meterModels().get(known.model) ?? genericModel;
  return known.physical === physicalAddressOf(model, known.serial)
    ? physicalAddressOf(model, serial)?.toString()
    : undefined;
}

function writeSwap({ meter, options, hands }: Context, swap: SwapOptions, now: Millis): void {
  const backup = changeFile(options.config, 'before-swap', (text) => withSwap(text, meter, swap, now));
  hands.print(`the swap is written; the file as it was: ${backup}`);
}

const serialOf = (text: string, meter: string): string => {
  const { config } = parseConfig(text, 'configuration');
  const known = everyMeter(config).find(({ id }) => id === meter);
  if (!known) throw new Failure('unknown-meter', `no meter '${meter}' in the configuration`);
  return known.serial;
};

/** The new meter: found, read, its voltage and its first interval; what it counted when it began is amended. */
async function inRead(context: Context, journal: Journal, path: string): Promise<number> {
  const { meter, options, hands } = context;
  const { print } = hands;
  print(`The new meter ${journal.newSerial} is asked:`);
  const record = await commissioned(context);
  if (!record?.steps.registers) {
    print(`${meter}: the new meter was not read; the same command goes on here`);
    return 4;
  }
  const first = registersOf(record).filter((one) => journal.final.some((final) => codeOf(final) === codeOf(one)));
  if (journal.final.length > 0 && first.length > 0) {
    writeSwap(context, { amend: true, first }, hands.clock.wall());
    await askedToReload(socketFor(options), print);
  }
  const { voltages } = record.steps.registers;
  print(
    voltages === null
      ? 'voltage: the meter does not tell it; look at its display'
      : `voltage: ${voltages.map((one) => `${one} V`).join(', ')}${voltages.some((one) => one < 100) ? ' (a phase is missing: look at its fuses)' : ''}`,
  );
  // What it recorded before it hung here is of another point.
  const { day } = record.steps;
  const isSeen = day !== undefined && day.rows > 0 && Date.parse(day.to) > Date.parse(journal.swappedAt ?? '');
  print(
    isSeen
      ? 'its first interval here is there'
      : `no interval of this place is there yet: the first ends within ${record.periodS / 60} min; meter-gateway poll ${meter} then`,
  );
  keepPhoto(context);
  rmSync(path, { force: true });
  return record.result === 'failed' ? 4 : 0;
}
/** The folder of a gateway that runs is its own: the photo is then kept by whoever took it. */
function keepPhoto({ meter, options, hands }: Context): void {
  if (options.photo === undefined) return;
  try {
    const site = siteFolder(placesOf(options).site);
    site.attach(meter, options.photo, 'display of the old meter', iso(hands.clock.wall()));
  } catch (error) {
    note(`the photo was not kept: ${messageOf(error)}`);
  }
}
const codeOf = (register: string): string => (register.split('=')[0] ?? '').replace(/\*255$/, '');

export function replaceMeter(meter: string, options: ReplaceOptions, hands: CommissionHands): Promise<number> {
  return asking(async (ask) => {
    const context: Context = { meter, options, hands, ask };
    const path = journalPath(meter);
    const save = (journal: Journal): Journal => {
      writeWhole(path, JSON.stringify(journal));
      return journal;
    };
    const serial = serialOf(textOf(options.config), meter);
    const begun = readJournal(path);
    if (begun) note(`a replacement of ${meter} is under way since ${begun.finalAt}: it goes on (${path})`);
    let journal = begun ?? save(await outRead(context, serial));
    if (journal.newSerial === undefined || sameSerial(serial, journal.oldSerial)) {
      const next = await newSerial(context, journal.oldSerial);
      const physical = physicalOf(textOf(options.config), meter, next, options.physical);
      const swappedAt = iso(hands.clock.wall());
      const swap: SwapOptions = {
        serial: next,
        at: swappedAt,
        final: journal.final,
        registers: journal.final.length > 0,
        ...(physical !== undefined && { physical }),
      };
      writeSwap(context, swap, hands.clock.wall());
      journal = save({ ...journal, newSerial: next, swappedAt });
      await askedToReload(socketFor(options), hands.print);
    }
    return inRead(context, journal, path);
  });
}
