/** What one key alone cannot show: duplicates, and things that exclude each other. */
import { dayMs, isMidnight, millis } from '../base/time.ts';
import { type Path, pathText } from '../base/toml.ts';
import { obis, parseLogicalName } from '../dlms/cosem/logical-name.ts';
import { parseSelector } from '../line/open-port.ts';
import { normalSerial, sameSerial } from '../meter/identity.ts';
import { genericModel, type MeterModel, physicalAddressOf } from '../meter/model.ts';
import { expectedTrouble } from '../schedule/line-load.ts';
import { realLine } from './real-line.ts';
import type { Findings } from './findings.ts';
import { listenedMeter } from './listened.ts';
import { type Config, gsrnIsValid } from './schema.ts';

type Port = Config['port'][number];
type Meter = Port['meter'][number];
/** `models`: their address formulas. `device`: what a device path stands for on this machine. */
export interface CrossContext {
  readonly models: ReadonlyMap<string, MeterModel>;
  readonly findings: Findings;
  readonly device?: ((path: string) => string) | undefined;
}
interface Judging extends CrossContext {
  readonly config: Config;
  /** Notes a value that may stand once. */
  readonly unique: (
    what: string,
    value: string,
    path: Path,
    more: { readonly next: string; readonly restsOn?: Path[] },
  ) => void;
}

function uniqueness(findings: Findings): Judging['unique'] {
  const seen = new Map<string, Path>();
  return (what, value, path, { next, restsOn = [] }) => {
    const first = seen.get(`${what} ${value}`);
    if (first)
      findings.add('error', path, `${what} ${value} is already used at ${pathText(first)}`, {
        next,
        restsOn: [...restsOn, first],
        other: first,
      });
    else seen.set(`${what} ${value}`, path);
  };
}

/** Two lines may name one adapter in two ways. */
function judgeDevices({ config, findings, device = (path) => path }: Judging): void {
  const seen: { readonly real: string; readonly path: Path }[] = [];
  const lines = [
    ...config.port.map((port, i) => ({ port, path: ['port', i, 'device'] })),
    ...config.listen.map((port, i) => ({ port, path: ['listen', i, 'device'] })),
  ];
  for (const { port, path } of lines) {
    const real = realLine(port.device, device);
    const first = seen.find((one) => one.real.toLowerCase() === real.toLowerCase());
    if (first) {
      const how = first.real === real ? '' : '(but for capital and small letters)';
      const spelled = real === port.device ? '' : ` (it is ${real})`;
      findings.add(
        'error',
        path,
        `device ${port.device}${spelled} is already used at ${how === '' ? '' : `${how} `}${pathText(first.path)}`,
        {
          next: 'One line is one [[port]] with all of its meters; give this one the device that it has, from /dev/serial/by-id.',
          restsOn: [first.path],
          other: first.path,
        },
      );
    } else seen.push({ real, path });
  }
}

function judgePort(port: Port, at: Path, { findings, unique }: Judging): void {
  unique('port name', port.name, [...at, 'name'], { next: 'Give each port a name of its own.' });
  if (port.mode_e && port.link === 'wrapper')
    findings.add('error', [...at, 'mode_e'], 'mode E leads to HDLC, not to the wrapper', {
      next: 'Write link = "hdlc", or leave mode_e out.',
      restsOn: [[...at, 'link']],
    });
  if (port.mode_e && port.meter.length > 1)
    findings.add('warning', [...at, 'mode_e'], 'an optical head sees one meter; several need their device addresses', {
      next: 'Where one head reads one meter, give each head a [[port]] of its own.',
    });
  const timed = parseSelector(port.device).kind === 'serial';
  if (!timed && port.direction !== 'auto')
    findings.add('error', [...at, 'direction'], `a connection over TCP has no direction to switch`, {
      next: 'Leave direction out: the converter at the other end switches its line.',
      restsOn: [[...at, 'device']],
    });
  const speed = { baud: port.baud, timed };
  const periods = port.meter.map(({ profiles }) =>
    profiles.filter(({ until }) => until === undefined).map(({ period_s }) => period_s * 1000),
  );
  const trouble = expectedTrouble(speed, periods);
  if (trouble !== undefined)
    findings.add('warning', [...at, 'baud'], `${port.name} at ${port.baud} Bd: ${trouble}`, {
      next: 'Raise the speed, lengthen the periods, or move meters to another line.',
      restsOn: [[...at, 'device'], ...port.meter.map((_, j) => [...at, 'meter', j, 'profiles'])],
    });
}

function judgeAddress(port: Port, meter: Meter, { at, here }: { at: Path; here: Path }, judging: Judging): void {
  // Left out, the physical address is formed from the serial number, by the model's formula.
  const byFormula =
    port.link === 'hdlc' && port.meter.length > 1
      ? physicalAddressOf(judging.models.get(meter.model) ?? genericModel, meter.serial)
      : undefined;
  const address = meter.physical ?? byFormula ?? '-';
  judging.unique(`address on ${port.name}`, `${meter.server}/${address}`, [...here, 'server'], {
    next: 'Write the physical address of each meter, as its display or its label tells it.',
    restsOn: [
      [...here, 'serial'],
      [...here, 'physical'],
      [...here, 'model'],
      [...at, 'link'],
      [...at, 'name'],
    ],
  });
  if (port.link === 'wrapper' && meter.physical !== undefined)
    judging.findings.add('warning', [...here, 'physical'], 'not used with link = "wrapper"', {
      next: 'Leave it out, or write link = "hdlc".',
      restsOn: [[...at, 'link']],
    });
}

function judgeIdentity(meter: Meter, here: Path, { config, findings, unique }: Judging): void {
  unique('meter id', meter.id, [...here, 'id'], { next: 'Give each meter an id of its own.' });
  if (meter.id === '_')
    findings.add('error', [...here, 'id'], "'_' stands for the gateway itself in topics", {
      next: 'Give the meter another id.',
    });
  const serial = normalSerial(meter.serial);
  if (serial === undefined || /^0+$/.test(serial))
    findings.add('error', [...here, 'serial'], `${JSON.stringify(meter.serial)} is no serial number`, {
      next: 'Write the number on the label of the meter: by it a wrong meter at this address is noticed.',
    });
  else
    unique('serial', serial, [...here, 'serial'], {
      next: 'Two meters never have one number: read both labels.',
    });
  if (/^\d{18}$/.test(meter.point) && !gsrnIsValid(meter.point))
    findings.add(
      config.gateway.check_point_ids === 'refuse' ? 'error' : 'warning',
      [...here, 'point'],
      `${meter.point} has a wrong GS1 check digit`,
      {
        next: 'Compare it digit by digit with the contract; check_point_ids = "warn" takes it as it is.',
        restsOn: [['gateway', 'check_point_ids']],
      },
    );
}

function judgeAccess(meter: Meter, here: Path, { findings }: Judging): void {
  const restsOn = [[...here, 'auth']];
  const byEcdsa = meter.auth === 'hls-ecdsa';
  const needs = (key: string, message: string, next: string, also: readonly Path[] = []) =>
    findings.add('error', [...here, key], message, { next, restsOn: [...restsOn, ...also] });
  const unused = (key: string) =>
    findings.add('warning', [...here, key], `not used with auth = "${meter.auth}"`, {
      next: 'Leave it out, or write the auth that the meter wants.',
      restsOn,
    });
  for (const key of ['signing_key', 'meter_certificate'] as const) {
    if (byEcdsa && meter[key] === undefined)
      needs(
        key,
        'auth = "hls-ecdsa" needs signing_key and meter_certificate',
        key === 'signing_key'
          ? 'Add signing_key = "credential:NAME", our private key in PEM.'
          : 'Add meter_certificate = "/etc/meter-gateway/meters/NAME.pem".',
      );
    if (!byEcdsa && meter[key] !== undefined) unused(key);
  }
  const wantsSecret = meter.auth !== 'none' && meter.auth !== 'hls-gmac' && !byEcdsa;
  if (wantsSecret && meter.secret === undefined)
    needs('secret', `auth = "${meter.auth}" needs a secret`, 'Add secret = "credential:NAME", or file:/path by hand.');
  if (!wantsSecret && meter.secret !== undefined) unused('secret');
  const { encryption_key, authentication_key, dedicated_key } = meter;
  const ciphered =
    encryption_key !== undefined || authentication_key !== undefined || dedicated_key || meter.auth === 'hls-gmac';
  for (const key of ['encryption_key', 'authentication_key'] as const) {
    if (ciphered && meter[key] === undefined)
      needs(key, 'ciphering needs both keys', `Add ${key} = "credential:NAME", or leave the other key out.`, [
        [...here, 'encryption_key'],
        [...here, 'authentication_key'],
        [...here, 'dedicated_key'],
      ]);
  }
  for (const key of ['next_encryption_key', 'next_authentication_key'] as const)
    if (!ciphered && meter[key] !== undefined)
      findings.add('error', [...here, key], 'is the next of a key that the meter does not have', {
        next: `Add encryption_key and authentication_key, or leave ${key} out.`,
      });
  if (encryption_key !== undefined && encryption_key === authentication_key)
    findings.add('error', [...here, 'authentication_key'], 'is the same reference as encryption_key', {
      next: 'The two keys are two: name the authentication key there. A wrong key counts towards the lock of the meter.',
      restsOn: [[...here, 'encryption_key']],
    });
}

function judgeProfiles(meter: Meter, here: Path, { config, findings }: Judging): void {
  meter.profiles.forEach(({ obis: code, period_s, until }, k) => {
    const name = parseLogicalName(code);
    const at = [...here, 'profiles', k];
    const before = meter.profiles.slice(0, k).findLast((one) => parseLogicalName(one.obis) === name);
    const restsOn = meter.profiles.flatMap((_, other): Path[] =>
      ['obis', 'period_s', 'until'].map((key) => [...here, 'profiles', other, key]),
    );
    const add = (key: string, message: string, next: string) =>
      findings.add('error', [...at, key], message, { next, restsOn });
    if (before && before.until === undefined)
      add('obis', `${code} stands twice`, 'Leave one out; where the period changes, the first one says until when.');
    else if (before?.period_s === period_s)
      add('period_s', 'the same period as before the change', 'Write the period from the change on, or leave it out.');
    if (poll(config) >= period_s)
      findings.add(
        'warning',
        [...at, 'period_s'],
        `gateway.poll_offset_s is ${config.gateway.poll_offset_s}: each interval is asked for only after the next one has ended`,
        { next: 'Lower gateway.poll_offset_s.', restsOn: [['gateway', 'poll_offset_s']] },
      );
    if (until === undefined) return;
    if (before?.until !== undefined && Date.parse(until) <= Date.parse(before.until))
      add('until', 'not after the change before it', 'Order the changes by time.');
    if (meter.since !== undefined && Date.parse(until) <= Date.parse(meter.since))
      findings.add('error', [...at, 'until'], `not after since = "${meter.since}": nothing is read with this period`, {
        next: 'Leave this profile out, or correct one of the two days.',
        restsOn: [...restsOn, [...here, 'since']],
      });
    const { time_zone } = config.gateway;
    if (!isMidnight(millis(Date.parse(until)), time_zone))
      findings.add('error', [...at, 'until'], `a period changes at midnight of ${time_zone} (gateway.time_zone)`, {
        next: 'Write that midnight in UTC, for example 2026-12-01T22:00:00Z for Helsinki, and set gateway.time_zone.',
        restsOn: [...restsOn, ['gateway', 'time_zone']],
      });
    if (!meter.profiles.slice(k + 1).some((one) => parseLogicalName(one.obis) === name))
      add(
        'until',
        'name the profile once more, with the period that it has from then on',
        `Add { obis = "${code}", period_s = … } behind it.`,
      );
  });
  if (meter.since !== undefined && Date.parse(meter.since) % dayMs !== 0)
    findings.add('error', [...here, 'since'], 'must be midnight UTC: series begin with a day', {
      next: `Write ${meter.since.slice(0, 10)}T00:00:00Z.`,
    });
}
const poll = ({ gateway }: Config): number => gateway.poll_offset_s;

function judgeSwap(meter: Meter, here: Path, { findings }: Judging): void {
  const { swap } = meter;
  if (!swap) return;
  const at = [...here, 'swap'];
  const byCommand = 'meter-gateway meter swap --amend writes it right.';
  const from = normalSerial(swap.from);
  if (from === undefined || /^0+$/.test(from))
    findings.add('error', [...at, 'from'], 'is no serial number', { next: byCommand });
  if (sameSerial(swap.from, meter.serial))
    findings.add('error', [...at, 'from'], `a meter is not its own successor (${meter.serial})`, {
      next: 'serial is the new meter, swap.from the one that was taken down.',
      restsOn: [[...here, 'serial']],
    });
  if (meter.since !== undefined && Date.parse(swap.at) < Date.parse(meter.since))
    findings.add('error', [...at, 'at'], `before the series begins (since = "${meter.since}")`, {
      next: 'Correct one of the two, or leave swap out: nothing is told of a time before the series.',
      restsOn: [[...here, 'since']],
    });
  const codes = (['final', 'first'] as const).map((side) => {
    const known = new Map<string, string>();
    for (const code of Object.keys(swap[side])) {
      const one = obis(parseLogicalName(code));
      if (known.has(one))
        findings.add('error', [...at, side, code], `is the register ${known.get(one)} once more`, { next: byCommand });
      known.set(one, code);
    }
    return known;
  });
  const [final, first] = codes as [Map<string, string>, Map<string, string>];
  for (const [side, own, other, missing] of [
    ['final', final, first, 'first'],
    ['first', first, final, 'final'],
  ] as const)
    for (const [one, code] of own)
      if (!other.has(one))
        findings.add('warning', [...at, side, code], `has no register in ${missing}: the energy between is not known`, {
          next: `Write what the ${missing === 'first' ? 'new meter began with' : 'old meter showed at the end'} when somebody knows it. ${byCommand}`,
          restsOn: [
            [...at, 'final'],
            [...at, 'first'],
          ],
        });
}

/** A series belongs to a point: two meters there are a check meter, or a mistake. */
function judgePoints({ config, findings }: Judging): void {
  const seen = new Map<string, Path>();
  for (const lines of ['port', 'listen'] as const)
    config[lines].forEach(({ meter }, i) =>
      meter.forEach(({ point }, j) => {
        const path = [lines, i, 'meter', j, 'point'];
        const first = seen.get(point);
        if (first === undefined) seen.set(point, path);
        else
          findings.add('warning', path, `point ${point} is already used at ${pathText(first)}`, {
            next: 'Is one of them a check meter? Then it is right so; otherwise correct one of the two.',
            restsOn: [first],
            other: first,
          });
      }),
    );
}

/** A meter that only pushes: who pushes ciphered is known by its system title alone. */
function judgeListened(config: Config, judging: Judging): void {
  const { findings } = judging;
  config.listen.forEach((listen, i) => {
    const at = ['listen', i];
    judging.unique('port name', listen.name, [...at, 'name'], {
      next: 'Give each port and listener a name of its own.',
    });
    listen.meter.forEach((given, j) => {
      const here = [...at, 'meter', j];
      const meter = listenedMeter(given);
      judgeIdentity(meter, here, judging);
      judgeAccess(meter, here, judging);
      judgeSwap(meter, here, judging);
      judgeProfiles(meter, here, judging);
      if (given.encryption_key !== undefined && given.meter_title === undefined)
        findings.add('error', [...here, 'meter_title'], 'a meter that pushes ciphered is known by its system title', {
          next: 'Add meter_title = "…", 16 hex digits, as its nameplate or its maker tells it.',
          restsOn: [[...here, 'encryption_key']],
        });
      if (given.model === 'auto')
        findings.add('error', [...here, 'model'], 'a meter that is never asked cannot be detected', {
          next: 'Write a name of hardware/meters, or leave model out.',
        });
      given.profiles.forEach(({ until }, k) => {
        if (until !== undefined)
          findings.add(
            'error',
            [...here, 'profiles', k, 'until'],
            'the period of a meter that is never asked cannot be changed',
            {
              next: 'Leave until out.',
            },
          );
      });
      if (given.meter_title !== undefined)
        judging.unique('system title', given.meter_title.toLowerCase(), [...here, 'meter_title'], {
          next: 'Two meters never have one system title: read both labels.',
        });
    });
  });
}

export function crossCheck(config: Config, context: CrossContext): void {
  const judging = { ...context, config, unique: uniqueness(context.findings) };
  judgeDevices(judging);
  judgePoints(judging);
  if (config.port.length + config.listen.length === 0)
    context.findings.add('error', ['port'], 'at least one [[port]] or [[listen]]', {
      next: 'Add the line of the meters: [[port]] with name and device.',
    });
  config.port.forEach((port, i) => {
    const at = ['port', i];
    judgePort(port, at, judging);
    if (port.meter.length === 0)
      context.findings.add('warning', [...at, 'meter'], `${port.name} has no meters yet: nothing is polled on it`, {
        next: 'Scan it, and commission the meters: on the page, or by meter-gateway scan and commission.',
        restsOn: [[...at, 'name']],
      });
    port.meter.forEach((meter, j) => {
      const here = [...at, 'meter', j];
      judgeIdentity(meter, here, judging);
      judgeAddress(port, meter, { at, here }, judging);
      judgeAccess(meter, here, judging);
      judgeSwap(meter, here, judging);
      judgeProfiles(meter, here, judging);
    });
  });
  judgeListened(config, judging);
}
