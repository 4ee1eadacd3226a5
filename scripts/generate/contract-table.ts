/** Writes the tables of docs/contract.md from the schemas of the payloads; `--check` compares instead. */
import type * as v from 'valibot';
import { orderLimit, orderPayloads } from '../../src/command/order.ts';
import { ackPayload, againPayload, birthPayload, eventPayload, gapPayload, healthPayload, manifestPayload, profilePayload, readingPayload, resultPayload, statePayload, voidPayload } from '../../src/contract/payloads.ts';
import { birthFilter, topics, upFilter } from '../../src/contract/topics.ts';
import { payloadLimit } from '../../src/contract/parse.ts';
import { orderRefusals } from '../../src/reading/order-words.ts';
import { generatedPart } from './generated.ts';
import { cell, rowsOf } from './schema-rows.ts';

/** What a field means, by its path in one kind of payload, or by its name in all of them. */
const meanings: Readonly<Record<string, string>> = {
  v: 'version of the contract',
  epoch: 'of the numbering; a new one begins when the store was lost, damaged or fell back',
  seq: 'number of the message in its epoch, strictly rising, without holes',
  gateway: 'the gateway that speaks; it is the one of the topic',
  kind: 'kind of the payload',
  meter: 'id of the meter in the configuration; the one of the topic',
  point: 'metering point that the series belongs to',
  serial: 'serial number of the meter that the rows come from',
  series: 'OBIS code of the load profile',
  readAt: 'when the gateway read it, or found it out',
  boot: 'id of this life of the process',
  at: 'when it was published',
  clockTrust:
    '`kernel`: the time of the gateway is synchronised; `system`: it is taken as it is (`clock_trust = "assume"`); `untrusted`',
  clockDeviationS: 'seconds that the clock of the meter is ahead of the gateway; null: it names no instant',
  'profile.start': 'start of the first interval',
  'profile.periodS': 'length of each interval, seconds',
  'profile.count': 'number of intervals; every column has as many values',
  'profile.channels': 'one for each captured value',
  'profile.channels[].obis': 'OBIS code of the channel',
  'profile.channels[].unit': 'unit; null: not known',
  'profile.channels[].scaler': 'value = raw × 10^scaler; null: not known',
  'profile.channels[].note': 'SCALER_UNKNOWN: not to be billed before scaler and unit are known',
  'profile.channels[].register': 'cumulative register at the end of each interval',
  'profile.channels[].energy': 'energy of each interval, in units of the register; null: not known',
  'profile.channels[].value': 'a value that counts nothing: a demand, a voltage',
  'profile.status': 'status of each row, as the meter sent it; null: the profile has none',
  'profile.quality': 'quality of each interval',
  'profile.rev': 'revision of each interval; the receiver keeps the highest',
  'profile.reason': 'why an interval is published again; left out where none is',
  'profile.stampedOffS': 'seconds that the row was stamped beside the grid of its period',
  'profile.clockSays': 'what the clock of the meter reports of itself: invalid, doubtful, status-invalid',
  'profile.flags': 'of each interval; left out where none has one',
  'gap.start': 'start of the first interval that is not there',
  'gap.end': 'end of the last one',
  'gap.cause':
    '`OUTAGE`: dark, proven zero. `MISSING`: the meter has no row. `LOST`: its buffer no longer had it, or the meter that had it is gone. `STORE_DAMAGED`: the store lost it',
  'gap.before': 'registers at the start, by OBIS code, where known',
  'gap.after': 'registers at the end, by OBIS code, where known',
  'gap.rev': 'revision',
  'gap.reason': 'why it is published again',
  'reading.registers': 'registers at that moment, by OBIS code',
  'reading.disconnector': 'the switch of the meter; left out where it has none',
  'reading.disconnector.output': 'supply is on',
  'reading.disconnector.control': 'control_state: 0 disconnected, 1 connected, 2 ready for reconnection',
  'reading.disconnector.mode': 'control_mode of class 70',
  'event.source': 'an entry of a log of the meter, or what the gateway found',
  'event.log': 'OBIS code of the log; null where the gateway speaks',
  'event.code': 'code in that log; null where the gateway speaks',
  'event.name': 'name of the event',
  'event.at': 'stamp of the meter, or time of the gateway; null: it names no instant',
  'event.occurrence': 'counts equal entries of one log and stamp, from 0',
  'event.detail': 'what else is known of it, at most 64 fields',
  'manifest.day': 'the UTC day that is accounted for',
  'manifest.part': 'number of this part, from 1',
  'manifest.parts': 'parts of this account',
  'manifest.series': 'account of each series',
  'manifest.series[].meter': 'id of the meter',
  'manifest.series[].from': 'where the series begins within the day',
  'manifest.series[].to': 'where the series ends within the day',
  'manifest.series[].periodS': 'length of each interval, seconds',
  'manifest.series[].expected': 'intervals of the day; the six counts below add up to it',
  'manifest.series[].measured': 'quality MEASURED',
  'manifest.series[].uncertain': 'quality UNCERTAIN or REGISTER_BACKWARD',
  'manifest.series[].outage': 'gaps of cause OUTAGE',
  'manifest.series[].missing': 'gaps of cause MISSING or STORE_DAMAGED',
  'manifest.series[].lost': 'gaps of cause LOST',
  'manifest.series[].pending': 'not read yet',
  'manifest.series[].digest':
    'SHA-256 over what was published of the day; `verifyManifest` in src/central/ingest.ts recomputes it',
  'result.id': 'of the order',
  'result.action': 'what was ordered, as the order has it; null: it cannot be read',
  'result.about': 'the meter that the order names; null: the gateway itself',
  'result.outcome':
    '`done`. `refused`: nothing was done. `failed`: it was tried, and the meter is as it was. `unknown`: it was begun, and nobody knows whether it happened',
  'result.reason': 'why it was refused: see [orders](#orders)',
  'result.code': 'why it failed, or is not known: a code of [errors.md](errors.md)',
  'result.why': 'the same in words',
  'result.detail': 'what came of it: see [orders](#orders)',
  'result.receivedAt': 'when the order came',
  'result.at': 'when it was answered first; a repeat of the order gets the same answer',
  'order.v': 'version of the orders',
  'order.id': 'chosen at random by whoever signs; no two orders have the same: it is the nonce',
  'order.gateway': 'the gateway that is to do it',
  'order.issued': 'when it was signed; not before the gateway began to remember orders',
  'order.expires': 'until when it may begin; at most 24 h after `issued`',
  'order.meter': 'id of the meter',
  'order.serial':
    'serial number of the meter, as the configuration of the gateway has it and the meter itself tells it',
  'order.point': 'metering point of the meter, as the configuration has it',
  'order.action': 'what is to be done',
  'again.series': 'OBIS code of the profile',
  'again.from': 'start of the span',
  'again.to': 'end of the span, at most 400 days later',
  'firmware.image': 'SHA-256 of the image, in hex; it lies on the gateway as `<SHA-256>.bin` in `image_directory`',
  'firmware.identifier': 'image_identifier of the Blue Book',
  'firmware.activate': 'true: it is activated as well; false: it is brought and verified',
  'change-keys.keys':
    'the keys that change: `encryption`, `authentication`, each as `wrapped` (hex): the key under the master key of the meter (RFC 3394), and `print`: the first 16 octets of SHA-256 over the text "meter-gateway key" and the key (hex)',
  'trace.minutes': 'for how long',
  'void.cause':
    '`STORE_DAMAGED`: the record of this number was damaged. `SPLIT`: it is published in parts or in other words, under later numbers. `TOO_LARGE`: it has no parts; an event UNSAYABLE_FACT names what it was',
  'state.online': 'false is also the last will',
  'state.at': 'when it was published; null in the last will',
  'birth.version': 'version of the program',
  'birth.acknowledged': 'all up to here was acknowledged before: a head-end without memory begins after it',
  'birth.configHash': 'hash of the configuration in force',
  'birth.capabilities':
    'the kinds of `up` messages that this version sends; `again`: it answers `down/again`; `order:…`: the actions that may be ordered',
  'birth.meters': 'the meters of the configuration',
  'birth.meters[].series': 'their load profiles',
  'birth.meters[].series[].profile': 'OBIS code of the profile',
  'birth.meters[].series[].periodS': 'length of each interval, seconds',
  'birth.seriesLeftOut': 'true: the series are left out, because all would be too long for the broker',
  'birth.metersLeftOut': 'so many meters are left out, because all would be too long for the broker',
  'health.pending': 'messages that wait for the acknowledgement of the head-end',
  'health.oldestUnacknowledgedS': 'age of the oldest of them, seconds',
  'health.timeTrouble': 'why the gateway does not trust its time',
  'health.configuration': 'what is in force, and why the file as it is now is not',
  'health.configuration.hash': 'hash of what is in force',
  'health.configuration.refused': 'why the last reload was refused',
  'health.disk': 'room on the disk of the state directory',
  'health.disk.freeBytes': 'free octets',
  'health.disk.totalBytes': 'all octets',
  'health.ports': 'the lines',
  'health.ports[].name': 'name of the port in the configuration',
  'health.ports[].device': 'its device',
  'health.ports[].open': 'whether it is open',
  'health.ports[].error': 'why it is not',
  'health.meters': 'the meters',
  'health.meters[].meter': 'id of the meter',
  'health.meters[].verdict': 'how the meter stands: see [technician.md](technician.md)',
  'health.meters[].lastSuccess': 'when a session with it last succeeded',
  'health.meters[].missing': 'expected intervals that are not accounted for yet',
  'health.meters[].alarms': 'what stands against it now',
  'health.meters[].next': 'what to do about a meter that does not answer or is not asked',
  'health.metersLeftOut': 'so many meters are left out, because all would be too long for the broker',
  'health.uplink': 'what is amiss between the gateway and the head-end',
  'health.uplink.trouble': 'in words',
  'health.uplink.unfit': 'payloads of the head-end that did not fit the contract',
  'health.uplink.refused': 'messages that the broker refused',
  'health.store': 'how the store is',
  'health.store.failure': 'why it does not take anything now',
  'health.store.quarantined': 'records that were found damaged',
  'health.store.missing': 'records that were not there',
  'down/ack.epoch': 'the epoch of the numbers below',
  'down/ack.upTo': 'everything up to this number is at the head-end',
  'down/ack.seen': 'the highest number of the epoch that ever came, holes before it or not',
  'down/ack.nack': 'numbers up to `upTo` that are to be sent again',
  'down/again.meter': 'id of the meter',
  'down/again.series': 'OBIS code of the profile',
  'down/again.from': 'start of what was lost',
  'down/again.to': 'end of what was lost',
};
const used = new Set<string>();
function meaningOf(kind: string, path: string, key: string): string {
  const name = [`${kind}.${path}`, key].find((one) => meanings[one] !== undefined);
  if (name === undefined) throw new Error(`${kind}.${path} has no meaning in scripts/generate/contract-table.ts`);
  used.add(name);
  return meanings[name] as string;
}
function table(kind: string, schema: v.GenericSchema): string {
  const lines = rowsOf(schema).map(({ path, key, values, optional }) => {
    const may = optional ? ', or left out' : '';
    return `| \`${path}\` | ${cell(values)}${may} | ${cell(meaningOf(kind, path, key))} |`;
  });
  return `| field | values | meaning |\n|---|---|---|\n${lines.join('\n')}\n`;
}
const of = topics('<tenant>', '<gateway>');
const kinds: readonly (readonly [kind: string, topic: string, title: string, schema: v.GenericSchema])[] = [
  ['state', of.state, 'retained, QoS 1; also the last will', statePayload],
  ['birth', of.birth, 'retained, QoS 1; published with each connection and each new epoch', birthPayload],
  ['health', of.health, 'each minute, QoS 0, expiry 300 s', healthPayload],
  ['profile', of.up('<meter>', 'profile'), 'consecutive intervals, columnar', profilePayload],
  ['gap', of.up('<meter>', 'gap'), 'intervals that have no row, and why', gapPayload],
  ['reading', of.up('<meter>', 'reading'), 'once a day and on demand', readingPayload],
  [
    'event',
    `${of.up('<meter>', 'event')}, ${of.up('_', 'event')}`,
    'each once; `_` is the gateway itself',
    eventPayload,
  ],
  ['void', of.up('_', 'event'), 'this number carries nothing (any more)', voidPayload],
  ['manifest', of.up('_', 'manifest'), 'the account of a day', manifestPayload],
  ['result', of.result, 'what became of an order', resultPayload],
  ['down/ack', of.ack, 'head-end to gateway', ackPayload],
  ['down/again', of.again, 'head-end to gateway', againPayload],
];
const text = `A head-end subscribes to \`${upFilter('<tenant>')}\` and \`${birthFilter('<tenant>')}\`. No payload is longer than ${payloadLimit / 1024} KiB.

| topic | payload | when |
|---|---|---|
${kinds.map(([kind, topic, title]) => `| \`${topic.replace(', ', '`, `')}\` | [${kind}](#${kind.replace('/', '')}) | ${title} |`).join('\n')}

${kinds.map(([kind, , title, schema]) => `### ${kind}\n\n${title[0]?.toUpperCase()}${title.slice(1)}.\n\n${table(kind, schema)}`).join('\n')}`;
/** What each action needs of the configuration, and what its result says in `detail`. */
const acts: Readonly<Record<keyof typeof orderPayloads, readonly [what: string, enabled: string, detail: string]>> = {
  read: [
    'reads registers, clock and switch now, and the newest rows',
    'always',
    'readAt, registers, clockDeviationS; the reading itself comes before, as `reading`',
  ],
  again: ['says a span again from the ledger, or reads it from the meter', 'always', 'intervals'],
  'set-clock': [
    'sets the clock of the meter within the limits of R30, also by more than a minute',
    '`set_clocks`',
    'beforeS, afterS: deviations',
  ],
  disconnect: [
    'opens the switch of the meter',
    '`enable_disconnect`',
    'beforeOutput, beforeControlState, beforeControl, and the same with after; controlMode',
  ],
  reconnect: ['closes it, or makes it ready for that', '`enable_disconnect`', 'the same'],
  firmware: [
    'brings an image to the meter, in slices between the polls',
    '`enable_firmware`',
    'blocks, sessions, activated, image',
  ],
  'change-keys': [
    'gives the meter the next keys that are configured for it on the gateway (key_transfer of its security setup), and enters it with them',
    '`enable_key_change`',
    'changed, entered: the serial number that answered with the next keys',
  ],
  trace: [
    'listens to the line for a while, in the turns of this meter; passwords and keys are struck out',
    'always',
    'frames, leftOut, and frame01 to frame60: when, direction, octets in hex; 16 KiB of them at most, from the beginning',
  ],
  version: ['says which program runs', 'always', 'version, boot, configHash, since, upS, actions'],
};
const commonKeys = new Set(rowsOf(orderPayloads.read).map(({ key }) => key));
const orderLines = rowsOf(orderPayloads.read).map(
  ({ key, values }) =>
    `| \`${key}\` | ${key === 'action' ? 'one of the table below' : cell(values)} | ${cell(meaningOf('order', key, key))} |`,
);
const actLines = Object.entries(acts).map(([action, [what, enabled, detail]]) => {
  const schema = orderPayloads[action as keyof typeof orderPayloads];
  const more = rowsOf(schema)
    .filter(({ path, key }) => path === key && !commonKeys.has(key))
    .map(({ key, values }) => `\`${key}\` (${values}): ${meaningOf(action, key, key)}`);
  const without = 'meter' in schema.entries ? '' : 'without `meter`, `serial`, `point`';
  return `| \`${action}\` | ${what} | ${cell([...more, without].filter((one) => one !== '').join('; '))} | ${enabled} | ${detail} |`;
});
const orderText = `No order is longer than ${orderLimit / 1024} KiB. Its payload has these members and no other:

| member | values | meaning |
|---|---|---|
${orderLines.join('\n')}

| action | what it does | more members | enabled by | \`detail\` of the result |
|---|---|---|---|---|
${actLines.join('\n')}

| \`reason\` of a refusal | what it means, and what to do |
|---|---|
${Object.entries(orderRefusals)
  .map(([reason, says]) => `| \`${reason}\` | ${cell(says)} |`)
  .join('\n')}
`;
const superfluous = Object.keys(meanings).filter((name) => !used.has(name));
if (superfluous.length > 0) throw new Error(`meanings of no field: ${superfluous.join(', ')}`);
generatedPart('docs/contract.md', 'payloads', text, 'node scripts/generate/contract-table.ts');
generatedPart('docs/contract.md', 'orders', orderText, 'node scripts/generate/contract-table.ts');
