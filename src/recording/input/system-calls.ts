/** strace: what a program wrote to a line and read from it, with the octets as strings of C. */
import { unescape } from './escapes.ts';
import { looksLikeDlms } from './framing.ts';
import type { InputItem } from './item.ts';
import { takeStamps } from './stamp.ts';

const call =
  /(?:^|[\s\]>])(write|read|send|recv|sendto|recvfrom|pwrite64|pread64)\((\d+)(?:<([^>]*)>)?,\s*(?:"((?:\\.|[^"\\])*)"(\.\.\.)?)?([^"]*)$/s;
const resumed = /<\.\.\. (write|read|send|recv|sendto|recvfrom) resumed>\s*(?:"((?:\\.|[^"\\])*)"(\.\.\.)?)?(.*)$/s;
const unfinished = /<unfinished \.\.\.>/;
const isWrite = (name: string): boolean => /^(?:write|send|sendto|pwrite64)$/.test(name);
/** Files that a program has open at one time. */
const maxFiles = 1024;

interface Pending {
  readonly file: string;
  readonly text: string | undefined;
}
export class SystemCalls {
  /** Files whose octets are of DLMS. */
  private readonly chosen = new Set<string>();
  private readonly pending = new Map<string, Pending>();

  /** Nothing: no line of strace. No items: a call without octets of DLMS. */
  line(text: string, line: number): InputItem[] | undefined {
    const process = /^\s*(?:\[pid\s+(\d+)\]|(\d+)\s)/.exec(text);
    const pid = process?.[1] ?? process?.[2] ?? '';
    const again = resumed.exec(text);
    if (again) {
      const [, name = '', string, cut, rest = ''] = again;
      const before = this.pending.get(`${pid} ${name}`);
      this.pending.delete(`${pid} ${name}`);
      if (!before) return [];
      return this.octets({ name, file: before.file, string: string ?? before.text, cut, rest }, text, line);
    }
    const found = call.exec(text);
    if (!found) return /^\S*\s*[a-z_0-9]+\(.*\)\s+= /.test(text) ? [] : undefined;
    const [, name = '', number, path, string, cut, rest = ''] = found;
    const file = path === undefined ? `file ${number}` : `file ${number} ${path}`;
    if (unfinished.test(rest)) {
      if (this.pending.size < maxFiles) this.pending.set(`${pid} ${name}`, { file, text: string });
      return [];
    }
    return this.octets({ name, file, string, cut, rest }, text, line);
  }

  private octets(
    {
      name,
      file,
      string,
      cut,
      rest,
    }: { name: string; file: string; string: string | undefined; cut: string | undefined; rest: string },
    text: string,
    line: number,
  ): InputItem[] {
    const result = /=\s*(-?\d+)/.exec(rest);
    const count = Number(result?.[1] ?? 0);
    if (string === undefined || count <= 0) return [];
    const all = unescape(string);
    if ('offset' in all)
      return [{ line, offset: text.indexOf(string) + all.offset, problem: 'no character of an octet' }];
    const octets = all.subarray(0, count);
    if (octets.length === 0) return [];
    if (!this.chosen.has(file)) {
      if (!looksLikeDlms(octets) || this.chosen.size >= maxFiles) return [];
      this.chosen.add(file);
    }
    const items: InputItem[] = [
      {
        line,
        time: takeStamps(text.slice(0, text.indexOf(name))).time,
        direction: isWrite(name) ? 'to-meter' : 'from-meter',
        octets,
        channel: file,
      },
    ];
    if (cut !== undefined && count > octets.length) {
      const problem = `strace wrote only ${octets.length} of ${count} octets: it takes -s 65535`;
      items.push({ line, offset: text.indexOf(string) + string.length, problem });
    }
    return items;
  }
}
