/**
 * `config check --live`: opens what the configuration names, beside a gateway that may be running. What that one holds is
 * left to it. Nothing is said on a line of meters, and each probe has its time.
 */
import { execFile } from 'node:child_process';
import { accessSync, constants, statfsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { type ErrorCode, errorTable, Failure, messageOf } from '../base/errors.ts';
import type { Path } from '../base/toml.ts';
import { type Finding, isFault, type Noted } from '../config/findings.ts';
import type { GatewayPlan } from '../config/resolve.ts';
import { probeBroker } from '../forward/broker-probe.ts';
import { topics } from '../contract/topics.ts';
import { listenLine } from '../line/listen-line.ts';
import { probeLine } from '../line/probe-line.ts';
import { systemClock } from '../line/system-clock.ts';
import { storageState } from '../schedule/storage.ts';
import { askStatus } from '../desk/client.ts';
import type { Snapshot } from '../status/snapshot.ts';
import type { LiveCheck } from './looked-at.ts';
import { checkMachine } from './machine-check.ts';
import { synchronisedTeller } from './synchronised.ts';

const brokerLimitMs = 10_000;
/** File systems in memory: what lies there does not outlive a restart. */
const inMemory: ReadonlySet<number> = new Set([0x01021994, 0x858458f6]);

const one = (severity: Noted['severity'], code: ErrorCode, path: Path, message: string, next?: string): LiveCheck => ({
  good: [],
  found: [{ severity, code, path, message, ...(next !== undefined && { next }) }],
});
const good = (...words: string[]): LiveCheck => ({ good: words, found: [] });

async function runningAt(path: string): Promise<Snapshot | undefined> {
  try {
    return await askStatus(path);
  } catch {
    return undefined;
  }
}

async function checkPort(plan: GatewayPlan, i: number, running: Snapshot | undefined): Promise<LiveCheck> {
  const port = plan.ports[i] as GatewayPlan['ports'][number];
  const { name, device } = port;
  const path = ['port', i, 'device'];
  const theirs = running?.ports.find((one) => one.device === device);
  const { good: opens, wrong, remarks } = await probeLine(port, systemClock, theirs?.open === true);
  return {
    good: opens === undefined ? [] : [`port ${name}: ${opens}`],
    found: [
      ...(wrong ? [{ severity: 'error' as const, path, ...wrong }] : []),
      ...remarks.map(({ message, next }) => ({
        severity: 'warning' as const,
        code: 'config-invalid' as const,
        path,
        message,
        next,
      })),
    ],
  };
}

/** Whether the address of a listener can be had. One that the running gateway has is good. */
async function checkListener(plan: GatewayPlan, i: number, running: Snapshot | undefined): Promise<LiveCheck> {
  const { name, device, baud } = plan.listeners[i] as GatewayPlan['listeners'][number];
  if (running?.ports.some((one) => one.device === device && one.open) === true)
    return good(`listener ${name}: the running gateway has it open`);
  try {
    const listening = await listenLine(device, baud, systemClock);
    await listening.close();
    return good(`listener ${name}: ${device} can be had`);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    const { code, message, nextStep: next } = error;
    return { good: [], found: [{ severity: 'error', code, path: ['listen', i, 'device'], message, next }] };
  }
}

async function checkBroker(plan: GatewayPlan, running: Snapshot | undefined): Promise<LiveCheck> {
  const { gateway } = plan.config;
  const path = ['mqtt', 'url'];
  // The running one has tried more than can be tried here, with its own name.
  if (running?.gateway === gateway.id && running.broker.connected && running.broker.trouble === null)
    return good('broker: the running gateway is connected, and has no trouble with it');
  const rules = { topics: topics(gateway.tenant, gateway.id), orders: plan.orders !== undefined };
  const probe = await probeBroker(plan.broker, rules, brokerLimitMs);
  const next = 'Mend what the line says, at the broker or in [mqtt]; then check again.';
  return {
    good: probe.good.map((words) => `broker: ${words}`),
    found: [
      ...probe.wrong.map((message): Noted => {
        const code = message.startsWith('may not') ? 'not-permitted' : 'host-missing';
        return { severity: 'error', code, path, message, next };
      }),
      ...probe.remarks.map(
        (message): Noted => ({ severity: 'warning', code: 'config-invalid', path, message, next: 'Ask the head-end.' }),
      ),
    ],
  };
}

function checkClock({ config }: GatewayPlan): LiveCheck {
  const path = ['gateway', 'clock_trust'];
  const synchronised = synchronisedTeller()();
  if (synchronised.known) return good('clock: the kernel says that it is synchronised');
  if (config.gateway.clock_trust === 'kernel') return one('error', 'time-unknown', path, synchronised.why);
  return one(
    'warning',
    'time-unknown',
    path,
    `${synchronised.why}; clock_trust = "assume" takes it for right all the same`,
  );
}

/** The folder, or the nearest one above it that is there. */
function standing(path: string): string {
  for (let at = path; ; at = dirname(at)) if (statSync(at, { throwIfNoEntry: false })) return at;
}
function checkDisk({ config }: GatewayPlan): LiveCheck {
  const path = ['gateway', 'state_directory'];
  const folder = standing(config.gateway.state_directory);
  const wrong = (message: string, next?: string) => one('error', 'store-failed', path, message, next);
  const { bavail, blocks, bsize, ffree, files, type } = statfsSync(folder);
  if (inMemory.has(type))
    return one(
      'warning',
      'store-failed',
      path,
      `${folder} lies in memory: a restart of the machine empties it`,
      'Name a folder on a disk.',
    );
  try {
    accessSync(folder, constants.W_OK);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EROFS')
      return wrong(`${folder} can only be read: ${messageOf(error)}`);
  }
  if (files > 0 && ffree === 0)
    return wrong(`the disk of ${folder} takes no further file (inodes)`, 'Delete what nobody needs: df -i.');
  const mebibytes = `${Math.round((bavail * bsize) / 2 ** 20)} MiB of ${Math.round((blocks * bsize) / 2 ** 20)} are free at ${folder}`;
  const state = storageState({ freeBytes: bavail * bsize, totalBytes: blocks * bsize }, 'ok');
  if (state === 'ok') return good(`disk: ${mebibytes}`);
  return state === 'full'
    ? wrong(`the disk is full, nothing would be read: ${mebibytes}`)
    : one('warning', 'store-failed', path, `the disk is nearly full: ${mebibytes}`);
}

/** What the files of a unit pass, NAME:PATH, as systemd reads them: line by line, and an empty one takes back those before. */
export function credentialsIn(unit: string): ReadonlyMap<string, string> {
  const passed = new Map<string, string>();
  for (const [, value = ''] of unit.matchAll(/^\s*LoadCredential(?:Encrypted)?\s*=(.*)$/gm)) {
    const [name = '', path] = value.trim().split(/:(.*)/, 2);
    if (name === '') passed.clear();
    else if (path !== undefined) passed.set(name, path);
  }
  return passed;
}
/** Of the unit; undefined where there is no systemd, or no such unit. Its files are read: `show` of systemd 252 says only [unprintable]. */
async function credentialsOfUnit(): Promise<ReadonlyMap<string, string> | undefined> {
  try {
    const cat = ['cat', '--no-pager', 'meter-gateway.service'];
    return credentialsIn((await promisify(execFile)('systemctl', cat, { timeout: 5000 })).stdout);
  } catch {
    return undefined;
  }
}
/** Secrets that only the service sees: the unit says whether it will. What this check cannot find out stays as it was. */
export async function judgeCredentials(
  findings: readonly Finding[],
  unit: () => Promise<ReadonlyMap<string, string> | undefined> = credentialsOfUnit,
): Promise<readonly Finding[]> {
  const nameOf = ({ severity, message }: Finding) =>
    severity === 'unjudged' ? /^credential:([A-Za-z0-9_.-]+)/.exec(message)?.[1] : undefined;
  if (!findings.some((finding) => nameOf(finding) !== undefined)) return findings;
  const passed = await unit();
  if (!passed) return findings;
  return findings.flatMap((finding) => {
    const name = nameOf(finding);
    if (name === undefined) return [finding];
    // Of a folder each file is passed.
    const folder = passed.get('secrets');
    const path = passed.get(name) ?? (folder === undefined ? undefined : join(folder, name));
    const severity = finding.path.startsWith('port') ? ('meter' as const) : ('error' as const);
    const wrong = { ...finding, severity, code: 'secret-missing' as const };
    if (path === undefined)
      return [
        {
          ...wrong,
          message: `credential:${name}: meter-gateway.service passes none of that name`,
          next: 'Write LoadCredential=secrets:/etc/meter-gateway/secrets into the unit, and restart the service.',
        },
      ];
    if (statSync(path, { throwIfNoEntry: false })) return [];
    const next = `sudo meter-gateway secret set ${name}, then restart the service.`;
    return [{ ...wrong, message: `credential:${name}: ${path} does not exist`, next }];
  });
}

/** All of it, side by side. */
export async function checkLive(plan: GatewayPlan, sockets: readonly string[]): Promise<LiveCheck> {
  const running = (await Promise.all(sockets.map(runningAt))).find((snapshot) => snapshot !== undefined);
  const parts = await Promise.all([
    ...plan.ports.map((_, i) => checkPort(plan, i, running)),
    ...plan.listeners.map((_, i) => checkListener(plan, i, running)),
    checkBroker(plan, running),
  ]);
  parts.push(checkClock(plan), checkDisk(plan), checkMachine(plan, Date.now()));
  const state =
    running === undefined
      ? ['no gateway runs at its socket']
      : [`gateway ${running.gateway} runs, version ${running.version}`];
  return { good: [...state, ...parts.flatMap((part) => part.good)], found: parts.flatMap((part) => part.found) };
}

/** The exit code of the worst finding. */
export const exitCodeOf = (findings: readonly Finding[]): number =>
  Math.max(0, ...findings.filter(isFault).map(({ code }) => errorTable[code].exitCode));
