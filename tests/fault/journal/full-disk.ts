/**
 * On the small disk given: fills it, appends until the disk refuses, makes room, and waits for the journal to heal. Says
 * what it saw as JSON.
 */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import type { Refusal } from '../../../src/core/refusal.ts';
import { openSegmentedLog } from '../../../src/journal/segmented-log.ts';
import { systemClock } from '../../../src/telemetry/system-clock.ts';
import { entry, readAll, textOf } from '../../journal/contract.ts';
import { silentLog } from '../../support/silent-log.ts';

const [disk] = process.argv.slice(2) as [string];
const options = { directory: join(disk, 'journal'), clock: systemClock, log: silentLog, maxBytes: 64 * 1024 ** 2 };
const journal = await openSegmentedLog({ ...options, probeIntervalMs: 50 });
await writeFile(join(disk, 'filler'), Buffer.alloc(1024 ** 2));

const accepted: string[] = [];
let refusal: Refusal | undefined;
for (let index = 0; refusal === undefined; index += 1) {
  // Several at a time: a write that ends early leaves whole records of a group that is refused.
  const texts = Array.from({ length: 5 }, (_, at) => `${index}-${at}`);
  const results = await Promise.allSettled(texts.map((text) => journal.append(entry(text.padEnd(3000)))));
  for (const [at, result] of results.entries()) {
    if (result.status === 'fulfilled') accepted.push(texts[at]!);
    else refusal = result.reason as Refusal;
  }
}
const trouble = journal.trouble();
await setTimeout(200);
const stillRefused = journal.trouble() !== undefined;
await rm(join(disk, 'filler'));
const deadline = Date.now() + 10_000;
while (journal.trouble() !== undefined && Date.now() < deadline) await setTimeout(20);
const healed = journal.trouble() === undefined;
await journal.append(entry('after'));
accepted.push('after');
await journal.close();

const again = await openSegmentedLog(options);
const found = (await readAll(again)).map((record) => textOf(record).trimEnd());
await again.close();
const { status, message } = refusal;
console.log(
  JSON.stringify({ status, message, trouble, stillRefused, healed, accepted, found, recovery: again.recovery }),
);
