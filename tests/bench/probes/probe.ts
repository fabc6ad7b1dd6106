/**
 * What probes have in common. They are loaded into a gateway with `--import`; the first SIGUSR2 begins a measurement, the next one
 * ends it and writes what was found to the file that BENCH_PROBE_FILE names.
 */
import { renameSync, writeFileSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';

/** @param begin starts to measure; @returns ends it and says what was found */
export function probe(begin: () => () => unknown): void {
  const file = process.env['BENCH_PROBE_FILE'];
  // Workers inherit `--import`.
  if (!isMainThread || file === undefined) return;
  let end: (() => unknown) | undefined;
  process.on('SIGUSR2', () => {
    if (end === undefined) end = begin();
    else {
      writeFileSync(`${file}.new`, JSON.stringify(end()));
      renameSync(`${file}.new`, file);
      end = undefined;
    }
  });
}
