/** Writes the exchanges of the meter models to test/traces/models; test/meter/models.test.ts replays them. */
import { writeFileSync } from 'node:fs';
import { meterModels } from '../../src/config/meter-models.ts';
import { record, scenarios } from '../../test/support/model-exchanges.ts';

for (const name of Object.keys(scenarios)) {
  const model = meterModels().get(name);
  if (!model) throw new Error(`hardware/meters has no ${name}.toml`);
  const { text } = await record(model);
  writeFileSync(new URL(`../../test/traces/models/${name}.tap`, import.meta.url), text);
  process.stdout.write(`test/traces/models/${name}.tap: ${text.split('\n').length - 2} messages\n`);
}
