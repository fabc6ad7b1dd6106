/** What one metric costs in the writer's thread, on an empty database and at 5 million rows, and on disk. */
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type Database from 'better-sqlite3';
import { packRecords } from '../../../src/core/record-transfer.ts';
import { openForWriting } from '../../../src/sinks/sqlite/database.ts';
import { openEventWriter } from '../../../src/sinks/sqlite/event-writer.ts';
import { DEFAULT_CAPS } from '../../../src/sinks/sqlite/writer-caps.ts';
import { preparedInserts, removeDatabase } from '../baselines/prepared-inserts.ts';
import { filledDatabase } from '../filled-database.ts';
import { recordStream } from '../records.ts';
import { compared, type Figure, type Scenario } from '../scenario.ts';

const BATCH = 10_000;

interface OpenDatabase {
  readonly db: Database.Database;
  /** Writes so many metrics; @returns microseconds per metric, the making of them apart */
  readonly write: (metrics: number) => number;
}

function open(path: string, startsAt: number): OpenDatabase {
  const { db } = openForWriting(path);
  const writer = openEventWriter(db, DEFAULT_CAPS);
  const after = writer.checkpoint();
  const stream = recordStream({
    perRequest: 100,
    startsAt,
    stepMs: 10,
    ...(after === undefined ? undefined : { after }),
  });
  const write = (metrics: number): number => {
    let spent = 0;
    let written = 0;
    while (written < metrics) {
      const packed = packRecords(stream.next(Math.min(BATCH, metrics)));
      const start = performance.now();
      written += writer.write(packed, stream.checkpoint()).written;
      spent += performance.now() - start;
    }
    return (spent * 1000) / written;
  };
  return { db, write };
}

/** Bytes of the whole file, and of the rollups in it. */
function sizes(db: Database.Database, path: string): { total: number; rollups: number } {
  db.pragma('wal_checkpoint(TRUNCATE)');
  const rollups = db
    .prepare<[], number>(`SELECT coalesce(sum(pgsize), 0) FROM dbstat WHERE name LIKE 'rollup%'`)
    .pluck()
    .get();
  return { total: statSync(path).size, rollups: rollups ?? 0 };
}

export const scenario: Scenario = async (settings) => {
  const { rounds, small, say } = settings;
  const [rows, perRound] = small ? [50_000, 10_000] : [5_000_000, 100_000];
  const directory = mkdtempSync(join(tmpdir(), 'bench-insert-'));
  const filled = filledDatabase(rows, settings);
  try {
    const large = open(filled.path, filled.endsAt);
    large.write(Math.min(perRound, BATCH));
    const measured: { empty: number; large: number; bare: number }[] = [];
    for (let round = 0; round < rounds; round += 1) {
      say(`round ${round + 1}`);
      const path = join(directory, `empty-${round}.db`);
      const barePath = join(directory, `bare-${round}.db`);
      const empty = open(path, Date.now());
      // As the large one: dictionaries, statements and caches are there.
      empty.write(Math.min(perRound, BATCH));
      // What is timed next to each other in one round is what is compared.
      const emptyMicros = empty.write(perRound);
      const largeMicros = large.write(perRound);
      empty.db.close();
      const bareMicros = preparedInserts(path).run(barePath);
      measured.push({ empty: emptyMicros, large: largeMicros, bare: bareMicros });
      removeDatabase(path);
      removeDatabase(barePath);
    }
    const { total, rollups } = sizes(large.db, filled.path);
    const count = large.db.prepare<[], number>('SELECT count(*) FROM events').pluck().get()!;
    large.db.close();
    const figures: Figure[] = [
      compared(
        { what: 'a metric into an empty database', unit: 'µs', against: 'bare prepared inserts of the same rows' },
        measured.map(({ empty, bare }) => ({ value: empty, baseline: bare })),
      ),
      compared(
        {
          what: `a metric at ${rows.toLocaleString('en-US')} rows`,
          unit: 'µs',
          against: 'into an empty database',
          goal: { atMost: 1.3 },
        },
        measured.map(({ empty, large }) => ({ value: large, baseline: empty })),
      ),
      {
        what: 'on disk per metric, rollups apart',
        value: (total - rollups) / count,
        unit: 'bytes',
        goal: { atMost: 200 },
      },
      { what: 'rollups, all in all', value: rollups / 1e6, unit: 'MB' },
    ];
    return await Promise.resolve(figures);
  } finally {
    filled.remove();
    rmSync(directory, { recursive: true, force: true });
  }
};
