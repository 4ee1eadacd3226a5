/** Our turn with one meter on a port: the only loop that awaits both line and deadline. */
import { Failure, messageOf } from '../base/errors.ts';
import { encode } from '../base/codec.ts';
import { type Clock, later, type Millis, millis } from '../base/time.ts';
import { type Data, dataCodec } from '../dlms/axdr/data.ts';
import { refusalName } from '../dlms/association/client.ts';
import type { LinkParameters } from '../dlms/hdlc/frame.ts';
import { obis } from '../dlms/cosem/logical-name.ts';
import { associationBaseName, associationShortNameObject, shortNamesOf } from '../dlms/cosem/short-name.ts';
import { has } from '../dlms/xdlms/conformance.ts';
import { ClientStack, type StackEvent, type StackRequest } from '../dlms/stack/client.ts';
import type { Attribute, GetResult } from '../dlms/xdlms/apdu.ts';
import type { Port, Trace } from '../line/port.ts';
import { type MeterAccess, stackSettings } from './access.ts';
import {
  type Fallbacks,
  fallBack,
  freshFallbacks,
  misanswer,
  nonAnswer,
  suspect,
  toleratedTexts,
} from './fallbacks.ts';
import { closeMs, longestFrameMs, requestMs } from './patience.ts';

/** Silence after which nobody is talking. */
const quietMs = 250;

/** data-access-result: other-reason. */
const otherReason = 250;
/** Results of a meter that has the object and lets us: hardware fault, temporary failure, other reason, lost blocks. */
const unavailable: ReadonlySet<number> = new Set([1, 2, 14, 15, 16, 250]);
export const refusalCode = (refused: number): 'access-refused' | 'value-unavailable' =>
  unavailable.has(refused) ? 'value-unavailable' : 'access-refused';
const accessRefused = ({ logicalName, attribute }: Attribute, refused = otherReason): Failure =>
  new Failure(refusalCode(refused), `${obis(logicalName)}:${attribute} refused: ${refusalName(refused)}`, { refused });
/** The meter answered that it does not give this value; the association stands. */
export const isRefusal = (error: unknown): error is Failure =>
  error instanceof Failure && (error.code === 'access-refused' || error.code === 'value-unavailable');
/** The data-access-result that it gave as its reason. */
export function refusedBy(error: unknown): number | undefined {
  const refused = isRefusal(error) ? error.detail['refused'] : undefined;
  return typeof refused === 'number' ? refused : undefined;
}

type Answer<K extends StackEvent['kind']> = Extract<StackEvent, { kind: K }>;

export class Session {
  stack: ClientStack;
  /** At least one octet came from the line in this session. */
  heard = false;
  /** The meter said something that was understood: it has mains, and can be reached. An echo of ours says nothing. */
  private answered = false;
  lost = false;
  /** The meter let us in. */
  entered = false;
  readonly fallbacks: Fallbacks;
  /** The link parameters that were agreed with the meter; undefined before, and where there is no link. */
  parameters: LinkParameters | undefined;
  /** Lists were agreed. */
  private lists = false;
  private readonly port: Port;
  private readonly clock: Clock;
  private readonly access: MeterAccess;
  private readonly trace: Trace | undefined;
  private readonly onBlock: ((octets: number) => void) | undefined;
  private baud: number;
  private quietFrom: Millis | undefined;
  /** No request goes on beyond this; the session may then only be closed. */
  private readonly endsAt: Millis;

  constructor(
    port: Port,
    clock: Clock,
    access: MeterAccess,
    options: { trace?: Trace | undefined; onBlock?: ((octets: number) => void) | undefined } = {},
  ) {
    this.port = port;
    this.clock = clock;
    const shortNamed = access.model.referencing === 'short-name';
    this.access = shortNamed
      ? { ...access, shortNames: access.shortNames ?? new Map([[associationShortNameObject, associationBaseName]]) }
      : access;
    this.fallbacks = access.fallbacks ?? freshFallbacks();
    this.trace = options.trace;
    this.onBlock = options.onBlock;
    this.stack = new ClientStack(stackSettings(this.access));
    this.endsAt = later(clock.now(), access.sessionMs);
    this.baud = access.modeE ? 300 : access.baud;
  }

  async connect(): Promise<Answer<'connected'>> {
    await this.guarded(() => this.port.setBaud(this.baud));
    await this.guarded(() => this.drain(0));
    const connected = await this.exchange({ kind: 'connect' }, 'connected');
    this.lists = has(connected.conformance, 'multiple-references');
    this.entered = true;
    await this.learnShortNames();
    return connected;
  }

  private async learnShortNames(): Promise<void> {
    const { shortNames } = this.access;
    if (!shortNames || shortNames.size > 1) return;
    const list = await this.value({ classId: 12, logicalName: associationShortNameObject, attribute: 2 });
    try {
      for (const [name, base] of shortNamesOf(list)) shortNames.set(name, base);
    } catch (error) {
      throw new Failure('malformed-octets', messageOf(error));
    }
  }

  /** Another request can be answered. */
  get associated(): boolean {
    return !this.lost && this.stack.associated;
  }

  wall(): Millis {
    return this.clock.wall();
  }

  /** Results in the order of the attributes; a refused one says so in its place. */
  async get(attributes: readonly Attribute[]): Promise<readonly GetResult[]> {
    const list = attributes.length > 1;
    if (list && (!this.lists || this.fallbacks.held.has('single-gets'))) return this.getSingly(attributes);
    const ask = () => this.pastText(async () => (await this.exchange({ kind: 'get', attributes }, 'got')).results);
    let failure: unknown;
    try {
      const results = await ask();
      if (list) this.fallbacks.suspected.delete('single-gets');
      return results;
    } catch (error) {
      failure = error;
    }
    if (this.mayReopen(failure)) {
      await this.reopen();
      try {
        return await ask();
      } catch (error) {
        failure = error;
      }
    }
    // A frame that was rejected says nothing of what was in it.
    if (!list || (failure instanceof Failure && failure.code === 'frame-rejected')) throw failure;
    return this.withoutLists(attributes, failure);
  }

  /**
   * Words in place of an answer are a converter's, or of the moment (meter-quirks 92): the same is asked once more, where
   * nothing was taken of an answer yet.
   */
  private async pastText<T>(ask: () => Promise<T>, untouched: () => boolean = () => true): Promise<T> {
    try {
      return await ask();
    } catch (error) {
      const text = error instanceof Failure && error.detail['text'] !== undefined;
      if (!text || !untouched() || !this.associated) throw error;
      await this.guarded(() => this.drain(quietMs));
      return ask();
    }
  }

  /** One by one; what the meter answers with nonsense counts as refused, as long as the association stands. */
  private async getSingly(attributes: readonly Attribute[]): Promise<readonly GetResult[]> {
    const results: GetResult[] = [];
    for (const attribute of attributes) {
      try {
        const [result] = await this.get([attribute]);
        results.push(result ?? { refused: otherReason });
      } catch (error) {
        if ((misanswer(error) === undefined && !isRefusal(error)) || !this.associated) throw error;
        results.push({ refused: otherReason });
      }
    }
    return results;
  }

  /** A list that the meter mishandled (meter-quirks 86): the same one by one, in this session where it can go on. */
  private async withoutLists(attributes: readonly Attribute[], failure: unknown): Promise<readonly GetResult[]> {
    const bad = misanswer(failure);
    const reason = bad ?? nonAnswer(failure);
    if (reason === undefined) throw failure;
    const at = this.clock.wall();
    if (!this.associated) {
      try {
        if (this.lost || this.reopened) throw failure;
        await this.reopen();
      } catch {
        // Whether the list did it, or the line, the next session tells.
        if (bad === undefined) suspect(this.fallbacks, 'single-gets', `list ${reason}`, at);
        else fallBack(this.fallbacks, 'single-gets', `list ${reason}`, at);
        throw failure;
      }
    }
    const results = await this.getSingly(attributes);
    fallBack(this.fallbacks, 'single-gets', `list ${reason}`, at);
    return results;
  }

  /** Asks for an attribute in a request of its own, where its value in a list differs from it; no list of this meter is believed afterwards. */
  async getOutsideLists(attribute: Attribute, reason: string): Promise<GetResult | undefined> {
    if (!this.lists || this.fallbacks.held.has('single-gets')) return undefined;
    const [result] = await this.get([attribute]);
    if (result && 'data' in result) fallBack(this.fallbacks, 'single-gets', reason, this.clock.wall());
    return result;
  }

  /** Some meters lose their association now and then: "service not allowed" opens it anew, once (meter-quirks 47). */
  private mayReopen(error: unknown): boolean {
    if (!(error instanceof Failure) || error.code !== 'service-exception' || this.reopened) return false;
    const { apdu } = error.detail as { apdu?: { kind: string; stateError?: number } };
    return apdu?.kind === 'exception-response' && apdu.stateError === 1;
  }
  async reopen(): Promise<void> {
    this.reopened = true;
    await this.close();
    this.stack = new ClientStack(stackSettings(this.access));
    await this.connect();
  }
  reopened = false;

  /** The octets of one value as they arrive, or a Failure that `isRefusal` knows. `expected`: octets that it should have. */
  async stream(attribute: Attribute, take: (octets: Uint8Array) => void, expected?: number): Promise<void> {
    let broken: unknown;
    let taken = 0;
    this.onValue = (octets) => {
      taken += octets.length;
      // What cannot be read is not asked for again: the meter says all it has to say, and the next request finds it idle.
      if (broken !== undefined) return;
      try {
        take(octets);
      } catch (error) {
        broken = error;
      }
    };
    try {
      const request: StackRequest = { kind: 'get', attributes: [attribute], stream: true };
      const ask = () => this.exchange(request, 'got', expected);
      const { results } = await this.pastText(ask, () => taken === 0);
      if (broken !== undefined) throw broken;
      const [result] = results;
      if (!result) return;
      if ('refused' in result) throw accessRefused(attribute, result.refused);
      // Short-name referencing gives the value whole.
      take(encode(dataCodec, result.data));
    } finally {
      this.onValue = undefined;
    }
  }
  private onValue: ((octets: Uint8Array) => void) | undefined;

  /** One value, or a Failure that `isRefusal` knows. */
  async value(attribute: Attribute): Promise<Data> {
    const [result] = await this.get([attribute]);
    if (result && 'data' in result) return result.data;
    throw accessRefused(attribute, result?.refused);
  }

  /** Ends the association and the link; never throws, for the session's result is known by now. */
  async close(): Promise<void> {
    this.fallbacks.tolerated = toleratedTexts(this.stack.tolerated);
    if (this.lost) return;
    try {
      // On one pair of wires nobody hears us while the meter still talks.
      if (this.interrupted) await this.guarded(() => this.drain(quietMs));
      this.interrupted = false;
      await this.exchange({ kind: 'close' }, 'closed');
    } catch {
      // The line or the meter is gone: nothing is left to close.
    }
  }

  /**
   * What comes now belongs to nobody: the meter before us or our own may still be talking, and a long frame takes its time on
   * a slow line. A line that does not fall silent in that time is heard as it is.
   */
  private async drain(firstMs: number): Promise<void> {
    const { clock } = this;
    const until = later(clock.now(), longestFrameMs(this.access));
    for (let waitMs = firstMs; clock.now() < until; waitMs = quietMs)
      if ((await this.port.read(later(clock.now(), waitMs))) === undefined) return;
  }
  /** An answer was given up while it came. */
  private interrupted = false;

  private async guarded<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      this.lost = true;
      throw error instanceof Failure ? error : new Failure('port-lost', messageOf(error));
    }
  }

  /** `expected`: octets of the answer, where the caller knows how many there should be. */
  async exchange<K extends StackEvent['kind']>(
    request: StackRequest,
    awaited: K,
    expected?: number,
  ): Promise<Answer<K>> {
    const { stack, clock } = this;
    const now = clock.now();
    stack.endsAt =
      request.kind === 'close'
        ? later(now, closeMs(this.access))
        : millis(Math.min(later(now, requestMs(this.access, expected)), this.endsAt));
    stack.request(request, clock.now());
    for (;;) {
      for (let octets = stack.pollTransmit(); octets; octets = stack.pollTransmit()) await this.send(octets);
      for (let event = stack.pollEvent(); event; event = stack.pollEvent()) {
        if (event.kind === 'failed') {
          this.interrupted = this.heard && event.error.code !== 'service-exception';
          throw this.silenceAfterAnswer(event.error);
        }
        this.answered = true;
        if (event.kind === awaited) return event as Answer<K>;
        if (event.kind === 'set-baud') await this.switchTo(event.baud);
        if (event.kind === 'link-connected') this.parameters = event.parameters;
        if (event.kind === 'block') this.onBlock?.(event.octets);
        if (event.kind === 'value-octets') this.onValue?.(event.octets);
        // The peer or a DISC of ours ended the link while something else was awaited.
        if (event.kind === 'closed')
          throw new Failure('link-disconnected', `the link closed before the answer to ${request.kind}`);
      }
      const deadline = stack.deadline();
      if (deadline === undefined)
        throw this.silenceAfterAnswer(
          new Failure('no-answer', `nothing more is expected, ${request.kind} has no answer`),
        );
      const octets = await this.guarded(() => this.port.read(deadline));
      if (octets) {
        this.heard = true;
        this.quietFrom = clock.now();
        this.trace?.('<-', octets);
        stack.receive(octets, clock.now());
      } else stack.wake(clock.now());
    }
  }

  /** Silence after an answer is another thing than silence: nobody need look for mains, address or speed. */
  private silenceAfterAnswer(error: Failure): Failure {
    const silent = error.code === 'no-answer' || error.code === 'echo-only';
    return silent && this.answered ? new Failure('fell-silent', error.message) : error;
  }

  private async send(octets: Uint8Array): Promise<void> {
    const { clock } = this;
    if (this.quietFrom !== undefined && this.access.guardMs > 0) {
      await clock.sleepUntil(later(this.quietFrom, this.access.guardMs));
    }
    this.trace?.('->', octets);
    const start = clock.now();
    await this.guarded(() => this.port.write(octets));
    // Adapters report "drained" early; a change of speed must wait until the octets have really left.
    this.sentAt = this.access.timed ? later(start, (octets.length * 10_000) / this.baud) : start;
  }
  private sentAt: Millis | undefined;

  private async switchTo(baud: number): Promise<void> {
    if (this.sentAt !== undefined) await this.clock.sleepUntil(this.sentAt);
    this.baud = baud;
    await this.guarded(() => this.port.setBaud(baud));
  }
}
