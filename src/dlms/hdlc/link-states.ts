/**
 * The state table of the HDLC link (Green Book 8.4, after ISO/IEC 13239 NRM). It does not know the role: the gateway's
 * client and the simulator's server run on the same rows. Every pair of state and input is present, by type and by test.
 */
export const linkStates = ['disconnected', 'connecting', 'connected', 'disconnecting'] as const;
export type LinkState = (typeof linkStates)[number];
export const linkInputs = [
  'connect',
  'send',
  'disconnect',
  'SNRM',
  'DISC',
  'UA',
  'DM',
  'FRMR',
  'I',
  'RR',
  'RNR',
  'UI',
  'unknown',
  'answer-timeout',
  'inactivity',
] as const;
type LinkInput = (typeof linkInputs)[number];
type LinkAction =
  | 'ignore' // nothing: stale, or not ours to answer
  | 'misuse' // our caller broke the rules: LocalError, state unchanged
  | 'send-snrm'
  | 'accept' // answer UA, take the negotiated parameters, numbers to zero
  | 'established' // UA to our SNRM
  | 'refused' // DM or FRMR to our SNRM
  | 'queue' // information to send
  | 'information'
  | 'supervise' // RR, RNR
  | 'notify' // unnumbered information
  | 'send-disc'
  | 'answer-ua' // their DISC
  | 'answer-dm'
  | 'answer-frmr'
  | 'closed' // our DISC is done, however it was answered (meter-quirks 23)
  | 'lost' // the peer is in disconnected mode or rejects our frames
  | 'repeat' // no answer in time: again, or give up
  | 'expire'; // nobody spoke to us for long

/** Literal, so that whoever looks up an input knows which actions there are for it, and has to do each of them. */
export const linkTable = {
  disconnected: {
    connect: 'send-snrm',
    send: 'misuse',
    disconnect: 'send-disc',
    SNRM: 'accept',
    DISC: 'answer-dm',
    UA: 'ignore',
    DM: 'ignore',
    FRMR: 'ignore',
    I: 'answer-dm',
    RR: 'answer-dm',
    RNR: 'answer-dm',
    UI: 'notify',
    unknown: 'answer-dm',
    'answer-timeout': 'ignore',
    inactivity: 'ignore',
  },
  connecting: {
    connect: 'misuse',
    send: 'misuse',
    disconnect: 'send-disc',
    SNRM: 'ignore',
    DISC: 'answer-dm',
    UA: 'established',
    DM: 'refused',
    FRMR: 'refused',
    I: 'ignore',
    RR: 'ignore',
    RNR: 'ignore',
    UI: 'notify',
    unknown: 'ignore',
    'answer-timeout': 'repeat',
    inactivity: 'ignore',
  },
  connected: {
    connect: 'misuse',
    send: 'queue',
    disconnect: 'send-disc',
    SNRM: 'accept',
    DISC: 'answer-ua',
    UA: 'ignore',
    DM: 'lost',
    FRMR: 'lost',
    I: 'information',
    RR: 'supervise',
    RNR: 'supervise',
    UI: 'notify',
    unknown: 'answer-frmr',
    'answer-timeout': 'repeat',
    inactivity: 'expire',
  },
  disconnecting: {
    connect: 'misuse',
    send: 'misuse',
    disconnect: 'ignore',
    SNRM: 'ignore',
    DISC: 'answer-ua',
    UA: 'closed',
    DM: 'closed',
    FRMR: 'closed',
    I: 'ignore',
    RR: 'ignore',
    RNR: 'ignore',
    UI: 'notify',
    unknown: 'ignore',
    'answer-timeout': 'repeat',
    inactivity: 'ignore',
  },
} as const satisfies Record<LinkState, Record<LinkInput, LinkAction>>;
