/** How a simulated meter deviates from IEC 62056-21 while a client signs on. It stands around an honest sign-on. */
import { stripParity, withEvenParity } from '../dlms/iec62056-21/parity.ts';
import type { SignOnServing } from '../dlms/iec62056-21/sign-on.ts';

export interface SignOnDeviations {
  /** Characters before the identification. */
  readonly noise?: string;
  /** Nothing is answered to the first request, or before as many NUL octets as wake a battery device. */
  readonly deafTo?: 'first-request' | 'without-nul';
  /** Proposes its speed and stays at 300 Bd. */
  readonly keepsSpeed?: boolean;
}
const wakeUpOctets = 60;
const isIdentification = (octets: Uint8Array): boolean => stripParity(octets.subarray(0, 1)).octets[0] === 0x2f;

export function deviatingSignOn(honest: SignOnServing, deviations: SignOnDeviations): SignOnServing {
  const { noise = '', deafTo, keepsSpeed } = deviations;
  let deaf = deafTo !== undefined;
  return {
    get handedOver() {
      return honest.handedOver;
    },
    restart: () => honest.restart(),
    receive(octets) {
      if (deafTo === 'without-nul' && octets.length >= wakeUpOctets && octets.every((octet) => octet === 0))
        deaf = false;
      honest.receive(octets);
    },
    pollTransmit() {
      for (let octets = honest.pollTransmit(); octets; octets = honest.pollTransmit()) {
        if (!isIdentification(octets)) return octets;
        const heard = !deaf;
        if (deafTo === 'first-request') deaf = false;
        if (heard) return Buffer.concat([withEvenParity(Buffer.from(noise, 'latin1')), octets]);
      }
      return undefined;
    },
    pollEvent() {
      const event = honest.pollEvent();
      return event && keepsSpeed === true ? { ...event, baud: 300 } : event;
    },
  };
}
