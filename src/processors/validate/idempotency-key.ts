/** The header `Idempotency-Key`: a client's own name for a batch, so that its retry counts once. */
import type { RequestHeaders } from '../../core/phases.ts';
import { Refusal } from '../../core/refusal.ts';

/**
 * Reads the key; the quotes of a structured-field string (draft-ietf-httpapi-idempotency-key-header-07, section 2.1)
 * are taken off, and a bare text is taken as it is.
 * @throws Refusal `malformed` for a key that is empty, too long, or not printable ASCII
 */
export function readIdempotencyKey(headers: RequestHeaders, maxLength: number): string | undefined {
  const raw = headers.get('idempotency-key');
  if (raw === undefined) return undefined;
  const key = raw.length >= 2 && raw.startsWith('"') && raw.endsWith('"') ? raw.slice(1, -1) : raw;
  if (!/^[\x20-\x7e]+$/.test(key) || key.length > maxLength) {
    throw new Refusal(
      'malformed',
      `Idempotency-Key must be 1 to ${maxLength} printable ASCII characters; got ${key.length} characters.`,
    );
  }
  return key;
}
