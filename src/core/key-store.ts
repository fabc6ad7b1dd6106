/** API keys as a port: the shipped store lives in the gateway's SQLite file (src/sinks/sqlite/keys). */

export type Scope = 'ingest' | 'read' | 'admin';

export interface Limits {
  /** Requests a minute; absent means the pipeline's default. */
  readonly requestsPerMinute?: number;
}

/** A key as the outside may see it: everything but the secret. */
export interface KeyRecord {
  /** Public id, `key_` and 16 hex digits. */
  readonly id: string;
  readonly service: string;
  readonly description: string;
  readonly scopes: readonly Scope[];
  readonly limits: Limits;
  /** Where the key comes from: made by an operator, or `METRICS_API_KEY_<NAME>`. */
  readonly origin: 'created' | 'environment' | 'imported';
  /** Milliseconds since the Unix epoch, as are all times here. */
  readonly createdAt: number;
  readonly expiresAt?: number;
  readonly revokedAt?: number;
  readonly lastUsedAt?: number;
  readonly usageCount: number;
}

export interface NewKey {
  readonly service: string;
  readonly description?: string;
  readonly scopes: readonly Scope[];
  readonly limits?: Limits;
  readonly expiresAt?: number;
}

export interface KeyChange {
  readonly description?: string;
  readonly scopes?: readonly Scope[];
  readonly limits?: Limits;
  /** Null: it never expires. */
  readonly expiresAt?: number | null;
}

export interface KeyStore {
  /**
   * Finds the live key with this SHA-256 (hexadecimal) in memory: never reads a disk, never waits.
   * Expired and revoked keys are not found.
   */
  readonly find: (sha256: string) => KeyRecord | undefined;
  /** Why a key that is known is not found: for the answer to whoever still sends it. Memory only, as `find`. */
  readonly inactive?: (sha256: string) => 'revoked' | 'expired' | undefined;
  /** Live keys known. */
  readonly size: () => number;
  readonly list: () => Promise<readonly KeyRecord[]>;
  /** Makes a key. `secret` is shown once and stored only as its SHA-256. */
  readonly create: (key: NewKey) => Promise<{ record: KeyRecord; secret: string }>;
  /** Throws a Refusal for other scopes of an environment's key. */
  readonly update: (id: string, change: KeyChange) => Promise<KeyRecord | undefined>;
  /**
   * A new secret under a new id, with all else of the old one, which works for `overlapMs` more.
   * Throws a Refusal for a key that has ended: nobody who lost it gets back in this way.
   */
  readonly rotate: (id: string, overlapMs: number) => Promise<{ record: KeyRecord; secret: string } | undefined>;
  readonly revoke: (id: string) => Promise<KeyRecord | undefined>;
  /**
   * Makes the environment's keys (scope `ingest`) the only ones of origin `environment`: a changed or missing
   * variable ends its old key. Takes effect in memory at once, whatever becomes of the writing; only a key that was
   * revoked stays so until the store has been written.
   * @throws Error where the store cannot be written now: call again until it resolves
   */
  readonly syncEnvironment: (keys: readonly { service: string; secret: string }[]) => Promise<void>;
  /** Counts a use in memory; written to disk now and then, and at `close`. */
  readonly recordUse: (id: string, at: number) => void;
  readonly close: () => Promise<void>;
}
