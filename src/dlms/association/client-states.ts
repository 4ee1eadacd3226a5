/** The state table of an application association, client side (Green Book 9.3). */
export const associationStates = ['idle', 'associating', 'authenticating', 'associated', 'releasing'] as const;
export type AssociationState = (typeof associationStates)[number];
export const associationInputs = [
  'associate',
  'service', // a request of ours: get, set, action
  'release',
  'aare',
  'rlre',
  'response', // an APDU that answers a service
  'notification',
  'error', // exception-response or confirmed-service-error
  'timeout',
] as const;
type AssociationInput = (typeof associationInputs)[number];
type AssociationAction =
  | 'ignore'
  | 'misuse'
  | 'send-aarq'
  | 'associated'
  | 'authenticated' // the answer to our HLS proof
  | 'send-request'
  | 'answer'
  | 'send-rlrq'
  | 'released'
  | 'refused'
  | 'notify'
  | 'service-error'
  | 'no-answer';

/** Literal, so that whoever looks up an input knows which actions there are for it, and has to do each of them. */
export const associationTable = {
  idle: {
    associate: 'send-aarq',
    service: 'misuse',
    release: 'misuse',
    aare: 'ignore',
    rlre: 'ignore',
    response: 'ignore',
    notification: 'notify',
    error: 'ignore',
    timeout: 'ignore',
  },
  associating: {
    associate: 'misuse',
    service: 'misuse',
    release: 'misuse',
    aare: 'associated',
    rlre: 'ignore',
    response: 'ignore',
    notification: 'notify',
    error: 'refused',
    timeout: 'no-answer',
  },
  authenticating: {
    associate: 'misuse',
    service: 'misuse',
    release: 'misuse',
    aare: 'ignore',
    rlre: 'ignore',
    response: 'authenticated',
    notification: 'notify',
    error: 'refused',
    timeout: 'no-answer',
  },
  associated: {
    associate: 'misuse',
    service: 'send-request',
    release: 'send-rlrq',
    aare: 'ignore',
    rlre: 'ignore',
    response: 'answer',
    notification: 'notify',
    error: 'service-error',
    timeout: 'no-answer',
  },
  releasing: {
    associate: 'misuse',
    service: 'misuse',
    release: 'ignore',
    aare: 'ignore',
    rlre: 'released',
    response: 'ignore',
    notification: 'notify',
    error: 'released',
    timeout: 'released',
  },
} as const satisfies Record<AssociationState, Record<AssociationInput, AssociationAction>>;
