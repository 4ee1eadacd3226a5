/** The words of DLMS tools for numbers of the Green Book. A number without a word is written in hex. */
import { conformanceBit } from '../dlms/xdlms/conformance.ts';
import { hex } from './xml-element.ts';

type Words = Readonly<Record<number, string>>;
export const wordOf = (words: Words, value: number): string => words[value] ?? hex(value, 1);

/** data-access-result and action-result (Green Book 9.5); actions and gets share their words. */
export const results: Words = {
  0: 'Success',
  1: 'HardwareFault',
  2: 'TemporaryFailure',
  3: 'ReadWriteDenied',
  4: 'UndefinedObject',
  9: 'InconsistentClass',
  11: 'UnavailableObject',
  12: 'UnmatchedType',
  13: 'AccessViolated',
  14: 'DataBlockUnavailable',
  15: 'LongGetOrReadAborted',
  16: 'NoLongGetOrReadInProgress',
  17: 'LongSetOrWriteAborted',
  18: 'NoLongSetOrWriteInProgress',
  19: 'DataBlockNumberInvalid',
  250: 'OtherReason',
};
export const contexts: Words = { 1: 'LN', 2: 'SN', 3: 'LN_WITH_CIPHERING', 4: 'SN_WITH_CIPHERING' };
export const mechanisms: Words = {
  0: 'None',
  1: 'Low',
  2: 'High',
  3: 'HighMd5',
  4: 'HighSha1',
  5: 'HighGmac',
  6: 'HighSha256',
  7: 'HighEcdsa',
};
export const requestReasons: Words = { 0: 'Normal', 1: 'Urgent', 30: 'UserDefined' };
export const responseReasons: Words = { 0: 'Normal', 1: 'NotFinished', 30: 'UserDefined' };
export const stateErrors: Words = { 1: 'ServiceNotAllowed', 2: 'ServiceUnknown' };
export const exceptionErrors: Words = {
  1: 'OperationNotPossible',
  2: 'ServiceNotSupported',
  3: 'OtherReason',
  4: 'PduTooLong',
  5: 'DecipheringError',
  6: 'InvocationCounterError',
};

/** Kinds of a confirmed-service-error, each with its values. */
export const serviceErrors: Readonly<Record<number, readonly [string, readonly string[]]>> = {
  0: [
    'ApplicationReference',
    [
      'Other',
      'TimeElapsed',
      'ApplicationUnreachable',
      'ApplicationReferenceInvalid',
      'ApplicationContextUnsupported',
      'ProviderCommunicationError',
      'DecipheringError',
    ],
  ],
  1: [
    'HardwareResource',
    [
      'Other',
      'MemoryUnavailable',
      'ProcessorResourceUnavailable',
      'MassStorageUnavailable',
      'OtherResourceUnavailable',
    ],
  ],
  2: ['VdeStateError', ['Other', 'NoDlmsContext', 'LoadingDataSet', 'StatusNochange', 'StatusInoperable']],
  3: ['Service', ['Other', 'PduSize', 'ServiceUnsupported']],
  4: ['Definition', ['Other', 'ObjectUndefined', 'ObjectClassInconsistent', 'ObjectAttributeInconsistent']],
  5: ['Access', ['Other', 'ScopeOfAccessViolated', 'ObjectAccessInvalid', 'HardwareFault', 'ObjectUnavailable']],
  6: [
    'Initiate',
    ['Other', 'DlmsVersionTooLow', 'IncompatibleConformance', 'PduSizeTooShort', 'RefusedByTheVDEHandler'],
  ],
  7: [
    'LoadDataSet',
    [
      'Other',
      'PrimitiveOutOfSequence',
      'NotLoadable',
      'DatasetSizeTooLarge',
      'NotAwaitedSegment',
      'InterpretationFailure',
      'StorageFailure',
      'DataSetNotReady',
    ],
  ],
  9: ['Task', ['NoRemoteControl', 'tiStopped', 'tiRunning', 'tiUnusable']],
  10: ['OtherError', ['Other']],
};

/** Of each bit of the conformance, the first one first: the book's names without their hyphens, and those of bits that our table lacks. */
export const conformanceWords: readonly string[] = Array.from({ length: 24 }, (_, bit) => {
  const other = ({ 0: 'ReservedZero', 6: 'DeltaValueEncoding', 7: 'ReservedSeven' } as Words)[bit];
  return other ?? pascal(Object.entries(conformanceBit).find(([, number]) => number === bit)?.[0] ?? '');
});
export function pascal(words: string): string {
  return words.replaceAll(/(?:^|-)([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}
