/** The totals behind a real delivery and a journal that is trimmed, while their thread is taken away again and again. */
import t from 'tap';
import type { Worker } from 'node:worker_threads';
import { openDeliveries } from '../../../src/core/deliveries.ts';
import { openMemoryJournal } from '../../../src/journal/memory-journal.ts';
import { prometheus } from '../../../src/sinks/otel/prometheus.ts';
import { testContext, until } from './context.ts';
import { journalOf } from './journal-of.ts';
import { folderOf } from '../../support/folder.ts';

const ROUNDS = 8;
const RECORDS_A_ROUND = 300;

const threads: Worker[] = [];
process.on('worker', (worker) => threads.push(worker));

/** One record of one to five events, as the buffer would append it. */
function entry(index: number) {
  const metrics = Array.from({ length: 1 + (index % 5) }, () => ({
    type: 'auth_request',
    value: 1,
    duration_ms: index % 100,
    dimensions: { method: `method-${index % 7}` },
  }));
  const [record] = journalOf([{ service: 'auth', metrics }]).records;
  return record!;
}

t.test('however often the thread is lost, each event counts once and the journal is trimmed', async (t) => {
  const reader = prometheus({ port: 0 });
  const totals = reader.openTotals([reader], {});
  const context = testContext(folderOf(t));
  const journal = openMemoryJournal({ maxBytes: 1e9 });
  const deliveries = await openDeliveries({
    ...context,
    sinks: [totals],
    journal,
    newId: () => 'another',
    // Everything that lies behind is read from the journal.
    memoryBytes: 50_000,
    checkpointIntervalMs: 20,
  });
  deliveries.start();
  const address = context.lines.find(({ message }) => message.startsWith('metrics are served'))?.fields;
  const url = `http://127.0.0.1:${(address as { port: number }).port}/metrics`;

  let appended = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    for (let index = 0; index < RECORDS_A_ROUND; index += 1) {
      const record = entry(index);
      appended += record.metrics;
      await deliveries.records.append(record);
      if (index % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
      // A snapshot in every other round, somewhere in the middle; the thread may be gone by then.
      if (index === 100 + round && round % 2 === 0) await totals.snapshot().catch(() => {});
      if (index === 200) {
        // Answered once a thread is up.
        await totals.checkpoint?.();
        await threads.at(-1)!.terminate();
      }
    }
  }
  await deliveries.flush(30_000);
  const shown = async (): Promise<string> => (await fetch(url)).text();
  await until('a scrape', async () => (await fetch(url)).status === 200);
  const text = await shown();
  const sum = (name: string): number =>
    [...text.matchAll(new RegExp(`^${name}\\{.*\\} (\\d+)$`, 'gm'))].reduce(
      (total, match) => total + Number(match[1]),
      0,
    );
  t.equal(sum('mcp_auth_requests_total'), appended);
  t.equal(sum('mcp_auth_request_duration_seconds_count'), appended);
  const counts = deliveries.all[0]!.counts();
  t.equal(counts.delivered - counts.recovered, appended, 'the books balance');
  t.equal(counts.skipped + counts.setAside, 0);

  await totals.snapshot();
  await totals.snapshot();
  await until('the journal is trimmed', () => journal.tail().sequence === journal.head().sequence);
  t.match(text, new RegExp(`^mcp_gateway_totals_restarts_total ${ROUNDS}$`, 'm'));
  await deliveries.stop(AbortSignal.timeout(10_000));
});
