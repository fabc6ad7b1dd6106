/** Snapshot files, under the path that the journal's own parts import; see src/core/snapshot-file.ts. */
export { readSnapshots, writeSnapshot } from '../core/snapshot-file.ts';
export type { DamagedSnapshot, Snapshot, SnapshotsFound } from '../core/snapshot-file.ts';
