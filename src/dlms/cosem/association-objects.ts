/**
 * The object of the current association as a meter has it: class 15 version 2 (Blue Book 4.4.4), or class 12 version 2 with
 * short-name referencing (4.4.3). What it says is of the association in which it is asked.
 */
import type { Data } from '../axdr/data.ts';
import { type LogicalName, logicalNameOctets } from './logical-name.ts';
import { accessResult, array, nameData, octets, readable, type ServerObject, structure } from './server-object.ts';
import { associationShortNameObject } from './short-name.ts';

const securitySetupName: LogicalName = '0.0.43.0.0.255';
const u8 = (value: number): Data => ({ type: 'unsigned', value });
const u16 = (value: number): Data => ({ type: 'long-unsigned', value });
const i8 = (value: number): Data => ({ type: 'integer', value });
const i16 = (value: number): Data => ({ type: 'long', value: (value << 16) >> 16 });

/** 2.16.756.5.8.x.n, as context_name_structure and mechanism_name_structure have it. */
const dlmsName = (branch: number, arc: number): Data =>
  structure(u8(2), u8(16), u16(756), u8(5), u8(8), u8(branch), u8(arc));

/** What may be done with an object: attributes with their rights, then methods. */
const rightsOf = (object: ServerObject): [attributes: Data, methods: Data] => [
  array(
    ...[{ id: 1, access: 1, selectors: undefined }, ...object.attributes.filter(({ id }) => id !== 1)].map((one) =>
      structure(
        i8(one.id),
        { type: 'enum', value: one.access },
        one.selectors ? array(...one.selectors.map(i8)) : { type: 'null-data' },
      ),
    ),
  ),
  array(...(object.methods ?? []).map((method) => structure(i8(method.id), { type: 'enum', value: 1 }))),
];

/** object_list of an association LN, made from the objects themselves. */
const objectList = (objects: readonly ServerObject[]): Data =>
  array(
    ...objects.map((object) =>
      structure(u16(object.classId), u8(object.version), nameData(object.logicalName), structure(...rightsOf(object))),
    ),
  );

/** Passes 3 and 4 of high level security; nothing awaits them once the association stands. */
const replyToHls = { id: 1, act: () => ({ result: accessResult['other-reason'] }) };

export const associationLn: ServerObject = {
  classId: 15,
  version: 2,
  logicalName: associationShortNameObject,
  attributes: [
    { id: 2, access: 1, get: (_, { objects }) => objectList(objects) },
    { id: 3, access: 1, get: (_, { clientSap, serverSap }) => structure(i8(clientSap), u16(serverSap)) },
    { id: 4, access: 1, get: (_, { applicationContext }) => dlmsName(1, applicationContext) },
    {
      id: 5,
      access: 1,
      get: (_, { conformance, maxReceivePdu, maxSendPdu }) =>
        structure(
          { type: 'bit-string', value: conformance.toString(2).padStart(24, '0') },
          u16(maxReceivePdu),
          u16(maxSendPdu),
          u8(6),
          i8(0),
          // A dedicated key shows nothing of itself.
          octets(new Uint8Array(0)),
        ),
    },
    { id: 6, access: 1, get: (_, { mechanism }) => dlmsName(2, mechanism) },
    { id: 7, access: 0 },
    readable(8, { type: 'enum', value: 2 }),
    readable(9, octets(logicalNameOctets(securitySetupName))),
    readable(10, array()),
    readable(11, structure(u8(0), octets(new Uint8Array(0)))),
  ],
  methods: [replyToHls],
};

export const associationSn: ServerObject = {
  classId: 12,
  version: 2,
  logicalName: associationShortNameObject,
  attributes: [
    {
      id: 2,
      access: 1,
      get: (_, { objects, shortNames }) =>
        array(
          ...objects.flatMap((object) => {
            const base = shortNames?.get(object.logicalName);
            const { classId, version, logicalName } = object;
            return base === undefined ? [] : [structure(i16(base), u16(classId), u8(version), nameData(logicalName))];
          }),
        ),
    },
    {
      id: 3,
      access: 1,
      get: (_, { objects, shortNames }) =>
        array(
          ...objects.flatMap((object) => {
            const base = shortNames?.get(object.logicalName);
            return base === undefined ? [] : [structure(i16(base), ...rightsOf(object))];
          }),
        ),
    },
    readable(4, octets(logicalNameOctets(securitySetupName))),
  ],
};
