/** A meter that is put into service, as the tests of commissioning name it. */
import type { MeterTarget } from '../../src/commission/meter-record.ts';

export const meterTarget = (more: Partial<MeterTarget> = {}): MeterTarget => ({
  meter: 'm-1',
  point: '643000100000000013',
  serial: '60120001',
  place: null,
  port: 'bus',
  device: '/dev/x',
  baud: 9600,
  link: 'hdlc',
  address: '1/1001',
  client: 17,
  auth: 'lls',
  ciphered: false,
  model: 'auto',
  profile: '1-0:99.1.0*255',
  periodS: 3600,
  currentTransformer: null,
  voltageTransformer: null,
  ...more,
});
