/** One question of a scan: is a meter at this address, and which one. Everything that came on the line is evidence. */
import { Failure } from '../base/errors.ts';
import { toHex } from '../base/hex.ts';
import { type Clock, later, type Millis } from '../base/time.ts';
import { concat } from '../base/cursor.ts';
import type { Data } from '../dlms/axdr/data.ts';
import { Deframer } from '../dlms/hdlc/deframer.ts';
import { encodeFrame, type Frame, type HdlcAddress, sameAddress, serverAddress } from '../dlms/hdlc/frame.ts';
import type { LogicalName } from '../dlms/cosem/logical-name.ts';
import { isRestOnly } from './line-damage.ts';
import type { Port, Trace } from '../line/port.ts';
import type { MeterAccess } from '../meter/access.ts';
import { attribute } from '../meter/attribute.ts';
import { normalSerial, serialInName } from '../meter/identity.ts';
import { textOf } from '../meter/identity-reading.ts';
import { detectModel, genericModel, type MeterModel } from '../meter/model.ts';
import { isRefusal, Session } from '../meter/session.ts';
import { callsEveryone, type Probe, type ProbeAnswer, wrapperAnswerMs } from './scan-plan.ts';

/** Everybody is let in by it, and sees name and serial number. */
const publicClient = 16;
/** Less than a line is lent for, with the rest of what one use asks. */
const sessionLimitMs = 15_000;
const sampleOctets = 48;
/** Octets outside of frames that a bus makes by itself when its drivers take turns. */
const noiseOctets = 3;

const accessOf = (
  { link, baud, logical, physical, size, signOn, explicit, tries, patienceMs }: Probe,
  timed: boolean,
): MeterAccess => ({
  link: link === 'wrapper' ? 'wrapper' : 'hdlc',
  modeE: link === 'mode-e',
  signOnAddress: signOn ?? '',
  client: publicClient,
  logical,
  physical,
  auth: 'none',
  secret: undefined,
  // What every meter takes: the defaults of the link, one attribute at a time. DISC alone is an end.
  model: {
    ...genericModel,
    max_info: 128,
    window: 1,
    multiple_references: false,
    release: false,
    explicit_parameters: explicit === true,
    ...(size && { address_size: size }),
  },
  baud: baud === 0 ? 9600 : baud,
  timed,
  answerTimeoutMs: link === 'wrapper' ? wrapperAnswerMs(patienceMs) : patienceMs,
  retries: tries - 1,
  guardMs: 0,
  sessionMs: sessionLimitMs,
});

/** What came on the line while it was asked. */
function evidence(clock: Clock, target: HdlcAddress, octetMs: number, link: Probe['link']) {
  const deframer = new Deframer();
  const chunks: Uint8Array[] = [];
  const others = new Map<string, ProbeAnswer['others'][number]>();
  let echoed = 0;
  let frames = 0;
  let linked = false;
  let sentAt: Millis | undefined;
  let delayMs: number | undefined;
  const take = ({ source, destination, control, information }: Frame): void => {
    frames++;
    if (source.logical === publicClient && source.size === 1 && destination.logical !== publicClient) {
      echoed += encodeFrame({ source, destination, control, information, segmented: false }).length;
      return;
    }
    if (sameAddress(source, target)) {
      if (control.kind === 'UA' || control.kind === 'DM') linked = true;
      return;
    }
    others.set(`${source.logical}/${source.physical}`, { logical: source.logical, physical: source.physical });
  };
  const trace: Trace = (direction, octets) => {
    const now = clock.now();
    if (direction === '->') {
      sentAt = later(now, octets.length * octetMs);
      return;
    }
    if (sentAt !== undefined) {
      delayMs = Math.max(delayMs ?? 0, now - sentAt);
      sentAt = undefined;
    }
    chunks.push(octets.slice());
    // A sign-on is text, and a wrapper has no flags: what is damaged there the stack says.
    if (link !== 'hdlc') return;
    for (const frame of deframer.push(octets)) take(frame);
  };
  return {
    trace,
    /** Nothing more comes. */
    result: () => {
      for (const frame of deframer.flush()) take(frame);
      const all = concat(chunks);
      const rough = deframer.damaged > 0 || deframer.dropped > noiseOctets;
      return {
        linked,
        octets: Math.max(0, all.length - echoed),
        damaged: deframer.damaged + (deframer.dropped > noiseOctets ? 1 : 0),
        others: [...others.values()],
        ...(linked && delayMs !== undefined && { delayMs: Math.max(0, Math.round(delayMs)) }),
        ...((rough || (frames === 0 && isRestOnly(all))) && { sample: toHex(all.subarray(0, sampleOctets)) }),
        heardFrames: frames,
      };
    },
  };
}

const answers: Partial<Record<Failure['code'], ProbeAnswer['answer']>> = {
  'no-answer': 'silent',
  'echo-only': 'echo',
  'damaged-answer': 'damaged',
  'sign-on-malformed': 'damaged',
  'link-disconnected': 'refused',
  'frame-rejected': 'refused',
  'service-exception': 'refused',
};
const ofLine: ReadonlySet<Failure['code']> = new Set([
  'port-lost',
  'port-missing',
  'port-busy',
  'port-denied',
  'connection-lost',
  'host-missing',
  'busy',
]);
/** It says nothing of the meter that was asked: the line, or our turn on it, is gone. */
export const isOfLine = (error: unknown): error is Failure => error instanceof Failure && ofLine.has(error.code);

const answerBy = ({ code, family }: Failure): ProbeAnswer['answer'] =>
  answers[code] ?? (family === 'refusal' ? 'refused' : 'mute');

/** The text of an attribute; undefined where the meter does not give it. */
async function textAt(session: Session, name: LogicalName): Promise<string | undefined> {
  let value: Data;
  try {
    value = await session.value(attribute(1, name, 2));
  } catch (error) {
    if (isRefusal(error)) return undefined;
    throw error;
  }
  const text = textOf(value);
  return text === undefined || normalSerial(text) === undefined ? undefined : text;
}

type Who = Pick<ProbeAnswer, 'serial' | 'deviceName' | 'model'>;
/** One question where the name of the meter holds its number, two else. */
async function whoIs(session: Session, models: ReadonlyMap<string, MeterModel>): Promise<Who> {
  const deviceName = await textAt(session, '0.0.42.0.0.255');
  const model = deviceName === undefined ? undefined : detectModel(models.values(), deviceName);
  const named = deviceName !== undefined && model ? serialInName(deviceName, model) : undefined;
  const serial = named ?? (await textAt(session, '0.0.96.1.0.255'));
  return {
    serial: normalSerial(serial ?? '') ?? (deviceName && serialInName(deviceName, genericModel)),
    deviceName,
    model: model?.name,
  };
}

/** Ends what the call of all has opened, in every meter that heard it. */
async function dismissAll(port: Port, clock: Clock, destination: HdlcAddress, waitMs: number): Promise<void> {
  const source: HdlcAddress = { logical: publicClient, size: 1 };
  const disc = { kind: 'DISC', pollFinal: true } as const;
  await port.write(
    encodeFrame({ destination, source, control: disc, segmented: false, information: new Uint8Array(0) }),
  );
  while ((await port.read(later(clock.now(), waitMs))) !== undefined);
}

/** Throws what `isOfLine` knows. */
export async function ask(
  port: Port,
  clock: Clock,
  probe: Probe,
  models: ReadonlyMap<string, MeterModel>,
): Promise<ProbeAnswer> {
  const timed = probe.baud > 0;
  const access = accessOf(probe, timed);
  const target = serverAddress(probe.logical, probe.physical, probe.size);
  const begun = clock.now();
  const seen = evidence(clock, target, timed ? 10_000 / probe.baud : 0, probe.link);
  const session = new Session(port, clock, access, { trace: seen.trace });
  let who: Who = {};
  let failure: Failure | undefined;
  try {
    await session.connect();
    who = await whoIs(session, models);
  } catch (error) {
    if (!(error instanceof Failure) || isOfLine(error)) throw error;
    failure = error;
  } finally {
    await session.close();
  }
  const { heardFrames, ...line } = seen.result();
  if (callsEveryone(probe) && line.octets > 0) await dismissAll(port, clock, target, probe.patienceMs);
  const answer = failure ? answerBy(failure) : who.serial === undefined ? 'unnamed' : 'identified';
  return {
    probe,
    // Octets without a frame among them are no silence, even where the link waited for more of them.
    answer: answer === 'silent' && line.damaged > 0 && heardFrames === 0 ? 'damaged' : answer,
    ...who,
    ...line,
    damaged: Math.max(line.damaged, probe.link === 'mode-e' ? session.stack.counters.damaged : 0),
    linked: line.linked || session.entered,
    code: failure?.code,
    why: failure?.message,
    tookMs: Math.round(clock.now() - begun),
  };
}
