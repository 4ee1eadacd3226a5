/** An APDU of each kind, and more of those that are a choice, with the XML of it: written by hand, by the rules that 62 outputs show. */
import type { Apdu } from '../../src/dlms/xdlms/apdu.ts';

const attribute = { classId: 3, logicalName: '1.0.1.8.0.255', attribute: 2 } as const;
const descriptor =
  '<AttributeDescriptor><ClassId Value="0003" /><InstanceId Value="0100010800FF" /><AttributeId Value="02" /></AttributeDescriptor>';
const method = { classId: 70, logicalName: '0.0.96.3.10.255', method: 1 } as const;
const methodDescriptor =
  '<MethodDescriptor><ClassId Value="0046" /><InstanceId Value="000060030AFF" /><MethodId Value="01" /></MethodDescriptor>';
const id = '<InvokeIdAndPriority Value="C1" />';
const raw = Uint8Array.of(0xab, 0xcd);
const block = { last: true, number: 2, raw };
const blockXml = '<LastBlock Value="01" /><BlockNumber Value="00000002" /><RawData Value="ABCD" />';
const selection = { selector: 2, parameters: { type: 'unsigned', value: 7 } } as const;
const selectionXml =
  '<AccessSelection><AccessSelector Value="02" /><AccessParameters><UInt8 Value="07" /></AccessParameters></AccessSelection>';
const seven = { type: 'unsigned', value: 7 } as const;
const title = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
const empty = new Uint8Array(0);

/** Each with its XML, tags one after the other. */
export const apdusOfEachKind: readonly (readonly [Apdu, string])[] = [
  [
    { kind: 'get-request-with-list', invokeId: 0xc1, attributes: [{ ...attribute, selection }] },
    `<GetRequest><GetRequestWithList>${id}<AttributeDescriptorList Qty="01" ><AttributeDescriptorWithSelection>${descriptor}${selectionXml}</AttributeDescriptorWithSelection></AttributeDescriptorList></GetRequestWithList></GetRequest>`,
  ],
  [
    { kind: 'get-response-with-list', invokeId: 0xc1, results: [{ data: seven }, { refused: 4 }] },
    `<GetResponse><GetResponseWithList>${id}<Result Qty="02" ><Data><UInt8 Value="07" /></Data><DataAccessError Value="UndefinedObject" /></Result></GetResponseWithList></GetResponse>`,
  ],
  [
    { kind: 'get-response-with-datablock', invokeId: 0xc1, last: true, number: 3, result: { refused: 19 } },
    `<GetResponse><GetResponsewithDataBlock>${id}<Result><LastBlock Value="01" /><BlockNumber Value="00000003" /><Result><DataAccessResult Value="DataBlockNumberInvalid" /></Result></Result></GetResponsewithDataBlock></GetResponse>`,
  ],
  [
    { kind: 'set-request-normal', invokeId: 0xc1, attribute, selection, value: seven },
    `<SetRequest><SetRequestNormal>${id}${descriptor}${selectionXml}<Value><UInt8 Value="07" /></Value></SetRequestNormal></SetRequest>`,
  ],
  [
    { kind: 'set-request-with-first-datablock', invokeId: 0xc1, attribute, selection: undefined, block },
    `<SetRequest><SetRequestFirstDataBlock>${id}${descriptor}<DataBlock>${blockXml}</DataBlock></SetRequestFirstDataBlock></SetRequest>`,
  ],
  [
    { kind: 'set-request-with-datablock', invokeId: 0xc1, block },
    `<SetRequest><SetRequestWithDataBlock>${id}<DataBlock>${blockXml}</DataBlock></SetRequestWithDataBlock></SetRequest>`,
  ],
  [
    {
      kind: 'set-request-with-list',
      invokeId: 0xc1,
      attributes: [{ ...attribute, selection: undefined }],
      values: [seven],
    },
    `<SetRequest><SetRequestWithList>${id}<AttributeDescriptorList Qty="01" ><AttributeDescriptorWithSelection>${descriptor}</AttributeDescriptorWithSelection></AttributeDescriptorList><ValueList Qty="01" ><UInt8 Value="07" /></ValueList></SetRequestWithList></SetRequest>`,
  ],
  [
    {
      kind: 'set-request-with-list-and-first-datablock',
      invokeId: 0xc1,
      attributes: [{ ...attribute, selection: undefined }],
      block,
    },
    `<SetRequest><SetRequestWithListAndFirstDataBlock>${id}<AttributeDescriptorList Qty="01" ><AttributeDescriptorWithSelection>${descriptor}</AttributeDescriptorWithSelection></AttributeDescriptorList><DataBlock>${blockXml}</DataBlock></SetRequestWithListAndFirstDataBlock></SetRequest>`,
  ],
  [
    { kind: 'set-response-last-datablock-with-list', invokeId: 0xc1, results: [0, 3], number: 2 },
    `<SetResponse><SetResponseWithLastDataBlockWithList>${id}<Result Qty="02" ><DataAccessResult Value="Success" /><DataAccessResult Value="ReadWriteDenied" /></Result><BlockNumber Value="00000002" /></SetResponseWithLastDataBlockWithList></SetResponse>`,
  ],
  [
    { kind: 'action-request-with-list-and-first-pblock', invokeId: 0xc1, methods: [method], block },
    `<ActionRequest><ActionRequestWithListAndFirstBlock>${id}<MethodDescriptorList Qty="01" >${methodDescriptor}</MethodDescriptorList><PBlock>${blockXml}</PBlock></ActionRequestWithListAndFirstBlock></ActionRequest>`,
  ],
  [
    { kind: 'set-response-datablock', invokeId: 0xc1, number: 2 },
    `<SetResponse><SetResponseDataBlock>${id}<BlockNumber Value="00000002" /></SetResponseDataBlock></SetResponse>`,
  ],
  [
    { kind: 'set-response-last-datablock', invokeId: 0xc1, result: 0, number: 2 },
    `<SetResponse><SetResponseWithLastDataBlock>${id}<Result Value="Success" /><BlockNumber Value="00000002" /></SetResponseWithLastDataBlock></SetResponse>`,
  ],
  [
    { kind: 'set-response-with-list', invokeId: 0xc1, results: [0, 3] },
    `<SetResponse><SetResponseWithList>${id}<Result Qty="02" ><DataAccessResult Value="Success" /><DataAccessResult Value="ReadWriteDenied" /></Result></SetResponseWithList></SetResponse>`,
  ],
  [
    { kind: 'action-request-next-pblock', invokeId: 0xc1, number: 2 },
    `<ActionRequest><ActionRequestForNextPBlock>${id}<BlockNumber Value="00000002" /></ActionRequestForNextPBlock></ActionRequest>`,
  ],
  [
    { kind: 'action-request-with-first-pblock', invokeId: 0xc1, method, block },
    `<ActionRequest><ActionRequestWithFirstBlock>${id}${methodDescriptor}<PBlock>${blockXml}</PBlock></ActionRequestWithFirstBlock></ActionRequest>`,
  ],
  [
    { kind: 'action-response-normal', invokeId: 0xc1, response: { result: 13, returned: { refused: 250 } } },
    `<ActionResponse><ActionResponseNormal>${id}<Result Value="AccessViolated" /><ReturnParameters><DataAccessError Value="OtherReason" /></ReturnParameters></ActionResponseNormal></ActionResponse>`,
  ],
  [
    {
      kind: 'read-response',
      results: [
        { kind: 'data', value: seven },
        { kind: 'refused', value: 9 },
        { kind: 'data-block', value: block },
        { kind: 'block-number', value: 2 },
      ],
    },
    '<ReadResponse Qty="04" ><Data><UInt8 Value="07" /></Data><DataAccessError Value="InconsistentClass" /><DataBlockResult><LastBlock Value="01" /><BlockNumber Value="0002" /><RawData Value="ABCD" /></DataBlockResult><BlockNumber Value="0002" /></ReadResponse>',
  ],
  [
    { kind: 'read-request', variables: [{ kind: 'block-number-access', value: 2 }] },
    '<ReadRequest Qty="01" ><BlockNumberAccess><BlockNumber Value="0002" /></BlockNumberAccess></ReadRequest>',
  ],
  [
    { kind: 'write-request', variables: [{ kind: 'variable-name', value: 0xfa08 }], values: [seven] },
    '<WriteRequest><ListOfVariableAccessSpecification Qty="01" ><VariableName Value="FA08" /></ListOfVariableAccessSpecification><ListOfData Qty="01" ><UInt8 Value="07" /></ListOfData></WriteRequest>',
  ],
  [
    {
      kind: 'write-response',
      results: [
        { kind: 'success', value: null },
        { kind: 'refused', value: 12 },
      ],
    },
    '<WriteResponse Qty="02" ><Success /><DataAccessError Value="UnmatchedType" /></WriteResponse>',
  ],
  [
    {
      kind: 'access-request',
      longInvokeId: 0xc0000001,
      dateTime: empty,
      specifications: [
        { kind: 'set', value: attribute },
        { kind: 'action', value: method },
        { kind: 'get-with-selection', value: { attribute, selection } },
      ],
      data: [seven, { type: 'null-data' }, { type: 'null-data' }],
    },
    `<AccessRequest><LongInvokeIdAndPriority Value="C0000001" /><DateTime Value="" /><AccessRequestBody><AccessRequestSpecification Qty="03" ><_AccessRequestSpecification><AccessRequestSet>${descriptor}</AccessRequestSet></_AccessRequestSpecification><_AccessRequestSpecification><AccessRequestAction>${methodDescriptor}</AccessRequestAction></_AccessRequestSpecification><_AccessRequestSpecification><AccessRequestGetWithSelection>${descriptor}${selectionXml}</AccessRequestGetWithSelection></_AccessRequestSpecification></AccessRequestSpecification><AccessRequestListOfData Qty="03" ><UInt8 Value="07" /><None /><None /></AccessRequestListOfData></AccessRequestBody></AccessRequest>`,
  ],
  [
    { kind: 'data-notification-confirm', longInvokeId: 1, dateTime: empty },
    '<DataNotificationConfirm><LongInvokeIdAndPriority Value="00000001" /><DateTime Value="" /></DataNotificationConfirm>',
  ],
  [
    { kind: 'data-notification', longInvokeId: 1, dateTime: empty, body: { type: 'structure', value: [seven] } },
    '<DataNotification><LongInvokeIdAndPriority Value="00000001" /><DateTime Value="" /><NotificationBody><DataValue><Structure Qty="01" ><UInt8 Value="07" /></Structure></DataValue></NotificationBody></DataNotification>',
  ],
  [
    { kind: 'event-notification', time: undefined, attribute, value: seven },
    `<EventNotificationRequest>${descriptor}<AttributeValue><UInt8 Value="07" /></AttributeValue></EventNotificationRequest>`,
  ],
  [
    {
      kind: 'information-report-request',
      time: undefined,
      variables: [{ kind: 'variable-name', value: 8 }],
      values: [seven],
    },
    '<InformationReportRequest><ListOfVariableAccessSpecification Qty="01" ><VariableName Value="0008" /></ListOfVariableAccessSpecification><ListOfData Qty="01" ><UInt8 Value="07" /></ListOfData></InformationReportRequest>',
  ],
  [
    { kind: 'exception-response', stateError: 2, serviceError: 6, invocationCounter: 9 },
    '<ExceptionResponse><StateError Value="ServiceUnknown" /><ServiceError Value="InvocationCounterError" /><InvocationCounter Value="00000009" /></ExceptionResponse>',
  ],
  [
    { kind: 'confirmed-service-error', service: 1, error: 6, value: 1 },
    '<ConfirmedServiceError><Service Value="01" /><ServiceError><Initiate Value="DlmsVersionTooLow" /></ServiceError></ConfirmedServiceError>',
  ],
  [
    {
      kind: 'general-ciphering',
      transactionId: title,
      originator: title,
      recipient: title,
      dateTime: empty,
      otherInformation: empty,
      keyInfo: { kind: 'agreed-key', value: { parameters: Uint8Array.of(2), key: raw } },
      content: Uint8Array.of(0x31, 0, 0, 0, 1, 0xaa),
    },
    '<GeneralCiphering><TransactionId Value="0102030405060708" /><OriginatorSystemTitle Value="0102030405060708" /><RecipientSystemTitle Value="0102030405060708" /><DateTime Value="" /><OtherInformation Value="" /><KeyInfo><AgreedKey><KeyParameters Value="02" /><KeyCipheredData Value="ABCD" /></AgreedKey></KeyInfo><CipheredContent Value="3100000001AA" /></GeneralCiphering>',
  ],
  [
    { kind: 'glo-event-notification', content: Uint8Array.of(0x30, 0, 0, 0, 1, 0xaa) },
    '<glo_EventNotificationRequest Value="3000000001AA" />',
  ],
  [
    {
      kind: 'initiate-response',
      qualityOfService: undefined,
      version: 6,
      conformance: 0,
      maxPdu: 512,
      vaaName: 0xfa00,
    },
    '<InitiateResponse><NegotiatedDlmsVersionNumber Value="06" /><NegotiatedConformance></NegotiatedConformance><NegotiatedMaxPduSize Value="0200" /><VaaName Value="FA00" /></InitiateResponse>',
  ],
  [
    {
      kind: 'initiate-request',
      dedicatedKey: title,
      responseAllowed: false,
      qualityOfService: 3,
      version: 6,
      conformance: 0x18,
      maxPdu: 512,
    },
    '<InitiateRequest><DedicatedKey Value="(withheld)" /><ResponseAllowed Value="00" /><ProposedQualityOfService Value="3" /><ProposedDlmsVersionNumber Value="06" /><ProposedConformance><ConformanceBit Name="Get" /><ConformanceBit Name="Set" /></ProposedConformance><ProposedMaxPduSize Value="0200" /></InitiateRequest>',
  ],
  [
    { kind: 'get-request-normal', invokeId: 0xc1, attribute, selection },
    `<GetRequest><GetRequestNormal>${id}${descriptor}${selectionXml}</GetRequestNormal></GetRequest>`,
  ],
  [
    { kind: 'get-request-next', invokeId: 0xc1, number: 2 },
    `<GetRequest><GetRequestForNextDataBlock>${id}<BlockNumber Value="00000002" /></GetRequestForNextDataBlock></GetRequest>`,
  ],
  [
    { kind: 'get-response-normal', invokeId: 0xc1, result: { refused: 11 } },
    `<GetResponse><GetResponseNormal>${id}<Result><DataAccessError Value="UnavailableObject" /></Result></GetResponseNormal></GetResponse>`,
  ],
  [
    { kind: 'set-response-normal', invokeId: 0xc1, result: 1 },
    `<SetResponse><SetResponseNormal>${id}<Result Value="HardwareFault" /></SetResponseNormal></SetResponse>`,
  ],
  [
    { kind: 'action-request-normal', invokeId: 0xc1, method, parameters: seven },
    `<ActionRequest><ActionRequestNormal>${id}${methodDescriptor}<MethodInvocationParameters><UInt8 Value="07" /></MethodInvocationParameters></ActionRequestNormal></ActionRequest>`,
  ],
  [
    { kind: 'action-request-with-list', invokeId: 0xc1, methods: [method], parameters: [seven] },
    `<ActionRequest><ActionRequestWithList>${id}<MethodDescriptorList Qty="01" >${methodDescriptor}</MethodDescriptorList><MethodInvocationParameters Qty="01" ><UInt8 Value="07" /></MethodInvocationParameters></ActionRequestWithList></ActionRequest>`,
  ],
  [
    { kind: 'action-request-with-pblock', invokeId: 0xc1, block },
    `<ActionRequest><ActionRequestWithBlock>${id}<PBlock>${blockXml}</PBlock></ActionRequestWithBlock></ActionRequest>`,
  ],
  [
    { kind: 'action-response-with-pblock', invokeId: 0xc1, block },
    `<ActionResponse><ActionResponseWithPBlock>${id}<PBlock>${blockXml}</PBlock></ActionResponseWithPBlock></ActionResponse>`,
  ],
  [
    { kind: 'action-response-next-pblock', invokeId: 0xc1, number: 2 },
    `<ActionResponse><ActionResponseNextBlock>${id}<BlockNumber Value="00000002" /></ActionResponseNextBlock></ActionResponse>`,
  ],
  [
    {
      kind: 'action-response-with-list',
      invokeId: 0xc1,
      responses: [
        { result: 0, returned: { data: seven } },
        { result: 2, returned: undefined },
      ],
    },
    `<ActionResponse><ActionResponseWithList>${id}<ListOfResponses Qty="02" ><SingleResponse><Result Value="Success" /><ReturnParameters><Data><UInt8 Value="07" /></Data></ReturnParameters></SingleResponse><SingleResponse><Result Value="TemporaryFailure" /></SingleResponse></ListOfResponses></ActionResponseWithList></ActionResponse>`,
  ],
  [
    {
      kind: 'unconfirmed-write-request',
      variables: [
        { kind: 'parameterized-access', value: { name: 8, selector: 1, parameter: seven } },
        { kind: 'write-data-block-access', value: { last: false, number: 1 } },
        { kind: 'read-data-block-access', value: block },
      ],
      values: [seven],
    },
    '<UnconfirmedWriteRequest><ListOfVariableAccessSpecification Qty="03" ><ParameterisedAccess><VariableName Value="0008" /><Selector Value="01" /><Parameter><UInt8 Value="07" /></Parameter></ParameterisedAccess><WriteDataBlockAccess><LastBlock Value="00" /><BlockNumber Value="0001" /></WriteDataBlockAccess><ReadDataBlockAccess><LastBlock Value="01" /><BlockNumber Value="0002" /><RawData Value="ABCD" /></ReadDataBlockAccess></ListOfVariableAccessSpecification><ListOfData Qty="01" ><UInt8 Value="07" /></ListOfData></UnconfirmedWriteRequest>',
  ],
  [
    {
      kind: 'access-response',
      longInvokeId: 1,
      dateTime: empty,
      specifications: [{ kind: 'get', value: attribute }],
      data: [seven],
      results: [
        { kind: 'get', value: 0 },
        { kind: 'action', value: 3 },
      ],
    },
    `<AccessResponse><LongInvokeIdAndPriority Value="00000001" /><DateTime Value="" /><AccessResponseBody><AccessRequestSpecification Qty="01" ><_AccessRequestSpecification><AccessRequestGet>${descriptor}</AccessRequestGet></_AccessRequestSpecification></AccessRequestSpecification><AccessResponseListOfData Qty="01" ><UInt8 Value="07" /></AccessResponseListOfData><AccessResponseSpecification Qty="02" ><_AccessResponseSpecification><AccessResponseGet><Result Value="Success" /></AccessResponseGet></_AccessResponseSpecification><_AccessResponseSpecification><AccessResponseAction><Result Value="ReadWriteDenied" /></AccessResponseAction></_AccessResponseSpecification></AccessResponseSpecification></AccessResponseBody></AccessResponse>`,
  ],
  [
    { kind: 'general-glo-ciphering', systemTitle: title, content: raw },
    '<GeneralGloCiphering><SystemTitle Value="0102030405060708" /><CipheredService Value="ABCD" /></GeneralGloCiphering>',
  ],
  [
    { kind: 'general-ded-ciphering', systemTitle: title, content: raw },
    '<GeneralDedCiphering><SystemTitle Value="0102030405060708" /><CipheredService Value="ABCD" /></GeneralDedCiphering>',
  ],
  [
    {
      kind: 'general-signing',
      transactionId: title,
      originator: title,
      recipient: title,
      dateTime: empty,
      otherInformation: empty,
      content: raw,
      signature: Uint8Array.of(0xee),
    },
    '<GeneralSigning><TransactionId Value="0102030405060708" /><OriginatorSystemTitle Value="0102030405060708" /><RecipientSystemTitle Value="0102030405060708" /><DateTime Value="" /><OtherInformation Value="" /><Content Value="ABCD" /><Signature Value="EE" /></GeneralSigning>',
  ],
  [
    { kind: 'general-block-transfer', control: 0x81, number: 1, acknowledged: 2, content: raw },
    '<GeneralBlockTransfer><BlockControl Value="81" /><BlockNumber Value="0001" /><BlockNumberAck Value="0002" /><BlockData Value="ABCD" /></GeneralBlockTransfer>',
  ],
  [{ kind: 'ded-get-request', content: raw }, '<ded_GetRequest Value="ABCD" />'],
  [{ kind: 'glo-confirmed-service-error', content: raw }, '<glo_GloConfirmedServiceError Value="ABCD" />'],
];
