/** The answer of a meter that lets everybody in, in the clear. */
import { encodeAcse } from '../../src/dlms/acse/apdu.ts';
import { serverConformance } from '../../src/dlms/association/server-conformance.ts';
import { encodeApdu } from '../../src/dlms/xdlms/apdu.ts';

/** `more`: services that it takes besides those of the simulator. */
export const acceptingAare = (maxPdu: number, more = 0): Uint8Array =>
  encodeAcse({
    kind: 'aare',
    applicationContext: 1,
    result: 0,
    diagnostic: { source: 'acse-service-user', code: 0 },
    userInformation: encodeApdu({
      kind: 'initiate-response',
      version: 6,
      conformance: serverConformance | more,
      maxPdu,
      vaaName: 7,
    }),
  });
