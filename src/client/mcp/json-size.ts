/**
 * Bytes of a value as JSON in UTF-8, without writing it. Exact for messages of usual size; of larger ones most text is
 * not looked at, so that a message of megabytes does not hold its service up: their size is an estimate.
 */

/** Characters of a message that are all looked at. */
const EXACT_CHARACTERS = 262_144;
/** Of what is beyond, one block of `BLOCK` characters in each `STRIDE`, at another place each time. */
const BLOCK = 512;
const STRIDE = 16_384;
/** Spreads places evenly, and never in step with what repeats (the golden ratio's fraction). */
const STEP = 0.618_033_988_75;
/** More than any message has; a circular value ends here. */
const MAX_DEPTH = 200;
const MAX_VALUES = 1_000_000;

/** What the escapes of ASCII add: one byte for the short ones, five for other control characters. */
const ESCAPES = Uint8Array.from({ length: 128 }, (_, code) => JSON.stringify(String.fromCharCode(code)).length - 3);

/** Without the quotes. ASCII takes one look each; lone surrogates count as the six characters that they are escaped to. */
function textBytes(text: string, from: number, to: number): number {
  let bytes = to - from;
  for (let i = from; i < to; i += 1) {
    const code = text.charCodeAt(i);
    if (code < 0x80) bytes += ESCAPES[code]!;
    else if (code < 0x8_00) bytes += 1;
    else if (code < 0xd8_00 || code > 0xdf_ff) bytes += 2;
    else if (code < 0xdc_00 && (text.charCodeAt(i + 1) & 0xfc_00) === 0xdc_00) {
      bytes += 2;
      i += 1;
    } else bytes += 5;
  }
  return bytes;
}

/** The first character that JSON in UTF-8 has more than one byte for. */
const LONGER = /[^ !#-[\]-~]/;
/** Below this many characters, looking at each is sooner done than setting a search up. */
const SEARCHED = 64;

/** Characters at the start that are one byte each. */
function plainStart(text: string): number {
  if (text.length < SEARCHED) return 0;
  const at = text.search(LONGER);
  return at < 0 ? text.length : at;
}

const isHigh = (code: number): boolean => (code & 0xfc_00) === 0xd8_00;
const isLow = (code: number): boolean => (code & 0xfc_00) === 0xdc_00;

/** Sums up the text of one message. */
function createTextCounter(): { readonly add: (text: string) => void; readonly bytes: () => number } {
  let exact = EXACT_CHARACTERS;
  let bytes = 0;
  /** Characters beyond what is exact, those of them that were looked at, and the bytes of these. */
  let beyond = 0;
  let sampled = 0;
  let sampledBytes = 0;
  let blocks = 0;
  let next = 0;

  const sample = (text: string, head: number): void => {
    const offset = beyond - head;
    beyond += text.length - head;
    while (next < beyond) {
      let from = next - offset;
      let to = Math.min(from + BLOCK, text.length);
      if (isLow(text.charCodeAt(from))) from += 1;
      if (isHigh(text.charCodeAt(to - 1))) to += 1;
      sampledBytes += textBytes(text, from, to);
      sampled += to - from;
      blocks += 1;
      next = Math.floor(blocks * STRIDE + ((blocks * STEP) % 1) * (STRIDE - BLOCK));
    }
  };
  return {
    add: (text) => {
      let head = Math.min(text.length, exact);
      if (head < text.length && isHigh(text.charCodeAt(head - 1))) head += 1;
      // Of a text that goes on, the rest is not to be looked at.
      const plain = head < text.length ? 0 : plainStart(text);
      bytes += plain + textBytes(text, plain, head) + 2;
      exact = Math.max(exact - head, 0);
      if (head < text.length) sample(text, head);
    },
    bytes: () => bytes + (sampled === 0 ? beyond : Math.round((beyond * sampledBytes) / sampled)),
  };
}

/** The length of `JSON.stringify(value)` in UTF-8 bytes; 0 where that gives nothing. */
export function jsonBytes(value: unknown): number {
  let values = MAX_VALUES;
  const text = createTextCounter();
  /** All but the text; `undefined` where JSON leaves the value out. */
  const measure = (part: unknown, depth: number): number | undefined => {
    switch (typeof part) {
      case 'string':
        text.add(part);
        return 0;
      case 'number':
        return Number.isFinite(part) ? String(part).length : 4;
      case 'boolean':
        return part ? 4 : 5;
      case 'object':
        break;
      default:
        return undefined;
    }
    if (part === null) return 4;
    values -= 1;
    if (depth > MAX_DEPTH || values < 0) return undefined;
    if (Array.isArray(part)) {
      let bytes = 2 + Math.max(part.length - 1, 0);
      for (const item of part as readonly unknown[]) bytes += measure(item, depth + 1) ?? 4;
      return bytes;
    }
    if ('toJSON' in part && typeof part.toJSON === 'function') {
      return measure((part.toJSON as (key: string) => unknown)(''), depth + 1);
    }
    let bytes = 1;
    for (const key of Object.keys(part)) {
      const size = measure((part as Readonly<Record<string, unknown>>)[key], depth + 1);
      if (size !== undefined) {
        text.add(key);
        bytes += size + 2;
      }
    }
    return Math.max(bytes, 2);
  };
  const rest = measure(value, 0);
  return rest === undefined ? 0 : rest + text.bytes();
}
