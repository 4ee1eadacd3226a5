/** How a line of the configuration is scanned. */
import { Failure } from '../base/errors.ts';
import type { Config } from '../config/schema.ts';
import { parseSelector } from '../line/open-port.ts';
import type { ScanPlan } from './scan-plan.ts';

export type ScannedLine = Pick<ScanPlan, 'line' | 'baud' | 'link'> & { readonly device: string };

/** Failure `unknown-port`. */
export function wayOfPort({ port: ports }: Pick<Config, 'port'>, name: string): ScannedLine {
  const port = ports.find((one) => one.name === name);
  if (!port) {
    const names = ports.map((one) => one.name).join(', ');
    throw new Failure('unknown-port', `no port '${name}' in the configuration; there are ${names}`);
  }
  const { kind } = parseSelector(port.device);
  return {
    device: port.device,
    line: kind,
    // A converter keeps its own speed.
    baud: kind === 'tcp' ? 0 : port.baud,
    link: port.mode_e ? 'mode-e' : port.link,
  };
}
