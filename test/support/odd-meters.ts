/** Simulated meters that do what no list of quirks has, at the place where a test wants it. */
import { type Millis, millis } from '../../src/base/time.ts';
import { encodeFrame } from '../../src/dlms/hdlc/frame.ts';
import { frameOf, type Quirk } from '../../src/simulator/quirk.ts';
import { buildBus } from '../../src/simulator/build-bus.ts';
import { parseScenario, type ScenarioInput } from '../../src/simulator/scenario.ts';
import type { VirtualMeter } from '../../src/simulator/virtual-meter.ts';
import { tcpServer } from './tcp-server.ts';

export type Odd = Partial<Quirk>;
export const tags = { aarq: 0x60, get: 0xc0, action: 0xc3, gloGet: 0xc8, gloInitiate: 0x21 } as const;

/** The meter does this besides. */
export function misbehave(meter: VirtualMeter, odd: Odd): void {
  const inside = meter as unknown as { quirks: Odd[]; memories: object[] };
  inside.quirks = [odd];
  inside.memories = [{}];
}
/** Nothing is accepted any more from the first message with this tag on, until the link is opened anew. */
export function deafFrom(tag: number): Odd {
  let deaf = false;
  return {
    accepts(octets) {
      if (frameOf(octets)?.control.kind === 'SNRM') deaf = false;
      const llc = Buffer.from(octets).indexOf(Buffer.of(0xe6, 0xe6, 0x00));
      if (llc >= 0 && octets[llc + 3] === tag) deaf = true;
      return !deaf;
    },
  };
}
/** One answer to every request with this tag. */
export const answerTo = (tag: number, answer: readonly number[] | Uint8Array): Odd => ({
  answer: (octets, request) => (request[0] === tag ? Uint8Array.from(answer) : octets),
});
/** Every GET of an attribute, alone or in a list, is refused with this result. */
export const refuse = (result: number): Odd => ({
  answer(octets, request) {
    if (request[0] !== tags.get) return octets;
    const [, choice, invokeId = 0, count = 0] = request;
    if (choice === 1) return Uint8Array.of(0xc4, 1, invokeId, 1, result);
    const results = Array.from({ length: count }, () => [1, result]).flat();
    return Uint8Array.from([0xc4, 3, invokeId, count, ...results]);
  },
});
/** After so many frames of information the meter sends another frame, whatever it is asked. */
export function instead(kind: 'DM' | 'FRMR', after: number): Odd {
  let sent = 0;
  return {
    transmit(octets) {
      const honest = frameOf(octets);
      if (after > 0 && honest?.control.kind === 'UA') sent = 0;
      else sent++;
      if (!honest || sent <= after) return [{ octets, pauseMs: 0 }];
      const frame = encodeFrame({
        destination: honest.destination,
        source: honest.source,
        control: { kind, pollFinal: true },
        segmented: false,
        information: new Uint8Array(0),
      });
      return [{ octets: frame, pauseMs: 0 }];
    },
  };
}
/** An AARE in the clear that refuses for a reason of the user's (Green Book 9.4.2). */
export const aareRefused = (diagnostic: number, more: readonly number[] = []): Uint8Array =>
  Buffer.concat([
    Buffer.of(0x61, 0x17 + more.length),
    Buffer.from('a109060760857405080101a203020101a305a1030201', 'hex'),
    Buffer.of(diagnostic, ...more),
  ]);

/** A meter of the simulator on a TCP port: without a line in between it answers as fast as it is asked. */
export async function meterAt(
  odd: Odd | undefined,
  scenario: ScenarioInput = {},
): Promise<{ device: string; meter: VirtualMeter }> {
  const now = (): Millis => millis(Date.now());
  const [meter] = buildBus(parseScenario({ ...scenario, bus: { kind: 'tcp', ...scenario.bus } }), now()).meters;
  if (!meter) throw new Error('no meter');
  if (odd) misbehave(meter, odd);
  const device = await tcpServer((socket) => {
    meter.powerUp();
    socket.setNoDelay(true);
    socket.on('data', (octets) => {
      meter.receive(octets, now());
      for (let piece = meter.pollTransmit(); piece; piece = meter.pollTransmit()) socket.write(piece.octets);
    });
  });
  return { device, meter };
}
