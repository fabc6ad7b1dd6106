/** The table of API keys, as the writer's thread reads and changes it. */
import type Database from 'better-sqlite3';
import type { KeyChange, KeyRecord, Scope } from '../../core/key-store.ts';

/** A key with what finds it. The secret itself is nowhere. */
export interface StoredKey {
  readonly sha256: string;
  readonly record: KeyRecord;
}

export interface KeysTable {
  readonly list: () => StoredKey[];
  readonly insert: (key: StoredKey) => void;
  readonly update: (id: string, change: KeyChange) => StoredKey | undefined;
  readonly revoke: (id: string, at: number) => StoredKey | undefined;
  /**
   * Inserts `next` and lets the old key expire at `oldExpiresAt`, or when it would have anyway.
   * @returns the new key and the old one; the old one alone where it has ended already and nothing was changed
   */
  readonly rotate: (
    id: string,
    next: Pick<KeyRecord, 'id' | 'createdAt'> & { sha256: string },
    oldExpiresAt: number,
  ) => StoredKey[];
  /** @returns what changed, and the services whose key an operator has revoked or let expire */
  readonly syncEnvironment: (
    keys: readonly { readonly id: string; readonly service: string; readonly sha256: string }[],
    at: number,
  ) => { readonly changed: StoredKey[]; readonly ended: string[]; readonly repeated: string[] };
  readonly addUse: (uses: readonly (readonly [id: string, count: number, at: number])[]) => void;
  /** Changes with every change of keys by whatever process. */
  readonly generation: () => number;
}

interface Row {
  readonly id: string;
  readonly sha256: string;
  readonly service: string;
  readonly description: string;
  readonly scopes: string;
  readonly requests_per_minute: number | null;
  readonly origin: KeyRecord['origin'];
  readonly created_at: number;
  readonly expires_at: number | null;
  readonly revoked_at: number | null;
  readonly revoked_by: string | null;
  readonly last_used_at: number | null;
  readonly usage_count: number;
}

export const environmentKey = (id: string, service: string, createdAt: number): KeyRecord => ({
  id,
  service,
  description: 'from the environment',
  scopes: ['ingest'],
  limits: {},
  origin: 'environment',
  createdAt,
  usageCount: 0,
});

const toStored = (row: Row): StoredKey => ({
  sha256: row.sha256,
  record: {
    id: row.id,
    service: row.service,
    description: row.description,
    scopes: JSON.parse(row.scopes) as Scope[],
    limits: row.requests_per_minute === null ? {} : { requestsPerMinute: row.requests_per_minute },
    origin: row.origin,
    createdAt: row.created_at,
    ...(row.expires_at === null ? undefined : { expiresAt: row.expires_at }),
    ...(row.revoked_at === null ? undefined : { revokedAt: row.revoked_at }),
    ...(row.last_used_at === null ? undefined : { lastUsedAt: row.last_used_at }),
    usageCount: row.usage_count,
  },
});

/** Revoked, or past its expiry. */
export const hasEnded = ({ expiresAt, revokedAt }: Pick<KeyRecord, 'expiresAt' | 'revokedAt'>, now: number): boolean =>
  revokedAt !== undefined || (expiresAt !== undefined && expiresAt <= now);

export function openKeysTable(db: Database.Database): KeysTable {
  const all = db.prepare<[], Row>('SELECT * FROM api_keys ORDER BY created_at, id');
  const byId = db.prepare<[string], Row>('SELECT * FROM api_keys WHERE id = ?');
  const bySha = db.prepare<[string], Row>('SELECT * FROM api_keys WHERE sha256 = ?');
  const insertRow = db.prepare(
    `INSERT INTO api_keys (id, sha256, service, description, scopes, requests_per_minute, origin, created_at, expires_at,
       last_used_at, usage_count) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const change = db.prepare(
    'UPDATE api_keys SET description = ?, scopes = ?, requests_per_minute = ?, expires_at = ? WHERE id = ?',
  );
  const end = db.prepare('UPDATE api_keys SET revoked_at = ?, revoked_by = ? WHERE id = ? AND revoked_at IS NULL');
  const expire = db.prepare(
    'UPDATE api_keys SET expires_at = ? WHERE id = ? AND (expires_at IS NULL OR expires_at > ?)',
  );
  const adopt = db.prepare(
    `UPDATE api_keys SET service = ?, origin = 'environment', scopes = '["ingest"]', revoked_at = NULL, revoked_by = NULL WHERE id = ?`,
  );
  const use = db.prepare(
    'UPDATE api_keys SET usage_count = usage_count + ?, last_used_at = max(coalesce(last_used_at, 0), ?) WHERE id = ?',
  );
  const generation = db.prepare<[], number>('SELECT key_generation FROM writer_state WHERE id = 1').pluck();

  const get = (id: string): StoredKey | undefined => {
    const row = byId.get(id);
    return row === undefined ? undefined : toStored(row);
  };
  const insert = ({ sha256, record }: StoredKey): void => {
    insertRow.run(
      record.id,
      sha256,
      record.service,
      record.description,
      JSON.stringify(record.scopes),
      record.limits.requestsPerMinute ?? null,
      record.origin,
      record.createdAt,
      record.expiresAt ?? null,
      record.lastUsedAt ?? null,
      record.usageCount,
    );
  };

  return {
    list: () => all.all().map(toStored),
    insert,
    update: (id, { description, scopes, limits, expiresAt }) => {
      const old = get(id);
      if (old === undefined) return undefined;
      const { record } = old;
      change.run(
        description ?? record.description,
        JSON.stringify(scopes ?? record.scopes),
        (limits ?? record.limits).requestsPerMinute ?? null,
        expiresAt === undefined ? (record.expiresAt ?? null) : expiresAt,
        id,
      );
      return get(id);
    },
    revoke: (id, at) => {
      end.run(at, 'operator', id);
      return get(id);
    },
    rotate: db.transaction((...[id, next, oldExpiresAt]: Parameters<KeysTable['rotate']>) => {
      const old = get(id);
      if (old === undefined) return [];
      const { lastUsedAt: _unused, ...kept } = old.record;
      if (hasEnded(kept, next.createdAt)) return [old];
      insert({
        sha256: next.sha256,
        record: { ...kept, id: next.id, origin: 'created', createdAt: next.createdAt, usageCount: 0 },
      });
      expire.run(oldExpiresAt, id, oldExpiresAt);
      return [get(next.id), get(id)].filter((key) => key !== undefined);
    }).immediate,
    syncEnvironment: db.transaction((...[keys, at]: Parameters<KeysTable['syncEnvironment']>) => {
      const changed: StoredKey[] = [];
      const ended: string[] = [];
      const repeated: string[] = [];
      const kept = new Set<string>();
      for (const { id, service, sha256 } of keys) {
        const row = bySha.get(sha256);
        if (row === undefined) {
          insert({ sha256, record: environmentKey(id, service, at) });
          kept.add(id);
        } else if (kept.has(row.id)) repeated.push(service);
        else {
          kept.add(row.id);
          if (row.revoked_by === 'operator' || (row.expires_at !== null && row.expires_at <= at)) {
            ended.push(service);
            continue;
          }
          if (row.origin === 'environment' && row.service === service && row.revoked_at === null) continue;
          adopt.run(service, row.id);
        }
        const now = bySha.get(sha256);
        if (now !== undefined) changed.push(toStored(now));
      }
      for (const row of all.all()) {
        if (row.origin !== 'environment' || row.revoked_at !== null || kept.has(row.id)) continue;
        end.run(at, 'environment', row.id);
        const now = get(row.id);
        if (now !== undefined) changed.push(now);
      }
      return { changed, ended, repeated };
    }).immediate,
    addUse: db.transaction((uses: Parameters<KeysTable['addUse']>[0]) => {
      for (const [id, count, at] of uses) use.run(count, at, id);
    }).immediate,
    generation: () => generation.get() ?? 0,
  };
}
