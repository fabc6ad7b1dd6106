/** Which typed row of the replaced service's database was written with which `metrics` row. */
import type Database from 'better-sqlite3';
import type { MetricType } from '../../core/metric.ts';

/** The tables of one type each. */
export const TYPED: Readonly<Record<string, MetricType>> = {
  auth_metrics: 'auth_request',
  tool_metrics: 'tool_execution',
  discovery_metrics: 'tool_discovery',
};

/**
 * Makes `temp.pairs`: finds for each typed row the `metrics` row that it was written with: of the same request, time, service and type,
 * the first with the first, the second with the second.
 */
export function pair(db: Database.Database, typed: readonly string[]): void {
  const numbered = (from: string, type: string): string =>
    `SELECT ${from}, ${type} AS type, row_number() OVER (PARTITION BY request_id, timestamp, service, ${type} ORDER BY id) AS n`;
  const columns = 'id, request_id, timestamp, service';
  db.exec(`
    CREATE TEMP TABLE typed_rows AS
      ${[
        'SELECT NULL AS kind, NULL AS id, NULL AS request_id, NULL AS timestamp, NULL AS service, NULL AS type, 0 AS n WHERE 0',
        ...typed.map((table) => `${numbered(`'${table}' AS kind, ${columns}`, `'${TYPED[table]!}'`)} FROM ${table}`),
      ].join(' UNION ALL ')};
    CREATE INDEX temp.typed_rows_by_request ON typed_rows (request_id);
    CREATE TEMP TABLE pairs AS
      SELECT m.id AS metric_id, t.kind, t.id AS typed_id
      FROM (${numbered(columns, 'metric_type')} FROM metrics) m
      CROSS JOIN typed_rows t ON t.request_id = m.request_id AND t.timestamp = m.timestamp AND t.service = m.service
        AND t.type = m.type AND t.n = m.n;
    CREATE INDEX temp.pairs_by_metric ON pairs (metric_id);
    CREATE INDEX temp.pairs_by_typed ON pairs (kind, typed_id);
    DROP TABLE temp.typed_rows;
  `);
}
