/** Meters within the text of a configuration: everything that a person wrote beside them stays. */
import { expect, test } from 'vitest';
import { withMeter, withoutMeter } from '../../src/config/meter-block.ts';

const text = `# Substation 12
[gateway]
id = "g"           # ours
tenant = "t"

[mqtt]
url = "mqtt://localhost"

[[port]]
name = "bus-1"
device = "tcp://127.0.0.1:1"
  [[port.meter]]
  id = "a"
  point = "pa"
  serial = "1"
  # fuse_a = 25

# The other side of the yard.
[[port]]
name = "bus-2"
device = "tcp://127.0.0.1:2"

[[port.meter]]
id = "b"
point = "pb"
serial = "2"

[log]
level = "info"
`;
const keys = {
  id: 'c',
  point: 'pc',
  serial: '3',
  physical: undefined,
  profiles: [{ obis: '1-0:99.1.0*255', period_s: 900 }],
};
const block = `
# Box 3
[[port.meter]]
id = "c"
point = "pc"
serial = "3"
profiles = [{ obis = "1-0:99.1.0*255", period_s = 900 }]
`;

test('a meter stands behind the last one of its port, before what belongs to the next', () => {
  expect(withMeter(text, 'bus-1', keys, 'Box 3')).toBe(text.replace('  # fuse_a = 25\n', `  # fuse_a = 25\n${block}`));
  expect(withMeter(text, 'bus-2', keys, 'Box 3')).toBe(text.replace('serial = "2"\n', `serial = "2"\n${block}`));
});
test('lines of Windows stay so; a port without meters gets its first; a file without a last line end is none the worse', () => {
  expect(withMeter(text.replaceAll('\n', '\r\n'), 'bus-1', keys, 'Box 3')).toBe(
    withMeter(text, 'bus-1', keys, 'Box 3').replaceAll('\n', '\r\n'),
  );
  const bare = '[[port]]\nname = "p"\ndevice = "/dev/x"';
  expect(withMeter(bare, 'p', { id: 'c' })).toBe(`${bare}\n\n[[port.meter]]\nid = "c"\n`);
});
test('taken out, a comment says so, and the others stand as they did', () => {
  const out = withoutMeter(text, 'a', '2026-11-28: a taken out');
  expect(out).toBe(
    text.replace(/ {2}\[\[port\.meter\]\]\n {2}id = "a"[^]*?fuse_a = 25\n/, '# 2026-11-28: a taken out\n'),
  );
  expect(withoutMeter(withMeter(text, 'bus-2', keys, 'Box 3'), 'c', 'gone')).toContain(
    'serial = "2"\n\n# Box 3\n# gone\n',
  );
});
test.each([
  ['no such port', () => withMeter(text, 'bus-3', keys), 'no port'],
  ['no such meter', () => withoutMeter(text, 'x', ''), 'no meter'],
  ['a port on one line', () => withMeter('port = [{ name = "p", device = "/dev/x" }]', 'p', keys), 'by hand'],
  ['meters on one line', () => withoutMeter('[[port]]\nname = "p"\nmeter = [{ id = "a" }]\n', 'a', ''), 'by hand'],
  ['no TOML', () => withMeter('[[port]\nname = 1', 'p', keys), 'is no TOML'],
  [
    'a head within a text of several lines',
    () => withMeter(`${text}\nx = """\n[[port]]\n"""\n`, 'bus-1', keys),
    'by hand',
  ],
])('%s is refused', (_, change, why) => {
  expect(change).toThrow(why);
});
test('nothing that is written leaves its value', () => {
  const odd = { id: 'c', point: 'a"b\\', serial: "3 # no comment ']" };
  expect(withMeter(text, 'bus-1', odd, 'a remark\nid = "evil"')).toContain('# a remark id = "evil"\n');
});
