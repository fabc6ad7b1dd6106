/** Appends every event to a file, one line of JSON each. */
import { appendFile } from 'node:fs/promises';
import type { Sink } from 'mcp-metrics-gateway';

export const ndjson = (path: string): Sink => ({
  name: 'ndjson',
  // When its backlog no longer fits in the journal: skip ahead and count the gap. 'refuse' would refuse new requests instead.
  whenFull: 'skip',
  batching: { maxMetrics: 1000, maxDelayMs: 1000 },
  // Called with one batch at a time, in order. Throw, and the same batch comes again later; nobody else waits for it.
  write: async ({ events }) => {
    await appendFile(path, events.map((event) => `${JSON.stringify(event)}\n`).join(''));
  },
});
