/**
 * Questions and answers of one association, matched by invoke-id: what each value is of, blocks put together, and what came
 * twice. Values of attributes go to what is known of the meter.
 */
import type { Codec } from '../base/codec.ts';
import { decode } from '../base/codec.ts';
import { messageOf } from '../base/errors.ts';
import { IncomingBlocks } from '../dlms/association/exchange.ts';
import type { Data } from '../dlms/axdr/data.ts';
import {
  type AccessSpecification,
  actionResults,
  type Apdu,
  type Attribute,
  type GetResult,
  getResults,
  type ReadResult,
  readResults,
  valueList,
  type Variable,
} from '../dlms/xdlms/apdu.ts';
import { actionResultText, attributeText, methodText, resultText, type Words } from './apdu-text.ts';
import { type Knowledge, octetsOf, valueOf } from './knowledge.ts';

/** A value that comes in blocks is no longer, octets. */
const maxValue = 16 << 20;
/** Elements of one APDU; buffers of months come in one. */
const maxElements = 400_000;
export const wideBudget = () => ({ elements: maxElements, octets: maxValue });
const rest: Codec<Uint8Array> = {
  read: (r) => r.take(r.remaining),
  write: (w, octets) => w.put(octets),
};

type Blocks = { readonly last: boolean; readonly number: number; readonly raw: Uint8Array };
interface Asked {
  /** Undefined: a short name, or a place in a list, of which nothing is known. */
  readonly attributes: readonly (Attribute | undefined)[];
  /** For messages. */
  readonly name: string;
  blocks: IncomingBlocks;
  octets: number;
  /** A block is missing: the rest of the answer is of no use. */
  isBroken: boolean;
  isAnswered: boolean;
  /** What the client itself sends in blocks. */
  readonly sending?: Sending & { readonly blocks: IncomingBlocks };
}
interface Sending {
  readonly what: string;
  readonly of: Attribute | undefined;
  /** Of each member of a list, its name and what it is of. */
  readonly list?: readonly (readonly [string, Attribute | undefined])[];
}
/** What an APDU brought beside its own text. */
export interface Followed {
  readonly attributes: readonly (Attribute | undefined)[];
  readonly lines: readonly string[];
  readonly problems: readonly string[];
}
/** Requests that may be open at one time: invoke-ids have four bits. */
const invokeOf = ({ invokeId }: { readonly invokeId: number }): number => invokeId & 0x0f;

const newBlocks = (): IncomingBlocks =>
  new IncomingBlocks({ valueLimit: maxValue, budget: wideBudget(), emit: () => {} });

const attributeOf = ({ kind, value }: AccessSpecification): Attribute | undefined =>
  kind === 'action'
    ? undefined
    : kind === 'get' || kind === 'set'
      ? { ...value, selection: undefined }
      : { ...value.attribute, selection: value.selection };

interface Answer {
  readonly lines?: readonly string[];
  readonly problems?: readonly string[];
}
const once = 'the same once more: it does not count';

export class HeardServices {
  private readonly known: Knowledge;
  private readonly words: Words;
  private readonly open = new Map<number, Asked>();
  /** READ and WRITE have no invoke-id. */
  private read: Asked | undefined;
  private readonly accesses = new Map<number, Asked>();
  private newest: Uint8Array | undefined;

  constructor(known: Knowledge, words: Words) {
    this.known = known;
    this.words = words;
  }

  private newAsked(attributes: Asked['attributes'], name: string, sending?: Sending): Asked {
    return {
      attributes,
      name,
      blocks: newBlocks(),
      octets: 0,
      isBroken: false,
      isAnswered: false,
      ...(sending && { sending: { ...sending, blocks: newBlocks() } }),
    };
  }
  private listName(attributes: readonly Attribute[]): string {
    return attributes.map(attributeText).join('; ');
  }
  private learn(of: Attribute | undefined, result: GetResult, line: number): void {
    if ('data' in result) this.known.learn(of, octetsOf(result.data), line);
  }
  private learnAll(asked: Asked | undefined, results: readonly GetResult[], line: number): readonly string[] {
    if (asked && results.length !== asked.attributes.length)
      return [`${results.length} results for ${asked.attributes.length} attributes: nobody knows which is of which`];
    results.forEach((result, i) => this.learn(asked?.attributes[i], result, line));
    return [];
  }

  /** Block of a value: the whole of it with the last one. */
  private takeBlock(asked: Asked, blocks: IncomingBlocks, { last, number, raw }: Blocks): Uint8Array | Answer {
    if (asked.isBroken) return { lines: ['a block before it is missing: it does not count'] };
    if (!blocks.begun && number > 1) {
      asked.isBroken = true;
      return { problems: [`${asked.name} begins with block ${number}: the blocks before it are not in the recording`] };
    }
    try {
      if (!blocks.take(number, raw, last)) return { lines: [once] };
      asked.octets += raw.length;
      return last ? blocks.whole(rest) : {};
    } catch (error) {
      asked.isBroken = true;
      return { problems: [`${asked.name}: ${messageOf(error)}; its blocks are left out`] };
    }
  }
  private valueLine(octets: Uint8Array, of: Attribute | undefined): string {
    const data = valueOf(octets);
    const value = data ? resultText({ data }, this.words, of) : `${octets.length} octets`;
    return `value in blocks, ${octets.length} octets${of ? `, of ${attributeText(of)}` : ''}: ${value}`;
  }
  private answerOf(invoke: number, name: string): Asked {
    const asked = this.open.get(invoke);
    if (asked) return asked;
    const unknown = this.newAsked([], name);
    this.open.set(invoke, unknown);
    return unknown;
  }
  /** The answer that ends a question; the same octets once more are none. */
  private isRepeated(asked: Asked | undefined, octets: Uint8Array): boolean {
    const same = asked?.isAnswered === true && this.newest !== undefined && Buffer.compare(this.newest, octets) === 0;
    if (asked) asked.isAnswered = true;
    this.newest = octets;
    return same;
  }

  private getAnswer(apdu: Apdu, octets: Uint8Array, line: number): Answer | undefined {
    switch (apdu.kind) {
      case 'get-response-normal': {
        const asked = this.open.get(invokeOf(apdu));
        const again = asked?.isAnswered === true;
        if (this.isRepeated(asked, octets)) return { lines: [once] };
        if (asked && asked.attributes.length > 1) return { problems: this.learnAll(asked, [apdu.result], line) };
        this.learn(again ? undefined : asked?.attributes[0], apdu.result, line);
        return {};
      }
      case 'get-response-with-list': {
        const asked = this.open.get(invokeOf(apdu));
        if (this.isRepeated(asked, octets)) return { lines: [once] };
        return { problems: this.learnAll(asked, apdu.results, line) };
      }
      case 'get-response-with-datablock': {
        const asked = this.answerOf(invokeOf(apdu), 'an answer in blocks');
        if ('refused' in apdu.result) {
          asked.isAnswered = true;
          return {};
        }
        const whole = this.takeBlock(asked, asked.blocks, { ...apdu, raw: apdu.result.raw });
        if (!(whole instanceof Uint8Array)) return whole;
        asked.isAnswered = true;
        if (asked.attributes.length > 1) {
          const results = decode(getResults, whole, () => {}, wideBudget());
          return {
            lines: results.map((result, i) => `${i + 1}: ${resultText(result, this.words, asked.attributes[i])}`),
            problems: this.learnAll(asked, results, line),
          };
        }
        this.known.learn(asked.attributes[0], whole, line);
        return { lines: [this.valueLine(whole, asked.attributes[0])] };
      }
      default:
        return undefined;
    }
  }

  /** What the client sends in blocks. */
  private sent(invoke: number, block: Blocks): Answer {
    const asked = this.open.get(invoke);
    if (!asked?.sending) return { problems: ['a block of a request whose beginning is not in the recording'] };
    const { blocks, what, of, list } = asked.sending;
    const whole = this.takeBlock(asked, blocks, block);
    if (!(whole instanceof Uint8Array)) return whole;
    if (list)
      return this.sentList(
        list,
        decode(valueList, whole, () => {}, wideBudget()),
      );
    return { lines: [`${what} in blocks, ${whole.length} octets: ${this.valueLine(whole, of)}`] };
  }

  private sentList(list: NonNullable<Sending['list']>, values: readonly Data[]): Answer {
    const lines = values.map((data, i) => {
      const [name = 'nobody knows what', of] = list[i] ?? [];
      return `${i + 1}: ${name} = ${resultText({ data }, this.words, of)}`;
    });
    if (values.length === list.length) return { lines };
    return { lines, problems: [`${values.length} values for ${list.length} members of the list`] };
  }

  private question(apdu: Apdu): Answer | undefined {
    switch (apdu.kind) {
      case 'get-request-normal': {
        const attribute: Attribute = { ...apdu.attribute, selection: apdu.selection };
        this.open.set(invokeOf(apdu), this.newAsked([attribute], attributeText(attribute)));
        return {};
      }
      case 'get-request-with-list':
        this.open.set(invokeOf(apdu), this.newAsked(apdu.attributes, this.listName(apdu.attributes)));
        return {};
      case 'set-request-normal':
      case 'set-request-with-list':
      case 'action-request-normal':
      case 'action-request-with-list':
        this.open.set(invokeOf(apdu), this.newAsked([], 'the answer'));
        return {};
      case 'set-request-with-first-datablock': {
        const of: Attribute = { ...apdu.attribute, selection: apdu.selection };
        const name = attributeText(of);
        this.open.set(invokeOf(apdu), this.newAsked([], name, { what: name, of }));
        return this.sent(invokeOf(apdu), apdu.block);
      }
      case 'set-request-with-list-and-first-datablock': {
        const what = this.listName(apdu.attributes);
        const list = apdu.attributes.map((one) => [attributeText(one), one] as const);
        this.open.set(invokeOf(apdu), this.newAsked([], what, { what, of: undefined, list }));
        return this.sent(invokeOf(apdu), apdu.block);
      }
      case 'action-request-with-list-and-first-pblock': {
        const list = apdu.methods.map((one) => [methodText(one), undefined] as const);
        const what = list.map(([name]) => name).join('; ');
        this.open.set(invokeOf(apdu), this.newAsked([], what, { what, of: undefined, list }));
        return this.sent(invokeOf(apdu), apdu.block);
      }
      case 'action-request-with-first-pblock': {
        const name = methodText(apdu.method);
        this.open.set(invokeOf(apdu), this.newAsked([], name, { what: `parameters of ${name}`, of: undefined }));
        return this.sent(invokeOf(apdu), apdu.block);
      }
      case 'set-request-with-datablock':
      case 'action-request-with-pblock':
        return this.sent(invokeOf(apdu), apdu.block);
      default:
        return undefined;
    }
  }

  private actionAnswer(apdu: Apdu): Answer | undefined {
    if (apdu.kind !== 'action-response-with-pblock') return undefined;
    const asked = this.answerOf(invokeOf(apdu), 'the answer of a method');
    const whole = this.takeBlock(asked, asked.blocks, apdu.block);
    if (!(whole instanceof Uint8Array)) return whole;
    const results = decode(actionResults, whole, () => {}, wideBudget());
    return { lines: results.map((one) => `in blocks, ${whole.length} octets: ${actionResultText(one, this.words)}`) };
  }

  private access(apdu: Apdu, octets: Uint8Array, line: number): Answer | undefined {
    if (apdu.kind === 'access-request') {
      if (this.accesses.size > 256) this.accesses.clear();
      this.accesses.set(apdu.longInvokeId & 0xffffff, this.newAsked(apdu.specifications.map(attributeOf), 'ACCESS'));
      return {};
    }
    if (apdu.kind !== 'access-response') return undefined;
    const asked = this.accesses.get(apdu.longInvokeId & 0xffffff);
    if (this.isRepeated(asked, octets)) return { lines: [once] };
    const attributes = apdu.specifications?.map(attributeOf) ?? asked?.attributes ?? [];
    apdu.results.forEach(({ kind, value }, i) => {
      const data = apdu.data[i];
      if (kind === 'get' && value === 0 && data) this.learn(attributes[i], { data }, line);
    });
    return {};
  }

  private shortNamed(variable: Variable): Attribute | undefined {
    const { kind, value } = variable;
    const name = kind === 'variable-name' ? value : kind === 'parameterized-access' ? value.name : undefined;
    const found = name === undefined ? undefined : this.known.attributeOf(name);
    return found && 'attribute' in found ? found : undefined;
  }
  private readAnswer(results: readonly ReadResult[], line: number): readonly string[] {
    const asked = this.read;
    if (asked && asked.attributes.length !== results.length)
      return [`${results.length} results for ${asked.attributes.length} variables: nobody knows which is of which`];
    results.forEach((result, i) => {
      if (result.kind === 'data') this.learn(asked?.attributes[i], { data: result.value }, line);
    });
    return [];
  }
  private shortNames(apdu: Apdu, octets: Uint8Array, line: number): Answer | undefined {
    if (apdu.kind === 'read-request') {
      if (apdu.variables.some(({ kind }) => kind === 'block-number-access')) return {};
      const attributes = apdu.variables.map((one) => this.shortNamed(one));
      this.read = this.newAsked(
        attributes,
        attributes.map((one) => (one ? attributeText(one) : 'a short name')).join('; '),
      );
      return {};
    }
    if (apdu.kind !== 'read-response') return undefined;
    const [first] = apdu.results;
    if (apdu.results.length === 1 && first?.kind === 'data-block') {
      this.read ??= this.newAsked([], 'an answer in blocks');
      const whole = this.takeBlock(this.read, this.read.blocks, first.value);
      if (!(whole instanceof Uint8Array)) return whole;
      this.read.isAnswered = true;
      const results = decode(readResults, whole, () => {}, wideBudget());
      const lines = results.map((one, i) =>
        one.kind === 'data' ? this.valueLine(octetsOf(one.value), this.read?.attributes[i]) : `${i + 1}: ${one.kind}`,
      );
      return { lines, problems: this.readAnswer(results, line) };
    }
    if (this.isRepeated(this.read, octets)) return { lines: [once] };
    return { problems: this.readAnswer(apdu.results, line) };
  }

  private attributesFor(apdu: Apdu): readonly (Attribute | undefined)[] {
    if (apdu.kind === 'read-response') return this.read?.attributes ?? [];
    if (apdu.kind === 'access-response')
      return apdu.specifications?.map(attributeOf) ?? this.accesses.get(apdu.longInvokeId & 0xffffff)?.attributes ?? [];
    return 'invokeId' in apdu ? (this.open.get(invokeOf(apdu))?.attributes ?? []) : [];
  }
  /** What was begun and never ended. */
  unfinished(): string[] {
    return [...this.open.values(), ...(this.read ? [this.read] : [])]
      .filter(({ blocks, isAnswered, isBroken, octets }) => blocks.begun && !isAnswered && !isBroken && octets > 0)
      .filter(({ blocks, sending }) => blocks !== sending?.blocks)
      .map(
        ({ name, octets }) =>
          `${name}: its blocks end after ${octets} octets, and the last one is not in the recording`,
      );
  }

  /** What was begun, and is not to end any more. */
  restart(): readonly string[] {
    const left = this.unfinished();
    this.open.clear();
    this.accesses.clear();
    this.read = undefined;
    this.newest = undefined;
    return left;
  }
  /** `octets`: the APDU. */
  follow(apdu: Apdu, octets: Uint8Array, line: number): Followed {
    const attributes = this.attributesFor(apdu);
    const { lines = [], problems = [] } =
      this.question(apdu) ??
      this.getAnswer(apdu, octets, line) ??
      this.actionAnswer(apdu) ??
      this.access(apdu, octets, line) ??
      this.shortNames(apdu, octets, line) ??
      {};
    return { attributes: attributes.length > 0 ? attributes : this.attributesFor(apdu), lines, problems };
  }
}

/** What a short name stands for, in words. */
export const shortNameText =
  (known: Knowledge) =>
  (name: number): string | undefined => {
    const found = known.attributeOf(name);
    if (!found) return undefined;
    return 'attribute' in found ? attributeText(found) : `${found.object} method ${found.method}`;
  };
