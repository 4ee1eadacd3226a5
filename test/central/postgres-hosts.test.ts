/** URLs of several servers as libpq writes them; a promotion itself is in test/campaigns/central-kill.test.ts. */
import { expect, test } from 'vitest';
import { urlsOfHosts } from '../../src/central/postgres-hosts.ts';

test.each([
  ['postgres://central@db/central', ['postgres://central@db/central'], false],
  [
    'postgres://central@db1:5432,db2:5433/central?target_session_attrs=read-write',
    ['postgres://central@db1:5432/central', 'postgres://central@db2:5433/central'],
    true,
  ],
  [
    'postgresql://db1,db2/x?sslmode=verify-full',
    ['postgresql://db1/x?sslmode=verify-full', 'postgresql://db2/x?sslmode=verify-full'],
    false,
  ],
  [
    'postgres:///x?host=%2Fa%2Fb,%2Fc&user=central&target_session_attrs=primary',
    ['postgres:///x?host=%2Fa%2Fb&user=central', 'postgres:///x?host=%2Fc&user=central'],
    true,
  ],
  ['postgres://a%40b@[::1]:5432/x', ['postgres://a%40b@[::1]:5432/x'], false],
])('%s', (url, urls, writable) => {
  expect(urlsOfHosts(url)).toEqual({ urls, writable });
});
