/** The APDUs of one client and one meter, as somebody beside them hears them: put together, deciphered, explained. */
import { concat } from '../base/cursor.ts';
import { CodecError, Failure, messageOf } from '../base/errors.ts';
import { iso } from '../base/time.ts';
import { localTime, systemZone, withLocalTimes } from '../base/words.ts';
import { type AcseApdu, decodeAcse, isAcse } from '../dlms/acse/apdu.ts';
import { BlockTransfer } from '../dlms/association/block-transfer.ts';
import { holdsSecret, isSecretAttribute } from '../dlms/cosem/secrets.ts';
import { unitName } from '../dlms/cosem/unit.ts';
import { holdsTelegram, type P1Telegram, parseTelegram } from '../dlms/p1/telegram.ts';
import { decodeUnasked, isNotification } from '../dlms/stack/notification.ts';
import { type Apdu, type ApduOf, type Attribute, decodeApdu } from '../dlms/xdlms/apdu.ts';
import type { MeterModel } from '../meter/model.ts';
import { stampReading } from '../meter/stamp-reading.ts';
import { telegramList } from '../reading/p1-list.ts';
import { type PushedList, pushedList, type PushedReading } from '../reading/pushed-list.ts';
import { valueWords } from '../reading/value-words.ts';
import { acseText, apduText, octetsShown, plainWords, type Words } from './apdu-text.ts';
import type { Place, Reading, ReaderSettings } from './explained.ts';
import { HeardSecurity, isProtected } from './heard-security.ts';
import { HeardServices, shortNameText, wideBudget } from './heard-services.ts';
import type { Knowledge } from './knowledge.ts';
import { objectWords } from './object-words.ts';
import { struckByName } from './short-name-secrets.ts';
import {
  columnOctets,
  describesSecret,
  mayStandInBlocks,
  stars,
  type Withholding,
  withheld,
  withholding,
} from './withhold.ts';

export interface Understood {
  readonly text: readonly string[];
  /** With its secrets struck out. */
  readonly apdu?: Apdu | AcseApdu;
  /** The general block that carried it, or a part of it. */
  readonly block?: GeneralBlock;
}
type GeneralBlock = ApduOf<'general-block-transfer'>;
/** An APDU in general blocks is no longer, octets. */
const maxTransfer = 1 << 20;
/** Some meters begin to count with 0. */
const firstBlock = 1;
const maxInside = 4;

/** General blocks that go one way. */
interface Transfer {
  readonly transfer: BlockTransfer;
  fromZero: boolean;
  next: number;
  first: Uint8Array;
  /** What the blocks hold may be shown. */
  isShown: boolean;
  /** The last octets that came, in which a description may begin. */
  tail: Uint8Array;
}
const newTransfer = (): Transfer => ({
  transfer: new BlockTransfer('client', 63, maxTransfer),
  fromZero: false,
  next: firstBlock,
  first: new Uint8Array(0),
  isShown: true,
  tail: new Uint8Array(0),
});
/** SET and ACTION in blocks: they come back as they were where nothing of them is secret. */
const sentInBlocks = /^(?:set|action)-request-.*(?:datablock|with-pblock|first-pblock)$/;
const newTransfers = () => ({ 'to-meter': newTransfer(), 'from-meter': newTransfer(), unknown: newTransfer() });

function readingText({ key, value, scalerUnit }: PushedReading, zone: string): string {
  const name = (key ?? '(no name)').padEnd(20);
  if (value === null) return `${name} -`;
  if (scalerUnit) return `${name} ${valueWords(value, scalerUnit.scaler, unitName(scalerUnit.unit))}`;
  return `${name} ${withLocalTimes(String(value), zone)}`;
}

export class HeardAssociation {
  private readonly known: Knowledge;
  private readonly model: MeterModel;
  private readonly out: () => Reading;
  private readonly meter: string;
  private readonly words: Words;
  private readonly security: HeardSecurity;
  private readonly services: HeardServices;
  private withhold: Withholding;
  private transfers = newTransfers();

  constructor(known: Knowledge, { keys, model }: ReaderSettings, out: () => Reading, meter: string) {
    this.known = known;
    this.model = model;
    this.out = out;
    this.meter = meter;
    this.words = (data, of) =>
      of ? objectWords(of, data, model, known.scalers.get(of.logicalName)) : plainWords(data);
    this.security = new HeardSecurity(keys);
    this.services = new HeardServices(known, this.words);
    this.withhold = withholding(this.isSecret);
  }

  /** By itself, or as a buffer with a column that is. */
  private readonly isSecret = (one: Attribute | undefined): boolean =>
    one !== undefined &&
    (isSecretAttribute(one.classId, one.attribute) ||
      (one.classId === 7 && one.attribute === 2 && holdsSecret([...(this.known.columns.get(one.logicalName) ?? [])])));

  private problem(at: Place, message: string): void {
    this.out().problems.push(`line ${at.line}, ${message.startsWith('offset ') ? '' : 'offset 0: '}${message}`);
  }

  /** The link was opened anew, or another association begins. */
  restart(at: Place): void {
    for (const left of this.services.restart()) this.problem(at, left);
    this.security.restart();
    this.withhold = withholding(this.isSecret);
    this.transfers = newTransfers();
  }

  private acse(octets: Uint8Array, at: Place): Understood {
    const plain = decodeAcse(octets);
    if (plain.kind === 'aarq') this.restart(at);
    this.security.learn(plain);
    const apdu = this.withhold.strike(plain);
    // The initiate inside may be ciphered on its own.
    const inside = 'userInformation' in plain && plain.userInformation ? this.initiate(plain.userInformation, at) : [];
    return { text: [acseText(apdu), ...inside], apdu };
  }
  private initiate(octets: Uint8Array, at: Place): readonly string[] {
    try {
      const { apdu } = decodeApdu(octets);
      if (!isProtected(apdu)) {
        this.security.learnInitiate(apdu);
        return [];
      }
      return this.opened(apdu, at, 0)?.text ?? [];
    } catch (error) {
      if (!(error instanceof CodecError || error instanceof Failure)) throw error;
      // Not in hex: a key may be in it.
      this.problem(at, `user-information: ${messageOf(error)}`);
      return [];
    }
  }
  /** Undefined where there is no key for it. */
  private opened(apdu: Apdu, at: Place, depth: number): Understood | undefined {
    if (!isProtected(apdu)) return undefined;
    const found = this.security.open(apdu, at.direction);
    if (!found) return undefined;
    if (found.problem !== undefined) this.problem(at, found.problem);
    if (!found.plain) return undefined;
    const inside = this.understand(found.plain, at, depth + 1);
    return { ...inside, text: [found.text, ...inside.text] };
  }

  /** The block as it may be shown: of what nobody knows the beginning only what the meter sends. */
  private shownBlock(apdu: GeneralBlock, at: Place, isFirst: boolean): GeneralBlock {
    const way = this.transfers[at.direction];
    const { content } = apdu;
    if (isFirst) way.isShown = mayStandInBlocks(content) && this.withhold.mayShow(content);
    else if (!way.transfer.receiving) way.isShown = at.direction !== 'to-meter' && this.withhold.mayShow(content);
    const joined = isFirst ? content : concat([way.tail, content]);
    if (describesSecret(joined)) way.isShown = false;
    way.tail = joined.subarray(-columnOctets);
    return way.isShown ? apdu : { ...apdu, content: stars(content) };
  }

  private generalBlock(apdu: GeneralBlock, at: Place, depth: number): Understood {
    const way = this.transfers[at.direction];
    const isEmpty = apdu.content.length === 0 && !way.transfer.receiving;
    if (!isEmpty && !way.transfer.receiving) way.fromZero = apdu.number === 0;
    const number = way.fromZero ? apdu.number + 1 : apdu.number;
    const block = isEmpty ? apdu : this.shownBlock(apdu, at, number === firstBlock);
    return { ...(isEmpty ? { text: [apduText(apdu)] } : this.joined(apdu, number, at, depth)), block };
  }

  /** `number`: counted from 1. */
  private joined(apdu: GeneralBlock, number: number, at: Place, depth: number): Understood {
    const text = apduText(apdu);
    const way = this.transfers[at.direction];
    if (number === firstBlock && way.transfer.receiving) {
      if (Buffer.compare(way.first, apdu.content) === 0)
        return { text: [text, 'the same block once more: it does not count'] };
      this.problem(
        at,
        `general blocks begin anew, and the last one before was block ${way.next - 1}, which is not the end`,
      );
      way.transfer.restart();
    }
    if (number === firstBlock) [way.first, way.next] = [apdu.content, firstBlock];
    const { lost } = way.transfer;
    const { whole } = way.transfer.receive({ ...apdu, number });
    if (way.transfer.lost > lost) {
      if (number < way.next) return { text: [text, 'the same block once more: it does not count'] };
      if (!way.transfer.receiving)
        this.problem(at, `the general blocks before block ${apdu.number} are not in the recording`);
      return { text: [text, 'blocks before it are missing: it does not count'] };
    }
    way.next = number + 1;
    if (!whole) return { text: [text] };
    const inside = this.understand(whole, at, depth + 1);
    return { ...inside, text: [text, `whole APDU of ${whole.length} octets`, ...inside.text] };
  }

  private pushed(apdu: Apdu, at: Place): readonly string[] {
    if (!isNotification(apdu)) return [];
    return this.listed(pushedList(apdu, stampReading(this.model), this.model.push_lists), at);
  }
  /** A telegram of a P1 port, alone or out of a ciphered APDU. */
  telegram(telegram: P1Telegram, at: Place): Understood {
    const check = telegram.check === 'none' ? 'no CRC' : 'CRC right';
    const list = telegramList(telegram, stampReading(this.model));
    return { text: [`telegram /${telegram.identification}, ${check}`, ...this.listed(list, at)] };
  }
  private listed(list: PushedList, at: Place): readonly string[] {
    const zone = systemZone();
    this.out().rows.push(...list.rows.map((row) => ({ meter: this.meter, profile: undefined, row })));
    for (const trouble of list.problems) this.problem(at, trouble);
    const { at: clock, clockSays } = list;
    const says = clockSays === null ? '' : `, which it calls ${clockSays}`;
    const time = clock === null ? [] : [`meter's clock ${iso(clock)}, ${localTime(clock, zone)}${says}`];
    return [...time, ...list.readings.map((reading) => readingText(reading, zone))];
  }

  private plainApdu(octets: Uint8Array, at: Place, depth: number): Understood {
    const { apdu, trailing } = decodeAny(octets, this.model);
    if (apdu.kind === 'general-block-transfer') return this.generalBlock(apdu, at, depth);
    const inside = this.opened(apdu, at, depth);
    if (inside) return inside;
    this.security.learnInitiate(apdu);
    const { attributes, lines, problems } = this.services.follow(apdu, octets, at.line);
    for (const message of problems) this.problem(at, message);
    const proof = this.security.proof(apdu);
    if (proof?.problem !== undefined) this.problem(at, proof.problem);
    // Some meters fill their answers up (meter-quirks 51); behind a push nothing is known to stand.
    if (isNotification(apdu) && trailing > 0 && octets.subarray(-trailing).some((octet) => octet !== 0))
      this.problem(at, `${trailing} octets after the APDU that are none of it`);
    const padding = trailing > 0 ? [`${trailing} octets after the APDU, ignored`] : [];
    const shown = this.withhold.strike(
      struckByName(apdu, attributes, (name) => this.known.attributeOf(name), this.isSecret),
    );
    const about = { attributes, words: this.words, shortName: shortNameText(this.known) };
    const text = isNotification(shown) ? [apduText(shown, about), ...this.pushed(shown, at)] : [apduText(shown, about)];
    // Lines that hold values are shown where nothing of it is secret.
    const isOpen = sentInBlocks.test(apdu.kind) ? shown === apdu : this.withhold.mayShow(octets);
    const values = isOpen && !attributes.some(this.isSecret) ? lines : lines.length > 0 ? [withheld] : [];
    return { text: [...text, ...values, ...(proof ? [proof.text] : []), ...padding], apdu: shown };
  }

  private understand(octets: Uint8Array, at: Place, depth: number): Understood {
    try {
      if (depth > maxInside) throw new CodecError('APDUs inside of APDUs without end', 0);
      const telegram = depth > 0 && holdsTelegram(octets) ? parseTelegram(octets) : undefined;
      if (telegram && 'why' in telegram) throw new CodecError(`a telegram that is none: ${telegram.why}`, 0);
      if (telegram) return this.telegram(telegram, at);
      return octets.length > 0 && isAcse(octets[0] as number)
        ? this.acse(octets, at)
        : this.plainApdu(octets, at, depth);
    } catch (error) {
      if (!(error instanceof CodecError || error instanceof Failure)) throw error;
      this.problem(at, messageOf(error));
      const shown = this.withhold.mayShow(octets) ? octetsShown(octets) : `${octets.length} octets, ${withheld}`;
      return { text: [`unreadable APDU: ${messageOf(error)}: ${shown}`] };
    }
  }

  hear(octets: Uint8Array, at: Place): Understood {
    return this.understand(octets, at, 0);
  }
  /** Whether octets that nobody can read may be shown: not where a secret was asked for or is being sent. */
  mayShow(octets: Uint8Array): boolean {
    return this.withhold.mayShow(octets);
  }
  /** Nothing more comes. */
  end(at: Place): void {
    for (const left of this.services.unfinished()) this.problem(at, left);
    for (const { transfer, next } of Object.values(this.transfers))
      if (transfer.receiving) this.problem(at, `general blocks end with block ${next - 1}, which is not the last one`);
  }
}

function decodeAny(octets: Uint8Array, model: MeterModel): { readonly apdu: Apdu; readonly trailing: number } {
  if (!model.push_swapped_obis || octets[0] !== 0x0f) return decodeApdu(octets, wideBudget());
  return { apdu: decodeUnasked(octets, true), trailing: 0 };
}
