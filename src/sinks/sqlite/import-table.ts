/** Takes events of another database in, with the place that the import has come to, in one transaction. */
import type Database from 'better-sqlite3';
import type { EventWriter } from './event-writer.ts';
import type { ImportAnchor } from './legacy-database.ts';
import type { LegacyEvent, LegacyKey } from './legacy-rows.ts';
import type { Scope } from '../../core/key-store.ts';

export interface StoredAnchor extends ImportAnchor {
  readonly lineage: number;
}

export interface ImportTable {
  readonly anchors: () => StoredAnchor[];
  readonly take: (lineage: number, events: readonly LegacyEvent[], anchor: ImportAnchor) => void;
  /** @returns how many were new; keys that are known already stay as they are */
  readonly takeKeys: (
    keys: readonly (LegacyKey & { readonly id: string })[],
    scopes: readonly Scope[],
    now: number,
  ) => number;
}

export function openImportTable(db: Database.Database, writer: EventWriter): ImportTable {
  const anchors = db.prepare<[], StoredAnchor>(
    'SELECT lineage, source_table AS sourceTable, source_id AS sourceId, digest FROM import_anchors ORDER BY id',
  );
  const note = db.prepare(
    'INSERT INTO import_anchors (lineage, source_table, source_id, digest) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING',
  );
  const insertKey = db.prepare(
    `INSERT INTO api_keys (id, sha256, service, description, scopes, requests_per_minute, origin, created_at, revoked_at,
       revoked_by, last_used_at, usage_count) VALUES (?, ?, ?, ?, ?, ?, 'imported', ?, ?, ?, ?, ?) ON CONFLICT (sha256) DO NOTHING`,
  );
  return {
    anchors: () => anchors.all(),
    take: (lineage, events, { sourceTable, sourceId, digest }) => {
      writer.exclusively('nothing', () => {
        for (const { event, requestId, receivedAt, service, serviceVersion, instanceId } of events) {
          writer.add(event, {
            requestId,
            receivedAt,
            keyService: service,
            resource: {
              service,
              ...(serviceVersion === undefined ? undefined : { version: serviceVersion }),
              ...(instanceId === undefined ? undefined : { instanceId }),
              attributes: {},
            },
          });
        }
        writer.flush();
        note.run(lineage, sourceTable, sourceId, digest);
      });
    },
    takeKeys: db.transaction(
      (keys: readonly (LegacyKey & { readonly id: string })[], scopes: readonly Scope[], now: number): number => {
        let taken = 0;
        for (const key of keys) {
          taken += insertKey.run(
            key.id,
            key.sha256,
            key.service,
            key.description,
            JSON.stringify(scopes),
            key.requestsPerMinute ?? null,
            key.createdAt,
            key.isActive ? null : now,
            key.isActive ? null : 'operator',
            key.lastUsedAt ?? null,
            key.usageCount,
          ).changes;
        }
        return taken;
      },
    ).immediate,
  };
}
