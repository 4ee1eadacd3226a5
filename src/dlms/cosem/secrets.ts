/**
 * Where secrets stand in a meter (Blue Book 4; IEC 62056-6-2): attributes that hold a password, a key or a PIN, and
 * methods that are given one. They are not read by `browse` and `read`, and `decode` strikes them out.
 */
import type { CaptureObject } from './profile-generic.ts';

interface SecretRow {
  /** `all`: books and implementations do not agree on the place of the keys, or versions move them. */
  readonly attributes?: readonly number[] | 'all';
  readonly methods?: readonly number[];
}
export const secretTable: Readonly<Record<number, SecretRow>> = {
  // Association SN: change_LLS_secret, change_HLS_secret.
  12: { methods: [3, 4] },
  // Association LN: secret; change_HLS_secret.
  15: { attributes: [7], methods: [2] },
  // IEC local port setup: pass_p1, pass_p2, pass_w5.
  19: { attributes: [7, 8, 9] },
  // Utility tables: the buffer may be the security or the key table of ANSI C12.19.
  26: { attributes: [4] },
  // Modem configuration: initialisation strings carry PINs and passwords of access points.
  27: { attributes: [3] },
  // Data protection: parameters with wrapped keys.
  30: { attributes: [4, 5] },
  // PPP setup: user name and password of PAP, CHAP or EAP.
  44: { attributes: [5] },
  // GPRS modem setup: PIN_code.
  45: { attributes: [3] },
  // SMTP setup: login_password.
  46: { attributes: [4] },
  // Security setup: key_transfer.
  64: { methods: [2] },
  // Parameter monitor: changed_parameter holds the new value of whatever was changed.
  65: { attributes: [2] },
  // M-Bus client: set_encryption_key, transfer_key.
  72: { methods: [7, 8] },
  // G3-PLC MAC setup: mac_key_table.
  91: { attributes: [5] },
  95: { attributes: 'all' },
  // NTP setup: authentication_keys, client_key; add_authentication_key.
  100: { attributes: [6, 7], methods: [2] },
  // ZigBee SAS startup: link key and network key stand at 9 and 10, or at 10 and 11.
  101: { attributes: [9, 10, 11] },
  // ZigBee network control: register_device with the link key.
  104: { methods: [1] },
  // LoRaWAN setup; HS-PLC MAC setup.
  128: { attributes: 'all' },
  140: { attributes: 'all' },
};

export function isSecretAttribute(classId: number, attribute: number): boolean {
  const secret = secretTable[classId]?.attributes ?? [];
  return secret === 'all' ? attribute > 1 : secret.includes(attribute);
}
export const isSecretMethod = (classId: number, method: number): boolean =>
  secretTable[classId]?.methods?.includes(method) ?? false;

/** A buffer or a pushed list of these columns holds a secret. Attribute 0 of a column means all attributes. */
export const holdsSecret = (columns: readonly Pick<CaptureObject, 'classId' | 'attribute'>[]): boolean =>
  columns.some(({ classId, attribute }) =>
    attribute === 0 ? secretTable[classId]?.attributes !== undefined : isSecretAttribute(classId, attribute),
  );
