/**
 * Files of recordings, damaged: every format of test/support/recording-formats.ts, and telegrams of P1. A reader gives items or an
 * error of the house, and the same ones however the file came in pieces.
 */
import { isDeepStrictEqual } from 'node:util';
import { concat } from '../../src/base/cursor.ts';
import { Failure } from '../../src/base/errors.ts';
import { crc16 } from '../../src/dlms/p1/crc16.ts';
import { P1Telegrams, type P1Telegram } from '../../src/dlms/p1/telegram.ts';
import { telegramList } from '../../src/reading/p1-list.ts';
import { pushedListJson } from '../../src/reading/pushed-list.ts';
import type { InputItem } from '../../src/recording/input/item.ts';
import { openInput } from '../../src/recording/input/open.ts';
import type { Random } from '../../src/simulator/random.ts';
import { recordingFormats } from '../support/recording-formats.ts';
import { linesOf } from '../support/recorded.ts';

/** What the daemon makes of it as well: nothing of it throws. */
const shownTelegram = (telegram: P1Telegram): string =>
  JSON.stringify(pushedListJson(telegramList(telegram, { deviationMin: -60 })));
const whole = (random: Random, below: number): number => Math.floor(random() * below);
const pick = <T>(random: Random, items: readonly T[]): T => items[whole(random, items.length)] as T;
/** What means something in one format or another. */
const telling = Buffer.from('\n\n\r\0 ::**##[]{}()<>"\'\\/!,;.-+=|0x7eTXRXb~\u00ff', 'latin1');

function damaged(file: Uint8Array, random: Random): Uint8Array {
  let out: Uint8Array = Uint8Array.from(file);
  for (let times = whole(random, 5); times > 0; times--) {
    const at = whole(random, out.length);
    const length = 1 + whole(random, 40);
    const filler = Uint8Array.from({ length: 1 + whole(random, 4) }, () =>
      random() < 0.7 ? (telling[whole(random, telling.length)] as number) : whole(random, 256),
    );
    switch (whole(random, 5)) {
      case 0:
        out.set(filler.subarray(0, out.length - at), at);
        break;
      case 1:
        out = concat([out.subarray(0, at), out.subarray(at + length)]);
        break;
      case 2:
        out = concat([out.subarray(0, at), filler, out.subarray(at)]);
        break;
      case 3:
        out = concat([out.subarray(0, at + length), out.subarray(at)]);
        break;
      default:
        out = out.slice(0, at);
    }
    if (out.length === 0) break;
  }
  return out;
}
const sessions = ['c-tcp-hdlc-lls.tap', 'c-tcp-wrapper-lls.tap'].map((trace) =>
  linesOf(trace)
    .slice(0, 4)
    .map(({ octets, direction, time }) => ({
      octets,
      direction: direction === 'to-meter' ? ('to-meter' as const) : ('from-meter' as const),
      ms: Math.round(Number(time) * 1000),
    })),
);
const files = sessions.flatMap((session) => recordingFormats.map(({ write }) => write(session)));

function itemsOf(file: Uint8Array, sizes: () => number): InputItem[] | 'refused' {
  try {
    const reader = openInput({ ports: new Set() });
    const items: InputItem[] = [];
    for (let at = 0; at < file.length; ) {
      const size = sizes();
      items.push(...reader.push(file.subarray(at, at + size)));
      at += size;
    }
    return [...items, ...reader.end()];
  } catch (error) {
    if (error instanceof Failure) return 'refused';
    throw error;
  }
}
const firstFormat = (items: InputItem[] | 'refused'): string | undefined =>
  items === 'refused' ? items : items.flatMap((item) => ('format' in item ? [item.format] : []))[0];
const isRaw = (items: InputItem[] | 'refused'): boolean => ['raw', 'pcap', 'pcapng'].includes(firstFormat(items) ?? '');

const telegram = (random: Random): Uint8Array => {
  const body = `/ISK5\\2MT382\r\n\r\n1-0:1.8.1(${whole(random, 1e6)}.123*kWh)\r\n0-1:24.2.1(101209112500W)(1.5*m3)\r\n!`;
  return Buffer.from(`${body}${crc16(Buffer.from(body)).toString(16).padStart(4, '0')}\r\n`);
};

export const recordingTargets: Readonly<Record<string, (random: Random) => void>> = {
  recording(random) {
    const file = damaged(
      random() < 0.1 ? concat([pick(random, files), pick(random, files)]) : pick(random, files),
      random,
    );
    const one = itemsOf(file, () => Math.max(1, file.length));
    const most = pick(random, [1, 5, 60, 700]);
    const cut = itemsOf(file, () => 1 + whole(random, most));
    // Whether it is text or octets may be decided by what is there first; within a kind nothing hangs on the pieces.
    if (isRaw(one) === isRaw(cut) && one !== 'refused' && cut !== 'refused' && !isDeepStrictEqual(one, cut))
      throw new Error(
        `items depend on how the file came in pieces: ${Buffer.from(file).toString('base64').slice(0, 4000)}`,
      );
    const octets =
      one === 'refused' ? 0 : one.reduce((sum, item) => sum + ('octets' in item ? item.octets.length : 0), 0);
    if (octets > (1 << 21) + 4 * file.length) throw new Error(`${octets} octets out of ${file.length}`);
  },
  p1(random) {
    const line = damaged(concat(Array.from({ length: 1 + whole(random, 4) }, () => telegram(random))), random);
    const read = (most: number) => {
      const machine = new P1Telegrams();
      const found: string[] = [];
      for (let at = 0; at < line.length; ) {
        const size = 1 + whole(random, most);
        for (const one of machine.push(line.subarray(at, at + size)))
          if (one.is === 'telegram') found.push(shownTelegram(one.telegram));
        at += size;
      }
      for (const one of machine.end()) if (one.is === 'telegram') found.push(shownTelegram(one.telegram));
      return found;
    };
    if (!isDeepStrictEqual(read(10_000), read(20)))
      throw new Error(`telegrams depend on pieces: ${Buffer.from(line).toString('base64')}`);
  },
};
