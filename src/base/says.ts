import * as v from 'valibot';

/** A schema with the sentence that the generated documents print for it. `restart`: a reload refuses a change of it. */
export const says = <S extends v.GenericSchema>(what: string, schema: S) => v.pipe(schema, v.description(what));
export const saysRestart = <S extends v.GenericSchema>(what: string, schema: S) =>
  v.pipe(schema, v.description(what), v.metadata({ restart: true }));
