/** A process of its own that appends to the journal given, from 16 callers, and prints each text once it is durable. */
import { writeSync } from 'node:fs';
import { openSegmentedLog } from '../../../src/journal/segmented-log.ts';
import { systemClock } from '../../../src/telemetry/system-clock.ts';
import { entry } from '../../journal/contract.ts';
import { silentLog } from '../../support/silent-log.ts';

const [directory, run] = process.argv.slice(2) as [string, string];
const journal = await openSegmentedLog({
  directory,
  clock: systemClock,
  log: silentLog,
  maxBytes: 1e9,
  segmentBytes: 100_000,
});
let appended = 0;
const call = async (): Promise<never> => {
  for (;;) {
    appended += 1;
    const text = `${run}-${appended}`;
    await journal.append(entry(text.padEnd((appended * 37) % 5000), 3));
    writeSync(1, `${text}\n`);
  }
};
await Promise.all(Array.from({ length: 16 }, call));
