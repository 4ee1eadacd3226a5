/** Octets that are no text: a capture, or what went over a line. */
import { captureReader } from './capture.ts';
import type { InputReader, InputSettings } from './item.ts';
import { rawReader } from './raw.ts';

export function binaryReader(first: Uint8Array, settings: InputSettings): InputReader {
  return captureReader(first, settings) ?? rawReader();
}
