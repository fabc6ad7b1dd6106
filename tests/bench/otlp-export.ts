/**
 * One OTLP export of many histogram series, to a collector in a process of its own: how long, how many bytes and requests,
 * and how long it stalls the thread that answers HTTP. `node tests/bench/otlp-export.ts [--json] [--rounds 5] [--small]`
 */
import { fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { otlp } from '../../src/sinks/otel/otlp.ts';
import { systemClock } from '../../src/telemetry/system-clock.ts';
import { createTelemetry } from '../../src/telemetry/telemetry.ts';
import { silentLog } from '../support/silent-log.ts';
import type { ByteCount } from './byte-counter.ts';
import { manySeries, type WorstTurn, worstTurn } from './totals-of-many-series.ts';

const { values } = parseArgs({
  options: { json: { type: 'boolean' }, rounds: { type: 'string', default: '5' }, small: { type: 'boolean' } },
});

const collector = fork(new URL('./byte-counter.ts', import.meta.url));
const message = <Message>(): Promise<Message> =>
  new Promise((resolve) => collector.once('message', (found) => resolve(found as Message)));
const port = await message<number>();

const median = (numbers: readonly number[]): number =>
  numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)]!;

async function exportMany(series: number) {
  const directory = mkdtempSync(join(tmpdir(), 'bench-otlp-'));
  const reader = otlp({ endpoint: `http://127.0.0.1:${port}`, intervalMs: 2_000, timeoutMs: 10_000 });
  const totals = reader.openTotals([reader], { maxLabelValues: 1_000 });
  await totals.start?.({ log: silentLog, clock: systemClock, telemetry: createTelemetry(), dataDirectory: directory });
  const journal = manySeries(series);
  const nothing = { journalId: journal.end().journalId, sequence: 0, count: 0 };
  totals.resume?.(nothing, journal.end());
  await totals.write(journal.after(nothing)!, new AbortController().signal);
  const rounds: (ByteCount & { stall: WorstTurn })[] = [];
  for (let round = 0; round < Number(values.rounds) + 1; round += 1) {
    let counted: ByteCount | undefined;
    const stall = await worstTurn(async () => {
      counted = await message<ByteCount>();
    });
    if (round > 0 && counted !== undefined) rounds.push({ ...counted, stall });
  }
  await totals.stop?.();
  rmSync(directory, { recursive: true });
  return {
    series,
    ms: median(rounds.map((each) => each.ms)),
    bytes: rounds[0]!.bytes,
    requests: rounds[0]!.requests,
    stallMs: median(rounds.map((each) => each.stall.wallMs)),
    stallCpuMs: median(rounds.map((each) => each.stall.cpuMs)),
  };
}

const results = [];
for (const series of values.small === true ? [1_000] : [1_000, 10_000]) results.push(await exportMany(series));
collector.kill();
if (values.json === true) console.log(JSON.stringify({ results }));
else {
  for (const { series, ms, bytes, requests, stallMs, stallCpuMs } of results) {
    console.log(
      `${series} histogram series: ${ms.toFixed(0)} ms from first to last request, ${(bytes / 1e6).toFixed(1)} MB in ${requests} requests, stall ${stallMs.toFixed(1)} ms (${stallCpuMs.toFixed(1)} of CPU)`,
    );
  }
}
