/** `meter-gateway config check`: everything that is wrong with a file, and with what it refers to, at once. */
import { serviceSocket } from '../cli/ask.ts';
import { countText, type Finding, findingLines, isFault, refusal } from '../config/findings.ts';
import { judgeFile } from '../config/judge.ts';
import { everyMeter } from '../config/listened.ts';
import type { Config } from '../config/schema.ts';
import { checkSources } from '../config/sources.ts';
import { checkLive, exitCodeOf, judgeCredentials } from './live-check.ts';

export interface CheckOptions {
  readonly textOnly?: boolean;
  readonly live?: boolean;
  readonly json?: boolean;
}
type Print = (line: string) => void;

function goodText(file: string, config: Config, findings: readonly Finding[]): string {
  const listeners = config.listen.length === 0 ? '' : `, ${config.listen.length} listeners`;
  const what = `gateway ${config.gateway.id}, ${config.port.length} ports${listeners}, ${everyMeter(config).length} meters`;
  return findings.length === 0
    ? `${file} is good: ${what}`
    : `${file}: ${countText(findings)}; the gateway starts with it: ${what}`;
}

/** Resolves to the exit code. Faults of the file are a Failure, so that they read like those of the start. */
export async function checkConfig(file: string, options: CheckOptions, print: Print): Promise<number> {
  const { textOnly, live, json } = options;
  const { config, plan, findings, locate } = judgeFile(file, { sources: textOnly ? undefined : checkSources });
  const lively = live === true && plan !== undefined;
  const sockets = plan === undefined ? [] : [...new Set([plan.statusSocket, serviceSocket])];
  const probed = lively ? await checkLive(plan, sockets) : { good: [], found: [] };
  const all = [...(lively ? await judgeCredentials(findings) : findings), ...probed.found.map(locate)];
  if (json) {
    for (const finding of all) print(JSON.stringify(finding));
    return exitCodeOf(all);
  }
  for (const words of probed.good) print(`good: ${words}`);
  if (!config || (!lively && all.some(isFault))) throw refusal(file, all);
  for (const line of findingLines(all)) print(line);
  print(all.some(isFault) ? `${file}: ${countText(all)}` : goodText(file, config, all));
  return exitCodeOf(all);
}
