/** What may be asked while no configuration is in force: at the page and at the local sockets, by the same rows. */
import * as v from 'valibot';
import type { ScanEvent } from '../commission/scan.ts';
import { entrySchema, type WorkList, type WorkListEntry } from '../commission/work-list.ts';
import { fitSecretName } from '../config/secrets.ts';
import type { Permission, Route } from '../door/rows.ts';
import { rowOf } from '../door/rows.ts';
import { type Draft, type DraftPart, partSchema } from './draft.ts';
import type { FoundLine } from './found-lines.ts';
import type { PageTicket } from '../desk/routes.ts';
import type { ShownFinding } from './shown-finding.ts';

export interface NeededSecret {
  /** As `meter-gateway secret set` names it. */
  readonly name: string;
  /** The key of the configuration that refers to it. */
  readonly of: string;
  readonly given: boolean;
}
export interface SetupState {
  readonly mode: 'first-run' | 'refused';
  /** The file that is missing, or refused. */
  readonly file: string;
  /** What is wrong, in a refused configuration; what came of the last try, in a first run. */
  readonly findings: readonly ShownFinding[];
  /** In a first run: what was entered. Of secrets, which of them. */
  readonly draft: Draft | null;
  readonly secrets: readonly string[];
  readonly backup: BackupSeen | null;
  /** How often it was looked at: it rises. */
  readonly looks: number;
}
export interface BackupSeen {
  readonly madeAt: string;
  readonly records: number;
}
export interface EffectiveConfiguration {
  readonly text: string;
  readonly findings: readonly ShownFinding[];
  readonly secrets: readonly NeededSecret[];
  /** The gateway starts with it. */
  readonly good: boolean;
}
export interface BrokerTest {
  readonly good: readonly string[];
  readonly wrong: readonly string[];
  readonly remarks: readonly string[];
}
export interface SetupScanWish {
  readonly device: string;
  readonly baud: number;
  readonly link: 'hdlc' | 'wrapper' | 'mode-e';
  readonly direction: string;
  readonly entries: readonly WorkListEntry[];
  readonly blind: boolean;
  readonly fresh: boolean;
}
export interface Written {
  /** `starts`: this process goes on with it; `restarts`: it ends, and is started again with it. */
  readonly outcome: 'starts' | 'restarts';
}

/** While there is no configuration in force. */
export interface SetupAnswers {
  state(): SetupState;
  ports(): Promise<readonly FoundLine[]>;
  scan(wish: SetupScanWish, signal: AbortSignal): AsyncIterable<ScanEvent>;
  workList(octets: Uint8Array): WorkList;
  enter(part: DraftPart): SetupState;
  /** null: it is not to be had any more. */
  secret(name: string, value: string | null): SetupState;
  testBroker(): Promise<BrokerTest>;
  configuration(): EffectiveConfiguration;
  /** Part by part; with the last one it is judged. */
  backup(part: { readonly at: number; readonly octets: Uint8Array; readonly last: boolean }): Promise<SetupState>;
  write(): Promise<Written>;
  forget(): SetupState;
  /** Looks at the file once more; the gateway starts where it is good. */
  again(): Promise<SetupState>;
  /** The same, for whoever asks as of a gateway that runs: fails where it does not start. */
  reload(): Promise<{ readonly hash: string; readonly since: string; readonly warnings: readonly string[] }>;
  link(permission: Permission): PageTicket;
  /** Why the gateway does not run, as a Failure. */
  refuse(): never;
}

const nothing = v.strictObject({});
const base64 = (most: number) => v.pipe(v.string(), v.maxLength(most), v.base64());
const device = v.pipe(v.string(), v.minLength(1), v.maxLength(300));
const row = rowOf<SetupAnswers>();

const entering: readonly Route<SetupAnswers>[] = [
  row({
    method: 'GET',
    path: '/v1/setup',
    permission: 'look',
    meaning: 'why no configuration is in force, and what was entered so far; of secrets only their names',
    input: nothing,
    answers: 'value',
    handle: (setup) => setup.state(),
  }),
  row({
    method: 'GET',
    path: '/v1/setup/ports',
    permission: 'look',
    meaning: 'serial lines of this machine by the names that stay, and whether each opens',
    input: nothing,
    answers: 'value',
    handle: (setup) => setup.ports(),
  }),
  row({
    method: 'POST',
    path: '/v1/setup/scan',
    permission: 'act',
    meaning: 'which meters answer on a line; events as they come, the findings last',
    input: v.strictObject({
      device,
      baud: v.optional(v.pipe(v.number(), v.integer(), v.minValue(300), v.maxValue(921_600)), 9600),
      link: v.optional(v.picklist(['hdlc', 'wrapper', 'mode-e']), 'hdlc'),
      direction: v.optional(v.picklist(['auto', 'kernel', 'rts', 'rts-inverted']), 'auto'),
      entries: v.optional(v.pipe(v.array(entrySchema), v.maxLength(1000)), []),
      blind: v.optional(v.boolean(), false),
      fresh: v.optional(v.boolean(), false),
    }),
    answers: 'lines',
    handle: (setup, wish, signal) => setup.scan(wish, signal),
  }),
  row({
    method: 'POST',
    path: '/v1/setup/work-list',
    permission: 'look',
    meaning: 'a work list (CSV, in base64) read and judged',
    input: v.strictObject({ octets: base64(60_000) }),
    answers: 'value',
    handle: (setup, { octets }) => setup.workList(Buffer.from(octets, 'base64')),
  }),
  row({
    method: 'POST',
    path: '/v1/setup/enter',
    permission: 'act',
    meaning:
      'what was entered, part by part: site, broker, lines with their meters, or a file of your own; it is stored',
    input: partSchema,
    answers: 'value',
    handle: (setup, part) => setup.enter(part),
  }),
  row({
    method: 'POST',
    path: '/v1/setup/secret',
    permission: 'act',
    meaning:
      'a secret by its name, held in memory until the configuration is written, and never answered; null takes it back',
    input: v.strictObject({
      name: v.pipe(v.string(), v.regex(fitSecretName)),
      // By this name the log leaves it out.
      secret: v.nullable(v.pipe(v.string(), v.minLength(1), v.maxLength(16_000))),
    }),
    answers: 'value',
    handle: (setup, { name, secret }) => setup.secret(name, secret),
  }),
];

const ending: readonly Route<SetupAnswers>[] = [
  row({
    method: 'POST',
    path: '/v1/setup/broker',
    permission: 'act',
    meaning: 'tries the way to the broker: name, TCP, TLS, login, and what its access rules let this gateway do',
    input: nothing,
    answers: 'value',
    handle: (setup) => setup.testBroker(),
  }),
  row({
    method: 'GET',
    path: '/v1/setup/configuration',
    permission: 'look',
    meaning: 'the configuration as it would be written, judged as the start judges it, and the secrets that it needs',
    input: nothing,
    answers: 'value',
    handle: (setup) => setup.configuration(),
  }),
  row({
    method: 'POST',
    path: '/v1/setup/backup',
    permission: 'act',
    meaning: 'a backup, part by part (base64, at its place); restored when the configuration is written',
    input: v.strictObject({
      at: v.pipe(v.number(), v.integer(), v.minValue(0)),
      octets: base64(1_400_000),
      last: v.boolean(),
    }),
    answers: 'value',
    handle: (setup, { at, octets, last }) => setup.backup({ at, octets: Buffer.from(octets, 'base64'), last }),
  }),
  row({
    method: 'POST',
    path: '/v1/setup/write',
    permission: 'act',
    meaning: 'writes secrets and configuration, restores the backup where there is one, and starts the gateway',
    input: nothing,
    answers: 'value',
    handle: (setup) => setup.write(),
  }),
  row({
    method: 'POST',
    path: '/v1/setup/forget',
    permission: 'act',
    meaning: 'forgets what was entered',
    input: nothing,
    answers: 'value',
    handle: (setup) => setup.forget(),
  }),
  row({
    method: 'POST',
    path: '/v1/setup/again',
    permission: 'act',
    meaning: 'looks at the file once more; the gateway starts where it is good',
    input: nothing,
    answers: 'value',
    handle: (setup) => setup.again(),
  }),
];
/** At the page. Whatever is entered in a first run may be a secret, under whatever name. */
export const setupRows: readonly Route<SetupAnswers>[] = [...entering, ...ending].map((one) => ({
  ...one,
  holdsSecrets: true,
}));

/** At the local sockets also what is asked of a gateway that runs: a link to the page, a reload, and how it is. */
export const setupDoorRows: readonly Route<SetupAnswers>[] = [
  ...setupRows,
  row({
    method: 'POST',
    path: '/v1/page/ticket',
    permission: 'act',
    meaning: 'a link that logs in at the page once, within ten minutes, to act',
    input: nothing,
    answers: 'value',
    handle: (setup) => setup.link('act'),
  }),
  row({
    method: 'POST',
    path: '/v1/page/look',
    permission: 'look',
    meaning: 'a link that logs in at the page once, within ten minutes, to look',
    input: nothing,
    answers: 'value',
    handle: (setup) => setup.link('look'),
  }),
  row({
    method: 'GET',
    path: '/v1/status',
    permission: 'look',
    meaning: 'why the gateway does not run',
    input: nothing,
    answers: 'value',
    handle: (setup) => setup.refuse(),
  }),
  row({
    method: 'POST',
    path: '/v1/reload',
    permission: 'act',
    meaning: 'looks at the file once more; the gateway starts where it is good',
    input: nothing,
    answers: 'value',
    handle: (setup) => setup.reload(),
  }),
];
