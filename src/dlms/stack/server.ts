/** The server's stack: sign-on (optional) → HDLC or wrapper → association. One per meter. */
import { concat } from '../../base/cursor.ts';
import { later, type Millis } from '../../base/time.ts';
import { earliest, isDue } from '../../base/timers.ts';
import { ServerAssociation, type ServerSettings } from '../association/server.ts';
import { encodeFrame } from '../hdlc/frame.ts';
import { HdlcLink } from '../hdlc/link.ts';
import type { LinkEvent, LinkSettings } from '../hdlc/link-settings.ts';
import type { SignOnServing } from '../iec62056-21/sign-on.ts';
import { encodeWrapper, Unwrapper } from '../wrapper/wrapper.ts';

export interface ServerStackSettings {
  readonly link:
    | { readonly kind: 'hdlc'; readonly settings: LinkSettings }
    | { readonly kind: 'wrapper'; readonly server: number };
  readonly signOn?: SignOnServing;
  readonly server: ServerSettings;
}
const llcCommand = Uint8Array.of(0xe6, 0xe6, 0x00);
const llcResponse = Uint8Array.of(0xe6, 0xe7, 0x00);
const linkChanges: ReadonlySet<LinkEvent['kind']> = new Set(['connected', 'disconnected', 'failed']);

export class ServerStack {
  readonly association: ServerAssociation;
  private readonly settings: ServerStackSettings;
  private readonly signOn: SignOnServing | undefined;
  private readonly hdlc: HdlcLink | undefined;
  private readonly unwrapper = new Unwrapper();
  private readonly out: Uint8Array[] = [];
  private clientSap = 0;
  /** The speed that the meter listens and talks at, where sign-on decides it. */
  baud: number | undefined;

  constructor(settings: ServerStackSettings) {
    this.settings = settings;
    this.association = new ServerAssociation(settings.server);
    this.hdlc = settings.link.kind === 'hdlc' ? new HdlcLink(settings.link.settings) : undefined;
    this.signOn = settings.signOn;
    this.baud = settings.signOn ? 300 : undefined;
  }
  get linkState(): string {
    return this.hdlc?.state ?? (this.association.associated ? 'connected' : 'disconnected');
  }
  pollTransmit(): Uint8Array | undefined {
    return this.out.shift();
  }
  deadline(): Millis | undefined {
    return earliest([this.hdlc?.deadline(), this.signedOffAt()]);
  }

  /** Signed on, and no link was set up: after its time-out the meter waits for a sign-on again. */
  private signedOffAt(): Millis | undefined {
    const { link } = this.settings;
    if (this.handedOverAt === undefined || this.hdlc?.state !== 'disconnected' || link.kind !== 'hdlc')
      return undefined;
    return later(this.handedOverAt, link.settings.inactivityMs);
  }
  private handedOverAt: Millis | undefined;
  private signOff(): void {
    this.handedOverAt = undefined;
    this.signOn?.restart();
    this.baud = 300;
  }

  receive(octets: Uint8Array, now: Millis): void {
    if (this.signOn && !this.signOn.handedOver) {
      this.signOn.receive(octets);
      for (let sent = this.signOn.pollTransmit(); sent; sent = this.signOn.pollTransmit()) this.out.push(sent);
      for (let event = this.signOn.pollEvent(); event; event = this.signOn.pollEvent()) {
        this.baud = event.baud;
        if (event.kind === 'handed-over') this.handedOverAt = now;
      }
      return;
    }
    if (this.hdlc) {
      this.hdlc.receive(octets, now);
      this.pump(now);
    } else this.receiveWrapped(octets);
  }

  /** Sends an APDU unasked: in UI frames, segmented where it is longer than `maxInfo`, or in a wrapper frame. */
  notify(apdu: Uint8Array, client: number, maxInfo: number): void {
    const { link } = this.settings;
    if (link.kind === 'wrapper') {
      this.out.push(encodeWrapper({ source: link.server, destination: client, apdu }));
      return;
    }
    const information = concat([llcResponse, apdu]);
    for (let at = 0; at < information.length; at += maxInfo) {
      this.out.push(
        encodeFrame({
          destination: { logical: client, size: 1 },
          source: link.settings.own,
          control: { kind: 'UI', pollFinal: false },
          segmented: at + maxInfo < information.length,
          information: information.subarray(at, at + maxInfo),
        }),
      );
    }
  }

  wake(now: Millis): void {
    this.hdlc?.wake(now);
    this.pump(now);
    if (isDue(this.signedOffAt(), now)) this.signOff();
  }

  private receiveWrapped(octets: Uint8Array): void {
    const { link } = this.settings;
    if (link.kind !== 'wrapper') return;
    let frames: ReturnType<Unwrapper['push']>;
    try {
      frames = this.unwrapper.push(octets);
    } catch {
      // No header here: a meter drops what it cannot read and waits for the next connection.
      return;
    }
    for (const frame of frames) {
      if (frame.destination !== link.server) continue;
      for (const apdu of this.association.answer(frame.apdu, frame.source)) {
        this.out.push(encodeWrapper({ source: link.server, destination: frame.source, apdu }));
      }
    }
  }

  private pump(now: Millis): void {
    const { hdlc } = this;
    if (!hdlc) return;
    const events: LinkEvent[] = [];
    for (let event = hdlc.pollEvent(); event; event = hdlc.pollEvent()) events.push(event);
    // Whoever asked before the link ended, or was set up anew, is not there any more.
    const changed = events.findLastIndex(({ kind }) => linkChanges.has(kind));
    for (const [i, event] of events.entries()) {
      if (event.kind === 'connected') {
        this.association.reset();
        this.clientSap = event.peer.logical;
      } else if (event.kind === 'disconnected' || event.kind === 'failed') {
        this.association.reset();
        // A second SNRM ends one connection and opens the next: that is no return to sign-on.
        if (this.signOn && hdlc.state === 'disconnected') {
          this.signOff();
        }
      } else if (event.kind === 'information') {
        // Without the LLC header of a command it is for nobody here.
        if (llcCommand.some((octet, i) => event.information[i] !== octet) || event.information.length === 3) continue;
        for (const answer of this.association.answer(event.information.subarray(3), this.clientSap)) {
          if (i > changed) hdlc.request({ kind: 'send', information: concat([llcResponse, answer]) }, now);
        }
      }
    }
    // A poll that nothing answered is returned by RR.
    if (isDue(hdlc.deadline(), now)) hdlc.wake(now);
    for (let octets = hdlc.pollTransmit(); octets; octets = hdlc.pollTransmit()) this.out.push(octets);
  }
}
