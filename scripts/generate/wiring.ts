/** Writes the wiring drawings of hardware/ (SVG): text as text, no colour, a title and a description. `--check` compares instead. */
import { generated } from './generated.ts';

type Point = readonly [x: number, y: number];
interface Drawing {
  readonly file: string;
  readonly title: string;
  readonly description: string;
  readonly size: readonly [width: number, height: number];
  readonly parts: readonly string[];
}
const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
const at = ([x, y]: Point): string => `${x} ${y}`;

/** Several lines, the first one bold where it is a name. */
function text([x, y]: Point, lines: string, { anchor = 'start', bold = false } = {}): string {
  const rows = lines.split('\n').map((line, i) => `<tspan x="${x}" dy="${i === 0 ? 0 : 17}">${escaped(line)}</tspan>`);
  return `<text x="${x}" y="${y}" text-anchor="${anchor}"${bold ? ' style="font-weight:bold"' : ''}>${rows.join('')}</text>`;
}
const wire = (points: readonly Point[], style: 'a' | 'b' | 'c' | 'screen' | 'plain' = 'plain'): string =>
  `<path class="${style}" d="M${points.map(at).join(' L')}"/>`;
const dot = ([x, y]: Point): string => `<circle cx="${x}" cy="${y}" r="4"/>`;
function box([x, y]: Point, [width, height]: Point, name: string, more = ''): string {
  return [
    `<rect x="${x}" y="${y}" width="${width}" height="${height}"/>`,
    text([x + width / 2, y + 20], name, { anchor: 'middle', bold: true }),
    more === '' ? '' : text([x + width / 2, y + 40], more, { anchor: 'middle' }),
  ].join('');
}
/** A resistor between two heights, its value beside it. */
function resistor(x: number, from: number, to: number, value: string): string {
  const [top, bottom] = [(from + to) / 2 - 15, (from + to) / 2 + 15];
  return [
    wire([
      [x, from],
      [x, top],
    ]),
    `<rect x="${x - 6}" y="${top}" width="12" height="30"/>`,
    wire([
      [x, bottom],
      [x, to],
    ]),
    text([x + 11, (from + to) / 2 + 5], value),
  ].join('');
}
const earth = ([x, y]: Point): string =>
  [0, 1, 2]
    .map((i) =>
      wire([
        [x - 12 + 4 * i, y + 6 * i],
        [x + 12 - 4 * i, y + 6 * i],
      ]),
    )
    .join('');

/** A meter that hangs at the three wires. */
function meterAt(x: number, name: string, heights: readonly [a: number, b: number, c: number], y: number): string {
  const stubs = heights.map((height, i) => {
    const place = x + 20 + i * 25;
    return (
      dot([place, height]) +
      wire(
        [
          [place, height],
          [place, y],
        ],
        (['a', 'b', 'c'] as const)[i],
      )
    );
  });
  return stubs.join('') + box([x, y], [90, 62], name, 'A   B   C');
}

const busHeights = [150, 200, 250] as const;
function busOf(from: number, to: number): string {
  const [a, b, c] = busHeights;
  return [
    wire(
      [
        [from, a],
        [to, a],
      ],
      'a',
    ),
    wire(
      [
        [from, b],
        [to, b],
      ],
      'b',
    ),
    wire(
      [
        [from, c],
        [to, c],
      ],
      'c',
    ),
    text([from + 6, a - 8], 'A'),
    text([from + 6, b - 8], 'B'),
    text([from + 6, c - 8], 'C (reference)'),
  ].join('');
}

const bus: Drawing = {
  file: 'hardware/wiring/bus.svg',
  title: 'An RS-485 line with its adapter, three meters, termination and bias',
  description:
    'The adapter at the left end has 120 ohm between A and B, and the bias: 560 ohm from A to plus 5 volt and 560 ohm from B to C. ' +
    'The wires A, B and C go from meter to meter in a chain; the last meter has 120 ohm between A and B. The screen is earthed at the adapter only.',
  size: [960, 460],
  parts: [
    box([20, 120], [130, 160], 'Adapter', 'isolated,\nUSB to RS-485\n\nbias and 120 Ω\nswitched on here'),
    busOf(150, 900),
    resistor(330, busHeights[0], busHeights[1], '120 Ω'),
    resistor(250, 70, busHeights[0], '560 Ω'),
    text([250, 62], '+5 V of the adapter (bias)', { anchor: 'middle' }),
    resistor(270, busHeights[1], busHeights[2], '560 Ω'),
    dot([250, busHeights[0]]),
    dot([330, busHeights[0]]),
    dot([330, busHeights[1]]),
    dot([270, busHeights[1]]),
    dot([270, busHeights[2]]),
    meterAt(420, 'Meter 1', busHeights, 320),
    meterAt(570, 'Meter 2', busHeights, 320),
    meterAt(720, 'Meter 32', busHeights, 320),
    resistor(870, busHeights[0], busHeights[1], '120 Ω'),
    dot([870, busHeights[0]]),
    dot([870, busHeights[1]]),
    wire(
      [
        [400, 100],
        [900, 100],
      ],
      'screen',
    ),
    text([660, 92], 'screen: earthed at the adapter only', { anchor: 'middle' }),
    wire([
      [400, 100],
      [400, 60],
    ]),
    wire([
      [400, 60],
      [440, 60],
      [440, 66],
    ]),
    earth([440, 66]),
    text([645, 408], 'a chain, no star; the stub to a meter is under 1 m', { anchor: 'middle' }),
    text([480, 442], 'at most 1000 m and 32 unit loads; between A and B, all without power: 60 Ω', {
      anchor: 'middle',
    }),
  ],
};

const head: Drawing = {
  file: 'hardware/wiring/optical-head.svg',
  title: 'An optical head on a meter',
  description:
    'The head sits on the magnet of the optical port of the meter, its cable downwards, and leads to a USB socket of the concentrator. One head reads one meter.',
  size: [760, 330],
  parts: [
    box([40, 40], [240, 250], 'Meter'),
    `<rect x="80" y="80" width="160" height="50"/>`,
    text([160, 110], 'display', { anchor: 'middle' }),
    `<circle class="ring" cx="160" cy="200" r="44"/><circle class="ring" cx="160" cy="200" r="34"/>`,
    dot([148, 200]),
    dot([172, 200]),
    text([50, 150], 'IEC 62056-21 port'),
    wire([
      [160, 244],
      [160, 310],
      [420, 310],
      [420, 200],
      [470, 200],
    ]),
    text([290, 300], 'cable downwards', { anchor: 'start' }),
    box([470, 150], [130, 90], 'Concentrator', 'USB socket'),
    text([310, 80], 'the head sits on the magnet, its two eyes\nlevel; daylight on them gives stray octets', {}),
    text([310, 140], 'port: mode_e = true, 300 Bd first'),
  ],
};

const board: Drawing = {
  file: 'hardware/wiring/board.svg',
  title: 'A concentrator: board, isolated adapter, clock and power',
  description:
    'A Raspberry Pi with a supply of 5.1 volt and 3 ampere, a DS3231 real-time clock with its battery on I2C, pins 1, 3, 5 and 9, and an isolated ' +
    'USB to RS-485 adapter whose line side has no connection to the board.',
  size: [900, 400],
  parts: [
    box([280, 110], [260, 190], 'Raspberry Pi 4 or 5', '64 bit, SSD or industrial card'),
    box([40, 60], [160, 70], 'Supply', '5.1 V, 3 A'),
    wire([
      [200, 95],
      [240, 95],
      [240, 150],
      [280, 150],
    ]),
    text([205, 85], 'USB-C'),
    box([40, 190], [160, 110], 'Clock DS3231', '3.3 V   pin 1\nSDA     pin 3\nSCL     pin 5\nGND     pin 9'),
    ...[215, 235, 255, 275].map((y) =>
      wire([
        [200, y],
        [280, y],
      ]),
    ),
    text([240, 205], 'I2C', { anchor: 'middle' }),
    text([120, 325], 'battery CR2032', { anchor: 'middle' }),
    box([620, 110], [220, 190], 'Isolated adapter'),
    wire([
      [540, 200],
      [620, 200],
    ]),
    text([580, 190], 'USB', { anchor: 'middle' }),
    `<path class="screen" d="M730 140 L730 290"/>`,
    text([675, 220], 'board\nside', { anchor: 'middle' }),
    text([785, 220], 'line\nside', { anchor: 'middle' }),
    text([730, 320], 'isolation: no wire crosses it', { anchor: 'middle' }),
    ...(
      [
        ['A', 160, 'a'],
        ['B', 200, 'b'],
        ['C', 240, 'c'],
      ] as const
    ).flatMap(([name, y, style]) => [
      wire(
        [
          [840, y],
          [885, y],
        ],
        style,
      ),
      text([850, y - 7], name),
    ]),
    box([280, 330], [260, 56], 'Ethernet or LTE', 'to the broker'),
    wire([
      [410, 300],
      [410, 330],
    ]),
  ],
};

/** 31 meters in four rows, the line back and forth. */
function substationParts(): string[] {
  const [rows, inRow, pitch] = [4, 8, 100];
  const parts: string[] = [];
  const heightOf = (row: number) => 90 + row * 95;
  const path: Point[] = [[150, heightOf(0)]];
  for (let i = 0; i < 31; i++) {
    const row = Math.floor(i / inRow);
    const column = row % 2 === 0 ? i % inRow : inRow - 1 - (i % inRow);
    const x = 185 + column * pitch;
    const y = heightOf(row);
    if (row > 0 && i % inRow === 0) {
      const edge = row % 2 === 1 ? 940 : 150;
      path.push([edge, heightOf(row - 1)], [edge, y]);
    }
    path.push([x, y]);
    parts.push(
      dot([x, y]),
      wire([
        [x, y],
        [x, y + 18],
      ]),
      `<rect x="${x - 30}" y="${y + 18}" width="60" height="34"/>`,
    );
    parts.push(text([x, y + 40], `M${i + 1}`, { anchor: 'middle' }));
  }
  const last = path.at(-1) as Point;
  const end: Point = [last[0] - 60, last[1]];
  path.push(end);
  return [
    box([20, 60], [130, 80], 'Adapter', '120 Ω, bias\nscreen earthed'),
    wire(path, 'a'),
    ...parts,
    text([end[0] - 8, end[1] + 5], '120 Ω', { anchor: 'end', bold: true }),
    text(
      [20, heightOf(rows) - 5],
      'M1 … M31: serial numbers 60120001 to 60120031, physical address = serial mod 10000 + 1000',
    ),
    text(
      [20, heightOf(rows) + 15],
      'One line stands for A, B and C. The halves of a fault are found at M16: take the wire off behind it, and scan.',
    ),
  ];
}
const substation: Drawing = {
  file: 'hardware/wiring/substation.svg',
  title: 'The line of a substation with 31 meters',
  description:
    'The line leaves the adapter and passes 31 meters in one chain, row by row, to 120 ohm behind meter 31. The simulated substation of hardware/bench has the same meters.',
  size: [980, 510],
  parts: substationParts(),
};

const style =
  'svg{background:#fff}text{font:14px sans-serif;fill:#000}rect,path,.ring{fill:none;stroke:#000;stroke-width:1.5}' +
  'rect{fill:#fff}circle{fill:#000}.ring{fill:none}.a{stroke-width:3}.b{stroke-width:3;stroke-dasharray:10 4}.c{stroke-width:1.5}.screen{stroke-dasharray:2 5;stroke-width:2}';
function svgOf({ title, description, size: [width, height], parts }: Drawing): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-labelledby="title description">
<title id="title">${escaped(title)}</title>
<desc id="description">${escaped(description)}</desc>
<style>${style}</style>
<rect width="${width}" height="${height}" style="stroke:none"/>
${parts.filter((part) => part !== '').join('\n')}
</svg>
`;
}

for (const drawing of [bus, head, board, substation])
  generated(drawing.file, svgOf(drawing), 'node scripts/generate/wiring.ts');
