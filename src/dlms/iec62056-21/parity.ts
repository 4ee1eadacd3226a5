/**
 * 7E1 in software over an 8N1 port: both are ten bits on the wire. The port stays 8N1, so that the hand-over to HDLC
 * needs only another speed, parity errors are seen, and all of it runs on a pty.
 */
export function withEvenParity(octets: Uint8Array): Uint8Array {
  return octets.map((octet) => {
    let bits = octet & 0x7f;
    bits ^= bits >> 4;
    bits ^= bits >> 2;
    bits ^= bits >> 1;
    return (octet & 0x7f) | ((bits & 1) << 7);
  });
}

/** Strips bit 7 and counts octets of odd parity. */
export function stripParity(octets: Uint8Array): { octets: Uint8Array; errors: number } {
  const whole = withEvenParity(octets);
  let errors = 0;
  for (let i = 0; i < octets.length; i++) if (octets[i] !== whole[i]) errors++;
  return { octets: octets.map((octet) => octet & 0x7f), errors };
}
