/** The words of orders and their results, as the contract has them. */

/** What the central system may order. */
export const orderActions = [
  'read',
  'again',
  'set-clock',
  'disconnect',
  'reconnect',
  'firmware',
  'change-keys',
  'trace',
  'version',
] as const;
export type OrderAction = (typeof orderActions)[number];

/**
 * `refused`: the gateway did nothing. `failed`: it was tried, and the meter is as it was. `unknown`: it was begun, and
 * nobody knows whether it happened; it is never tried again by itself.
 */
export const orderOutcomes = ['done', 'refused', 'failed', 'unknown'] as const;
export type OrderOutcome = (typeof orderOutcomes)[number];

/** Why an order is refused, and what its sender does about it. */
export const orderRefusals = {
  'not-understood': 'The order does not fit the schema: `why` names the place. Sign a right one.',
  'wrong-gateway': 'It names another gateway than the one that got it. Look who delivers it.',
  'clock-untrusted':
    'The gateway does not know the time, so it cannot tell whether the order is still valid. Wait until `clockTrust` of its birth is not `untrusted`.',
  expired: 'It came, or its turn came, after `expires`. Sign a new one if it is still wanted.',
  'from-the-future': 'It was issued later than now. Compare the clocks of both.',
  'lives-too-long': '`expires` is not after `issued`, or more than 24 hours after it. Sign one with a shorter life.',
  'before-ledger':
    'It was issued before this gateway began, or began anew, to remember orders: it may have been carried out already. Look at the meter, then sign a new one.',
  'id-reused': 'Another order had this id. Sign it with an id of its own.',
  'too-many': 'As many orders wait, or are remembered, as there may be. Sign a new one later.',
  'wrong-meter': 'The gateway has no meter of this id. Look at its birth.',
  'wrong-serial': 'The meter has another serial number than the order names.',
  'wrong-point': 'The meter hangs at another metering point than the order names.',
  'not-enabled': 'The configuration of the gateway does not allow it (`[orders]`).',
  'profile-unread':
    'Not every row up to the last closed interval could be read first, and the act empties the buffer of the meter (R36). Send it again when the meter has no gaps to fill.',
  'clock-limits': 'The limits of R30 keep the clock from being set now: `why` names which.',
  'no-next-key':
    'The next keys that the gateway has for this meter are not those of the order: `why` names what differs. Compare the prints.',
  'no-image': 'The gateway has no firmware image with this digest, or cannot read it.',
  interrupted:
    'The gateway stopped before it came to the order: nothing was done. Sign a new one if it is still wanted.',
} as const;
export type OrderRefusal = keyof typeof orderRefusals;
export const orderRefusalNames = Object.keys(orderRefusals) as OrderRefusal[];
