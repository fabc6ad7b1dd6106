/** The totals thread: counts journal records, writes snapshots, gives the text of a scrape, pushes over OTLP. */
import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { parentPort } from 'node:worker_threads';
import { diag, DiagLogLevel } from '@opentelemetry/api';
import { Unacceptable } from '../../core/sink.ts';
import { threadData } from '../../core/threads.ts';
import { createMetricProducer } from './metric-producer.ts';
import type { FromThread, LogLine, ToThread, TotalsAnswer, TotalsRequest, TotalsThreadData } from './messages.ts';
import { askForFamilies } from './ask-for-families.ts';
import { CumulativeReader } from './cumulative-reader.ts';
import { forwardDiagnostics } from './diagnostics.ts';

import { packedBytes, unpackRecords } from '../../core/record-transfer.ts';
import { gatewayResource } from './resource.ts';
import { scrapePieces } from './scrape-pieces.ts';
import { openSnapshots } from './snapshots.ts';

/** The last export at stop may take so long. */
const LAST_EXPORT_MS = 3_000;

if (parentPort === null) throw new Error('totals-worker.ts is the entry of a worker thread');
const port = parentPort;
const data = await threadData<TotalsThreadData>();

const post = (message: FromThread, transfer: ArrayBuffer[] = []): void => port.postMessage(message, transfer);
const log = (line: LogLine): void => post({ kind: 'log', line });
diag.setLogger(forwardDiagnostics(log), { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });

const snapshots = await openSnapshots({
  directory: data.directory,
  settings: data.settings,
  intervalMs: data.snapshotIntervalMs,
  log,
  onChange: (held) => post({ kind: 'snapshots', snapshots: held }),
});
const { keeper } = snapshots;
const resource = gatewayResource(data.resource, data.version, keeper.instanceId);
const producer = createMetricProducer({ registry: keeper.registry, resource, version: data.version, now: Date.now });
const reader = new CumulativeReader(producer);
const families = askForFamilies((id) => post({ kind: 'collect', id }));
// The exporter takes a while to load, and many a gateway pushes nowhere.
const otlp = data.pushers.length === 0 ? undefined : await import('./otlp-push.ts');
const pushes = data.pushers.flatMap(({ name, settings }) =>
  otlp === undefined
    ? []
    : otlp.createOtlpPush({
        name,
        settings,
        producer,
        version: data.version,
        processStart: data.processStart,
        now: Date.now,
        count: () => keeper.checkpoint()?.count ?? 0,
        families: families.ask,
        log,
        onExport: (count, failure) =>
          post({ kind: 'exported', reader: name, count, ...(failure === undefined ? undefined : { failure }) }),
      }),
);

const answer = (): TotalsAnswer => ({ checkpoint: keeper.checkpoint(), statistics: keeper.registry.statistics() });

/** Late records that are counted, and whose snapshot has not been written: they were refused, and come again. */
const owed = new Set<string>();

/** The journal brings late records no second time: they have to be on disk before they are taken. */
async function takeLate(buffer: ArrayBuffer): Promise<void> {
  const digest = createHash('sha256');
  for (const { envelope, payload, from, to } of unpackRecords(buffer))
    digest.update(`${from} ${to} `).update(envelope).update(payload);
  const name = digest.digest('hex');
  if (!owed.has(name)) keeper.applyLate(unpackRecords(buffer));
  owed.add(name);
  await snapshots.write();
  owed.delete(name);
}

async function handle(id: number, request: TotalsRequest): Promise<void> {
  switch (request.kind) {
    case 'write':
      if (request.late) return takeLate(request.buffer);
      keeper.apply(unpackRecords(request.buffer), request.checkpoint);
      snapshots.applied(packedBytes(request.buffer));
      return;
    case 'scrape': {
      const { resourceMetrics } = await reader.collect();
      for (const bytes of scrapePieces(resourceMetrics, request.format)) {
        post({ kind: 'piece', id, bytes }, [bytes.buffer]);
        // Between the pieces, writes go on: the text is of the instant above.
        await setImmediate();
      }
      return;
    }
    case 'snapshot':
      return snapshots.write();
    case 'current':
      for (const push of pushes) push.start();
      return;
    case 'stop':
      snapshots.stop();
      await Promise.all(pushes.map((push) => push.stop(LAST_EXPORT_MS)));
      return snapshots.write();
    case 'checkpoint':
      return;
  }
}

port.on('message', (message: ToThread) => {
  if (message.kind === 'families') {
    families.answer(message.id, message.families);
    return;
  }
  const { id, request } = message;
  const memory = request.kind === 'write' ? request.buffer : undefined;
  handle(id, request).then(
    () =>
      memory === undefined
        ? post({ kind: 'answer', id, answer: answer() })
        : post({ kind: 'answer', id, answer: { ...answer(), memory } }, [memory]),
    (error: unknown) =>
      post({
        kind: 'failed',
        id,
        failure: {
          message: error instanceof Error ? error.message : String(error),
          unacceptable: error instanceof Unacceptable,
        },
      }),
  );
});

post({ kind: 'ready', answer: answer(), snapshots: snapshots.held() });
