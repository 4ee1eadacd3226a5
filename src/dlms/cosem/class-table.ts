/** Interface classes as data (Blue Book 4): names of attributes and methods, in order, from attribute 2 on. */
export interface InterfaceClass {
  readonly name: string;
  readonly attributes: readonly string[];
  readonly methods: readonly string[];
}
export const classTable: Readonly<Record<number, InterfaceClass>> = {
  1: { name: 'Data', attributes: ['value'], methods: [] },
  3: { name: 'Register', attributes: ['value', 'scaler_unit'], methods: ['reset'] },
  4: { name: 'Extended register', attributes: ['value', 'scaler_unit', 'status', 'capture_time'], methods: ['reset'] },
  5: {
    name: 'Demand register',
    attributes: [
      'current_average_value',
      'last_average_value',
      'scaler_unit',
      'status',
      'capture_time',
      'start_time_current',
      'period',
      'number_of_periods',
    ],
    methods: ['reset', 'next_period'],
  },
  7: {
    name: 'Profile generic',
    attributes: [
      'buffer',
      'capture_objects',
      'capture_period',
      'sort_method',
      'sort_object',
      'entries_in_use',
      'profile_entries',
    ],
    methods: ['reset', 'capture'],
  },
  8: {
    name: 'Clock',
    attributes: [
      'time',
      'time_zone',
      'status',
      'daylight_savings_begin',
      'daylight_savings_end',
      'daylight_savings_deviation',
      'daylight_savings_enabled',
      'clock_base',
    ],
    methods: [
      'adjust_to_quarter',
      'adjust_to_measuring_period',
      'adjust_to_minute',
      'adjust_to_preset_time',
      'preset_adjusting_time',
      'shift_time',
    ],
  },
  15: {
    name: 'Association LN',
    attributes: [
      'object_list',
      'associated_partners_id',
      'application_context_name',
      'xDLMS_context_info',
      'authentication_mechanism_name',
      'secret',
      'association_status',
      'security_setup_reference',
      'user_list',
      'current_user',
    ],
    methods: [
      'reply_to_HLS_authentication',
      'change_HLS_secret',
      'add_object',
      'remove_object',
      'add_user',
      'remove_user',
    ],
  },
  23: {
    name: 'IEC HDLC setup',
    attributes: [
      'comm_speed',
      'window_size_transmit',
      'window_size_receive',
      'max_info_field_length_transmit',
      'max_info_field_length_receive',
      'inter_octet_time_out',
      'inactivity_time_out',
      'device_address',
    ],
    methods: [],
  },
  70: {
    name: 'Disconnect control',
    attributes: ['output_state', 'control_state', 'control_mode'],
    methods: ['remote_disconnect', 'remote_reconnect'],
  },
};

export function attributeName(classId: number, attribute: number): string {
  if (attribute === 1) return 'logical_name';
  return classTable[classId]?.attributes[attribute - 2] ?? `attribute ${attribute}`;
}
export const className = (classId: number): string => classTable[classId]?.name ?? `class ${classId}`;

/** The attribute that holds scaler_unit, for classes that have one. */
export function scalerUnitAttribute(classId: number): number | undefined {
  const at = classTable[classId]?.attributes.indexOf('scaler_unit') ?? -1;
  return at < 0 ? undefined : at + 2;
}
