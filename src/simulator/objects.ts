/** The COSEM objects of a virtual meter, made over what it measures, stores and is set to. Each has all of its mandatory attributes. */
import type { Data } from '../dlms/axdr/data.ts';
import { associationLn, associationSn } from '../dlms/cosem/association-objects.ts';
import type { LogicalName } from '../dlms/cosem/logical-name.ts';
import { clockColumn, type CaptureObject, captureObjectData } from '../dlms/cosem/profile-generic.ts';
import {
  accessResult,
  array,
  nameData,
  octets,
  readable,
  type ServerObject,
  structure,
} from '../dlms/cosem/server-object.ts';
import { associationBaseName, associationShortNameObject } from '../dlms/cosem/short-name.ts';
import type { Selection } from '../dlms/xdlms/apdu.ts';
import type { Quirk } from './quirk.ts';

const invocationCounterName = '0.0.43.1.0.255';
export const loadProfileName = '1.0.99.1.0.255';
export const import18 = '1.0.1.8.0.255';
const export28 = '1.0.2.8.0.255';
const statusName = '0.0.96.10.1.255';
const pushSetupName = '0.0.25.9.0.255';
export const profileColumns: readonly CaptureObject[] = [
  clockColumn,
  { classId: 1, logicalName: statusName, attribute: 2, dataIndex: 0 },
  { classId: 3, logicalName: import18, attribute: 2, dataIndex: 0 },
  { classId: 3, logicalName: export28, attribute: 2, dataIndex: 0 },
];
export const energyColumn: CaptureObject = {
  classId: 3,
  logicalName: '1.0.1.29.0.255',
  attribute: 2,
  dataIndex: 0,
};
/** What a list holds that is sent unasked. */
export const pushedObjects: readonly CaptureObject[] = [
  { classId: 40, logicalName: pushSetupName, attribute: 2, dataIndex: 0 },
  clockColumn,
  { classId: 3, logicalName: import18, attribute: 2, dataIndex: 0 },
  { classId: 3, logicalName: import18, attribute: 3, dataIndex: 0 },
  { classId: 3, logicalName: export28, attribute: 2, dataIndex: 0 },
];
export const u8 = (value: number): Data => ({ type: 'unsigned', value });
const u16 = (value: number): Data => ({ type: 'long-unsigned', value });
export const u32 = (value: number): Data => ({ type: 'double-long-unsigned', value });
const enumerated = (value: number): Data => ({ type: 'enum', value });
const scaled = (scaler: number, unit: number): Data => structure({ type: 'integer', value: scaler }, enumerated(unit));
export const wh: Data = scaled(0, 30);
/** European summer time, in the meter's local time: the last Sundays of March and October, 01:00 UTC. */
function changeOfClock(month: 3 | 10, deviationMin: number): Data {
  const summer = month === 10 ? 60 : 0;
  const deviation = deviationMin - summer;
  const minutes = (60 - deviation + 1440) % 1440;
  const status = summer > 0 ? 0x80 : 0;
  const date = [0xff, 0xff, month, 0xfe, 7];
  const time = [Math.floor(minutes / 60), minutes % 60, 0, 0];
  return octets(Uint8Array.from([...date, ...time, (deviation >> 8) & 0xff, deviation & 0xff, status]));
}
const dataObject = (logicalName: LogicalName, value: Data | (() => Data)): ServerObject => ({
  classId: 1,
  version: 0,
  logicalName,
  attributes: [readable(2, value)],
});

/** Numerator and denominator of each, as the meter tells them. */
export interface Transformers {
  readonly current?: readonly [number, number];
  readonly voltage?: readonly [number, number];
}
/** What the objects are made of. */
export interface MeterFace {
  readonly settings: {
    readonly serial: number;
    readonly logical: number;
    readonly physical: number;
    readonly link: 'hdlc' | 'wrapper';
    readonly pushS: number;
    readonly deviationMin: number;
    readonly dst: boolean;
    readonly maxInfo: number;
    readonly window: number;
    readonly inactivityMs: number;
    readonly baud: number;
    readonly capturesEnergies: boolean;
    readonly referencing?: 'logical-name' | 'short-name';
    readonly descending: boolean;
    readonly loadProfile: LogicalName;
    readonly transformers: Transformers;
  };
  readonly quirks: readonly Quirk[];
  readonly deviceName: string;
  readonly register: (channel: 0 | 1) => number;
  /** What the clock shows; a quirk of the clock is in it. */
  readonly time: () => Uint8Array;
  /** Sets the clock; a data-access-result. */
  readonly setTime: (value: Data) => number;
  readonly configurationChanges: () => number;
  readonly invocationCounter: () => number;
  readonly profile: {
    readonly columns: () => readonly CaptureObject[];
    readonly buffer: (selection: Selection | undefined) => Data | { refused: number };
    readonly periodS: () => number;
    readonly setPeriod: (value: Data) => number;
    readonly inUse: () => number;
    readonly entries: () => number;
  };
  readonly log: (number: number, selection: Selection | undefined) => Data | { refused: number };
  readonly logEntries: (number: number) => number;
  readonly supply: { readonly state: () => number; readonly switchTo: (state: 0 | 1) => void };
  /** Image transfer, security setup. */
  readonly others: readonly ServerObject[];
}

const register = (face: MeterFace, logicalName: LogicalName, channel: 0 | 1): ServerObject => ({
  classId: 3,
  version: 0,
  logicalName,
  attributes: [
    readable(2, () => u32(face.register(channel))),
    {
      id: 3,
      access: 1,
      get: () => face.quirks.reduce<Data | { refused: number }>((value, quirk) => quirk.scalerUnit?.(wh) ?? value, wh),
    },
  ],
});

const clock = ({ settings, time, setTime }: MeterFace): ServerObject => ({
  classId: 8,
  version: 0,
  logicalName: clockColumn.logicalName,
  attributes: [
    { id: 2, access: 3, get: () => octets(time()), set: setTime },
    readable(3, { type: 'long', value: settings.deviationMin }),
    readable(4, () => u8(time()[11] as number)),
    readable(5, changeOfClock(3, settings.deviationMin)),
    readable(6, changeOfClock(10, settings.deviationMin)),
    readable(7, { type: 'integer', value: 60 }),
    readable(8, { type: 'boolean', value: settings.dst }),
    // An internal crystal.
    readable(9, enumerated(1)),
  ],
});

const loadProfile = ({ settings, profile }: MeterFace): ServerObject => ({
  classId: 7,
  version: 1,
  logicalName: settings.loadProfile,
  attributes: [
    { id: 2, access: 1, selectors: [1, 2], get: profile.buffer },
    readable(3, array(...profile.columns().map(captureObjectData))),
    { id: 4, access: 3, get: () => u32(profile.periodS()), set: profile.setPeriod },
    readable(5, enumerated(settings.descending ? 2 : 1)),
    readable(6, captureObjectData(clockColumn)),
    readable(7, () => u32(profile.inUse())),
    readable(8, () => u32(profile.entries())),
  ],
});

function eventLog(face: MeterFace, log: number): ServerObject[] {
  const code: CaptureObject = { classId: 1, logicalName: `0.0.96.11.${log}.255`, attribute: 2, dataIndex: 0 };
  return [
    dataObject(code.logicalName, u8(0)),
    {
      classId: 7,
      version: 1,
      logicalName: `0.0.99.98.${log}.255`,
      attributes: [
        { id: 2, access: 1, selectors: [1, 2], get: (selection) => face.log(log, selection) },
        readable(3, array(captureObjectData(clockColumn), captureObjectData(code))),
        readable(4, u32(0)),
        readable(5, enumerated(1)),
        // Not sorted by an object.
        readable(6, captureObjectData({ classId: 0, logicalName: '0.0.0.0.0.0', attribute: 0, dataIndex: 0 })),
        readable(7, () => u32(face.logEntries(log))),
        readable(8, () => u32(Math.max(1000, face.logEntries(log)))),
      ],
    },
  ];
}

const disconnector = ({ supply }: MeterFace): ServerObject => {
  const to = (state: 0 | 1) => ({
    act: () => {
      supply.switchTo(state);
      return { result: accessResult.success };
    },
  });
  return {
    classId: 70,
    version: 0,
    logicalName: '0.0.96.3.10.255',
    attributes: [
      readable(2, () => ({ type: 'boolean', value: supply.state() === 1 })),
      readable(3, () => enumerated(supply.state())),
      readable(4, enumerated(2)),
    ],
    methods: [
      { id: 1, ...to(0) },
      { id: 2, ...to(1) },
    ],
  };
};

/** Speeds of class 23 by their enum. */
const speeds = [300, 600, 1200, 2400, 4800, 9600, 19_200, 38_400, 57_600, 115_200];
const hdlcSetup = ({ settings }: MeterFace): ServerObject => ({
  classId: 23,
  version: 1,
  logicalName: '0.0.22.0.0.255',
  attributes: [
    readable(2, enumerated(Math.max(0, speeds.indexOf(settings.baud === 0 ? 9600 : settings.baud)))),
    readable(3, u8(settings.window)),
    readable(4, u8(settings.window)),
    readable(5, u16(settings.maxInfo)),
    readable(6, u16(settings.maxInfo)),
    readable(7, u16(25)),
    readable(8, u16(Math.round(settings.inactivityMs / 1000))),
    readable(9, u16(settings.physical)),
  ],
});

const pushSetup = ({ settings }: MeterFace): ServerObject => ({
  classId: 40,
  version: 0,
  logicalName: pushSetupName,
  attributes: [
    readable(2, array(...pushedObjects.map(captureObjectData))),
    // Over HDLC or TCP, as A-XDR encoded xDLMS APDUs; where to, the line knows.
    readable(3, structure(enumerated(settings.link === 'hdlc' ? 5 : 0), octets(new Uint8Array(0)), enumerated(0))),
    readable(4, array()),
    readable(5, u16(0)),
    readable(6, u8(0)),
    readable(7, u16(0)),
  ],
  methods: [{ id: 1, act: () => ({ result: accessResult['temporary-failure'] }) }],
});

/** Ratios of the transformers (Blue Book 7.5.1, values of group D 0 and E 4): numerators at F 2 and 3, denominators at 5 and 6. */
const transformerRatios = ({ current, voltage }: Transformers): ServerObject[] => [
  ...(current ? [dataObject('1.0.0.4.2.255', u16(current[0])), dataObject('1.0.0.4.5.255', u16(current[1]))] : []),
  ...(voltage ? [dataObject('1.0.0.4.3.255', u16(voltage[0])), dataObject('1.0.0.4.6.255', u16(voltage[1]))] : []),
];

export function meterObjects(face: MeterFace): ServerObject[] {
  const { settings } = face;
  return [
    settings.referencing === 'short-name' ? associationSn : associationLn,
    dataObject('0.0.42.0.0.255', octets(Buffer.from(face.deviceName))),
    dataObject('0.0.96.1.0.255', octets(Buffer.from(String(settings.serial)))),
    dataObject(statusName, () => u8(0)),
    // Changes of the configuration so far.
    dataObject('0.0.96.2.0.255', () => u32(face.configurationChanges())),
    // What the meter heard last from the client by GMAC: whoever is behind reads it with the public client.
    dataObject(invocationCounterName, () => u32(face.invocationCounter())),
    clock(face),
    ...transformerRatios(settings.transformers),
    register(face, import18, 0),
    register(face, export28, 1),
    ...(settings.capturesEnergies
      ? [
          {
            classId: 3,
            version: 0,
            logicalName: energyColumn.logicalName,
            attributes: [readable(2, u32(0)), readable(3, scaled(1, 30))],
          },
        ]
      : []),
    loadProfile(face),
    ...face.quirks.flatMap(({ objects = [] }) => objects),
    ...[0, 1, 2].flatMap((log) => eventLog(face, log)),
    disconnector(face),
    hdlcSetup(face),
    ...(settings.pushS > 0 ? [pushSetup(face)] : []),
    ...face.others,
    {
      classId: 17,
      version: 0,
      logicalName: '0.0.41.0.0.255',
      attributes: [readable(2, array(structure(u16(settings.logical), nameData('0.0.42.0.0.255'))))],
    },
  ];
}

/** Base names of a meter with short-name referencing: the association where it always is, the others far enough apart. */
export const baseNames = (objects: readonly ServerObject[]): Map<LogicalName, number> =>
  new Map(
    objects.map(({ logicalName }, i) => [
      logicalName,
      logicalName === associationShortNameObject ? associationBaseName : 0x1000 + i * 0x100,
    ]),
  );
