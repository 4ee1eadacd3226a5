/** How a virtual meter is called and spoken to: its addresses, its link parameters, its identification in the sign-on. */
import { callsAllPhysical, serverAddress } from '../dlms/hdlc/frame.ts';
import { baudByZ } from '../dlms/iec62056-21/sign-on.ts';
import type { ServerStackSettings } from '../dlms/stack/server.ts';
import type { VirtualMeterSettings } from './settings.ts';

/** Z of the identification, for a speed that the standard has. */
const zOf = (baud: number): string => Object.keys(baudByZ).find((z) => baudByZ[z] === baud) as string;
export const identificationOf = ({ deviceName = 'SIM', serial, modeEBaud }: VirtualMeterSettings) => ({
  manufacturer: deviceName.slice(0, 3),
  model: `VM${serial}`,
  address: String(serial),
  z: zOf(modeEBaud),
});

export function linkOf(settings: VirtualMeterSettings): ServerStackSettings['link'] {
  if (settings.link === 'wrapper') return { kind: 'wrapper', server: settings.logical };
  const { logical, physical, addressReversed } = settings;
  const [upper, lower] = addressReversed ? [physical, logical] : [logical, physical];
  const size = { maxInfoTransmit: settings.maxInfo, maxInfoReceive: settings.maxInfo };
  const window = { windowTransmit: settings.window, windowReceive: settings.window };
  return {
    kind: 'hdlc',
    settings: {
      role: 'server',
      own: serverAddress(upper, lower),
      accepts: (called) =>
        called.logical === upper &&
        (called.physical === undefined ? settings.onlyOne : called.physical === lower || callsAllPhysical(called)),
      parameters: { ...size, ...window },
      answerTimeoutMs: 0,
      quietMs: 100,
      retries: 0,
      octetMs: settings.octetMs,
      inactivityMs: settings.inactivityMs,
      reassemblyLimit: 65_536,
    },
  };
}
