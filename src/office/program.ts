/** `meter-central` as it is installed: what takes messages (src/central), and what is made of them. */
import { Option } from 'commander';
import { Failure } from '../base/errors.ts';
import { visible } from '../base/visible.ts';
import { openOffice } from '../central/open-store.ts';
import { guarded, program, reading } from '../central/program.ts';
import {
  dayArgument,
  type Form,
  instantOf,
  type Print,
  runAgree,
  runBill,
  runEdit,
  runEdits,
  runEstimate,
  runRecompute,
  runRelease,
  runStatement,
  runValues,
} from './commands.ts';
import { type Office, officeAt } from './point-now.ts';

const print: Print = (line) => void process.stdout.write(`${visible(line)}\n`);
const write = (text: string): Promise<void> =>
  new Promise((resolve, reject) => void process.stdout.write(text, (error) => (error ? reject(error) : resolve())));
interface Common {
  store: string;
  books: string;
  at?: string;
}
const nowOf = ({ at }: Pick<Common, 'at'>): number => (at === undefined ? Date.now() : instantOf(at, '--at'));
const atOffice = guarded(async (options: Common, work: (office: Office) => Promise<void>) => {
  const at = nowOf(options);
  const engine = await openOffice(options.store);
  try {
    await work(officeAt(engine, options.books, at));
  } finally {
    await engine.close();
  }
});
const booksOption = () =>
  new Option('--books <folder>', 'registry, edits and bills of the utility').makeOptionMandatory();
const storeOption = () =>
  new Option('--store <where>', 'a file of SQLite, or postgres://user@host/database').makeOptionMandatory();
const atOption = () => new Option('--at <instant>', 'as of this time, e.g. 2026-11-28T12:00:00Z (now)');
const held = 5;
/** Of so many something was held, or could not be done. */
const ended = (count: number): void => {
  if (count > 0) process.exitCode = held;
};
const complain: Print = (line) => void process.stderr.write(`${visible(line)}\n`);

program
  .command('bill')
  .description('makes the bills that are due: JSON, HTML and PDF in the books, and the statement beside each')
  .addOption(storeOption())
  .addOption(booksOption())
  .addOption(atOption())
  .option('--contract <name>', 'only of this one')
  .option('--dry-run', 'shows them and writes nothing')
  .action((options: Common & { contract?: string; dryRun?: boolean }) =>
    atOffice(options, async (office) => {
      ended(await runBill(office, options.contract, options.dryRun !== true, print));
    }),
  );
program
  .command('statement')
  .description('shows registers, swaps and hours beside a bill, and why the display of the meter says something else')
  .argument('<bill>', 'contract/number')
  .addOption(storeOption())
  .addOption(booksOption())
  .addOption(atOption())
  .option('--looked <instant>', 'when the customer read the display')
  .option('--display <kWh>', 'what it showed')
  .action((bill: string, options: Common & { looked?: string; display?: string }) =>
    atOffice(options, async (office) => {
      const { looked, display } = options;
      if ((looked === undefined) !== (display === undefined))
        throw new Failure('bad-argument', '--looked and --display belong together');
      const kWh = Number(display);
      if (display !== undefined && !/^\d{1,9}(\.\d{1,3})?$/.test(display))
        throw new Failure('bad-argument', `--display: ${JSON.stringify(display)} is no number of kWh`);
      const look = looked === undefined ? undefined : { at: instantOf(looked, '--looked'), kWh };
      await runStatement(office, bill, look, print);
    }),
  );
program
  .command('recompute')
  .description('makes every bill anew of what it froze, and compares digests')
  .addOption(storeOption())
  .option('--contract <name>', 'only of this one')
  .action(
    guarded(({ store, contract }: { store: string; contract?: string }) =>
      reading(store, async (engine) => {
        ended(await runRecompute(engine, contract, print));
      }),
    ),
  );
interface DayOptions extends Common {
  point?: string;
  from?: string;
  to?: string;
}
const daysOf = ({ from, to }: DayOptions) => ({
  ...(from !== undefined && { from: dayArgument(from, '--from') }),
  ...(to !== undefined && { to: dayArgument(to, '--to') }),
});
program
  .command('estimate')
  .description(
    'shows what of a point, or of all, is not simply measured, where it comes from, and what a person should look at',
  )
  .option('--point <name>', 'only of this one')
  .addOption(storeOption())
  .addOption(booksOption())
  .addOption(atOption())
  .option('--from <day>', 'first local day')
  .option('--to <day>', 'the local day before which it ends')
  .action((options: DayOptions) =>
    atOffice(options, async (office) => ended(await runEstimate(office, options.point, daysOf(options), print))),
  );
program
  .command('values')
  .description(
    'writes the series of a point, or of all: as the portal of the Datahub has it, for CIM, or what is new since the last time',
  )
  .option('--point <name>', 'only of this one')
  .addOption(storeOption())
  .addOption(booksOption())
  .addOption(atOption())
  .addOption(new Option('--as <form>', 'form').choices(['csv', 'cim', 'feed']).default('csv'))
  .option('--from <day>', 'first local day')
  .option('--to <day>', 'the local day before which it ends')
  .action((options: DayOptions & { as: Form }) =>
    atOffice(options, async (office) =>
      ended(
        await runValues(
          office,
          options.point,
          { form: options.as, days: daysOf(options) },
          { write, trouble: complain },
        ),
      ),
    ),
  );
interface EditArguments extends Common {
  point?: string;
  channel: 'import' | 'export';
  start?: string;
  value?: string;
  who: string;
  why?: string;
  agree?: string;
}
program
  .command('edit')
  .description('puts a value in the place of one that is not measured; a large one needs a second person')
  .addOption(storeOption())
  .addOption(booksOption())
  .requiredOption('--who <name>', 'who decides')
  .option('--point <name>', 'metering point')
  .addOption(new Option('--channel <name>', 'which way').choices(['import', 'export']).default('import'))
  .option('--start <instant>', 'begin of the interval')
  .option('--value <units>', 'whole units of the point (Wh); none: takes the edit before back')
  .option('--why <text>', 'the reason')
  .option('--agree <edit>', 'the second person agrees to an edit')
  .action((options: EditArguments) =>
    atOffice(options, async (office) => {
      if (options.agree !== undefined) return runAgree(office, options.agree, options.who, print);
      const { point, start, value, why } = options;
      if (point === undefined || start === undefined || value === undefined || why === undefined)
        throw new Failure('bad-argument', 'an edit has --point, --start, --value and --why');
      if (value !== 'none' && !/^\d{1,12}$/.test(value))
        throw new Failure('bad-argument', `--value: ${JSON.stringify(value)} is no whole number, nor none`);
      await runEdit(
        office,
        {
          point,
          channel: options.channel,
          start: instantOf(start, '--start'),
          value: value === 'none' ? null : Number(value),
          who: options.who,
          why,
        },
        print,
      );
    }),
  );
interface ReleaseArguments extends Common {
  point: string;
  rule: string;
  from: string;
  to: string;
  who: string;
  why: string;
}
program
  .command('edits')
  .description('shows who put which value in the place of which, when and why')
  .requiredOption('--point <name>', 'metering point')
  .addOption(storeOption())
  .addOption(booksOption())
  .action((options: Common & { point: string }) =>
    atOffice(options, (office) => runEdits(office, options.point, print)),
  );
program
  .command('release')
  .description('lets a bill go that a finding holds, after a person has looked')
  .addOption(storeOption())
  .addOption(booksOption())
  .requiredOption('--point <name>', 'metering point')
  .requiredOption('--rule <name>', 'of the finding')
  .requiredOption('--from <instant>', 'begin of the finding')
  .requiredOption('--to <instant>', 'its end')
  .requiredOption('--who <name>', 'who looked')
  .requiredOption('--why <text>', 'the reason')
  .action((options: ReleaseArguments) =>
    atOffice(options, (office) => {
      const { point, rule, who, why, from, to } = options;
      const span = { from: instantOf(from, '--from'), to: instantOf(to, '--to') };
      return runRelease(office, { point, rule, who, why, ...span }, print);
    }),
  );

// Whoever reads only the first lines has seen enough.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

export { program };
