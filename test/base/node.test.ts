import { expect, test } from 'vitest';

test('the suite runs on the Node that is pinned or the next long-term release', () => {
  expect([24, 26]).toContain(Number(process.versions.node.split('.')[0]));
});
