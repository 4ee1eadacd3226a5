/** What stands between the line of a simulated meter and its server: its deviations, then its quirks. */
import type { Around } from '../dlms/association/server.ts';
import { type Deviations, deviatingService, encryptedInitiate } from './deviations.ts';
import { type Memory, one, type Piece, type Quirk } from './quirk.ts';
import type { SignOnDeviations } from './sign-on-deviations.ts';

export interface Surroundings {
  readonly deviations: Deviations;
  /** Answers in the place of the server. */
  readonly replay?: ((request: Uint8Array) => Uint8Array | undefined) | undefined;
  /** Asked for with each answer: a test may change them. */
  quirks(): readonly (readonly [Quirk, Memory])[];
  /** A client is being let in while this runs. */
  whileEntering(answer: () => Uint8Array | undefined): Uint8Array | undefined;
  /** The connection ends with this answer. */
  hangUp(): void;
}

export const deviationsOf = (quirks: readonly Quirk[]): Deviations =>
  Object.assign({}, ...quirks.map(({ deviations }) => deviations)) as Deviations;
export const signOnDeviationsOf = (quirks: readonly Quirk[]): SignOnDeviations =>
  Object.assign({}, ...quirks.map(({ signOn }) => signOn)) as SignOnDeviations;

export function aroundServer(surroundings: Surroundings): Around {
  const { deviations, replay } = surroundings;
  const entering = encryptedInitiate((answer) => surroundings.whileEntering(answer));
  return {
    service: deviatingService(deviations),
    octets: (request, honest) => {
      let changed = replay?.(request);
      if (!replay) changed = deviations.initiate ? entering(request, honest) : honest(request);
      for (const [quirk, memory] of surroundings.quirks()) {
        if (changed && quirk.answer) changed = quirk.answer(changed, request, memory);
        if (changed && quirk.hangsUp?.(changed) === true) surroundings.hangUp();
      }
      return changed;
    },
  };
}

/** What one transmission of the meter becomes on the line. */
export function transmitted(octets: Uint8Array, quirks: readonly (readonly [Quirk, Memory])[]): readonly Piece[] {
  let pieces: readonly Piece[] = one(octets);
  for (const [{ transmit }, memory] of quirks) {
    if (!transmit) continue;
    pieces = pieces.flatMap((piece) =>
      transmit(piece.octets, memory).map((made, at) =>
        at === 0 ? { ...made, pauseMs: made.pauseMs + piece.pauseMs } : made,
      ),
    );
  }
  return pieces;
}
