/** Bytes of a value as JSON in UTF-8, without writing it: a message's size at a fraction of the price. */

/** Characters of a message that are looked at one by one; beyond, text counts one byte a character (base64 and ASCII are). */
const EXACT_CHARACTERS = 1_000_000;
/** More than any message has; a circular value ends here. */
const MAX_DEPTH = 200;
const MAX_VALUES = 1_000_000;

/** Two characters for those with a short escape, six for other control characters and lone surrogates. */
function textBytes(text: string): number {
  let bytes = text.length + 2;
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    if (code > 0x5c) {
      if (code < 0x80) continue;
      if (code < 0x8_00) bytes += 1;
      else if (code < 0xd8_00 || code > 0xdf_ff) bytes += 2;
      else if (code < 0xdc_00 && (text.charCodeAt(i + 1) & 0xfc_00) === 0xdc_00) {
        bytes += 2;
        i += 1;
      } else bytes += 5;
    } else if (code === 0x5c || code === 0x22) bytes += 1;
    else if (code < 0x20) bytes += code >= 8 && code <= 13 && code !== 11 ? 1 : 5;
  }
  return bytes;
}

/** The length of `JSON.stringify(value)` in UTF-8 bytes; 0 where that gives nothing. */
export function jsonBytes(value: unknown): number {
  let exact = EXACT_CHARACTERS;
  let values = MAX_VALUES;
  const text = (part: string): number => {
    exact -= part.length;
    return exact < 0 ? part.length + 2 : textBytes(part);
  };
  const measure = (part: unknown, depth: number): number => {
    switch (typeof part) {
      case 'string':
        return text(part);
      case 'number':
        return Number.isFinite(part) ? String(part).length : 4;
      case 'boolean':
        return part ? 4 : 5;
      case 'object':
        break;
      default:
        return 0;
    }
    if (part === null) return 4;
    values -= 1;
    if (depth > MAX_DEPTH || values < 0) return 0;
    if (Array.isArray(part)) {
      let bytes = 2 + Math.max(part.length - 1, 0);
      for (const item of part as readonly unknown[]) bytes += measure(item, depth + 1) || 4;
      return bytes;
    }
    if ('toJSON' in part && typeof part.toJSON === 'function') {
      return measure((part.toJSON as (key: string) => unknown)(''), depth + 1);
    }
    let bytes = 1;
    for (const [key, item] of Object.entries(part)) {
      const size = measure(item, depth + 1);
      if (size > 0) bytes += text(key) + size + 2;
    }
    return Math.max(bytes, 2);
  };
  return measure(value, 0);
}
