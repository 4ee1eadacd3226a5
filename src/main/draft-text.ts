/** The first configuration, as a file that its owner will read: with comments, and without a secret. */
import type { Draft } from '../desk/setup-routes.ts';

const text = (value: string): string => JSON.stringify(value);
export interface DraftSecrets {
  /** References by the key that needs them. */
  readonly brokerPassword?: string;
  readonly pagePassword?: string;
}

export function draftText(
  draft: Draft,
  { brokerPassword, pagePassword }: DraftSecrets,
  stateDirectory: string | undefined,
): string {
  const { tenant, id, timeZone, clockTrust, broker, ports } = draft;
  const lines = [
    '# Configuration of the meter gateway, made on the page at the first start. Every key: docs/configuration.md.',
    '# Check it after a change: meter-gateway config check. Take it into force: systemctl reload meter-gateway.',
    '',
    '[gateway]',
    `id = ${text(id)}`,
    `tenant = ${text(tenant)}`,
    ...(stateDirectory === undefined ? [] : [`state_directory = ${text(stateDirectory)}`]),
    `time_zone = ${text(timeZone)}`,
    `clock_trust = ${text(clockTrust)}`,
    '',
    '[mqtt]',
    `url = ${text(broker.url)}`,
    ...(broker.username ? [`username = ${text(broker.username)}`] : []),
    ...(brokerPassword === undefined ? [] : [`password = ${text(brokerPassword)}`]),
    ...(broker.caFile ? [`ca_file = ${text(broker.caFile)}`] : []),
    '',
    '# The page for people. A link of `meter-gateway page` opens it.',
    '[page]',
    ...(pagePassword === undefined ? [] : [`password = ${text(pagePassword)}`]),
    ...ports.flatMap(({ name, device, baud, modeE }) => [
      '',
      '[[port]]',
      `name = ${text(name)}`,
      `device = ${text(device)}`,
      ...(modeE ? ['mode_e = true'] : []),
      `baud = ${baud}`,
      '# Its meters come here when they are commissioned: on the page, or by meter-gateway commission.',
    ]),
    '',
  ];
  return lines.join('\n');
}
