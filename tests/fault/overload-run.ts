/** Ten times what throttled sinks can take, offered until the journal is full and beyond; then what came of it. */
import { readSamples, sumOf } from '../support/books.ts';
import { watchBooks } from '../support/books-watch.ts';
import { quantile, startLoad } from '../support/load.ts';
import { compareStored, settledScrape, totalsOf } from '../support/stored.ts';
import { waitFor } from '../support/wait-for.ts';
import { startTroubled } from './troubled-gateway.ts';

/** What docs/guarantees.md promises for this configuration: 32 MiB of records in memory, bodies in flight, V8 and SQLite. */
export const MEMORY_BOUND_BYTES = 768 * 1024 * 1024;
const MAX_JOURNAL_BYTES = 32 * 1024 * 1024;

export interface OverloadResult {
  readonly statuses: Readonly<Record<string, number>>;
  readonly surprises: readonly string[];
  /** Milliseconds. */
  readonly p99: number;
  readonly highestMemory: number;
  readonly imbalances: readonly string[];
  readonly scrapes: number;
  readonly skipped: number;
  /** The sink that refuses passed over something. */
  readonly refusingSkipped: boolean;
  readonly healed: boolean;
  readonly lost: readonly string[];
  readonly doubled: readonly string[];
  readonly stored: Readonly<Record<string, number>>;
  readonly totals: Readonly<Record<string, number>>;
}

export async function overloadRun(dataDirectory: string, seconds: number): Promise<OverloadResult> {
  const gateway = await startTroubled({
    dataDirectory,
    maxJournalBytes: MAX_JOURNAL_BYTES,
    sinks: { throttled: 'refuse', lossy: 'skip' },
  });
  try {
    // 100 metrics in 200 ms: 500 a second; and one that is slower still, whose backlog is passed over.
    await gateway.setMood('throttled', 'slow:200');
    await gateway.setMood('lossy', 'slow:2000');
    const watch = watchBooks(gateway.scrapeUrl, 200);
    const load = startLoad({ ...gateway, clients: 16, metrics: 50, ballast: 600, pauseMs: 20 });
    const began = performance.now();
    await waitFor(
      'the load to have lasted, and the journal to be full',
      () => performance.now() > began + seconds * 1000 && (load.statuses().get(503) ?? 0) > 0,
      { deadlineMs: seconds * 1000 + 60_000 },
    );
    await gateway.setMood('throttled', 'ok');
    await gateway.setMood('lossy', 'ok');
    const before = load.statuses().get(200) ?? 0;
    const healed = await waitFor('requests to be taken again', () => (load.statuses().get(200) ?? 0) > before + 100, {
      deadlineMs: 60_000,
    });
    await load.stop();
    const page = await settledScrape(gateway, 120_000);
    await watch.stop();
    const samples = readSamples(page);
    const { lost, doubled, stored } = compareStored(gateway.databasePath, load.acknowledged());
    return {
      statuses: Object.fromEntries(load.statuses()),
      surprises: load.surprises(),
      p99: quantile(load.latencies(), 0.99),
      highestMemory: watch.highest('process_resident_memory_bytes'),
      imbalances: watch.imbalances(),
      scrapes: watch.scrapes(),
      skipped: sumOf(samples, 'mcp_gateway_sink_skipped_total', { sink: 'lossy' }),
      refusingSkipped: sumOf(samples, 'mcp_gateway_sink_skipped_total', { sink: 'throttled' }) > 0,
      healed,
      lost,
      doubled,
      stored,
      totals: totalsOf(page, load.names),
    };
  } finally {
    await gateway.stop('SIGKILL');
  }
}
