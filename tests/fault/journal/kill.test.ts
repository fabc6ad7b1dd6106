import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import t from 'tap';
import { openSegmentedLog } from '../../../src/journal/segmented-log.ts';
import { systemClock } from '../../../src/telemetry/system-clock.ts';
import { readAll, textOf } from '../../journal/contract.ts';
import { plainNode } from '../../support/plain-node.ts';
import { silentLog } from '../../support/silent-log.ts';
import { folderOf } from '../../support/folder.ts';

/** How often the writer is killed; 40 unless `JOURNAL_KILLS` says otherwise. */
const KILLS = Number(process.env['JOURNAL_KILLS'] ?? 40);

t.test(
  `what was acknowledged is in the journal once after ${KILLS} kills`,
  { timeout: 60_000 + KILLS * 2000 },
  async (t) => {
    const directory = join(folderOf(t), 'journal');
    const acknowledged: string[] = [];
    for (let kill = 0; kill < KILLS; kill += 1) {
      const [command, args] = plainNode(
        '--conditions=mcp-metrics-source',
        join(import.meta.dirname, 'writer.ts'),
        directory,
        String(kill),
      );
      const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
      let printed = '';
      child.stdout.on('data', (bytes: Buffer) => (printed += bytes.toString()));
      const closed = once(child, 'close');
      // Every fourth is killed while it starts and recovers.
      if (kill % 4 !== 3) await once(child.stdout, 'data');
      await setTimeout(Math.random() * 100);
      child.kill('SIGKILL');
      await closed;
      acknowledged.push(...printed.split('\n').slice(0, -1));
    }
    const journal = await openSegmentedLog({ directory, clock: systemClock, log: silentLog, maxBytes: 1e9 });
    const found = await readAll(journal, { maxBytes: 1e6, maxMetrics: 1e6 });
    const times = new Map<string, number>();
    for (const record of found) {
      const text = textOf(record).trimEnd();
      times.set(text, (times.get(text) ?? 0) + 1);
    }
    t.comment(
      `${acknowledged.length} acknowledged, ${found.length} found, ${journal.recovery.damagedBytes} bytes cut off`,
    );
    t.ok(acknowledged.length > KILLS);
    t.same(
      acknowledged.filter((text) => !times.has(text)),
      [],
      'nothing acknowledged is lost',
    );
    t.same(
      [...times].filter(([, count]) => count > 1),
      [],
      'nothing is there twice',
    );
    t.equal(journal.recovery.lostMetrics, 0);
    t.ok(
      found.every(({ sequence, count }, index) => sequence === index + 1 && count === 3 * sequence),
      'no place is missing',
    );
    await journal.close();
  },
);
