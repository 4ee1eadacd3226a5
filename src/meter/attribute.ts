/** How an attribute is asked for, and the value of an answer. */
import type { Data } from '../dlms/axdr/data.ts';
import type { LogicalName } from '../dlms/cosem/logical-name.ts';
import type { Attribute, GetResult, Selection } from '../dlms/xdlms/apdu.ts';

export const attribute = (classId: number, logicalName: LogicalName, id: number, selection?: Selection): Attribute => ({
  classId,
  logicalName,
  attribute: id,
  ...(selection && { selection }),
});
/** The value, where the meter gave one. */
export const dataOf = (result: GetResult | undefined): Data | undefined =>
  result && 'data' in result ? result.data : undefined;
