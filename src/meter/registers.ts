/** Present values of the registers that a profile captures. */
import { integerOf } from '../dlms/axdr/data.ts';
import type { LogicalName } from '../dlms/cosem/logical-name.ts';
import { attribute, dataOf } from './attribute.ts';
import type { ProfileLayout } from './profile-layout.ts';
import type { Session } from './session.ts';

/** Present registers of the profile's columns, raw. */
export async function readRegisters(session: Session, layout: ProfileLayout): Promise<Map<LogicalName, bigint>> {
  const columns = layout.columns.filter(({ classId, attribute: id }) => (classId === 3 || classId === 4) && id === 2);
  const registers = new Map<LogicalName, bigint>();
  if (columns.length === 0) return registers;
  const results = await session.get(columns.map((column) => attribute(column.classId, column.logicalName, 2)));
  columns.forEach((column, i) => {
    const data = dataOf(results[i]);
    const value = data && integerOf(data);
    if (value !== undefined) registers.set(column.logicalName, value);
  });
  return registers;
}
