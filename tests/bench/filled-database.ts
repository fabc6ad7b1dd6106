/**
 * A database of recorded traffic over 30 days that ends now. Making one of 5 million rows takes a minute or two, so it is
 * kept in .cache/bench/ until the migrations change; a copy is handed out.
 */
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packRecords } from '../../src/core/record-transfer.ts';
import { openForWriting } from '../../src/sinks/sqlite/database.ts';
import { openEventWriter } from '../../src/sinks/sqlite/event-writer.ts';
import { DEFAULT_CAPS } from '../../src/sinks/sqlite/writer-caps.ts';
import { MIGRATIONS_FOLDER } from '../../src/sinks/sqlite/migrate.ts';
import { ROOT } from '../support/root.ts';
import { recordStream } from './records.ts';
import type { Settings } from './scenario.ts';

const SPAN_MS = 30 * 86_400_000;
const BATCH = 10_000;

export interface FilledDatabase {
  readonly directory: string;
  readonly path: string;
  /** Milliseconds since the Unix epoch of the last metric. */
  readonly endsAt: number;
  readonly remove: () => void;
}

export function filledDatabase(metrics: number, { say }: Pick<Settings, 'say'>): FilledDatabase {
  const hash = createHash('sha256');
  for (const file of globSync('*.sql', { cwd: MIGRATIONS_FOLDER }).toSorted()) {
    hash.update(readFileSync(join(MIGRATIONS_FOLDER, file)));
  }
  const day = Math.floor(Date.now() / 86_400_000);
  const cached = join(ROOT, '.cache/bench', `${metrics}-${hash.digest('hex').slice(0, 12)}-${day}.db`);
  if (!existsSync(cached)) {
    mkdirSync(join(ROOT, '.cache/bench'), { recursive: true });
    for (const old of globSync(join(ROOT, '.cache/bench', `${metrics}-*`)))
      if (!old.startsWith(`${cached}.new`)) rmSync(old);
    say(`making a database of ${metrics.toLocaleString('en-US')} metrics`);
    fill(`${cached}.new`, metrics, day * 86_400_000);
    renameSync(`${cached}.new`, cached);
  }
  const directory = mkdtempSync(join(tmpdir(), 'bench-database-'));
  const path = join(directory, 'metrics.db');
  copyFileSync(cached, path);
  return {
    directory,
    path,
    endsAt: day * 86_400_000,
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}

/** Goes on where one before was cut short. */
function fill(path: string, metrics: number, endsAt: number): void {
  const { db } = openForWriting(path);
  db.pragma('synchronous = OFF');
  const writer = openEventWriter(db, DEFAULT_CAPS);
  const after = writer.checkpoint();
  const stepMs = SPAN_MS / metrics;
  const stream = recordStream({
    perRequest: 100,
    startsAt: endsAt - SPAN_MS + (after?.count ?? 0) * stepMs,
    stepMs,
    ...(after === undefined ? undefined : { after }),
  });
  while (stream.checkpoint().count < metrics) {
    const records = stream.next(Math.min(BATCH, metrics));
    writer.write(packRecords(records), stream.checkpoint());
  }
  db.pragma('wal_checkpoint(TRUNCATE)');
  db.close();
}
