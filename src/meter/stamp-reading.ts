/** How the stamps of a meter are read, by its model. */
import type { StampReading } from '../dlms/cosem/date-time.ts';
import type { RowReading } from '../reading/profile-reader.ts';
import type { MeterModel } from './model.ts';

export const stampReading = (model: MeterModel): StampReading => ({
  ...(model.stamp_deviation_min !== undefined && { deviationMin: model.stamp_deviation_min }),
  inverted: model.deviation_inverted,
  overridden: model.stamp_deviation_overridden,
  summerShiftMin: model.summer_shift_min,
});

export const rowReading = (model: MeterModel): RowReading => ({
  ...stampReading(model),
  untaggedStamps: model.untagged_stamps,
});
