/** The files of the page, in memory from the start: nothing of the disk is named by whoever asks. */
import { readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { gzipSync } from 'node:zlib';

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.webmanifest': 'application/manifest+json',
};
export interface Asset {
  readonly type: string;
  readonly plain: Buffer;
  readonly packed: Buffer;
  /** Its name holds its digest: it never changes. */
  readonly lasting: boolean;
}
export type Assets = ReadonlyMap<string, Asset>;

/** By path; empty where the page was not built. */
export function readAssets(folder: string): Assets {
  const assets = new Map<string, Asset>();
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    return assets;
  }
  for (const name of names) {
    const type = types[extname(name)];
    const lasting = /-[0-9A-Za-z]{8,}\.[a-z]+$/.test(name);
    // The programs of the server lie in the same folder of the build.
    if (type === undefined || (name !== 'index.html' && !lasting)) continue;
    const plain = readFileSync(join(folder, name));
    const asset = { type, plain, packed: gzipSync(plain, { level: 9 }), lasting };
    assets.set(`/${name}`, asset);
    if (name === 'index.html') assets.set('/', asset);
  }
  return assets;
}
