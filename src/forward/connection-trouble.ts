/** What ends a connection to a broker, in words with whose fault it is and the next step. */
import { messageOf } from '../base/errors.ts';
import { reasonText } from './refusal.ts';

/** What TLS says, whose fault it is, and the next step; codes of node:tls and of OpenSSL. */
const certificateTroubles: readonly (readonly [code: RegExp, what: string])[] = [
  [
    /ALTNAME_INVALID/,
    'the broker’s certificate is for another name than mqtt.url (operator): use the name that it was made for',
  ],
  [
    /NOT_YET_VALID|(?<!ALERT_CERTIFICATE)_EXPIRED/,
    'the broker’s certificate has expired or is not valid yet (head-end): look at the gateway’s clock first (timedatectl)',
  ],
  [
    /SELF_SIGNED|UNABLE_TO_VERIFY|UNABLE_TO_GET_ISSUER/,
    'the broker’s certificate is not signed by an authority of mqtt.ca_file (operator): is that the head-end’s, and is this its broker?',
  ],
  [
    /ALERT_(UNKNOWN_CA|BAD_CERTIFICATE|CERTIFICATE|UNSUPPORTED_CERTIFICATE|HANDSHAKE_FAILURE|DECRYPT_ERROR|ACCESS_DENIED)/,
    'the broker refuses our certificate (operator): mqtt.cert_file and mqtt.key must be those the head-end signed, and not expired',
  ],
  [
    /WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG/,
    'the broker does not answer in TLS (operator): does it speak TLS on the port of mqtt.url?',
  ],
];
const stepTroubles: readonly (readonly [message: RegExp, what: string])[] = [
  [/connack timeout/i, 'the broker takes the connection and does not answer CONNECT (head-end)'],
  [/keepalive timeout/i, 'the broker answers no PINGREQ any more (head-end, or the line)'],
];
/** Return codes of CONNACK in MQTT 3.1.1, as reasons of MQTT 5. */
const oldReasons: Readonly<Record<number, number>> = { 1: 0x84, 2: 0x85, 3: 0x88, 4: 0x86, 5: 0x87 };
/** Words for what ended a connection, or kept it from beginning. */
export function troubleOf(
  error: Error & { readonly code?: unknown },
  { beforeTls, reached }: { readonly beforeTls: boolean; readonly reached: boolean },
): string {
  const { code: raw } = error;
  if (typeof raw === 'number') return `the broker refuses the connection: ${reasonText(oldReasons[raw] ?? raw)}`;
  const code = typeof raw === 'string' ? raw : '';
  if (!reached && /connack timeout/i.test(error.message))
    return 'nobody answers at mqtt.url (line, or operator): check name, port, firewall and the way there';
  const step = stepTroubles.find(([one]) => one.test(error.message));
  if (step) return step[1];
  // Whatever has no code comes from reading packets.
  if (code === '' && !beforeTls) return `the broker does not keep to MQTT: ${messageOf(error)} (head-end)`;
  const message = messageOf(error) || code || 'no connection';
  const known = certificateTroubles.find(([one]) => one.test(code))?.[1];
  if (known !== undefined) return `${known}: ${message}`;
  return beforeTls && code === 'ECONNRESET'
    ? `the broker hangs up before TLS is agreed (operator): does it speak TLS on the port of mqtt.url? ${message}`
    : message;
}
