/** How long a turn on the line may take: what an honest meter needs on this line, and not more. */
import { askingLimitMs, type LineSpeed, octetMsOf } from '../meter/patience.ts';

/** Waiting and pauses of a session, and the octets that it may bring over the line besides. */
const minSessionMs = 300_000;
const sessionOctets = 20_000;

/** The total of a session of the daemon, before its end. */
export const sessionLimitMs = (line: LineSpeed): number => minSessionMs + sessionOctets * octetMsOf(line);

/** Opening the port, the ends of two sessions, and the store. */
const aroundSessionsMs = 180_000;
/** After this a turn hangs below its sessions. */
export const turnLimitMs = ({ sessionMs }: { readonly sessionMs: number }): number =>
  askingLimitMs + sessionMs + aroundSessionsMs;
