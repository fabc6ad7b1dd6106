/** A body's bytes as a JSON value, or a refusal that says where the text stops being JSON. */
import { isAscii, isUtf8 } from 'node:buffer';
import { Refusal } from '../../core/refusal.ts';

/** Below it no nesting can do harm; the parser takes about 300 bytes for each level that is open. */
const DEPTH_CHECK_FROM_BYTES = 65_536;
const MAX_DEPTH = 1000;

/** @throws Refusal `malformed` */
export function parseJson(bytes: Uint8Array): unknown {
  const text = decode(bytes);
  if (bytes.length > DEPTH_CHECK_FROM_BYTES) checkDepth(bytes);
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Refusal('malformed', `The body is not JSON${place(error)}.`, { cause: error });
  }
}

/** Whether the text holds `\u`, by which strings may come that are no text. */
export const holdsEscapes = (bytes: Uint8Array): boolean => asBuffer(bytes).includes('\\u', 0, 'latin1');

function decode(bytes: Uint8Array): string {
  const buffer = asBuffer(bytes);
  if (isAscii(buffer)) return buffer.toString('latin1');
  if (!isUtf8(buffer)) {
    throw new Refusal('malformed', 'The body is not valid UTF-8; JSON must be sent in UTF-8 (RFC 8259, section 8.1).');
  }
  const withMark = buffer[0] === 0xef && buffer[1] === 0xbb && buffer[2] === 0xbf;
  return buffer.toString('utf8', withMark ? 3 : 0);
}

const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Where or at what the parser stopped. Its own message is not passed on: it quotes the body. */
function place(error: unknown): string {
  const message = error instanceof Error ? error.message : '';
  if (message.startsWith('Unexpected end')) return ': it ends too early';
  const position = /at position (\d+)/.exec(message)?.[1];
  if (position !== undefined) return ` from character ${position} on`;
  const token = /^Unexpected token '([\x21-\x7e])'/.exec(message)?.[1];
  if (token === undefined) return '';
  return `: unexpected ${JSON.stringify(token)}${token === 'N' || token === 'I' ? ' (NaN and Infinity are no JSON: leave the metric out)' : ''}`;
}

/** Counts brackets outside of strings: only a hostile body is nested so deep. */
function checkDepth(bytes: Uint8Array): void {
  let depth = 0;
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at];
    if (byte === 0x22) {
      for (at += 1; at < bytes.length && bytes[at] !== 0x22; at += 1) if (bytes[at] === 0x5c) at += 1;
    } else if (byte === 0x5b || byte === 0x7b) {
      depth += 1;
      if (depth > MAX_DEPTH) {
        throw new Refusal(
          'malformed',
          `The body is nested deeper than ${MAX_DEPTH} levels; metrics need no more than five.`,
        );
      }
    } else if (byte === 0x5d || byte === 0x7d) depth -= 1;
  }
}
