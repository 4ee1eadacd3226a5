/** One worker of the central system: broker → store → acknowledgement, and what is owed beside it. */
import { messageOf } from '../base/errors.ts';
import { millis } from '../base/time.ts';
import type { Received } from './arrival.ts';
import { auditAccounts } from './audit.ts';
import { type CentralBroker, type CentralClient, connectCentral } from './client.ts';
import type { Ingested } from './ingest.ts';
import { ingestApart, isOfContent } from './ingest-apart.ts';
import { followHoles, followLosses } from './losses.ts';
import { dueRequests, noteAnswers } from './requests.ts';
import type { Engine } from './sql.ts';
import { noteStanding } from './standing.ts';

export interface WorkerOptions {
  readonly broker: CentralBroker;
  /** A line for people. */
  readonly log: (line: string) => void;
  /** Between two looks at manifests, losses and holes. */
  readonly auditEveryMs?: number;
  readonly now?: () => number;
}
export interface Worker {
  readonly client: CentralClient;
  readonly counted: { messages: number; stored: number; repeated: number; unfit: number; conflicts: number };
  close(): Promise<void>;
}
const auditMs = 5000;

export function startWorker(engine: Engine, options: WorkerOptions): Worker {
  const { broker, log, auditEveryMs = auditMs, now = Date.now } = options;
  const counted = { messages: 0, stored: 0, repeated: 0, unfit: 0, conflicts: 0 };
  const count = (batch: readonly Received[], { stored, repeated, unfit, conflicts, lost }: Ingested): void => {
    counted.messages += batch.length;
    counted.stored += stored;
    counted.repeated += repeated;
    counted.unfit += unfit;
    counted.conflicts += conflicts;
    for (const { gateway, epoch, ranges } of lost)
      log(
        `CENTRAL_LOST ${gateway}: it acknowledged in epoch ${epoch} what is not here, numbers ${ranges
          .slice(0, 10)
          .map(([from, to]) => `${from}–${to}`)
          .join(', ')} (head-end); next: nothing, it is asked for again; meter-central status shows when it is whole`,
      );
  };
  const client = connectCentral(broker, {
    take: async (batch) => {
      // Of the time when it is stored: who looks for what is new since then must not miss what waited here for long.
      const stored = millis(now());
      const ingested = await ingestApart(
        engine,
        batch.map(({ arrival }) => ({ at: stored, arrival })),
      );
      await noteStanding(engine, batch).catch((error: unknown) => {
        if (!isOfContent(error)) throw error;
        log(`what a gateway says of itself is not stored: ${messageOf(error)}`);
      });
      count(batch, ingested);
      return ingested.answers;
    },
    onChange: log,
  });
  const audit = async (): Promise<void> => {
    for (const [gateway, ack] of await followHoles(engine, now())) client.acknowledge(gateway, ack);
    await auditAccounts(engine, now());
    await followLosses(engine, now());
    await noteAnswers(engine, now());
    if (!client.connected()) return;
    for (const { gateway, request } of await dueRequests(engine, now())) client.again(gateway, request);
  };
  let auditing: Promise<void> | undefined;
  let failed = '';
  const timer = setInterval(() => {
    auditing ??= audit()
      .then(() => {
        failed = '';
      })
      .catch((error: unknown) => {
        const why = error instanceof Error ? error.message : String(error);
        // The same once.
        if (why !== failed) log(`audit: ${why}`);
        failed = why;
      })
      .finally(() => {
        auditing = undefined;
      });
  }, auditEveryMs);
  return {
    client,
    counted,
    close: async () => {
      clearInterval(timer);
      await client.close();
      await auditing;
    },
  };
}
