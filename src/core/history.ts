/** What the database remembers, as a port: retention, statistics and questions. Implemented in src/sinks/sqlite. */

export interface RetentionPolicy {
  /** Readable name: `metrics`, `auth_metrics`, `metrics_hourly` … */
  readonly table: string;
  readonly retentionDays: number;
  readonly isActive: boolean;
  readonly timestampColumn: string;
}

export interface RetentionChange {
  /** 1 to 3,650. */
  readonly retentionDays?: number;
  readonly isActive?: boolean;
}

/** Times are milliseconds since the Unix epoch here and below. */
export interface CleanupPreview {
  readonly table: string;
  readonly retentionDays: number;
  readonly recordsToDelete: number;
  readonly totalRecords: number;
  readonly oldestRecordToDelete?: number;
  readonly newestRecordToDelete?: number;
  readonly cutoff: number;
}

export interface CleanupResult {
  readonly table: string;
  /** `dry_run` deleted nothing; `skipped` because the policy is not active; `cancelled` before the end. */
  readonly status: 'completed' | 'dry_run' | 'skipped' | 'cancelled';
  /** Deleted, or for a dry run to be deleted. */
  readonly records: number;
  readonly durationMs: number;
  readonly retentionDays: number;
}

export interface TableStats {
  readonly table: string;
  readonly recordCount: number;
  readonly oldestRecord?: number;
  readonly newestRecord?: number;
  /** Absent where no policy is for this table. */
  readonly policy?: { readonly retentionDays: number; readonly isActive: boolean };
}

export interface DatabaseSize {
  readonly mainBytes: number;
  readonly walBytes: number;
  readonly pageCount: number;
  readonly pageSize: number;
  readonly freePages: number;
}

/** A parameter of a question. `timestamp` is ISO 8601 or milliseconds from outside, milliseconds inside. */
export interface QueryParameter {
  readonly type: 'string' | 'integer' | 'boolean' | 'timestamp';
  readonly description: string;
  readonly required?: boolean;
  readonly default?: string | number | boolean;
  /** The closed list of values, for `string`. */
  readonly values?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
}

export interface QueryColumn {
  readonly type: 'string' | 'integer' | 'number' | 'boolean' | 'timestamp' | 'json';
  readonly description: string;
}

export type QueryArguments = Readonly<Record<string, string | number | boolean | undefined>>;
export type QueryRow = Readonly<Record<string, unknown>>;

export interface QueryPage {
  readonly rows: readonly QueryRow[];
  /** Give it as `cursor` to go on; absent on the last page. */
  readonly cursor?: string;
}

/** A question that the database can be asked: named, bounded, parameterised. */
export interface NamedQuery {
  /** `top-tools`; part of the path. */
  readonly name: string;
  readonly description: string;
  readonly parameters: Readonly<Record<string, QueryParameter>>;
  readonly columns: Readonly<Record<string, QueryColumn>>;
  readonly run: (parameters: QueryArguments, signal: AbortSignal) => Promise<QueryPage>;
}

export interface History {
  readonly policies: () => Promise<readonly RetentionPolicy[]>;
  /** @returns undefined for a table that has no policy */
  readonly setPolicy: (table: string, change: RetentionChange) => Promise<RetentionPolicy | undefined>;
  /** @returns undefined for an unknown table */
  readonly preview: (table?: string) => Promise<readonly CleanupPreview[] | undefined>;
  /** Deletes what is past its retention, as the schedule would. @returns undefined for an unknown table */
  readonly cleanup: (
    table: string | undefined,
    dryRun: boolean,
    signal: AbortSignal,
  ) => Promise<readonly CleanupResult[] | undefined>;
  readonly stats: () => Promise<readonly TableStats[]>;
  readonly size: () => Promise<DatabaseSize>;
  readonly queries: readonly NamedQuery[];
}
