/** The meter models of hardware/meters, by name. */
import { readdirSync, readFileSync } from 'node:fs';
import { parse } from 'smol-toml';
import * as v from 'valibot';
import { Failure } from '../base/errors.ts';
import { type MeterModel, meterModelSchema } from '../meter/model.ts';

const folder = new URL('../../hardware/meters/', import.meta.url);

export function meterModels(): Map<string, MeterModel> {
  const models = new Map<string, MeterModel>();
  for (const name of readdirSync(folder).filter((file) => file.endsWith('.toml'))) {
    const result = v.safeParse(meterModelSchema, parse(readFileSync(new URL(name, folder), 'utf8')));
    if (!result.success) {
      const issues = result.issues.map((issue) => `${v.getDotPath(issue) ?? ''} ${issue.message}`);
      throw new Failure('config-invalid', `hardware/meters/${name}: ${issues.join('; ')}`);
    }
    models.set(result.output.name, result.output);
  }
  return models;
}
