/**
 * Steps over JSON in bytes without making anything of it. Each function takes the place where something begins and returns
 * the place behind it, or -1 where it is broken or only unusual: which of the two is for `JSON.parse` to say.
 *
 * The bytes are UTF-8, and a brace follows what is stepped over: only a string can run past it, so only strings look for the end.
 */
import { dateMs, twoDigits } from '../../core/timestamp.ts';

export const QUOTE = 0x22;
export const COMMA = 0x2c;
export const OPEN_ARRAY = 0x5b;
export const CLOSE_ARRAY = 0x5d;
export const OPEN = 0x7b;
export const CLOSE = 0x7d;
const PLUS = 0x2b;
const MINUS = 0x2d;
const POINT = 0x2e;
const ZERO = 0x30;
const COLON = 0x3a;
const LETTER_T = 0x54;
export const LETTER_N = 0x6e;
const LETTER_Z = 0x5a;
const BACKSLASH = 0x5c;
const SPACE = 0x20;

const table = (holds: (character: string) => boolean): Uint8Array =>
  Uint8Array.from({ length: 256 }, (_, byte) => (holds(String.fromCharCode(byte)) ? 1 : 0));

/** Bytes that stand for themselves in a string; those of a character beyond ASCII do. */
const PLAIN = table((character) => character >= ' ' && character !== '"' && character !== '\\');
/** What may follow a backslash. Not `u`: by that comes what is no text. */
const ESCAPED = table((character) => '"\\/bfnrt'.includes(character));
const NAME_START = table((character) => /[A-Za-z_]/.test(character));
const NAME_PART = table((character) => /[A-Za-z0-9_]/.test(character));

/** A name as it stands in JSON, its closing quote included: what another name only begins with is not at its place. */
export const quoted = (name: string): Uint8Array => Buffer.from(`${name}"`, 'latin1');

export function isAt(bytes: Uint8Array, at: number, text: Uint8Array): boolean {
  for (let index = 0; index < text.length; index += 1) if (bytes[at + index] !== text[index]) return false;
  return true;
}

const isSpace = (byte: number): boolean => byte === SPACE || byte === 0x0a || byte === 0x0d || byte === 0x09;

export function skipSpace(bytes: Uint8Array, at: number): number {
  if (bytes[at]! > SPACE) return at;
  while (isSpace(bytes[at]!)) at += 1;
  return at;
}

/** The place behind the last byte that is no space; 0 where all are. */
export function textEnd(bytes: Uint8Array): number {
  let end = bytes.length;
  while (end > 0 && isSpace(bytes[end - 1]!)) end -= 1;
  return end;
}

/** From behind the opening quote; @returns the place of the closing one, at most so many bytes away */
export function stringEnd(bytes: Uint8Array, at: number, maxLength: number): number {
  const end = Math.min(bytes.length, at + maxLength + 1);
  for (;;) {
    while (at < end && PLAIN[bytes[at]!] === 1) at += 1;
    if (at >= end) return -1;
    if (bytes[at] === QUOTE) return at;
    if (bytes[at] !== BACKSLASH || at + 1 >= end || ESCAPED[bytes[at + 1]!] !== 1) return -1;
    at += 2;
  }
}

/** The same, however long, for a string of letters, digits and underscores that begins with no digit. */
export function nameEnd(bytes: Uint8Array, at: number): number {
  if (NAME_START[bytes[at]!] !== 1) return -1;
  while (NAME_PART[bytes[at]!] === 1) at += 1;
  return bytes[at] === QUOTE ? at : -1;
}

/** From the closing quote of a member's name to where its value begins. */
export function valueAfter(bytes: Uint8Array, quote: number): number {
  const colon = skipSpace(bytes, quote + 1);
  return bytes[colon] === COLON ? skipSpace(bytes, colon + 1) : -1;
}

/** Where the first member's name begins, or the closing brace stands; -1 where no object begins. */
export function firstMember(bytes: Uint8Array, at: number): number {
  if (bytes[at] !== OPEN) return -1;
  const first = skipSpace(bytes, at + 1);
  return bytes[first] === QUOTE || bytes[first] === CLOSE ? first : -1;
}

/** Behind a member's value: where the next name begins, or the closing brace stands. */
export function nextMember(bytes: Uint8Array, at: number): number {
  const after = skipSpace(bytes, at);
  if (bytes[after] === CLOSE) return after;
  if (bytes[after] !== COMMA) return -1;
  const name = skipSpace(bytes, after + 1);
  return bytes[name] === QUOTE ? name : -1;
}

const isDigit = (byte: number): boolean => byte >= ZERO && byte <= 0x39;

/** Digits before the point of which a double holds each. */
const MAX_WHOLE_DIGITS = 15;

/** What the number that was stepped over last, not where that failed, has before its point: it is at most one more. */
let whole = 0;
export const lastWhole = (): number => whole;

/** A number that is not negative. What follows it, were it an exponent, is neither a comma nor a brace. */
export function numberEnd(bytes: Uint8Array, at: number): number {
  const first = at;
  let value = 0;
  if (bytes[at] === ZERO) at += 1;
  else for (let byte = bytes[at]!; isDigit(byte); byte = bytes[(at += 1)]!) value = value * 10 + (byte - ZERO);
  if (at === first || at - first > MAX_WHOLE_DIGITS) return -1;
  if (bytes[at] === POINT) {
    const fraction = (at += 1);
    while (isDigit(bytes[at]!)) at += 1;
    if (at === fraction) return -1;
  }
  whole = value;
  return at;
}

const [TRUE, FALSE, NULL] = ['true', 'false', 'null'].map((word) => Buffer.from(word)) as [Buffer, Buffer, Buffer];

export const nullEnd = (bytes: Uint8Array, at: number): number => (isAt(bytes, at, NULL) ? at + 4 : -1);

/** `true`, `false`, `null`, a number, or a string of at most so many bytes between its quotes. */
export function scalarEnd(bytes: Uint8Array, at: number, maxLength: number): number {
  const byte = bytes[at]!;
  if (byte === QUOTE) {
    const quote = stringEnd(bytes, at + 1, maxLength);
    return quote < 0 ? -1 : quote + 1;
  }
  if (isDigit(byte)) return numberEnd(bytes, at);
  if (byte === MINUS) return numberEnd(bytes, at + 1);
  if (isAt(bytes, at, TRUE)) return at + 4;
  if (isAt(bytes, at, FALSE)) return at + 5;
  return nullEnd(bytes, at);
}

const UTC_OFFSET = Buffer.from('00:00');
/** So long is `parseTimestamp`'s longest, an offset apart. */
const MAX_TIMESTAMP_BYTES = 58;

/** The time that was stepped over last, not where that failed, milliseconds since the Unix epoch; NaN where there is no such day. */
let time = 0;
export const lastTime = (): number => time;

/** `"YYYY-MM-DDThh:mm:ss"` as `parseTimestamp` reads it, with a fraction or none, and with `Z`, `+00:00` or nothing. */
export function timestampEnd(bytes: Uint8Array, at: number): number {
  if (bytes[at] !== QUOTE || at + 21 >= bytes.length) return -1;
  const start = at + 1;
  const century = digits(bytes, start);
  const yearOfCentury = digits(bytes, start + 2);
  const month = digits(bytes, start + 5);
  const day = digits(bytes, start + 8);
  const hour = digits(bytes, start + 11);
  const minute = digits(bytes, start + 14);
  const second = digits(bytes, start + 17);
  if (
    (century | yearOfCentury | month | day | hour | minute | second) < 0 ||
    bytes[start + 4] !== MINUS ||
    bytes[start + 7] !== MINUS ||
    bytes[start + 10] !== LETTER_T ||
    bytes[start + 13] !== COLON ||
    bytes[start + 16] !== COLON ||
    hour > 23 ||
    minute > 59 ||
    second > 59
  )
    return -1;
  at = start + 19;
  let millisecond = 0;
  if (bytes[at] === POINT) {
    const first = (at += 1);
    let place = 100;
    const limit = start + MAX_TIMESTAMP_BYTES;
    for (let byte = bytes[at]!; isDigit(byte) && at <= limit; byte = bytes[(at += 1)]!) {
      millisecond += place * (byte - ZERO);
      place = place === 100 ? 10 : place === 10 ? 1 : 0;
    }
    if (at === first || at > limit) return -1;
  }
  if (bytes[at] === LETTER_Z) at += 1;
  else if (bytes[at] === PLUS) {
    if (!isAt(bytes, at + 1, UTC_OFFSET)) return -1;
    at += 6;
  }
  time = dateMs(century * 100 + yearOfCentury, month, day) + ((hour * 60 + minute) * 60 + second) * 1000 + millisecond;
  return bytes[at] === QUOTE ? at + 1 : -1;
}

const digits = (bytes: Uint8Array, at: number): number => twoDigits(bytes[at]!, bytes[at + 1]!);
