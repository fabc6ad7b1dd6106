/** What bounds the writer's dictionaries and rollups. */
import type { RollupCaps } from './rollup-writer.ts';

export interface WriterCaps extends RollupCaps {
  /** Shared rows of each dictionary. */
  readonly maxAttributeSets: number;
  /** Distinct values per label column that dictionaries take in. */
  readonly maxLabelValues: number;
}

export const DEFAULT_CAPS: WriterCaps = {
  maxAttributeSets: 20_000,
  maxLabelValues: 2000,
  maxHourlyRows: 4000,
  maxDailyRows: 10_000,
};
