/** The meter models of hardware/meters, by name. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as v from 'valibot';
import { messageOf } from '../base/errors.ts';
import { pathText, readToml } from '../base/toml.ts';
import { type MeterModel, meterModelSchema } from '../meter/model.ts';
import { nearest } from '../base/nearest.ts';
import { type Finding, refusal } from './findings.ts';

const own = fileURLToPath(new URL('../../hardware/meters/', import.meta.url));
const shownAs = 'hardware/meters';

interface Read {
  readonly models: ReadonlyMap<string, MeterModel>;
  /** One that cannot be used stops the gateway: meters that are found by their names would be taken for others. */
  readonly broken: readonly Finding[];
}

const findingOf =
  (file: string) =>
  ({ line, column }: Pick<Finding, 'line' | 'column'>, path: string, message: string): Finding => ({
    severity: 'error',
    code: 'config-invalid',
    fault: 'operator',
    file: `${shownAs}/${file}`,
    line,
    column,
    path,
    about: `model ${file.replace(/\.toml$/, '')}`,
    message,
    next: `Correct this file, or take it out of ${shownAs}; hardware/README.md describes its keys.`,
  });

function modelOf(file: string, text: string): { readonly model?: MeterModel; readonly broken: Finding[] } {
  const { value, problems, place } = readToml(text);
  const finding = findingOf(file);
  if (problems.length > 0) return { broken: problems.map((one) => finding(one, '', `is no TOML: ${one.message}`)) };
  const result = v.safeParse(meterModelSchema, value);
  if (result.success) return { model: result.output, broken: [] };
  const known = Object.keys(meterModelSchema.entries);
  const broken = result.issues.map((issue) => {
    const path = (issue.path ?? []).map((item) => item.key as string | number);
    const meant = issue.expected === 'never' ? nearest(String(path.at(-1)), known) : undefined;
    const message =
      issue.expected === 'never'
        ? `unknown key${meant === undefined ? '' : `; did you mean '${meant}'?`}`
        : issue.received === 'undefined'
          ? 'missing'
          : issue.message;
    return finding(place(path), pathText(path), message);
  });
  return { broken };
}

export function readModels(folder = own): Read {
  const models = new Map<string, MeterModel>();
  const broken: Finding[] = [];
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.toml'))) {
    try {
      const read = modelOf(file, readFileSync(join(folder, file), 'utf8'));
      broken.push(...read.broken);
      if (read.model) models.set(read.model.name, read.model);
    } catch (error) {
      broken.push(findingOf(file)({ line: null, column: null }, '', messageOf(error)));
    }
  }
  return { models, broken };
}

/** All of them. Failure where one is broken. */
export function meterModels(): ReadonlyMap<string, MeterModel> {
  const { models, broken } = readModels();
  if (broken.length > 0) throw refusal(shownAs, broken);
  return models;
}
