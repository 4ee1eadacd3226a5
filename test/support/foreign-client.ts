/**
 * The octets of a foreign client, recorded against a foreign meter, said to one of ours that is configured alike: the same
 * addresses, password, keys, system title and challenge, so that even its proofs are right. Its requests are its own; only
 * N(R), and the RR that fetch the segments of another answer, are made here.
 */
import { Secret } from '../../src/base/secret.ts';
import { later, type Millis, millis } from '../../src/base/time.ts';
import { decodeAcse } from '../../src/dlms/acse/apdu.ts';
import type { ServerClient } from '../../src/dlms/association/server-entry.ts';
import { Deframer } from '../../src/dlms/hdlc/deframer.ts';
import { encodeFrame, type Frame } from '../../src/dlms/hdlc/frame.ts';
import { ServerStack, type ServerStackSettings } from '../../src/dlms/stack/server.ts';
import { buildBus } from '../../src/simulator/build-bus.ts';
import { parseScenario, type ScenarioInput } from '../../src/simulator/scenario.ts';
import type { VirtualMeter } from '../../src/simulator/virtual-meter.ts';
import { apdusOf, isHdlc, linesOf } from './recorded.ts';
import { meterKeys } from './spoken.ts';
import type { Spoken } from './strict-link.ts';

const at = millis(Date.UTC(2026, 10, 24, 12));
const secret = new Secret(Buffer.from('Gurux'));
const gmac = (counter: () => number): ServerClient => ({
  mechanism: 'hls-gmac',
  ciphering: {
    suite: 0,
    policy: 'authenticated-encrypted',
    wrapping: 'service',
    keys: { encryption: new Secret(meterKeys.encryption), authentication: new Secret(meterKeys.authentication) },
    nextCounter: counter,
  },
});

/** A meter of the simulator with the clients, the title and the challenge of the foreign one. */
function alike(name: string, scenario: ScenarioInput['meters']): VirtualMeter {
  const link = isHdlc(name) ? 'hdlc' : 'wrapper';
  const [meter] = buildBus(
    parseScenario({ bus: { link, baud: 0 }, meters: { max_info: 128, ...scenario } }),
    at,
  ).meters;
  if (!meter) throw new Error('no meter');
  const aares = apdusOf(name)
    .filter(({ direction, octets }) => direction === 'from-meter' && octets[0] === 0x61)
    .map(({ octets }) => decodeAcse(octets));
  const last = aares.findLast((aare) => aare.kind === 'aare' && aare.authenticationValue !== undefined);
  const { respondingApTitle: title, authenticationValue: challenge } = last?.kind === 'aare' ? last : {};
  let counter = 0;
  const { settings } = meter.stack as unknown as { settings: ServerStackSettings };
  meter.stack = new ServerStack({
    ...settings,
    server: {
      ...settings.server,
      clients: new Map<number, ServerClient>([
        [16, { mechanism: 'none' }],
        [17, { mechanism: 'lls', secret }],
        [1, gmac(() => ++counter)],
        [18, { mechanism: 'hls-manufacturer', secret }],
        [19, { mechanism: 'hls-md5', secret }],
        [20, { mechanism: 'hls-sha1', secret }],
        [22, { mechanism: 'hls-sha256', secret }],
      ]),
      ...(title && { systemTitle: title }),
      ...(challenge && { challenge: () => challenge }),
      heard: new Map(),
    },
  });
  return meter;
}

/** It asks for the blocks after the first one of an answer that ours may give whole. */
const goesOn = (apdu: Uint8Array): boolean => apdu[0] === 0xc0 && apdu[1] === 2;

export function replayed(name: string, scenario: ScenarioInput['meters'] = {}): Spoken[] {
  const meter = alike(name, scenario);
  const lines: Spoken[] = [];
  let now: Millis = at;
  const exchange = (octets: Uint8Array): Uint8Array => {
    lines.push({ from: 'client', octets });
    now = later(now, 10);
    meter.receive(octets, now);
    meter.wake(now);
    const out: Uint8Array[] = [];
    for (let piece = meter.pollTransmit(); piece; piece = meter.pollTransmit()) out.push(piece.octets.slice());
    for (const one of out) lines.push({ from: 'meter', octets: one });
    return Buffer.concat(out);
  };
  if (isHdlc(name)) sayFrames(name, exchange);
  else
    for (const { octets, direction } of linesOf(name))
      if (direction === 'to-meter' && !goesOn(octets.subarray(8))) exchange(octets);
  return lines;
}

function sayFrames(name: string, exchange: (octets: Uint8Array) => Uint8Array): void {
  const deframer = new Deframer();
  let sent = 0;
  let heard = 0;
  const ask = (frame: Frame): void => {
    for (let next: Frame | undefined = frame; next; ) {
      const answers = deframer.push(exchange(encodeFrame(next)));
      heard = (heard + answers.filter(({ control }) => control.kind === 'I').length) & 7;
      next = answers.at(-1)?.segmented
        ? { ...frame, control: { kind: 'RR', nr: heard, pollFinal: true }, information: new Uint8Array(0) }
        : undefined;
    }
  };
  for (const { octets, direction } of linesOf(name)) {
    if (direction !== 'to-meter') continue;
    for (const frame of new Deframer().push(octets)) {
      const { kind } = frame.control;
      if (kind === 'SNRM' || kind === 'DISC') {
        ask(frame);
        sent = heard = 0;
      } else if (kind === 'I' && !goesOn(frame.information.subarray(3))) {
        ask({ ...frame, control: { kind: 'I', ns: sent, nr: heard, pollFinal: true } });
        sent = (sent + 1) & 7;
      }
    }
  }
}
