/**
 * Connections to the servers of one database, as a URL of libpq names them: `postgres://user@db1,db2/name`. One of them takes
 * writes; after a promotion it is another one. node-postgres knows one host, so each has a pool of its own here.
 */
import { type CustomTypesConfig, Pool, type PoolClient, types as parsers } from 'pg';
import { messageOf } from '../base/errors.ts';

/** No number of ours is beyond 2^53: int8 comes as a number. */
const int8: number = parsers.builtins.INT8;
const typeParsers: CustomTypesConfig = {
  getTypeParser: (oid: number, format) => (oid === int8 ? Number : parsers.getTypeParser(oid, format)),
};

export interface Servers {
  /** A connection to the server that answers, and takes writes where that was asked for. */
  connect(): Promise<PoolClient>;
  end(): Promise<void>;
}

/** A URL for each host, in their order; hosts stand before the slash, or in `host=`. */
export function urlsOfHosts(url: string): { readonly urls: readonly string[]; readonly writable: boolean } {
  const [, scheme = '', user = '', authority = '', rest = ''] =
    /^(postgres(?:ql)?:\/\/)((?:[^@/?]*@)?)([^/?]*)(.*)$/i.exec(url) ?? [];
  const [path = '', query = ''] = rest.split('?', 2);
  const parameters = new URLSearchParams(query);
  const requested = parameters.get('target_session_attrs');
  parameters.delete('target_session_attrs');
  const listed = parameters.get('host');
  const hosts = (listed ?? authority).split(',');
  const urls = hosts.map((host) => {
    if (listed !== null) parameters.set('host', host);
    const text = parameters.toString();
    return `${scheme}${user}${listed === null ? host : authority}${path}${text === '' ? '' : `?${text}`}`;
  });
  return { urls, writable: requested === 'read-write' || requested === 'primary' };
}

function poolOf(connectionString: string, writable: boolean): Pool {
  const pool = new Pool({
    connectionString,
    max: 4,
    types: typeParsers,
    application_name: 'meter-central',
    connectionTimeoutMillis: 10_000,
    // A server that is gone without a word is not waited for for hours.
    query_timeout: 60_000,
    keepAlive: true,
    ...(writable && {
      verify: (client: PoolClient, done: (error?: Error) => void) =>
        void client
          .query<{ standby: boolean }>('SELECT pg_is_in_recovery() AS standby')
          .then(({ rows }) => done(rows[0]?.standby === false ? undefined : new Error('it is a standby')))
          .catch((error: unknown) => done(new Error(messageOf(error)))),
    }),
  });
  // An idle connection that the server ends is replaced by the next one.
  pool.on('error', () => {});
  // One that is in use and breaks between two statements says so once more, and nobody else listens: the next statement fails.
  pool.on('connect', (client) => void client.on('error', () => {}));
  return pool;
}

export function serversOf(url: string): Servers {
  const { urls, writable } = urlsOfHosts(url);
  const pools = urls.map((one) => poolOf(one, writable));
  /** The one that answered last is asked first. */
  let current = 0;
  return {
    connect: async () => {
      const refused: string[] = [];
      for (let i = 0; i < pools.length; i++) {
        const at = (current + i) % pools.length;
        try {
          const client = await (pools[at] as Pool).connect();
          current = at;
          return client;
        } catch (error) {
          refused.push(messageOf(error));
        }
      }
      throw new Error(refused.length === 1 ? refused[0] : `none of ${refused.length} servers: ${refused.join('; ')}`);
    },
    end: async () => {
      await Promise.all(pools.map((pool) => pool.end()));
    },
  };
}
