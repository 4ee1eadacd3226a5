/**
 * Errors say whose fault it is. Octets that do not fit the grammar are a CodecError, caught where octets are received;
 * every other failure is a Failure with a stable code. One table gives each code its family, the fault that is assumed
 * and the next step; the CLI, the reachability verdict and the exit codes all read that table. A code has one meaning: where
 * the next step does not fit a place, that place needs another code.
 */
export class CodecError extends Error {
  readonly offset: number;
  /** Field names from the inside out; `toString` prints them from the outside in. */
  readonly path: string[] = [];
  constructor(message: string, offset: number) {
    super(message);
    this.name = 'CodecError';
    this.offset = offset;
  }
  override toString(): string {
    const where = this.path.length > 0 ? ` in ${this.path.toReversed().join('.')}` : '';
    return `offset ${this.offset}${where}: ${this.message}`;
  }
}

export type Fault = 'meter' | 'line' | 'gateway' | 'operator' | 'head-end';
export type Family = 'codec' | 'remote' | 'refusal' | 'line' | 'local';
interface ErrorEntry {
  readonly family: Family;
  readonly fault: Fault;
  readonly nextStep: string;
  readonly exitCode: number;
}

const entry = (family: Family, fault: Fault, exitCode: number, nextStep: string): ErrorEntry => ({
  family,
  fault,
  nextStep,
  exitCode,
});

/** Exit codes: 1 bad input, 2 usage or configuration, 3 line, 4 the meter broke the rules, 5 the meter refused, 6 store. */
export const errorTable = {
  'malformed-octets': entry(
    'codec',
    'meter',
    4,
    'Save the exchange with --trace and run `meter-gateway decode` on it.',
  ),
  'frame-rejected': entry(
    'remote',
    'meter',
    4,
    'Try again; if it repeats, set max_info = 128 and window = 1 for this meter.',
  ),
  'link-disconnected': entry(
    'remote',
    'meter',
    4,
    'The meter closed the link; wait two minutes for its inactivity time-out and try again.',
  ),
  'unexpected-apdu': entry('remote', 'meter', 4, 'Save the exchange with --trace and report the meter model.'),
  'block-out-of-order': entry('remote', 'meter', 4, 'Try again; if it repeats, lower max_pdu for this meter.'),
  'answer-stalled': entry(
    'remote',
    'meter',
    4,
    'The meter answers, but its answer does not go on: try again; if it repeats, set max_info = 128, window = 1 and transfer_window = 0 for this meter.',
  ),
  'answer-too-long': entry(
    'remote',
    'meter',
    4,
    'More came than was asked for, or than any object has: ask for less at a time (--from, --to); if it repeats, save the exchange with --trace and report the meter model.',
  ),
  'fell-silent': entry(
    'remote',
    'meter',
    4,
    'It answered in this session, so it had mains, and then no more. Try again; where only its sign-on was answered, check --baud; if it stops at the same place each time, save the exchange with --trace and report the meter model.',
  ),
  'answer-too-slow': entry(
    'remote',
    'meter',
    4,
    'Octets come, but no answer within its total: check what else sends on this line, the speed, and the meter.',
  ),
  'meter-set-aside': entry(
    'local',
    'meter',
    4,
    'The others are read meanwhile; it is tried again by itself. Save a session with `meter-gateway read --trace` and report it.',
  ),
  'too-many-elements': entry(
    'remote',
    'meter',
    4,
    'No object of a meter is that large: save the exchange with --trace and report the meter model.',
  ),
  'sign-on-malformed': entry(
    'remote',
    'meter',
    4,
    'Check that the optical head sits straight and that --mode-e is right for this meter.',
  ),
  'service-exception': entry(
    'remote',
    'meter',
    4,
    'The meter refused the service in its present state; try again, then check the client address.',
  ),
  'association-refused': entry(
    'refusal',
    'operator',
    5,
    'Check client and server address, auth, and what else this client wants: keys (ciphering), short names (model).',
  ),
  'proposal-refused': entry(
    'refusal',
    'operator',
    5,
    'The meter will not have what we propose: write a model for it with a smaller max_pdu, multiple_references = false or transfer_window = 0; --trace shows what it says.',
  ),
  'authentication-refused': entry(
    'refusal',
    'operator',
    5,
    'Check the password (hls-gmac: both keys; hls-ecdsa: the signing key). Do not try many times: meters lock for up to 24 hours.',
  ),
  'mechanism-refused': entry(
    'refusal',
    'operator',
    5,
    'The meter did not judge the password: it wants another mechanism. Set --auth (auth in the configuration) to the one that this client has in the meter: lls, or one of hls-…',
  ),
  'meter-unproven': entry(
    'refusal',
    'meter',
    5,
    'The meter did not prove that it has our secret or key: where its model never does, one_sided_proof = true in the model; else somebody may be answering in its place.',
  ),
  'protection-weaker': entry(
    'refusal',
    'operator',
    5,
    'The meter protects less than policy asks for: set policy to what its security setup says; where it is the InitiateResponse alone, initiate_protection in its model. If it protected more before, somebody may be answering in its place.',
  ),
  'authentication-required': entry(
    'refusal',
    'operator',
    5,
    'This client must authenticate itself: --auth lls, or the hls-… that the meter has, with its password; in the configuration auth and secret. Without a password only client 16 is let in, and sees little.',
  ),
  'deciphering-failed': entry(
    'remote',
    'operator',
    5,
    'Check encryption and authentication key and the system titles. Not repeated by itself: meters lock.',
  ),
  'replayed-counter': entry(
    'remote',
    'meter',
    4,
    'An answer came with an invocation counter that was used before: somebody may be replaying. If the meter lost its counter: `meter-gateway meter counter accept METER`.',
  ),
  'counter-implausible': entry(
    'refusal',
    'meter',
    5,
    'The meter names an invocation counter far beyond ours, and could not prove it: compare with what its display or the maker’s tool shows. If it is right: `meter-gateway meter counter accept METER`. If not, somebody answers in its place.',
  ),
  'counter-used-up': entry(
    'refusal',
    'operator',
    5,
    'Change the encryption key in the meter and in the configuration: a new key begins a new counter.',
  ),
  'counter-unknown': entry(
    'local',
    'gateway',
    6,
    'The counter that the gateway kept for this key is lost, and none is guessed: read the meter once (`meter-gateway poll METER`), it is asked for what it heard.',
  ),
  'title-changed': entry(
    'refusal',
    'operator',
    5,
    'Another device answers with this meter’s keys. If the meter was replaced: `meter-gateway meter swap`, or where its serial number stayed: `meter-gateway meter counter accept METER`.',
  ),
  'counters-spent': entry(
    'local',
    'gateway',
    2,
    'One session sends only so many protected requests: ask for less in one session, then for the rest in another. The key need not be changed for that.',
  ),
  'backed-off': entry(
    'refusal',
    'operator',
    5,
    'Mend key, password or client address first, then try once with --force (`meter-gateway poll METER --force`). Every try counts towards the meter’s lock.',
  ),
  'access-refused': entry(
    'refusal',
    'operator',
    5,
    'This client may not read that object, or the meter does not have it.',
  ),
  'value-unavailable': entry(
    'refusal',
    'meter',
    5,
    'The meter gives no value, and says neither that it lacks the object nor that we may not read it: try again later; if it repeats, report the meter model.',
  ),
  'identity-mismatch': entry(
    'refusal',
    'operator',
    5,
    'Another meter answers at this address: check the serial number on the meter.',
  ),
  'identity-unknown': entry(
    'refusal',
    'operator',
    5,
    'Let this client read 0-0:96.1.0 or 0-0:42.0.0 in the meter, or enter as another client: rows are not taken from a meter that does not say which one it is.',
  ),
  'period-mismatch': entry(
    'refusal',
    'operator',
    5,
    'Set period_s of this profile to what the meter captures; one that captures at no period (0) must be set up first.',
  ),
  'no-answer': entry(
    'line',
    'line',
    3,
    'Check power, A/B polarity, the address and the speed; over TCP also whether it speaks HDLC or the wrapper (link).',
  ),
  'push-stranger': entry(
    'refusal',
    'operator',
    5,
    'Configure this meter under [[port]] or [[listen]] with its serial number, its meter_title and its keys; or find out who sends this here.',
  ),
  'push-only': entry(
    'local',
    'operator',
    2,
    'A meter under [[listen]] is never asked; move it under a [[port]] where it can be polled as well.',
  ),
  'push-flood': entry(
    'line',
    'meter',
    3,
    'Look at the push schedules of the meters behind this address, or raise per_minute of the [[listen]].',
  ),
  'no-push': entry(
    'line',
    'line',
    3,
    'Check power at the meter, the destination in its push setup (address, port, link), and the network between.',
  ),
  'bus-silent': entry(
    'line',
    'line',
    3,
    'Look at what they share: the power of the adapter, A/B polarity at its clamps, the cable up to the first meter, termination; then the speed, and who switches the direction of the adapter.',
  ),
  'echo-only': entry(
    'line',
    'line',
    3,
    'Only our own octets come back, so adapter and our side work: check that the meter has power, A/B polarity, the cable beyond the adapter, the address and the speed.',
  ),
  'damaged-answer': entry(
    'line',
    'line',
    3,
    'Octets arrive damaged: check termination, shield, grounding and the speed.',
  ),
  'port-missing': entry(
    'line',
    'line',
    3,
    'Check the cable of the adapter and the device name: ls -l /dev/serial/by-id',
  ),
  'port-denied': entry(
    'line',
    'operator',
    3,
    'Give the user this port: usermod -aG dialout USER, then log in again; in the unit SupplementaryGroups=dialout and DeviceAllow=. TCP ports below 1024 want another number.',
  ),
  'port-busy': entry(
    'line',
    'operator',
    3,
    'Another program uses this port: stop it (the gateway itself? see meter-gateway status).',
  ),
  'direction-unsupported': entry(
    'line',
    'operator',
    2,
    'Write direction = "auto" for this port where its adapter switches by itself, as nearly all USB adapters do; else the other one of "kernel" and "rts". hardware/adapters.md says which adapter needs what.',
  ),
  'port-lost': entry(
    'line',
    'line',
    3,
    'The port is gone: was the adapter unplugged, or did its driver end? Check the cable, and dmesg.',
  ),
  'host-missing': entry(
    'line',
    'line',
    3,
    'Check that the meter or converter is on the network at this address, and that nobody else holds its one connection.',
  ),
  'connection-lost': entry(
    'line',
    'meter',
    3,
    'The meter or converter closed the connection in the middle of a session: try again; if it repeats, see whether another master uses it.',
  ),
  'turn-stuck': entry(
    'line',
    'line',
    3,
    'The port was closed and is opened anew; if it comes again, change the adapter or its driver and keep the log.',
  ),
  busy: entry('local', 'gateway', 2, 'It is at work for somebody else: wait, and ask again.'),
  'not-supported': entry(
    'local',
    'gateway',
    2,
    'This version cannot do that: choose what the message names instead, or report the meter model.',
  ),
  'request-too-long': entry(
    'local',
    'meter',
    2,
    'The meter takes only short requests: read by another way (selection = "entry" or "whole" in its model), or without ciphering where that is allowed.',
  ),
  'bad-argument': entry('local', 'operator', 2, 'See --help.'),
  'secret-missing': entry(
    'local',
    'operator',
    2,
    'Gateway: correct the reference or what it names, then reload. Command line, a password: METER_SECRET, --secret-file or the prompt; keys: METER_EK and METER_AK, or --keys.',
  ),
  'key-unfit': entry(
    'local',
    'operator',
    2,
    'Write keys in hex, 32 digits (suite 2: 64); a private key in PEM, P-256 or P-384 (mqtt: what the broker takes), without a passphrase.',
  ),
  'input-unreadable': entry(
    'local',
    'operator',
    1,
    'Look at the place that the message names. decode takes the formats of docs/decode.md, and --format NAME where it takes one for another; --keys is TOML with ek, ak, secret; a scenario is TOML, a snapshot what browse --save wrote.',
  ),
  'list-unfit': entry(
    'local',
    'operator',
    1,
    'Correct the work list, or have it exported again, and run the same command: nothing was sent on the line.',
  ),
  'report-unproven': entry(
    'local',
    'operator',
    1,
    'Take the file as the gateway wrote it (reports, in the folder of the site): this one was changed, or signed by nobody.',
  ),
  'backup-unfit': entry(
    'local',
    'operator',
    2,
    'Nothing was changed: take another backup. What `meter-gateway backup` has not written whole, or a later version wrote, is not taken.',
  ),
  'file-unusable': entry(
    'local',
    'operator',
    2,
    'Check the path and your rights to it. A file that exists is never overwritten: name another.',
  ),
  'unknown-meter': entry(
    'local',
    'operator',
    2,
    'meter-gateway status lists the meters. One that was just configured comes with systemctl reload meter-gateway.',
  ),
  'gateway-stops': entry(
    'local',
    'gateway',
    2,
    'The gateway was stopping, or took another configuration: ask again in a moment.',
  ),
  'unknown-port': entry(
    'local',
    'operator',
    2,
    'meter-gateway status lists the ports by the names of the configuration.',
  ),
  'nothing-waits': entry(
    'local',
    'operator',
    2,
    'There is nothing to accept: meter-gateway status shows at a meter what waits for a word.',
  ),
  'restart-needed': entry(
    'local',
    'operator',
    2,
    'This cannot change while the gateway runs: systemctl restart meter-gateway.',
  ),
  'config-invalid': entry('local', 'operator', 2, 'Correct the file and run `meter-gateway config check`.'),
  'no-gateway': entry(
    'local',
    'operator',
    2,
    'Is the service running? systemctl status meter-gateway. Another socket: --socket PATH, or --config FILE of that gateway.',
  ),
  'not-permitted': entry(
    'local',
    'operator',
    2,
    'Use sudo. For a socket alone: become a member of its group, and log in again: status_group looks, technician_group acts (desk.sock).',
  ),
  'time-unknown': entry(
    'local',
    'gateway',
    6,
    'Set the clock (timedatectl set-time) or let a time server set it (timedatectl timesync-status); reading begins by itself.',
  ),
  'socket-taken': entry(
    'local',
    'operator',
    2,
    'Another process serves this socket: stop it (is it this gateway already?), or name another status_socket.',
  ),
  'store-locked': entry('local', 'operator', 6, 'Another gateway process owns this store: stop it first.'),
  'store-damaged': entry(
    'local',
    'gateway',
    6,
    'It is mended by itself, and what is lost is read again as far back as the meters have it; where the whole store did not open, what it was is kept beside it as store.damaged-N.',
  ),
  'store-too-new': entry(
    'local',
    'operator',
    6,
    'Install the version that wrote it, or a later one; or restore a backup that this version made.',
  ),
  'store-failed': entry(
    'local',
    'gateway',
    6,
    'Check space, rights and health of the disk, and the memory: df -h, ls -ld, free -m, dmesg.',
  ),
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof errorTable;
/** What another version wrote may be a code that this one does not know. */
export const errorCodeOf = (text: unknown): ErrorCode | undefined =>
  typeof text === 'string' && Object.hasOwn(errorTable, text) ? (text as ErrorCode) : undefined;
/** What the store does not take, or found wrong with itself, is no fault of the meter that is read. */
export const isOfStore = (code: ErrorCode): boolean => code === 'store-failed' || code === 'store-damaged';

export class Failure extends Error {
  readonly code: ErrorCode;
  readonly detail: Readonly<Record<string, unknown>>;
  constructor(code: ErrorCode, message: string, detail: Readonly<Record<string, unknown>> = {}) {
    super(message);
    this.name = 'Failure';
    this.code = code;
    this.detail = detail;
  }
  get family(): Family {
    return errorTable[this.code].family;
  }
  get fault(): Fault {
    return errorTable[this.code].fault;
  }
  /** What is known here to be done (`detail.next`), else what the code says. */
  get nextStep(): string {
    const { next } = this.detail;
    return typeof next === 'string' ? next : errorTable[this.code].nextStep;
  }
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  if (error instanceof CodecError) return error.toString();
  return error instanceof Error ? error.message : String(error);
}
