/** Writes meters that were commissioned into the configuration, as they were found: for the command line and for the desk. */
import { Failure } from '../base/errors.ts';
import type { Judge, Proposal } from '../commission/candidates.ts';
import type { MeterRecord } from '../commission/meter-record.ts';
import { judgeText, requirePlan } from '../config/judge.ts';
import { withMeter } from '../config/meter-block.ts';
import { changeFile } from './replace-file.ts';

export interface WrittenInto {
  readonly judge: Judge;
  readonly file: string;
  /** The file as it was read before the meters were commissioned: whoever edited it meanwhile is not overwritten. */
  readonly text: string;
}

type Good = readonly { readonly proposal: Pick<Proposal, 'keys' | 'place'>; readonly record: MeterRecord }[];

/** The configuration with these meters. Failure `config-invalid` where it does not hold with them. */
export function withCommissioned(good: Good, { judge, file, text }: WrittenInto, stamp: string): string {
  const written = good.reduce((before, { proposal, record }) => {
    const [server, physical] = record.address.split('/').map(Number);
    const keys = {
      ...proposal.keys,
      ...(server !== undefined && server !== 1 && { server }),
      ...(physical !== undefined && { physical }),
    };
    const place = proposal.place === '' ? '' : `${proposal.place}; `;
    return withMeter(before, record.port, keys, `${place}commissioned ${stamp}`);
  }, text);
  requirePlan(judgeText(written, { ...judge, name: file }), file);
  return written;
}

/** Returns where the file as it was is kept. Failure `config-invalid` where it was changed, or does not hold with them. */
export const writeCommissioned = (good: Good, into: WrittenInto, stamp: string): string =>
  changeFile(into.file, 'before-commission', (text) => {
    if (text !== into.text)
      throw new Failure(
        'config-invalid',
        `${into.file} was changed while the meters were commissioned: nothing was written; look at it, and run the same command again, it only writes then`,
      );
    return withCommissioned(good, into, stamp);
  });
