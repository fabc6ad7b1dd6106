/** Small JSON files that are checked by CRC when read: a flipped bit in an id or a number would still be JSON. */
import { crc32 } from 'node:zlib';

/** @returns the object as JSON, with a last field `crc32` of the JSON without it */
export function seal(value: object): string {
  const text = JSON.stringify(value);
  return JSON.stringify({ ...value, crc32: crc32(text) });
}

/**
 * @returns the object that was sealed; one without a seal as it is, from before there were seals
 * @throws SyntaxError where the text is no JSON object, or another one than was sealed
 */
export function unseal(text: string): Readonly<Record<string, unknown>> {
  const value: unknown = JSON.parse(text);
  if (typeof value !== 'object' || value === null) throw new SyntaxError('no JSON object');
  const { crc32: found, ...sealed } = value as Readonly<Record<string, unknown>>;
  if (found !== undefined && found !== crc32(JSON.stringify(sealed))) throw new SyntaxError('does not match its CRC');
  return sealed;
}
