/** One session as the tools of the trade write it: what is recorded is the same, and so must be what is read. */
import { toHex } from '../../src/base/hex.ts';
import { concat } from '../../src/base/cursor.ts';
import type { FormatName } from '../../src/recording/input/item.ts';
import { captureOf, type Spoken } from './captures.ts';

export interface RecordingFormat {
  readonly name: string;
  /** What decode says that it is. */
  readonly format: FormatName;
  /** The file tells which way octets went. */
  readonly hasDirection: boolean;
  readonly write: (session: readonly Spoken[]) => Uint8Array;
}

const utf8 = (text: string): Uint8Array => Buffer.from(text, 'utf8');
const swapped = (octets: Uint8Array): Uint8Array => Buffer.from(octets).swap16();
const all = (session: readonly Spoken[]): Uint8Array => concat(session.map(({ octets }) => octets));
const hex = (octets: Uint8Array): string => toHex(octets, ' ').toUpperCase();
const clock = (ms: number): string => new Date(Date.UTC(2026, 10, 28, 12) + ms).toISOString().slice(11, 23);
const stamp = (ms: number): string =>
  new Date(Date.UTC(2026, 10, 28, 12) + ms).toISOString().replace('T', ' ').slice(0, 23);
const lines = (session: readonly Spoken[], line: (one: Spoken, i: number) => string): Uint8Array =>
  utf8(`${session.map(line).join('\n')}\n`);
const isTo = ({ direction }: Spoken): boolean => direction === 'to-meter';
const cells = (octets: Uint8Array, size: number): Uint8Array[] =>
  Array.from({ length: Math.ceil(octets.length / size) }, (_, i) => octets.subarray(i * size, i * size + size));
const letters = (octets: Uint8Array): string =>
  [...octets].map((octet) => (octet >= 0x20 && octet < 0x7f ? String.fromCharCode(octet) : '.')).join('');
const offset = (at: number, digits: number, base = 16): string => at.toString(base).padStart(digits, '0');

const xxd = (octets: Uint8Array): string =>
  cells(octets, 16)
    .map((row, i) => {
      const groups = cells(row, 2).map((two) => toHex(two));
      return `${offset(i * 16, 8)}: ${groups.join(' ').padEnd(39)}  ${letters(row)}`;
    })
    .join('\n');
const hexdump = (octets: Uint8Array): string =>
  [
    ...cells(octets, 16).map((row, i) => {
      const [left = [], right = []] = [cells(row, 8)[0], cells(row, 8)[1]].map((half) => half ?? new Uint8Array());
      const text = `${toHex(Uint8Array.from(left), ' ').padEnd(24)} ${toHex(Uint8Array.from(right), ' ')}`;
      return `${offset(i * 16, 8)}  ${text.padEnd(49)} |${letters(row)}|`;
    }),
    offset(octets.length, 8),
  ].join('\n');
const od = (octets: Uint8Array, base: 8 | 16, digits: number): string =>
  [
    ...cells(octets, 16).map((row, i) => `${offset(i * 16, digits, base)} ${toHex(row, ' ')}`),
    offset(octets.length, digits, base),
  ].join('\n');
const words = (octets: Uint8Array): string =>
  [
    ...cells(octets, 16).map((row, i) => {
      const even = row.length % 2 === 0 ? row : concat([row, Uint8Array.of(0)]);
      return `${offset(i * 16, 7)} ${cells(even, 2)
        .map(([low = 0, high = 0]) => toHex(Uint8Array.of(high, low)))
        .join(' ')}`;
    }),
    offset(octets.length, 7),
  ].join('\n');
const wireshark = (octets: Uint8Array, digits = 4, from = 0, margin = ''): string =>
  cells(octets, 16)
    .map((row, i) => {
      const text = cells(row, 8)
        .map((half) => toHex(half, ' '))
        .join('  ');
      return `${margin}${offset(from + i * 16, digits)}  ${text.padEnd(48)}   ${letters(row)}`;
    })
    .join('\n');
const followed = (session: readonly Spoken[]): string => {
  const at = { 'to-meter': 0, 'from-meter': 0 };
  return session
    .map(({ octets, direction }) => {
      const text = wireshark(octets, 8, at[direction], direction === 'from-meter' ? '    ' : '');
      at[direction] += octets.length;
      return text;
    })
    .join('\n');
};
const cString = (octets: Uint8Array): string =>
  [...octets]
    .map((octet, i) => {
      if (octet === 0x22 || octet === 0x5c) return `\\${String.fromCharCode(octet)}`;
      if (octet >= 0x20 && octet < 0x7f) return String.fromCharCode(octet);
      if (octet === 10) return '\\n';
      if (octet === 13) return '\\r';
      const next = octets[i + 1] ?? 0;
      const digits = next >= 0x30 && next <= 0x37 ? 3 : 1;
      return `\\${offset(octet, digits, 8)}`;
    })
    .join('');
const pyString = (octets: Uint8Array): string =>
  [...octets]
    .map((octet) => {
      if (octet === 0x27 || octet === 0x5c) return `\\${String.fromCharCode(octet)}`;
      return octet >= 0x20 && octet < 0x7f ? String.fromCharCode(octet) : `\\x${offset(octet, 2)}`;
    })
    .join('');
const tapText = (session: readonly Spoken[]): string =>
  session
    .map(
      ({ octets, direction, ms }) =>
        `${(ms / 1000).toFixed(4)} ${direction === 'to-meter' ? '->' : '<-'} ${octets.length} ${toHex(octets, ' ')}`,
    )
    .join('\n');

type Line = (one: Spoken, i: number) => string;
const log = (name: string, line: Line, hasDirection = true, format: FormatName = 'log'): RecordingFormat => ({
  name,
  format,
  hasDirection,
  write: (session) => lines(session, line),
});
const dump = (name: string, format: FormatName, write: (octets: Uint8Array) => string): RecordingFormat => ({
  name,
  format,
  hasDirection: false,
  write: (session) => utf8(`${write(all(session))}\n`),
});

export const recordingFormats: readonly RecordingFormat[] = [
  {
    name: 'trace of ours',
    format: 'tap',
    hasDirection: true,
    write: (session) => utf8(`# connect bus\n${tapText(session)}\n`),
  },
  {
    name: 'UTF-8 with a mark, CRLF',
    format: 'tap',
    hasDirection: true,
    write: (session) => utf8(`\ufeff${tapText(session).replaceAll('\n', '\r\n')}`),
  },
  {
    name: 'UTF-16 LE with a mark',
    format: 'tap',
    hasDirection: true,
    write: (session) => Buffer.from(`\ufeff${tapText(session)}\r\n`, 'utf16le'),
  },
  {
    name: 'UTF-16 BE with a mark',
    format: 'tap',
    hasDirection: true,
    write: (session) => swapped(Buffer.from(`\ufeff${tapText(session)}\r\n`, 'utf16le')),
  },
  {
    name: 'UTF-16 LE without a mark',
    format: 'tap',
    hasDirection: true,
    write: (session) => Buffer.from(`${tapText(session)}\r\n`, 'utf16le'),
  },
  log('hex with blanks', ({ octets }) => hex(octets), false, 'hex'),
  log('hex without anything', ({ octets }) => toHex(octets), false, 'hex'),
  log(
    'hex with 0x and commas',
    ({ octets }) => [...octets].map((one) => `0x${offset(one, 2)}`).join(', '),
    false,
    'hex',
  ),
  log(
    'hex with 0x and blanks',
    ({ octets }) => [...octets].map((one) => `0x${offset(one, 2).toUpperCase()}`).join(' '),
    false,
    'hex',
  ),
  log('hex with commas', ({ octets }) => toHex(octets, ','), false, 'hex'),
  log('hex with colons', ({ octets }) => toHex(octets, ':'), false, 'hex'),
  log('hex with dashes', ({ octets }) => toHex(octets, '-'), false, 'hex'),
  log('hex with \\x', ({ octets }) => [...octets].map((one) => `\\x${offset(one, 2)}`).join(''), false, 'hex'),
  log('hex with $', ({ octets }) => [...octets].map((one) => `$${offset(one, 2)}`).join(' '), false, 'hex'),
  log(
    'hex with h',
    ({ octets }) => [...octets].map((one) => `${offset(one, 2).toUpperCase()}h`).join(' '),
    false,
    'hex',
  ),
  log('hex in angle brackets', ({ octets }) => [...octets].map((one) => `<${offset(one, 2)}>`).join(''), false, 'hex'),
  log('hex in square brackets', ({ octets }) => [...octets].map((one) => `[${offset(one, 2)}]`).join(''), false, 'hex'),
  { name: 'all in one line of hex', format: 'hex', hasDirection: false, write: (session) => utf8(toHex(all(session))) },
  {
    name: 'arrays of C, as Wireshark follows a connection',
    format: 'hex',
    hasDirection: true,
    write: (session) =>
      lines(session, ({ octets, direction }, i) => {
        const rows = cells(octets, 8).map((row) => [...row].map((one) => `0x${offset(one, 2)}`).join(', '));
        return `char peer${direction === 'to-meter' ? 0 : 1}_${i}[] = { /* Packet ${i + 4} */\n${rows.join(',\n')} };`;
      }),
  },
  {
    name: 'arrays of C in a program',
    format: 'hex',
    hasDirection: false,
    write: (session) =>
      lines(
        session,
        ({ octets }, i) =>
          `static const uint8_t frame${i}[${octets.length}] = {\n    ${[...octets].map((one) => `0x${offset(one, 2).toUpperCase()}`).join(', ')}\n};`,
      ),
  },
  log('TX: and RX:, time between', (one) => `${isTo(one) ? 'TX' : 'RX'}: ${clock(one.ms)}\t${hex(one.octets)}`),
  log('time, TX and RX in brackets', (one) => `${stamp(one.ms)} [${isTo(one) ? 'TX' : 'RX'}] - ${hex(one.octets)}`),
  log('time in brackets, arrows', (one) => `[${clock(one.ms)}] ${isTo(one) ? '->' : '<-'} ${hex(one.octets)}`),
  log('time behind', (one) => `${isTo(one) ? 'Tx' : 'Rx'} ${hex(one.octets)}   (${clock(one.ms)})`),
  log('S and R', (one) => `${clock(one.ms)} ${isTo(one) ? 'S' : 'R'} ${hex(one.octets)}`),
  log(
    'Send and Recv with a length',
    (one) => `${stamp(one.ms)} ${isTo(one) ? 'Send' : 'Recv'} (${one.octets.length} bytes): ${hex(one.octets)}`,
  ),
  log(
    'roles with arrows',
    (one) => `${clock(one.ms)} ${isTo(one) ? 'Client -> Server' : 'Server -> Client'}: ${toHex(one.octets)}`,
  ),
  log(
    'a driver of Windows',
    (one, i) =>
      `${i}\t${(one.ms / 1000).toFixed(8)}\tterm.exe\t${isTo(one) ? 'IRP_MJ_WRITE' : 'IRP_MJ_READ'}\tSerial0\tSUCCESS\tLength ${one.octets.length}: ${hex(one.octets)} `,
  ),
  log(
    'a Java logger',
    (one) =>
      `${stamp(one.ms).replace('.', ',')} DEBUG [main] c.e.dlms.SerialLayer - ${isTo(one) ? 'Sending' : 'Received'} data: ${hex(one.octets)}`,
  ),
  log(
    'syslog',
    (one) => `Nov 28 ${clock(one.ms).slice(0, 8)} host gateway[412]: ${isTo(one) ? 'tx' : 'rx'} ${toHex(one.octets)}`,
  ),
  log(
    'firmware with uart debugging',
    (one) =>
      `[${clock(one.ms).slice(0, 8)}][D][uart_debug:114]: ${isTo(one) ? '>>>' : '<<<'} ${toHex(one.octets, ':').toUpperCase()}`,
  ),
  log('firmware with colours', (one) => `\u001b[0;36m[D][dlms_meter:030]: ${hex(one.octets)}\u001b[0m`, false),
  log('JSON of a trace', (one) =>
    JSON.stringify({
      at: `2026-11-28T${clock(one.ms)}Z`,
      port: 'bus',
      direction: isTo(one) ? '->' : '<-',
      octets: toHex(one.octets),
    }),
  ),
  log(
    'JSON with base64',
    (one) =>
      JSON.stringify({
        time: `2026-11-28T${clock(one.ms)}Z`,
        dir: isTo(one) ? 'tx' : 'rx',
        payload: Buffer.from(one.octets).toString('base64'),
      }),
    true,
    'base64',
  ),
  log('arrays of numbers', ({ octets }) => JSON.stringify([...octets]), false, 'numbers'),
  log(
    'arrays of numbers with a sign',
    (one) =>
      `${isTo(one) ? 'sent' : 'received'} [${[...one.octets].map((octet) => (octet > 127 ? octet - 256 : octet)).join(', ')}]`,
    true,
    'numbers',
  ),
  {
    name: 'JSON of Node, over several lines',
    format: 'numbers',
    hasDirection: false,
    write: (session) =>
      utf8(
        JSON.stringify(
          session.map(({ octets }) => Buffer.from(octets)),
          null,
          2,
        ),
      ),
  },
  log('Python', (one) => `${stamp(one.ms)} ${isTo(one) ? 'TX' : 'RX'} b'${pyString(one.octets)}'`, true, 'python'),
  log(
    'strace',
    (one) =>
      `412 ${clock(one.ms)}456 ${isTo(one) ? `write(3, "${cString(one.octets)}", ${one.octets.length})` : `read(3, "${cString(one.octets)}", 4096)`} = ${one.octets.length}`,
    true,
    'strace',
  ),
  dump('xxd', 'xxd', xxd),
  dump('hexdump -C', 'hexdump', hexdump),
  dump('od -A o -t x1', 'od', (octets) => od(octets, 8, 7)),
  dump('od -A x -t x1', 'od', (octets) => od(octets, 16, 6)),
  dump('hexdump without options', 'od', words),
  {
    name: 'Wireshark: octets of packets',
    format: 'wireshark',
    hasDirection: false,
    write: (session) => lines(session, ({ octets }) => `${wireshark(octets)}\n`),
  },
  {
    name: 'Wireshark: a connection followed',
    format: 'wireshark',
    hasDirection: true,
    write: (session) => utf8(`${followed(session)}\n`),
  },
  {
    name: 'base64, wrapped',
    format: 'base64',
    hasDirection: false,
    write: (session) =>
      utf8(
        (
          Buffer.from(all(session))
            .toString('base64')
            .match(/.{1,76}/g) ?? []
        ).join('\n'),
      ),
  },
  log('base64, a message in a line', ({ octets }) => Buffer.from(octets).toString('base64'), false, 'base64'),
  { name: 'raw octets', format: 'raw', hasDirection: false, write: all },
  { name: 'pcap', format: 'pcap', hasDirection: true, write: (session) => captureOf(session, { format: 'pcap' }) },
  {
    name: 'pcap, big-endian, nanoseconds',
    format: 'pcap',
    hasDirection: true,
    write: (session) => captureOf(session, { format: 'pcap', isBig: true, nanoseconds: true }),
  },
  {
    name: 'pcap of all interfaces (SLL)',
    format: 'pcap',
    hasDirection: true,
    write: (session) => captureOf(session, { format: 'pcap', link: 113 }),
  },
  {
    name: 'pcap of all interfaces (SLL2)',
    format: 'pcap',
    hasDirection: true,
    write: (session) => captureOf(session, { format: 'pcap', link: 276 }),
  },
  {
    name: 'pcap of IPv6',
    format: 'pcap',
    hasDirection: true,
    write: (session) => captureOf(session, { format: 'pcap', isV6: true }),
  },
  {
    name: 'pcap of raw IP',
    format: 'pcap',
    hasDirection: true,
    write: (session) => captureOf(session, { format: 'pcap', link: 101 }),
  },
  {
    name: 'pcap of the loopback',
    format: 'pcap',
    hasDirection: true,
    write: (session) => captureOf(session, { format: 'pcap', link: 0 }),
  },
  {
    name: 'pcap of UDP',
    format: 'pcap',
    hasDirection: true,
    write: (session) => captureOf(session, { format: 'pcap', isUdp: true }),
  },
  {
    name: 'pcapng',
    format: 'pcapng',
    hasDirection: true,
    write: (session) => captureOf(session, { format: 'pcapng' }),
  },
  {
    name: 'pcapng, big-endian',
    format: 'pcapng',
    hasDirection: true,
    write: (session) => captureOf(session, { format: 'pcapng', isBig: true }),
  },
  {
    name: 'pcapng of a serial line (USER0)',
    format: 'pcapng',
    hasDirection: true,
    write: (session) => captureOf(session, { format: 'pcapng', link: 147 }),
  },
  {
    name: 'xxd of a pcap',
    format: 'xxd',
    hasDirection: true,
    write: (session) => utf8(`${xxd(captureOf(session, { format: 'pcap' }))}\n`),
  },
  {
    name: 'base64 of a pcapng',
    format: 'base64',
    hasDirection: true,
    write: (session) => utf8(Buffer.from(captureOf(session, { format: 'pcapng' })).toString('base64')),
  },
];
