/** What whoever opens the page must know. */
import type { PageTicket } from '../desk/routes.ts';

/** The link stands alone on the first line, so that it can be copied, or given to a program. */
export function ticketText({ url, permission, validS, fingerprint }: PageTicket): string[] {
  const { hostname, port, protocol } = new URL(url);
  const isHere = hostname === '127.0.0.1' || hostname === 'localhost' || hostname === '[::1]';
  return [
    url,
    `opens once, within ${validS / 60} minutes; whoever opens it may ${permission === 'act' ? 'look and act' : 'look'}`,
    ...(isHere ? [`from another machine: ssh -L ${port}:127.0.0.1:${port} THIS-GATEWAY, and the same link there`] : []),
    ...(fingerprint === null
      ? []
      : [
          `the browser warns of the certificate (${protocol.slice(0, -1)}), which the gateway made itself; its SHA-256 is`,
          fingerprint,
        ]),
  ];
}
