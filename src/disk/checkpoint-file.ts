/** What was stored last, noted outside of the database, so that a database that fell behind is noticed. */
import { closeSync, existsSync, openSync, readFileSync, writeSync } from 'node:fs';
import { messageOf } from '../base/errors.ts';
import { decodeRecord, encodeRecord } from '../store/record.ts';

/** Longer than any record of the checkpoint. */
const checkpointOctets = 256;

/** A record of its own file, overwritten in place; what is half written is no record. */
export function checkpointFile<T>(
  path: string,
  tell: (trouble: string) => void,
): { read(): T | undefined; write(checkpoint: T): void; close(): void } {
  let file: number | undefined;
  let troubled = false;
  return {
    read() {
      try {
        const record = decodeRecord('checkpoint', Buffer.from(readFileSync(path, 'latin1').trimEnd(), 'latin1'));
        return record?.body as T | undefined;
      } catch (error) {
        // At the first start there is none.
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
          tell(`${path} is not read, a store that fell behind it would not be noticed: ${messageOf(error)}`);
        return undefined;
      }
    },
    write(checkpoint) {
      try {
        file ??= openSync(path, existsSync(path) ? 'r+' : 'w+');
        const record = encodeRecord('checkpoint', { sequence: 0, body: checkpoint });
        // Spaces up to a fixed length, so that nothing of a longer one stays behind it.
        const octets = Buffer.alloc(checkpointOctets, ' ');
        record.copy(octets);
        writeSync(file, octets, 0, checkpointOctets, 0);
        troubled = false;
      } catch (error) {
        // It only tells more; the store is complete without it. Said once.
        if (!troubled)
          tell(`${path} is not kept, a store that falls behind it will not be noticed: ${messageOf(error)}`);
        troubled = true;
        this.close();
      }
    },
    close() {
      if (file !== undefined) closeSync(file);
      file = undefined;
    },
  };
}
