/** Text in any encoding and any pieces, as lines. A line that is longer than memory should hold comes in parts. */
import { TextDecoder } from 'node:util';

export type Encoding = 'utf-8' | 'utf-16le' | 'utf-16be';

export interface TextLine {
  readonly line: number;
  readonly text: string;
  /** Where this part begins in its line. */
  readonly offset: number;
}
const maxLine = 1 << 18;
const separator = /[\s,;]/;

/** Where a line without an end is cut: between octets, whichever way they are written. */
function cutOf(text: string): number {
  for (let at = maxLine; at > maxLine - 256; at--) if (separator.test(text.charAt(at - 1))) return at;
  return maxLine;
}

export class TextLines {
  private readonly decoder: TextDecoder;
  private parts: string[] = [];
  private length = 0;
  private line = 1;
  private offset = 0;

  constructor(encoding: Encoding) {
    this.decoder = new TextDecoder(encoding);
  }

  push(octets: Uint8Array): TextLine[] {
    return this.lines(this.decoder.decode(octets, { stream: true }));
  }
  end(): TextLine[] {
    const lines = this.lines(this.decoder.decode());
    if (this.length > 0) lines.push(this.take(this.parts.join('')));
    this.parts = [];
    this.length = 0;
    return lines;
  }

  private take(text: string): TextLine {
    return { line: this.line, text: text.endsWith('\r') ? text.slice(0, -1) : text, offset: this.offset };
  }
  private lines(text: string): TextLine[] {
    const lines: TextLine[] = [];
    let from = 0;
    for (;;) {
      const end = text.indexOf('\n', from);
      if (end < 0) break;
      this.parts.push(text.slice(from, end));
      lines.push(...this.whole());
      this.parts = [];
      this.length = 0;
      this.line++;
      this.offset = 0;
      from = end + 1;
    }
    if (from < text.length) {
      this.parts.push(text.slice(from));
      this.length += text.length - from;
      if (this.length > maxLine) {
        const { cut, rest } = this.cut(this.parts.join(''));
        lines.push(...cut);
        this.parts = [rest];
        this.length = rest.length;
      }
    }
    return lines;
  }
  private whole(): TextLine[] {
    const { cut, rest } = this.cut(this.parts.length === 1 ? (this.parts[0] as string) : this.parts.join(''));
    return rest === '' && cut.length > 0 ? cut : [...cut, this.take(rest)];
  }
  private cut(text: string): { readonly cut: TextLine[]; readonly rest: string } {
    const cut: TextLine[] = [];
    let rest = text;
    while (rest.length > maxLine) {
      const at = cutOf(rest);
      cut.push({ line: this.line, text: rest.slice(0, at), offset: this.offset });
      this.offset += at;
      rest = rest.slice(at);
    }
    return { cut, rest };
  }
}
