/** What is asked where no configuration is in force: what is wrong with the one that is there, or the first one. */
import * as v from 'valibot';
import { rowOf, type Permission, type Route } from '../door/rows.ts';
import type { BrokerProbe } from '../forward/broker-probe.ts';
import type { Finding } from '../config/findings.ts';
import type { PageTicket } from './routes.ts';

export interface ShownFinding extends Finding {
  /** The line of the file that it is about; null where it is about the whole. */
  readonly text: string | null;
}
export interface FoundPort {
  /** As it is written into the configuration: `serial:/dev/…`, by a name that lasts where there is one. */
  readonly device: string;
  readonly words: string;
}
export interface SetupAnswer {
  readonly mode: 'first-run' | 'refused';
  /** The configuration that is awaited. */
  readonly file: string;
  /** Why nothing runs, in one sentence. */
  readonly why: string;
  readonly findings: readonly ShownFinding[];
  readonly ports: readonly FoundPort[];
  /** Whether this process can put a configuration there; else why not. */
  readonly cannotWrite: string | null;
}
export interface DraftAnswer {
  /** The configuration as it would be written; it holds no secret. */
  readonly text: string;
  readonly findings: readonly ShownFinding[];
}

const line = (most: number) => v.pipe(v.string(), v.maxLength(most), v.regex(/^[^\p{Cc}]*$/u));
const name = v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{1,64}$/));
const draft = v.strictObject({
  tenant: name,
  id: name,
  timeZone: line(60),
  clockTrust: v.optional(v.picklist(['kernel', 'assume']), 'kernel'),
  broker: v.strictObject({
    url: line(300),
    username: v.optional(line(200)),
    /** Goes into a file of mode 0600, and never comes back. */
    password: v.optional(v.pipe(v.string(), v.maxLength(1000))),
    caFile: v.optional(line(300)),
  }),
  ports: v.pipe(
    v.array(
      v.strictObject({
        name,
        device: line(300),
        baud: v.optional(v.pipe(v.number(), v.integer(), v.minValue(300), v.maxValue(921_600)), 9600),
        modeE: v.optional(v.boolean(), false),
      }),
    ),
    v.minLength(1),
    v.maxLength(32),
  ),
  /** Who knows it may act at the page; goes into a file as well. */
  pagePassword: v.optional(v.pipe(v.string(), v.minLength(10), v.maxLength(1000))),
});
export type Draft = v.InferOutput<typeof draft>;

export interface SetupAnswers {
  setup(): SetupAnswer;
  /** The configuration of a draft, and what is wrong with it. Nothing is written. */
  draft(draft: Draft): DraftAnswer;
  /** Tries the broker of a draft. */
  tryBroker(draft: Draft): Promise<BrokerProbe>;
  /** Puts the configuration of a draft and its secrets into their places; the gateway starts with it. */
  write(draft: Draft): Promise<{ readonly file: string }>;
  /** Looks at the file again; resolves when the gateway starts with it, rejects with what is wrong. */
  again(): Promise<{ readonly starts: true }>;
  pageTicket(permission: Permission): PageTicket;
  /** Rejects with what is wrong: there is no gateway yet. */
  snapshot(): Promise<never>;
}

const route = rowOf<SetupAnswers>();
const nothing = v.strictObject({});
export const setupRoutes: readonly Route<SetupAnswers>[] = [
  route({
    method: 'GET',
    path: '/v1/setup',
    permission: 'look',
    meaning: 'why no configuration is in force, what is wrong with it and where, and the lines that this machine has',
    input: nothing,
    answers: 'value',
    handle: (house) => house.setup(),
  }),
  route({
    method: 'POST',
    path: '/v1/setup/draft',
    permission: 'act',
    meaning: 'the configuration of a draft, as it would be written, and what is wrong with it',
    input: draft,
    answers: 'value',
    handle: (house, given) => house.draft(given),
  }),
  route({
    method: 'POST',
    path: '/v1/setup/broker',
    permission: 'act',
    meaning: 'tries the broker of a draft: name, TCP, TLS, login, access rules',
    input: draft,
    answers: 'value',
    handle: (house, given) => house.tryBroker(given),
  }),
  route({
    method: 'POST',
    path: '/v1/setup/write',
    permission: 'act',
    meaning: 'puts the configuration of a draft and its secrets into their places; the gateway starts with it',
    input: draft,
    answers: 'value',
    handle: (house, given) => house.write(given),
  }),
  route({
    method: 'POST',
    path: '/v1/reload',
    permission: 'act',
    meaning: 'looks at the configuration file again, and starts with it where it holds',
    input: nothing,
    answers: 'value',
    handle: (house) => house.again(),
  }),
  route({
    method: 'GET',
    path: '/v1/status',
    permission: 'look',
    meaning: 'refused, with why nothing runs',
    input: nothing,
    answers: 'value',
    handle: (house) => house.snapshot(),
  }),
  route({
    method: 'POST',
    path: '/v1/page/ticket',
    permission: 'act',
    meaning: 'a link that logs in at the page once, within ten minutes, to act',
    input: nothing,
    answers: 'value',
    handle: (house) => house.pageTicket('act'),
  }),
  route({
    method: 'POST',
    path: '/v1/page/look',
    permission: 'look',
    meaning: 'a link that logs in at the page once, within ten minutes, to look',
    input: nothing,
    answers: 'value',
    handle: (house) => house.pageTicket('look'),
  }),
];
