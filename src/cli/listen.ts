/** `meter-gateway listen`: what meters send unasked, on a serial line or from connections that they make. */
import { Failure } from '../base/errors.ts';
import { fromHex, toHex } from '../base/hex.ts';
import { type Clock, iso, type Millis } from '../base/time.ts';
import { localTime, systemZone, withLocalTimes } from '../base/words.ts';
import type { CipheringSettings } from '../dlms/association/ciphering.ts';
import type { Suite } from '../dlms/security/protection.ts';
import {
  listeningLimits,
  type NotificationEvent,
  NotificationReceiver,
  type NotificationSettings,
} from '../dlms/stack/notification.ts';
import type { Direction } from '../line/direction.ts';
import { listenUdp } from '../line/listen-udp.ts';
import { listenTcp, openPort, parseListenSelector } from '../line/open-port.ts';
import type { Port, Trace } from '../line/port.ts';
import { stampReading } from '../meter/stamp-reading.ts';
import type { MeterModel } from '../meter/model.ts';
import { heardList } from '../reading/p1-list.ts';
import { pushedListJson, type PushedReading } from '../reading/pushed-list.ts';
import { valueWords } from '../reading/value-words.ts';
import { unitName } from '../dlms/cosem/unit.ts';
import { bad, modelNamed, whole } from './connection.ts';
import { decodeKeys } from './secret.ts';
import { rowText } from '../recording/object-words.ts';
import { note } from './terminal.ts';
import { traceTo } from './trace-file.ts';

export interface ListenOptions {
  readonly link: string;
  readonly model?: string;
  readonly baud: string;
  readonly direction: Direction;
  readonly keys?: string;
  readonly security: string;
  readonly suite: string;
  readonly systemTitle?: string;
  readonly count?: string;
  readonly trace?: string;
  readonly json?: boolean;
}

function readingWords({ value, scalerUnit }: PushedReading, zone: string): string {
  if (value === null) return '-';
  if (scalerUnit) return valueWords(value, scalerUnit.scaler, unitName(scalerUnit.unit));
  return withLocalTimes(String(value), zone);
}

function lines(event: NotificationEvent, model: MeterModel, wall: Millis, json: boolean): string[] {
  const zone = systemZone();
  const at = json ? iso(wall) : localTime(wall, zone);
  if (event.kind === 'unreadable') {
    const { from, error } = event;
    if (json) return [JSON.stringify({ received: at, from, error: error.code, message: error.message })];
    return [`${at}  from ${from}  ${error.code} (${error.fault}): ${error.message}`];
  }
  const { from, systemTitle, authentic = false } = event;
  const kind = event.kind === 'telegram' ? 'telegram' : event.apdu.kind;
  const list = heardList(event, stampReading(model), model.push_lists);
  const title = systemTitle ? toHex(systemTitle) : undefined;
  if (json) {
    const head = { received: at, from, kind, systemTitle: title ?? null, authenticated: authentic };
    return [JSON.stringify({ ...head, ...pushedListJson(list) })];
  }
  const sender =
    title === undefined
      ? 'not ciphered'
      : `system title ${title}, ${authentic ? 'authenticated' : 'decrypted, not authenticated'}`;
  return [
    `${at}  from ${from}  ${kind}  ${sender}${list.at === null ? '' : `  meter's clock ${localTime(list.at, zone)}${list.clockSays ? `, which it calls ${list.clockSays}` : ''}`}`,
    ...list.readings.map((reading) => `  ${(reading.key ?? '(no name)').padEnd(20)} ${readingWords(reading, zone)}`),
    ...list.rows.map((row) => `  ${rowText(row, zone, model)}`),
    ...list.problems.map((problem) => `  ${problem}`),
  ];
}

/** Ends after `--count` notifications, when the line is lost, or when the signal comes. */
export async function listen(
  line: string,
  options: ListenOptions,
  clock: Clock,
  print: (line: string) => void,
  stop: AbortSignal,
): Promise<void> {
  const selector = parseListenSelector(line);
  const model = modelNamed(options.model);
  const baud = whole('--baud', options.baud, 300, 921_600);
  let left = options.count === undefined ? Number.POSITIVE_INFINITY : whole('--count', options.count, 1, 1_000_000);
  const systemTitle = options.systemTitle === undefined ? undefined : fromHex(options.systemTitle);
  if (systemTitle && systemTitle.length !== 8)
    bad(`--system-title takes 8 octets in hex, not '${options.systemTitle}'`);
  const { encryption, authentication } = decodeKeys(options.keys, process.env);
  const ciphering = encryption &&
    authentication && {
      suite: whole('--suite', options.suite, 0, 2) as Suite,
      ownTitle: fromHex('4d47570000000001'),
      keys: { encryption, authentication },
      policy: options.security as CipheringSettings['policy'],
    };
  const settings: NotificationSettings = {
    link: options.link as NotificationSettings['link'],
    ...listeningLimits,
    ...(ciphering && { ciphering: () => ciphering }),
    ...(systemTitle && { systemTitle }),
    senders: new Map(),
    swappedObis: model.push_swapped_obis,
  };
  const trace = traceTo(options.trace, line, clock);
  const ending = new AbortController();
  const end = () => ending.abort();
  stop.addEventListener('abort', end);

  const serve = async (port: Port, each: Trace | undefined): Promise<void> => {
    const receiver = new NotificationReceiver(settings);
    const close = () => void port.close().catch(() => {});
    ending.signal.addEventListener('abort', close);
    try {
      await received(port, receiver, each);
    } finally {
      ending.signal.removeEventListener('abort', close);
    }
  };
  const received = async (port: Port, receiver: NotificationReceiver, each: Trace | undefined): Promise<void> => {
    while (!ending.signal.aborted) {
      const octets = await port.read(receiver.deadline());
      if (octets) {
        each?.('<-', octets);
        receiver.receive(octets, clock.now());
        if (selector.kind === 'udp') receiver.endOfDatagram(clock.now());
      } else receiver.wake(clock.now());
      for (let event = receiver.pollEvent(); event && left > 0; event = receiver.pollEvent()) {
        for (const text of lines(event, model, clock.wall(), options.json === true)) print(text);
        if (event.kind !== 'unreadable' && --left === 0) end();
      }
    }
  };

  if (selector.kind === 'serial') {
    const port = await openPort(line, baud, clock, options.direction);
    note(`listening on ${port.device}`);
    try {
      await serve(port, trace);
    } catch (error) {
      if (!ending.signal.aborted) throw error;
    } finally {
      await port.close();
    }
    return;
  }
  const open = selector.kind === 'tcp' ? listenTcp : listenUdp;
  const listening = await open(selector.host, selector.port, clock);
  note(`listening on ${selector.kind}://${selector.host}:${listening.port}`);
  ending.signal.addEventListener('abort', () => void listening.close());
  const serving = new Set<Promise<void>>();
  for (let port = await listening.accept(); port; port = await listening.accept()) {
    const connection = serve(port, trace)
      .catch((error: unknown) => {
        // A meter that hangs up has said what it had to say.
        if (!(error instanceof Failure) || error.code !== 'connection-lost') throw error;
      })
      .finally(() => serving.delete(connection));
    serving.add(connection);
  }
  await Promise.all(serving);
}
