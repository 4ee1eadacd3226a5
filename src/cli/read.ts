/** `meter-gateway read`: talks to one meter directly, without the daemon. */
import { randomBytes } from 'node:crypto';
import { appendFileSync } from 'node:fs';
import { Failure } from '../base/errors.ts';
import { fromHex, toHex } from '../base/hex.ts';
import { Secret } from '../base/secret.ts';
import { type Clock, iso, type Millis, millis } from '../base/time.ts';
import { dataJson, dataText } from '../dlms/axdr/print.ts';
import { refusalName } from '../dlms/association/client.ts';
import { type LogicalName, logicalNameOf, obis, parseLogicalName } from '../dlms/cosem/logical-name.ts';
import type { Attribute } from '../dlms/xdlms/apdu.ts';
import { openPort, parseSelector } from '../line/open-port.ts';
import type { CipheringSettings } from '../dlms/association/ciphering.ts';
import type { Suite } from '../dlms/security/protection.ts';
import type { Port, Trace } from '../line/port.ts';
import { identify, readEntries, readInvocationCounter, readLayout, readRange } from '../meter/jobs.ts';
import { meterModels } from '../config/meter-models.ts';
import { genericModel, type MeterModel } from '../meter/model.ts';
import { type MeterAccess, Session } from '../meter/session.ts';
import { type LoadProfileRow, rowJson } from '../reading/load-profile-row.ts';
import { askSecret, decodeKeys } from './secret.ts';

export interface ReadOptions {
  readonly link: string;
  readonly model?: string;
  readonly modeE?: boolean;
  readonly client: string;
  readonly server: string;
  readonly addressSize?: string;
  readonly auth: string;
  readonly security?: string;
  readonly suite: string;
  readonly wrapping: string;
  readonly keys?: string;
  readonly systemTitle: string;
  readonly counterObject: string;
  readonly invocationCounter?: string;
  readonly secretFile?: string;
  readonly baud: string;
  readonly maxInfo: string;
  readonly window: string;
  readonly timeout: string;
  readonly retries: string;
  readonly standardOffset?: string;
  readonly object?: readonly string[];
  readonly class?: string;
  readonly profile?: string;
  readonly from?: string;
  readonly to?: string;
  readonly entries?: string;
  readonly json?: boolean;
  readonly trace?: string;
}

/** Client SAP of the public client (Green Book 9.1.4). */
const publicClient = 16;

/** As the option says in main.ts. */
const defaultMaxInfo = '1024';
const bad = (message: string): never => {
  throw new Failure('bad-argument', message);
};
function whole(name: string, text: string, low: number, high: number): number {
  const value = Number(text);
  return /^-?\d+$/.test(text) && value >= low && value <= high
    ? value
    : bad(`${name} takes a whole number from ${low} to ${high}, not '${text}'`);
}
function instant(name: string, text: string): Millis {
  const value = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d)?(\.\d+)?(Z|[+-]\d\d:\d\d))?$/.test(text)
    ? Date.parse(text)
    : Number.NaN;
  return Number.isNaN(value) ? bad(`${name} takes UTC, e.g. 2026-10-10T00:00Z, not '${text}'`) : millis(value);
}

/** The class of objects that are the same everywhere; others are looked up in the meter's object list. */
function knownClass(name: LogicalName): number | undefined {
  const [a, , c, d, e] = name.split('.').map(Number);
  if (name === '0.0.1.0.0.255') return 8;
  if (a === 0 && c === 40) return 15;
  if (a === 0 && c === 22 && d === 0) return 23;
  if (a === 0 && c === 96 && d === 3 && e === 10) return 70;
  if (c === 99) return 7;
  if (a === 0 && (c === 42 || c === 43 || (c === 96 && d === 1))) return 1;
  if (a === 1 && (d === 7 || d === 8) && (c as number) > 0 && (c as number) < 96) return 3;
  return undefined;
}

async function classOf(session: Session, name: LogicalName): Promise<number> {
  const known = knownClass(name);
  if (known !== undefined) return known;
  const list = await session.value({ classId: 15, logicalName: '0.0.40.0.0.255', attribute: 2 });
  if (list.type === 'array') {
    for (const entry of list.value) {
      const [classId, , listed] = entry.type === 'structure' ? entry.value : [];
      if (classId?.type === 'long-unsigned' && listed?.type === 'octet-string' && logicalNameOf(listed.value) === name)
        return classId.value;
    }
  }
  throw new Failure('access-refused', `the meter's object list has no ${obis(name)}; name its class with --class`);
}

function accessOf(device: string, options: ReadOptions): MeterAccess {
  const [logical = '', physical, ...more] = options.server.split('/');
  if (more.length > 0) bad(`--server takes N or N/PHYSICAL, not '${options.server}'`);
  if (options.link !== 'hdlc' && options.link !== 'wrapper') bad(`--link takes hdlc or wrapper, not '${options.link}'`);
  const size = options.addressSize;
  if (size !== undefined && size !== '1' && size !== '2' && size !== '4')
    bad(`--address-size takes 1, 2 or 4, not '${size}'`);
  const given = options.model === undefined ? undefined : meterModels().get(options.model);
  if (options.model !== undefined && !given) bad(`no model '${options.model}' in hardware/meters`);
  const model: MeterModel = {
    // An unknown meter: one attribute at a time always works.
    ...(given ?? { ...genericModel, multiple_references: false }),
    ...((!given || options.maxInfo !== defaultMaxInfo) && { max_info: whole('--max-info', options.maxInfo, 32, 2030) }),
    ...((!given || options.window !== '1') && { window: whole('--window', options.window, 1, 7) }),
    ...(size && { address_size: Number(size) as 1 | 2 | 4 }),
    ...(options.standardOffset !== undefined && {
      stamp_deviation_min: -whole('--standard-offset', options.standardOffset, -840, 840),
    }),
  };
  return {
    link: options.link as 'hdlc' | 'wrapper',
    modeE: options.modeE ?? model.mode_e,
    signOnAddress: '',
    client: whole('--client', options.client, 1, 127),
    logical: whole('--server', logical, 0, 16383),
    physical: physical === undefined ? undefined : whole('--server physical', physical, 0, 16383),
    auth: options.auth as MeterAccess['auth'],
    secret: undefined,
    model,
    baud: whole('--baud', options.baud, 300, 921600),
    timed: parseSelector(device).kind === 'serial',
    answerTimeoutMs: whole('--timeout', options.timeout, 50, 120_000),
    retries: whole('--retries', options.retries, 0, 20),
    guardMs: 0,
  };
}

export async function read(
  device: string,
  options: ReadOptions,
  clock: Clock,
  print: (line: string) => void,
): Promise<void> {
  // Everything that can be wrong on the command line is said before the line is touched.
  const objects = (options.object ?? []).map((text) => {
    const match = /^(.+):(-?\d+)$/.exec(text);
    return {
      name: parseLogicalName(match?.[1] ?? text),
      attribute: match ? whole('attribute', match[2] as string, -128, 127) : 2,
    };
  });
  const classId = options.class === undefined ? undefined : whole('--class', options.class, 1, 65535);
  const profile = options.profile === undefined ? undefined : parseLogicalName(options.profile);
  const entries = options.entries === undefined ? undefined : /^(\d+)-(\d+)$/.exec(options.entries);
  if (entries === null) bad(`--entries takes FIRST-LAST, not '${options.entries}'`);
  if (profile !== undefined && !entries && (options.from === undefined || options.to === undefined)) {
    bad('--profile needs --from and --to, or --entries');
  }
  const from = options.from === undefined ? undefined : instant('--from', options.from);
  const to = options.to === undefined ? undefined : instant('--to', options.to);
  if (from !== undefined && to !== undefined && from > to) bad('--from is later than --to');
  const checked = accessOf(device, options);
  const ciphered = options.auth === 'hls-gmac' || options.security !== undefined;
  const systemTitle = fromHex(options.systemTitle);
  if (systemTitle.length !== 8) bad(`--system-title takes 8 octets in hex, not '${options.systemTitle}'`);
  const suite = whole('--suite', options.suite, 0, 2) as Suite;
  const counterObject = parseLogicalName(options.counterObject);
  const given =
    options.invocationCounter === undefined
      ? undefined
      : whole('--invocation-counter', options.invocationCounter, 0, 0xffff_ffff);
  const keys = ciphered ? decodeKeys(options.keys, process.env) : {};
  if (ciphered && (!keys.encryption || !keys.authentication)) {
    throw new Failure('secret-missing', 'ciphering needs METER_EK and METER_AK, or --keys FILE');
  }
  const password = checked.auth !== 'none' && checked.auth !== 'hls-gmac';
  const plain: MeterAccess = {
    ...checked,
    secret: password ? (keys.secret ?? new Secret(await askSecret(options.secretFile))) : undefined,
    challenge: () => randomBytes(16),
    systemTitle,
  };

  const progress = process.stderr.isTTY ? (octets: number) => process.stderr.write(`\r${octets} octets`) : undefined;
  const started = clock.now();
  const trace: Trace | undefined =
    options.trace === undefined
      ? undefined
      : (direction, octets) =>
          appendFileSync(
            options.trace as string,
            `${((clock.now() - started) / 1000).toFixed(4)} ${direction} ${octets.length} ${toHex(octets, ' ')}\n`,
          );
  if (options.trace !== undefined) appendFileSync(options.trace, `# connect ${device} ${iso(clock.wall())}\n`);
  const port = await openPort(device, plain.baud, clock);
  try {
    let access = plain;
    if (ciphered) {
      // Behind by one, and the meter drops us: what it heard last is in an object that the public client may read.
      let counter = given ?? (await counterOf(port, clock, plain, counterObject, trace)) + 1;
      access = {
        ...plain,
        ciphering: {
          suite,
          ownTitle: systemTitle,
          keys: { encryption: keys.encryption as Secret, authentication: keys.authentication as Secret },
          policy: (options.security ?? 'authenticated-encrypted') as CipheringSettings['policy'],
          wrapping: options.wrapping as CipheringSettings['wrapping'],
          nextCounter: () => counter++,
        },
      };
    }
    const session = new Session(port, clock, access, { trace, onBlock: progress });
    try {
      await session.connect();
      if (objects.length === 0 && profile === undefined) {
        const identity = await identify(session, clock, access.model);
        if (options.json) print(JSON.stringify(identity));
        else {
          print(`logical device name  ${identity.logicalDeviceName ?? '(refused)'}`);
          print(`serial number        ${identity.serial ?? '(refused)'}`);
          print(
            `clock                ${identity.clockDeviationMs === undefined ? '(no instant)' : `${identity.clockDeviationMs / 1000} s from this machine's`}`,
          );
        }
      }
      if (objects.length > 0) {
        const attributes: Attribute[] = [];
        for (const { name, attribute } of objects) {
          attributes.push({ classId: classId ?? (await classOf(session, name)), logicalName: name, attribute });
        }
        const results = await session.get(attributes);
        let refused: string | undefined;
        results.forEach((result, i) => {
          const { logicalName, attribute, classId: object } = attributes[i] as Attribute;
          const key = `${obis(logicalName)}:${attribute}`;
          if ('data' in result) {
            print(
              options.json
                ? JSON.stringify({ object: key, class: object, value: dataJson(result.data) })
                : `${key}  ${dataText(result.data)}`,
            );
          } else {
            const why = refusalName(result.refused);
            if (options.json) print(JSON.stringify({ object: key, class: object, refused: why }));
            refused ??= `${key} refused: ${why}`;
          }
        });
        if (refused) throw new Failure('access-refused', refused);
      }
      if (profile !== undefined) {
        const layout = await readLayout(session, profile);
        const rows = entries
          ? await readEntries(session, layout, access.model, Number(entries[1]), Number(entries[2]))
          : await readRange(session, layout, access.model, from as Millis, to as Millis);
        if (progress) process.stderr.write('\r\x1b[K');
        for (const row of rows) print(options.json ? JSON.stringify(rowJson(row)) : rowText(row));
      }
    } finally {
      await session.close();
    }
  } finally {
    await port.close();
  }
}

async function counterOf(
  port: Port,
  clock: Clock,
  access: MeterAccess,
  object: LogicalName,
  trace: Trace | undefined,
): Promise<number> {
  const session = new Session(
    port,
    clock,
    { ...access, client: publicClient, auth: 'none', secret: undefined },
    { trace },
  );
  try {
    await session.connect();
    return await readInvocationCounter(session, object);
  } finally {
    await session.close();
  }
}

function rowText(row: LoadProfileRow): string {
  const values = row.channels.flatMap(({ key }, i) => (row.cells[i] === null ? [] : [`${key} ${row.cells[i]}`]));
  const status = row.status === null ? '' : `status 0x${row.status.toString(16).padStart(2, '0')}  `;
  return `${row.end === null ? '(no instant)' : iso(row.end)}  ${status}${values.join('  ')}`;
}
