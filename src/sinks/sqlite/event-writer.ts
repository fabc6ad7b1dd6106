/** Writes batches of events: rows, dictionaries, rollups, counts and the checkpoint in one transaction. */
import type Database from 'better-sqlite3';
import type { Checkpoint } from '../../core/journal.ts';
import { readRecord, type ReadRecord } from '../../core/record.ts';
import { unpackRecords } from '../../core/record-transfer.ts';
import { Unacceptable } from '../../core/sink.ts';
import { type EventRows, openEventRows } from './event-rows.ts';
import type { RebuiltBucket } from './rebuild-day.ts';
import { openRolledEvents } from './rolled-events.ts';
import type { WriterCaps } from './writer-caps.ts';

export interface EventWriter {
  /**
   * Writes a packed batch, unless the checkpoint in the database shows that it, or its beginning, is written already.
   * @param late true writes it all the same and leaves the checkpoint: it was left out when that was passed
   * @throws Unacceptable for what SQLite can never take; anything else is an outage
   */
  readonly write: (batch: ArrayBuffer, checkpoint: Checkpoint, late?: boolean) => { readonly written: number };
  /** Adds one event; only inside a transaction that ends with `flush`, or is rolled back and followed by `reset`. */
  readonly add: EventRows['add'];
  readonly flush: () => void;
  readonly checkpoint: () => Checkpoint | undefined;
  /** Puts rebuilt rows in the place of their buckets', and adds what has come after the event `seenId`. */
  readonly replaceRollups: (buckets: readonly RebuiltBucket[], seenId: number) => void;
  /**
   * Runs other work on the same tables in a transaction, and tells writers in other processes that their caches are void.
   * @param voids what of this writer's own caches the work makes void
   */
  readonly exclusively: <T>(voids: 'nothing' | 'rollups' | 'all', work: () => T) => T;
  readonly reset: () => void;
}

interface StateRow {
  readonly journal_id: string | null;
  readonly sequence: number;
  readonly count: number;
  readonly dictionary_generation: number;
}

const EMPTY_STATE: StateRow = { journal_id: null, sequence: 0, count: 0, dictionary_generation: 0 };

export function openEventWriter(db: Database.Database, caps: WriterCaps): EventWriter {
  const rows = openEventRows(db, caps);
  const { rollups, add, flush } = rows;
  const readState = db.prepare<[], StateRow>(
    'SELECT journal_id, sequence, count, dictionary_generation FROM writer_state WHERE id = 1',
  );
  const writeState = db.prepare('UPDATE writer_state SET journal_id = ?, sequence = ?, count = ? WHERE id = 1');
  const raiseGeneration = db.prepare(
    'UPDATE writer_state SET dictionary_generation = dictionary_generation + 1 WHERE id = 1',
  );
  const rolled = openRolledEvents(db);
  let generation = readState.get()?.dictionary_generation ?? 0;

  /** Reads the state, and drops the caches where another writer made them void. */
  function begin(): StateRow {
    const state = readState.get();
    if (state === undefined)
      throw new Error('writer_state is empty: the database was edited by hand; restore a backup');
    if (state.dictionary_generation !== generation) {
      rows.reset();
      generation = state.dictionary_generation;
    }
    return state;
  }

  const writeBatch = db.transaction((batch: ArrayBuffer, checkpoint: Checkpoint, late: boolean): number => {
    const state = begin();
    /** Metrics of this journal that the database holds already: a batch may come again after a lost answer. */
    const done = late ? Number.NEGATIVE_INFINITY : state.journal_id === checkpoint.journalId ? state.count : 0;
    let written = 0;
    for (const record of unpackRecords(batch)) {
      const first = record.count - record.metrics;
      if (first + record.to <= done) continue;
      const { envelope, resource, events } = decode(record);
      const origin = {
        requestId: envelope.requestId,
        receivedAt: envelope.receivedAt,
        resource,
        keyService: envelope.keyService,
      };
      for (let at = Math.max(record.from, done - first); at < record.to; at += 1) {
        const event = events[at];
        if (event === undefined) throw new Unacceptable(`record ${record.sequence} holds no event ${at}`);
        add(event, origin);
        written += 1;
      }
    }
    flush();
    if (late) return written;
    if (checkpoint.count > done || state.journal_id !== checkpoint.journalId || checkpoint.sequence > state.sequence) {
      writeState.run(checkpoint.journalId, checkpoint.sequence, checkpoint.count);
    }
    return written;
  });

  function exclusively<T>(voids: 'nothing' | 'rollups' | 'all', work: () => T): T {
    try {
      const result = db
        .transaction(() => {
          begin();
          const made = work();
          raiseGeneration.run();
          return made;
        })
        .immediate();
      generation += 1;
      if (voids === 'rollups') rollups.reset();
      else if (voids === 'all') rows.reset();
      return result;
    } catch (error) {
      rows.reset();
      throw error;
    }
  }

  return {
    write: (batch, checkpoint, late = false) => {
      try {
        return { written: writeBatch.immediate(batch, checkpoint, late) };
      } catch (error) {
        rows.reset();
        throw db.open ? asSinkError(error) : error;
      }
    },
    add,
    flush,
    checkpoint: () => {
      const { journal_id: journalId, sequence, count } = readState.get() ?? EMPTY_STATE;
      return journalId === null ? undefined : { journalId, sequence, count };
    },
    replaceRollups: (buckets, seenId) =>
      exclusively('nothing', () => {
        const targets = buckets.map(({ table, bucket, rows }) => {
          const target = table === 'rollup_hourly' ? rollups.hourly : rollups.daily;
          target.replace(bucket, rows);
          return { target, bucket, end: bucket + target.bucketMs };
        });
        const from = Math.min(...targets.map(({ bucket }) => bucket));
        const to = Math.max(...targets.map(({ end }) => end));
        for (const id of rolled.idsAfter(seenId, from, to)) {
          const found = rolled.read(id);
          if (found === undefined) continue;
          const { timestamp } = found.event;
          for (const { target, bucket, end } of targets) {
            if (timestamp >= bucket && timestamp < end) target.add(found.event, found.series);
          }
        }
        rollups.flush();
      }),
    exclusively,
    reset: rows.reset,
  };
}

function decode(record: Parameters<typeof readRecord>[0] & { readonly sequence: number }): ReadRecord {
  try {
    return readRecord(record);
  } catch (error) {
    throw new Unacceptable(`record ${record.sequence} cannot be decoded: ${String(error)}`, { cause: error });
  }
}

/** What no retry can cure, because it lies in the data. */
const DATA_ERRORS = /^SQLITE_(CONSTRAINT|MISMATCH|TOOBIG|RANGE)/;

function asSinkError(error: unknown): unknown {
  if (error instanceof Unacceptable) return error;
  const code = (error as { code?: unknown }).code;
  if (typeof code === 'string') {
    return DATA_ERRORS.test(code)
      ? new Unacceptable(`SQLite refuses the data: ${String(error)}`, { cause: error })
      : error;
  }
  // Thrown while an event was put together or bound (a value of a type that no column takes).
  return error instanceof TypeError || error instanceof RangeError
    ? new Unacceptable(`the event cannot be stored: ${error.message}`, { cause: error })
    : error;
}
