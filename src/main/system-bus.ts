/**
 * One property of one service on the D-Bus of the system, over its socket. The protocol is that of the D-Bus specification
 * 0.42; only what a question for a boolean needs is here.
 */
import { connect, type Socket } from 'node:net';
import { Failure, messageOf } from '../base/errors.ts';

export interface PropertyQuestion {
  readonly destination: string;
  readonly path: string;
  readonly interface: string;
  readonly property: string;
}
/** Where the bus is; DBUS_SYSTEM_BUS_ADDRESS names another place only in tests and odd installations. */
const systemBusPath = '/run/dbus/system_bus_socket';
const answerMs = 5000;
/** A longer message is no answer to our question. */
const messageMost = 1 << 16;

const align = (length: number, to: number): number => Math.ceil(length / to) * to;
const uint32 = (value: number): Buffer => {
  const octets = Buffer.alloc(4);
  octets.writeUInt32LE(value);
  return octets;
};
const padded = (octets: Buffer, to: number): Buffer =>
  Buffer.concat([octets, Buffer.alloc(align(octets.length, to) - octets.length)]);
const text = (value: string): Buffer => Buffer.concat([uint32(Buffer.byteLength(value)), Buffer.from(`${value}\0`)]);

/** Codes of header fields and of messages. */
const field = { path: 1, interface: 2, member: 3, replySerial: 5, destination: 6, signature: 8 } as const;
const kind = { call: 1, reply: 2, error: 3 } as const;

function stringField(code: number, type: 'o' | 's', value: string): Buffer {
  return padded(Buffer.concat([Buffer.from([code, 1, type.charCodeAt(0), 0]), text(value)]), 8);
}

/** A method call whose arguments are strings. */
export function methodCall(
  serial: number,
  to: { readonly destination: string; readonly path: string; readonly interface: string; readonly member: string },
  args: readonly string[],
): Buffer {
  const body = args.reduce((before, arg) => Buffer.concat([padded(before, 4), text(arg)]), Buffer.alloc(0));
  const fields = [
    stringField(field.path, 'o', to.path),
    stringField(field.interface, 's', to.interface),
    stringField(field.member, 's', to.member),
    stringField(field.destination, 's', to.destination),
  ];
  if (args.length > 0)
    fields.push(
      Buffer.concat([Buffer.from([field.signature, 1, 0x67, 0, args.length]), Buffer.from(`${'s'.repeat(args.length)}\0`)]),
    );
  const header = Buffer.concat(fields);
  return Buffer.concat([
    Buffer.from([0x6c, kind.call, 0, 1]),
    uint32(body.length),
    uint32(serial),
    uint32(header.length),
    padded(header, 8),
    body,
  ]);
}

export interface BusMessage {
  readonly kind: number;
  readonly replySerial: number | undefined;
  readonly body: Buffer;
}
/** The first message of what arrived, and what is left; undefined while it is not whole. Failure where it is none. */
export function takeMessage(octets: Buffer): { readonly message: BusMessage; readonly rest: Buffer } | undefined {
  if (octets.length < 16) return undefined;
  if (octets[0] !== 0x6c) throw new Failure('bad-argument', 'the bus does not speak as this machine does');
  const bodyLength = octets.readUInt32LE(4);
  const fieldsLength = octets.readUInt32LE(12);
  if (bodyLength + fieldsLength > messageMost) throw new Failure('bad-argument', 'a message of the bus is too long');
  const bodyAt = align(16 + fieldsLength, 8);
  if (octets.length < bodyAt + bodyLength) return undefined;
  let replySerial: number | undefined;
  for (let at = 16; at + 8 <= 16 + fieldsLength; ) {
    const code = octets[at];
    const type = String.fromCharCode(octets[at + 2] ?? 0);
    // Every type of a header field: a number, a signature with its length in one octet, or a text with its length in four.
    if (code === field.replySerial && type === 'u') replySerial = octets.readUInt32LE(at + 4);
    const end = type === 'u' ? at + 8 : type === 'g' ? at + 6 + (octets[at + 4] ?? 0) : at + 9 + octets.readUInt32LE(at + 4);
    at = align(end, 8);
  }
  const message = { kind: octets[1] ?? 0, replySerial, body: octets.subarray(bodyAt, bodyAt + bodyLength) };
  return { message, rest: octets.subarray(bodyAt + bodyLength) };
}

/** What is read from a socket, cut as the caller wants it; rejects when it ends or fails. */
function reader(socket: Socket) {
  let octets: Buffer = Buffer.alloc(0);
  let ended: Error | undefined;
  let stir = (): void => {};
  socket.on('data', (chunk: Buffer) => {
    octets = Buffer.concat([octets, chunk]);
    stir();
  });
  const end = (error: Error) => {
    ended ??= error;
    stir();
  };
  socket.on('error', end);
  socket.on('close', () => end(new Error('the bus hung up')));
  return async <T>(take: (octets: Buffer) => { readonly message: T; readonly rest: Buffer } | undefined): Promise<T> => {
    for (;;) {
      const taken = take(octets);
      if (taken) {
        octets = taken.rest;
        return taken.message;
      }
      if (ended) throw ended;
      if (octets.length > 2 * messageMost) throw new Error('the bus sends too much');
      await new Promise<void>((resolve) => (stir = resolve));
    }
  };
}
const takeLine = (octets: Buffer) => {
  const end = octets.indexOf('\r\n');
  return end < 0 ? undefined : { message: octets.toString('latin1', 0, end), rest: octets.subarray(end + 2) };
};

async function asked(socket: Socket, question: PropertyQuestion): Promise<boolean> {
  const read = reader(socket);
  const call = async (serial: number, octets: Buffer): Promise<BusMessage> => {
    socket.write(octets);
    for (;;) {
      const message = await read(takeMessage);
      if (message.replySerial !== serial) continue;
      if (message.kind === kind.error) {
        const length = message.body.length >= 4 ? message.body.readUInt32LE(0) : 0;
        throw new Error(message.body.toString('utf8', 4, 4 + length) || 'an error without words');
      }
      return message;
    }
  };
  const uid = Buffer.from(String(process.getuid?.() ?? 0)).toString('hex');
  socket.write(`\0AUTH EXTERNAL ${uid}\r\n`);
  const answer = await read(takeLine);
  if (!answer.startsWith('OK ')) throw new Error(`the bus does not let us in: ${answer}`);
  socket.write('BEGIN\r\n');
  const bus = { destination: 'org.freedesktop.DBus', path: '/org/freedesktop/DBus', interface: 'org.freedesktop.DBus' };
  await call(1, methodCall(1, { ...bus, member: 'Hello' }, []));
  const { destination, path } = question;
  const properties = { destination, path, interface: 'org.freedesktop.DBus.Properties', member: 'Get' };
  const { body } = await call(2, methodCall(2, properties, [question.interface, question.property]));
  // A variant: the signature 'b', then 0 or 1 at the next multiple of four.
  if (body.length < 8 || body.toString('latin1', 0, 3) !== '\x01b\0') throw new Error('the answer is no boolean');
  return body.readUInt32LE(4) === 1;
}

/** Rejects with what kept it from being told. */
export async function busBoolean(question: PropertyQuestion, socketPath = systemBusPath): Promise<boolean> {
  const socket = connect(socketPath);
  const late = setTimeout(
    () => socket.destroy(new Error(`no answer within ${answerMs / 1000} s`)),
    answerMs,
  );
  try {
    return await asked(socket, question);
  } catch (error) {
    throw new Failure('bad-argument', `${question.destination} on ${socketPath}: ${messageOf(error)}`);
  } finally {
    clearTimeout(late);
    socket.destroy();
  }
}
