/** What is found wrong with a configuration: where it stands, whose it is, what to do about it. */
import { type ErrorCode, errorTable, Failure } from '../base/errors.ts';
import { type Path, pathText, type Place } from '../base/toml.ts';

/** What the configuration refers to. Each fails with a Failure that says what is wrong and what to do. */
export interface Sources {
  /** Reads what `file:/…` or `credential:…` refers to. */
  readonly secret: (reference: string) => Uint8Array;
  readonly file: (path: string) => Uint8Array;
  /** Throws where no socket can be made. `ours`: its folder is the state directory, which the start makes. */
  readonly socket: (path: string, ours: boolean) => void;
  /** Throws where this group cannot be given the socket. */
  readonly group: (group: string, key: string) => void;
  /** Throws where this folder cannot hold the state: it is none, cannot be made, or belongs to another gateway. */
  readonly state: (directory: string) => void;
  /**
   * Our system title in this life of the process, where the configuration pins none. It is another one in each: whatever
   * happened to the state directory, no key, title and counter come together twice.
   */
  readonly lifeTitle: Uint8Array;
  /** The device that a path stands for, through its links; the path itself where nothing is there. */
  readonly device: (path: string) => string;
  /** For the dates of certificates. */
  readonly now: () => number;
}
/** error: no plan. meter: that meter is not polled. unjudged: only the service can see it. */
export type Severity = 'error' | 'meter' | 'warning' | 'unjudged';
/** A finding as it is noted, before its place in the file is known. */
export interface Noted {
  readonly severity: Severity;
  readonly code: ErrorCode;
  readonly path: Path;
  readonly message: string;
  /** The next step; left out: that of the code. */
  readonly next?: string | undefined;
  /** Other keys on which it rests: where one of those is wrong itself, this may be no fault. */
  readonly restsOn?: readonly Path[] | undefined;
  /** The other place that the message names; its line is added. */
  readonly other?: Path | undefined;
}
export interface Finding {
  readonly severity: Severity;
  readonly code: ErrorCode;
  readonly fault: string;
  readonly file: string;
  /** null: of the file as a whole. */
  readonly line: number | null;
  readonly column: number | null;
  /** `port[0].meter[1].secret`; empty where the text is no TOML there. */
  readonly path: string;
  /** `meter m-60120001`, `port bus-1`, `broker`, `gateway`. */
  readonly about: string;
  readonly message: string;
  readonly next: string;
}

/** Collects what is wrong, and goes on. */
export class Findings {
  readonly all: Noted[] = [];
  add(severity: Severity, path: Path, message: string, more: Partial<Omit<Noted, 'severity' | 'path'>> = {}): void {
    this.all.push({ severity, path, message, code: 'config-invalid', ...more });
  }
  /** What a source gives; undefined where it fails, which is then a finding of this severity. */
  attempt<T>(
    severity: Severity,
    path: Path,
    source: () => T,
    more: Pick<Noted, 'next' | 'restsOn'> = {},
  ): T | undefined {
    try {
      return source();
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      const { next, unjudged } = error.detail;
      this.add(unjudged === true ? 'unjudged' : severity, path, error.message, {
        code: error.code,
        ...more,
        ...(typeof next === 'string' && { next }),
      });
      return undefined;
    }
  }
}

type Tables = Readonly<Record<string, unknown>>;
const tableAt = (value: unknown, key: string | number): Tables | undefined => {
  const found = (value as Tables | undefined)?.[key];
  return typeof found === 'object' && found !== null ? (found as Tables) : undefined;
};
function nameIn(table: Tables | undefined, key: string): string | undefined {
  const found = table?.[key];
  return typeof found === 'string' && found !== '' ? found : undefined;
}

/** Whose a key is, by the text itself: also where it does not fit the schema. */
function aboutOf(path: Path, value: Tables): string {
  const [top, i, below, j] = path;
  if (top === 'mqtt') return 'broker';
  if (top !== 'port') return top === undefined ? 'file' : String(top);
  if (typeof i !== 'number') return 'ports';
  const port = tableAt(tableAt(value, 'port'), i);
  const portName = nameIn(port, 'name') ?? `${i + 1}`;
  if (below !== 'meter' || typeof j !== 'number') return `port ${portName}`;
  const meter = tableAt(tableAt(port, 'meter'), j);
  return `meter ${nameIn(meter, 'id') ?? `${j + 1} of port ${portName}`}`;
}

export interface Located {
  readonly file: string;
  readonly value: Tables;
  readonly place: (path: Path) => Place;
}
/** With the place in the file. A key that stands nowhere in it is named by the table that should hold it. */
export const located = (noted: Noted, { file, value, place }: Located): Finding => ({
  severity: noted.severity,
  code: noted.code,
  fault: errorTable[noted.code].fault,
  file,
  ...place(noted.path),
  path: pathText(noted.path),
  about: aboutOf(noted.path, value),
  message: noted.other ? `${noted.message} (line ${place(noted.other).line})` : noted.message,
  next: noted.next ?? errorTable[noted.code].nextStep,
});

const severities = {
  error: '',
  meter: 'this meter is not polled: ',
  warning: 'warning: ',
  unjudged: 'not judged here: ',
} as const;
/** One line: `gateway.toml:34:10: meter m-1: port[0].meter[1].secret: …`. */
export const findingText = ({ severity, file, line, column, about, path, message }: Finding): string =>
  [
    line === null ? file : `${file}:${line}:${column}`,
    ...(about === 'file' || about === path.split('.')[0] ? [] : [about]),
    ...(path === '' ? [] : [path]),
    `${severities[severity]}${message}`,
  ].join(': ');
export const nextText = ({ fault, next }: Finding): string => `    next (${fault}): ${next}`;
/** In one line, for the log and the status. */
export const findingLine = (finding: Finding): string => `${findingText(finding)}; ${nextText(finding).trim()}`;
export const findingLines = (findings: readonly Finding[]): string[] =>
  findings.flatMap((one) => [findingText(one), nextText(one)]);

/** Whether a finding stops the gateway, or a meter. */
export const isFault = ({ severity }: { readonly severity: Severity }): boolean =>
  severity === 'error' || severity === 'meter';
const counted = (count: number, one: string): string => `${count} ${one}${count === 1 ? '' : 's'}`;
export function countText(findings: readonly Finding[]): string {
  const faults = findings.filter(isFault).length;
  const of = (severity: Severity) => findings.filter((one) => one.severity === severity).length;
  const parts = [
    ...(faults > 0 ? [counted(faults, 'fault')] : []),
    ...(of('warning') > 0 ? [counted(of('warning'), 'warning')] : []),
    ...(of('unjudged') > 0 ? [`${of('unjudged')} not judged here`] : []),
  ];
  return parts.length === 0 ? 'nothing wrong' : parts.join(', ');
}
/** All of them at once, as the Failure of whoever needed the file. */
export function refusal(file: string, findings: readonly Finding[]): Failure {
  const faults = findings.filter(isFault);
  const code = faults.every((one) => one.code === 'restart-needed') ? 'restart-needed' : 'config-invalid';
  return new Failure(code, [`${file}: ${countText(findings)}`, ...findingLines(findings)].join('\n'));
}
