/** The connections of a door: how many there may be, and who leaves when one too many comes. */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { refusal } from './answering.ts';

export type Socket = IncomingMessage['socket'];
/** What is at work: a look, an act, or a look that lasts until whoever asked leaves. */
export type Work = 'look' | 'act' | 'watch';

export interface ConnectionLimits {
  readonly connections: number;
  /** Together fewer than connections, so that one of them can always make room. A look never waits for the acts. */
  readonly atWork: Readonly<Record<Work, number>>;
  /** How long a request may take, from the connection to its last octet. */
  readonly requestMs: number;
  readonly headerBytes: number;
  /** How long a request may take with a large body; left out: as any other. */
  readonly bodyMs?: number;
}

/** Where there is no response to write on, because there was no whole request. */
export function refuseRaw(socket: Duplex, status: string, message: string): void {
  if (!socket.writable) return void socket.destroy();
  const body = JSON.stringify(refusal(0, message).body);
  const head = ['content-type: application/json', 'connection: close', `content-length: ${Buffer.byteLength(body)}`];
  socket.end([`HTTP/1.1 ${status}`, ...head, '', body].join('\r\n'), () => socket.destroy());
}

export const tooSlow = (requestMs: number): string =>
  `a request is whole within ${requestMs / 1000} s of its connection`;

type Stage = 'silent' | Work | 'taking';
export type ConnectionTable = ReturnType<typeof connectionTable>;

/**
 * The connections there are, the oldest first. A new one takes the place of the oldest that has asked for nothing, or
 * else of the oldest that does not take its answer; who waits for an answer keeps the place.
 */
export function connectionTable({ connections, atWork, requestMs }: ConnectionLimits) {
  const stages = new Map<Socket, Stage>();
  const oldest = (stage: Stage) => [...stages].find(([, one]) => one === stage)?.[0];
  return {
    add(socket: Socket): void {
      // A peer that resets is no error of ours.
      socket.on('error', () => socket.destroy());
      if (stages.size >= connections) {
        const leaves = oldest('silent') ?? oldest('taking') ?? socket;
        stages.delete(leaves);
        leaves.destroy();
        if (leaves === socket) return;
      }
      stages.set(socket, 'silent');
      const slow = setTimeout(() => {
        if (stages.get(socket) === 'silent') refuseRaw(socket, '408 Request Timeout', tooSlow(requestMs));
      }, requestMs).unref();
      socket.once('close', () => {
        clearTimeout(slow);
        stages.delete(socket);
      });
    },
    /** False where as many of the kind as may work at once do so already. */
    begin(socket: Socket, work: Work): boolean {
      if ([...stages.values()].filter((stage) => stage === work).length >= atWork[work]) return false;
      if (stages.has(socket)) stages.set(socket, work);
      return true;
    },
    answered(socket: Socket): void {
      if (stages.has(socket)) stages.set(socket, 'taking');
    },
    count: (): number => stages.size,
    atWork: (work: Work): number => [...stages.values()].filter((stage) => stage === work).length,
    most: (work: Work): number => atWork[work],
  };
}
