/**
 * What the idempotency index holds: one line of JSON per answered key, the oldest first. As text, since 100,000 of them
 * are written to disk again and again and hardly one is ever asked for.
 */
import type { IdempotencyClaim, Receipt } from '../core/phases.ts';

export interface RememberedAnswersOptions {
  /** Milliseconds. */
  readonly ttlMs: number;
  readonly maxKeys: number;
  /** Bytes of all lines. */
  readonly maxBytes: number;
}

export interface RememberedAnswer {
  readonly bodyHash: string;
  readonly receipt: Receipt;
}

export interface RememberedAnswers {
  readonly get: (keyId: string, key: string, now: number) => RememberedAnswer | undefined;
  /** @param at when it was answered: milliseconds since the Unix epoch */
  readonly set: (keyId: string, claim: IdempotencyClaim, receipt: Receipt, at: number) => void;
  /** Takes back what `lines` gave. @throws Error for a line that it did not */
  readonly setLine: (line: string) => void;
  /** Removes what is older than the time to live. */
  readonly expire: (now: number) => void;
  readonly lines: () => Iterable<string>;
  readonly size: () => number;
  readonly bytes: () => number;
  /** Answers that had to go before their time. */
  readonly evicted: () => number;
}

/** Order is part of the snapshot's format. */
type Line = readonly [
  keyId: string,
  key: string,
  bodyHash: string,
  at: number,
  requestId: string,
  accepted: number,
  rejected: number,
  dropped: number,
  errorsOmitted: number,
  errors: readonly string[],
  warnings: readonly string[],
];

/** A map entry beyond the characters of key and line, roughly. */
const ENTRY_BYTES = 100;

export function rememberedAnswers({ ttlMs, maxKeys, maxBytes }: RememberedAnswersOptions): RememberedAnswers {
  /** In the order of answering, nearly: two requests that were answered at once may have changed places. */
  const lines = new Map<string, string>();
  let bytes = 0;
  let evicted = 0;

  const sizeOf = (name: string, line: string): number => name.length + line.length + ENTRY_BYTES;

  function remove(name: string, line: string): void {
    lines.delete(name);
    bytes -= sizeOf(name, line);
  }

  function put(name: string, line: string): void {
    const before = lines.get(name);
    if (before !== undefined) remove(name, before);
    lines.set(name, line);
    bytes += sizeOf(name, line);
    for (const [oldName, oldLine] of lines) {
      if (lines.size <= maxKeys && bytes <= maxBytes) break;
      remove(oldName, oldLine);
      evicted += 1;
    }
  }

  return {
    get: (keyId, key, now) => {
      const name = nameOf(keyId, key);
      const line = lines.get(name);
      if (line === undefined) return undefined;
      const [, , bodyHash, at, requestId, accepted, rejected, dropped, errorsOmitted, errors, warnings] = parse(line);
      if (at + ttlMs <= now) {
        remove(name, line);
        return undefined;
      }
      return { bodyHash, receipt: { requestId, accepted, rejected, dropped, errors, errorsOmitted, warnings } };
    },
    set: (keyId, { key, bodyHash }, receipt, at) => {
      const { requestId, accepted, rejected, dropped, errorsOmitted, errors, warnings } = receipt;
      const line: Line = [
        keyId,
        key,
        bodyHash,
        at,
        requestId,
        accepted,
        rejected,
        dropped,
        errorsOmitted,
        errors,
        warnings,
      ];
      put(nameOf(keyId, key), JSON.stringify(line));
    },
    setLine: (line) => {
      const [keyId, key] = parse(line);
      put(nameOf(keyId, key), line);
    },
    expire: (now) => {
      for (const [name, line] of lines) {
        if (parse(line)[3] + ttlMs > now) break;
        remove(name, line);
      }
    },
    lines: () => lines.values(),
    size: () => lines.size,
    bytes: () => bytes,
    evicted: () => evicted,
  };
}

const nameOf = (keyId: string, key: string): string => `${keyId} ${key}`;

function parse(line: string): Line {
  const value: unknown = JSON.parse(line);
  if (!Array.isArray(value) || value.length !== 11) throw new Error('no line of an idempotency snapshot');
  return value as unknown as Line;
}
