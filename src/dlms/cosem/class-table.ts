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
  6: {
    name: 'Register activation',
    attributes: ['register_assignment', 'mask_list', 'active_mask'],
    methods: ['add_register', 'add_mask', 'delete_mask'],
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
  9: { name: 'Script table', attributes: ['scripts'], methods: ['execute'] },
  11: { name: 'Special days table', attributes: ['entries'], methods: ['insert', 'delete'] },
  12: {
    name: 'Association SN',
    attributes: ['object_list', 'access_rights_list', 'security_setup_reference', 'user_list', 'current_user'],
    methods: [
      'read_by_logicalname',
      'get_attributes_and_methods',
      'change_LLS_secret',
      'change_HLS_secret',
      'get_variable_attribute_and_method_info',
      'reply_to_HLS_authentication',
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
  17: { name: 'SAP assignment', attributes: ['SAP_assignment_list'], methods: ['connect_logical_device'] },
  18: {
    name: 'Image transfer',
    attributes: [
      'image_block_size',
      'image_transferred_blocks_status',
      'image_first_not_transferred_block_number',
      'image_transfer_enabled',
      'image_transfer_status',
      'image_to_activate_info',
    ],
    methods: ['image_transfer_initiate', 'image_block_transfer', 'image_verify', 'image_activate'],
  },
  19: {
    name: 'IEC local port setup',
    attributes: [
      'default_mode',
      'default_baud',
      'prop_baud',
      'response_time',
      'device_addr',
      'pass_p1',
      'pass_p2',
      'pass_w5',
    ],
    methods: [],
  },
  20: {
    name: 'Activity calendar',
    attributes: [
      'calendar_name_active',
      'season_profile_active',
      'week_profile_table_active',
      'day_profile_table_active',
      'calendar_name_passive',
      'season_profile_passive',
      'week_profile_table_passive',
      'day_profile_table_passive',
      'activate_passive_calendar_time',
    ],
    methods: ['activate_passive_calendar'],
  },
  21: { name: 'Register monitor', attributes: ['thresholds', 'monitored_value', 'actions'], methods: [] },
  22: { name: 'Single action schedule', attributes: ['executed_script', 'type', 'execution_time'], methods: [] },
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
  29: {
    name: 'Auto connect',
    attributes: ['mode', 'repetitions', 'repetition_delay', 'calling_window', 'destination_list'],
    methods: ['connect'],
  },
  40: {
    name: 'Push setup',
    attributes: [
      'push_object_list',
      'send_destination_and_method',
      'communication_window',
      'randomisation_start_interval',
      'number_of_retries',
      'repetition_delay',
    ],
    methods: ['push'],
  },
  41: {
    name: 'TCP-UDP setup',
    attributes: ['TCP-UDP_port', 'IP_reference', 'MSS', 'nb_of_sim_conn', 'inactivity_time_out'],
    methods: [],
  },
  42: {
    name: 'IPv4 setup',
    attributes: [
      'DL_reference',
      'IP_address',
      'multicast_IP_address',
      'IP_options',
      'subnet_mask',
      'gateway_IP_address',
      'use_DHCP_flag',
      'primary_DNS_address',
      'secondary_DNS_address',
    ],
    methods: ['add_mc_IP_address', 'delete_mc_IP_address', 'get_nbof_mc_IP_addresses'],
  },
  47: {
    name: 'GSM diagnostic',
    attributes: ['operator', 'status', 'cs_attachment', 'ps_status', 'cell_info', 'adjacent_cells', 'capture_time'],
    methods: [],
  },
  48: {
    name: 'IPv6 setup',
    attributes: [
      'DL_reference',
      'address_config_mode',
      'unicast_IPv6_addresses',
      'multicast_IPv6_addresses',
      'gateway_IPv6_addresses',
      'primary_DNS_address',
      'secondary_DNS_address',
      'traffic_class',
      'neighbor_discovery_setup',
    ],
    methods: ['add_IPv6_address', 'remove_IPv6_address'],
  },
  61: {
    name: 'Register table',
    attributes: ['table_cell_values', 'table_cell_definition', 'scaler_unit'],
    methods: ['reset', 'capture'],
  },
  62: {
    name: 'Compact data',
    attributes: ['compact_buffer', 'capture_objects', 'template_id', 'template_description', 'capture_method'],
    methods: ['reset', 'capture'],
  },
  63: { name: 'Status mapping', attributes: ['status_word', 'mapping_table'], methods: [] },
  64: {
    name: 'Security setup',
    attributes: ['security_policy', 'security_suite', 'client_system_title', 'server_system_title', 'certificates'],
    methods: [
      'security_activate',
      'key_transfer',
      'key_agreement',
      'generate_key_pair',
      'generate_certificate_request',
      'import_certificate',
      'export_certificate',
      'remove_certificate',
    ],
  },
  68: {
    name: 'Arbitrator',
    attributes: ['actions', 'permissions_table', 'weightings_table', 'most_recent_requests_table', 'last_outcome'],
    methods: ['request_action', 'reset'],
  },
  70: {
    name: 'Disconnect control',
    attributes: ['output_state', 'control_state', 'control_mode'],
    methods: ['remote_disconnect', 'remote_reconnect'],
  },
  71: {
    name: 'Limiter',
    attributes: [
      'monitored_value',
      'threshold_active',
      'threshold_normal',
      'threshold_emergency',
      'min_over_threshold_duration',
      'min_under_threshold_duration',
      'emergency_profile',
      'emergency_profile_group_id_list',
      'emergency_profile_active',
      'actions',
    ],
    methods: [],
  },
  72: {
    name: 'M-Bus client',
    attributes: [
      'mbus_port_reference',
      'capture_definition',
      'capture_period',
      'primary_address',
      'identification_number',
      'manufacturer_id',
      'version',
      'device_type',
      'access_number',
      'status',
      'alarm',
      'configuration',
      'encryption_key_status',
    ],
    methods: [
      'slave_install',
      'slave_deinstall',
      'capture',
      'reset_alarm',
      'synchronize_clock',
      'data_send',
      'set_encryption_key',
      'transfer_key',
    ],
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
