/** What the main thread and the totals thread say to each other. */
import type { Checkpoint } from '../../core/journal.ts';
import type { MetricFamily } from '../../core/ports.ts';
import type { ExpositionFormat } from './exposition.ts';
import type { SeriesSettings } from './instruments.ts';
import type { OtlpSettings } from './reader-settings.ts';
import type { RegistryStatistics } from './series-registry.ts';

/** What the thread is started with. */
export interface TotalsThreadData {
  readonly settings: SeriesSettings;
  /** Folder of the snapshots. */
  readonly directory: string;
  readonly resource: Readonly<Record<string, string>>;
  readonly version: string;
  /** When the process started, milliseconds since the Unix epoch: the start of the self-metrics' sums. */
  readonly processStart: number;
  readonly snapshotIntervalMs: number;
  readonly pushers: readonly { readonly name: string; readonly settings: OtlpSettings }[];
}

/** Each has an answer with the same id. */
export type TotalsRequest =
  /** Records as `packRecords` lays them out. */
  | {
      readonly kind: 'write';
      readonly buffer: ArrayBuffer;
      readonly checkpoint: Checkpoint;
      readonly late: boolean;
    }
  | { readonly kind: 'checkpoint' }
  /** The answer comes after all `piece`s. */
  | { readonly kind: 'scrape'; readonly format: ExpositionFormat }
  | { readonly kind: 'snapshot' }
  /** The replay after a start is done: what is pushed from now on does not go back. */
  | { readonly kind: 'current' }
  /** Last export, last snapshot. */
  | { readonly kind: 'stop' };

export type ToThread =
  | { readonly kind: 'request'; readonly id: number; readonly request: TotalsRequest }
  | { readonly kind: 'families'; readonly id: number; readonly families: readonly MetricFamily[] };

export interface TotalsAnswer {
  readonly checkpoint: Checkpoint | undefined;
  readonly statistics: RegistryStatistics;
  /** Of the batch that was written, for the next one. */
  readonly memory?: ArrayBuffer;
}

export interface FailedAnswer {
  readonly message: string;
  readonly unacceptable: boolean;
}

export type LogLine = {
  readonly level: 'info' | 'warn' | 'error';
  readonly fields: object;
  readonly message: string;
};

export type FromThread =
  | { readonly kind: 'ready'; readonly answer: TotalsAnswer; readonly snapshots: SnapshotsHeld }
  | { readonly kind: 'answer'; readonly id: number; readonly answer: TotalsAnswer }
  | { readonly kind: 'failed'; readonly id: number; readonly failure: FailedAnswer }
  | { readonly kind: 'piece'; readonly id: number; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly kind: 'snapshots'; readonly snapshots: SnapshotsHeld }
  /** Asks for the gateway's own metrics. */
  | { readonly kind: 'collect'; readonly id: number }
  | { readonly kind: 'exported'; readonly reader: string; readonly count: number; readonly failure?: string }
  | { readonly kind: 'log'; readonly line: LogLine };

/** Checkpoints of the snapshots on disk. */
export interface SnapshotsHeld {
  readonly newest: Checkpoint | undefined;
  readonly previous: Checkpoint | undefined;
  /** Failures to write one since the thread began. */
  readonly failures: number;
}
