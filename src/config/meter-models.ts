/** The meter models of hardware/meters, by name. */
import { readdirSync, readFileSync } from 'node:fs';
import * as v from 'valibot';
import { Failure, messageOf } from '../base/errors.ts';
import { parseToml } from '../base/toml.ts';
import { type MeterModel, meterModelSchema } from '../meter/model.ts';

const folder = new URL('../../hardware/meters/', import.meta.url);

export function meterModels(): Map<string, MeterModel> {
  const models = new Map<string, MeterModel>();
  for (const name of readdirSync(folder).filter((file) => file.endsWith('.toml'))) {
    let table: unknown;
    try {
      table = parseToml(readFileSync(new URL(name, folder), 'utf8'));
    } catch (error) {
      throw new Failure('config-invalid', `hardware/meters/${name}: ${messageOf(error)}`);
    }
    const result = v.safeParse(meterModelSchema, table);
    if (!result.success) {
      const issues = result.issues.map((issue) => `${v.getDotPath(issue) ?? ''} ${issue.message}`);
      throw new Failure('config-invalid', `hardware/meters/${name}: ${issues.join('; ')}`);
    }
    models.set(result.output.name, result.output);
  }
  return models;
}
