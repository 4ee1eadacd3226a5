/** A recording of any format, written anew: as pcapng for dissectors, or as a trace that `decode` reads. */
import type { Recorded } from '../base/exchange-file.ts';
import { toHex } from '../base/hex.ts';
import { instantOf } from '../recording/input/stamp.ts';
import { pcapngWriter } from './pcapng.ts';
import type { Output } from './terminal.ts';

interface Rewriter {
  push(item: Recorded): void;
  end(): boolean;
}
const tapArrows = { 'to-meter': '->', 'from-meter': '<-', unknown: '??' } as const;

function tapRewriter(output: Output): Rewriter {
  let found = false;
  let channel = '';
  const turnTo = (item: Recorded): void => {
    if ((item.channel ?? '') === channel) return;
    channel = item.channel ?? '';
    output.print(`# channel ${channel}`);
  };
  return {
    push: (item) => {
      turnTo(item);
      if ('session' in item)
        return output.print(`# ${item.session.startsWith('connect') ? '' : 'connect '}${item.session}`);
      found = true;
      const time = item.time.trim().replaceAll(/\s+/g, 'T') || '0';
      output.print(`${time} ${tapArrows[item.direction]} ${item.octets.length} ${toHex(item.octets, ' ')}`);
    },
    end: () => found,
  };
}
function pcapngRewriter(output: Output): Rewriter {
  const writer = pcapngWriter((octets) => output.write(octets));
  let found = false;
  let at = 0;
  return {
    push: (item) => {
      if ('session' in item) return;
      found = true;
      // What has no time stands where the one before it did.
      at = (item.time === '' ? undefined : instantOf(item.time)) ?? at;
      const { direction, octets, channel } = item;
      writer.add({ at, port: channel ?? 'line', direction: tapArrows[direction], octets });
    },
    end: () => {
      writer.end();
      return found;
    },
  };
}
export const rewriter = (to: 'pcapng' | 'tap', output: Output): Rewriter =>
  to === 'tap' ? tapRewriter(output) : pcapngRewriter(output);
