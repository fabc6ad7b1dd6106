/** Request ids: `req_` and 32 hex digits from the system's random source, drawn in advance. */
import { randomFillSync } from 'node:crypto';

const ID_BYTES = 16;
const pool = Buffer.alloc(ID_BYTES * 256);
let at = pool.length;

export function newRequestId(): string {
  if (at === pool.length) {
    randomFillSync(pool);
    at = 0;
  }
  at += ID_BYTES;
  return `req_${pool.toString('hex', at - ID_BYTES, at)}`;
}
