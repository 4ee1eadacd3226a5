/** `meter-gateway config check`: everything that is wrong with a file, and with what it refers to, at once. */
import { countText, findingLines, isFault, refusal } from '../config/findings.ts';
import { judgeFile } from '../config/judge.ts';
import { checkSources } from '../config/sources.ts';

export interface CheckOptions {
  readonly textOnly?: boolean;
  readonly json?: boolean;
}

/** Resolves to the exit code. Faults are a Failure, so that they read like those of the start. */
export function checkConfig(file: string, { textOnly, json }: CheckOptions, print: (line: string) => void): number {
  const { config, findings } = judgeFile(file, { sources: textOnly ? undefined : checkSources });
  const faults = findings.filter(isFault);
  if (json) {
    for (const finding of findings) print(JSON.stringify(finding));
    return faults.length > 0 ? 2 : 0;
  }
  if (!config || faults.length > 0) throw refusal(file, findings);
  for (const line of findingLines(findings)) print(line);
  const meters = config.port.reduce((sum, port) => sum + port.meter.length, 0);
  const what = `gateway ${config.gateway.id}, ${config.port.length} ports, ${meters} meters`;
  print(
    findings.length === 0
      ? `${file} is good: ${what}`
      : `${file}: ${countText(findings)}; the gateway starts with it: ${what}`,
  );
  return 0;
}
