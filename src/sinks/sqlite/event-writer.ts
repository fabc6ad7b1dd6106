/** Writes batches of events: rows, dictionaries, rollups, counts and the checkpoint in one transaction. */
import type Database from 'better-sqlite3';
import type { Checkpoint } from '../../core/journal.ts';
import { METRIC_TYPES, type MetricEvent, type Resource } from '../../core/metric.ts';
import { readRecord, type ReadRecord } from '../../core/record.ts';
import { Unacceptable } from '../../core/sink.ts';
import { unpackRecords } from './batch-transfer.ts';
import { LABEL_COLUMNS } from './columns.ts';
import { type DictionaryEntry, openDictionary } from './dictionary.ts';
import { createEventEncoder } from './encode-event.ts';
import type { RebuiltBucket } from './rebuild-bucket.ts';
import { openRolledEvents } from './rolled-events.ts';
import { type RollupSeries, rollupSeriesOf } from './rollup-series.ts';
import { openRollupWriter, type RollupCaps } from './rollup-writer.ts';

export interface WriterCaps extends RollupCaps {
  /** Shared rows of each dictionary. */
  readonly maxAttributeSets: number;
  /** Distinct values per label column that dictionaries take in. */
  readonly maxLabelValues: number;
}

export const DEFAULT_CAPS: WriterCaps = {
  maxAttributeSets: 20_000,
  maxLabelValues: 2000,
  maxHourlyRows: 4000,
  maxDailyRows: 10_000,
};

/** Texts longer than this stay out of dictionaries. */
const MAX_DICTIONARY_TEXT = 96;
/** Series descriptions kept by dictionary ids. */
const MAX_CACHED_SERIES = 50_000;

/** An event with what the row needs beside it. */
export interface EventOrigin {
  readonly requestId: string;
  readonly receivedAt: number;
  readonly resource: Resource;
  readonly keyService: string;
}

export interface EventWriter {
  /**
   * Writes a packed batch, unless the checkpoint in the database shows that it, or its beginning, is written already.
   * @param late true writes it all the same and leaves the checkpoint: it was left out when that was passed
   * @throws Unacceptable for what SQLite can never take; anything else is an outage
   */
  readonly write: (batch: ArrayBuffer, checkpoint: Checkpoint, late?: boolean) => { readonly written: number };
  /** Adds one event; only inside a transaction that ends with `flush`, or is rolled back and followed by `reset`. */
  readonly add: (event: MetricEvent, origin: EventOrigin) => number;
  readonly flush: () => void;
  readonly checkpoint: () => Checkpoint | undefined;
  /** Puts rebuilt rows in the place of a bucket's, and adds what has come since they were counted. */
  readonly replaceRollups: (
    table: 'rollup_hourly' | 'rollup_daily',
    bucket: number,
    bucketMs: number,
    rebuilt: RebuiltBucket,
  ) => void;
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
  const insert = db.prepare(
    `INSERT INTO events (type, timestamp, attribute_set_id, resource_id, client_id, shape_id, received_after, value,
       duration_ms, request_id, emitter_request, user_hash, text_1, number_1, number_2, number_3, number_4, number_5, fields)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const readState = db.prepare<[], StateRow>(
    'SELECT journal_id, sequence, count, dictionary_generation FROM writer_state WHERE id = 1',
  );
  const writeState = db.prepare('UPDATE writer_state SET journal_id = ?, sequence = ?, count = ? WHERE id = 1');
  const raiseGeneration = db.prepare(
    'UPDATE writer_state SET dictionary_generation = dictionary_generation + 1 WHERE id = 1',
  );
  const addCount = db.prepare('UPDATE event_counts SET count = count + ? WHERE type = ?');
  const cap = { maxRows: caps.maxAttributeSets, maxValues: caps.maxLabelValues, maxLength: MAX_DICTIONARY_TEXT };
  const resources = openDictionary(db, {
    ...cap,
    table: 'resources',
    columns: ['service', 'service_version', 'instance_id', 'key_service', 'attributes'],
    bounded: ['service', 'service_version'],
    maxLength: 200,
  });
  const attributeSets = openDictionary(db, {
    ...cap,
    table: 'attribute_sets',
    columns: ['type', ...LABEL_COLUMNS, 'labels'],
    bounded: LABEL_COLUMNS,
  });
  const clients = openDictionary(db, {
    ...cap,
    table: 'clients',
    columns: ['client_name', 'client_version', 'labels'],
    bounded: ['client_name', 'client_version'],
  });
  const shapes = openDictionary(db, {
    ...cap,
    table: 'shapes',
    columns: ['dimensions', 'metadata'],
    bounded: [],
  });
  const dictionaries = [resources, attributeSets, clients, shapes];
  const encoder = createEventEncoder({ attributeSets, clients, shapes });
  const rollups = openRollupWriter(db, caps);
  const rolled = openRolledEvents(db);
  const seriesByIds = new Map<string, RollupSeries>();
  const counts = METRIC_TYPES.map(() => 0);
  let generation = readState.get()?.dictionary_generation ?? 0;

  function reset(): void {
    for (const dictionary of dictionaries) dictionary.reset();
    encoder.reset();
    rollups.reset();
    seriesByIds.clear();
    counts.fill(0);
  }

  function resourceOf(
    { service, version, instanceId, attributes }: Resource,
    keyService: string,
    timestamp: number,
  ): DictionaryEntry {
    const attributesJson = JSON.stringify(attributes);
    const parts = [service, version ?? null, instanceId ?? null, keyService, attributesJson];
    return resources.entry(JSON.stringify(parts), timestamp, () => parts);
  }

  function series(event: MetricEvent, service: string, ids: string | undefined): RollupSeries {
    if (ids === undefined) return rollupSeriesOf(event, service);
    let found = seriesByIds.get(ids);
    if (found === undefined) {
      if (seriesByIds.size >= MAX_CACHED_SERIES) seriesByIds.clear();
      found = rollupSeriesOf(event, service);
      seriesByIds.set(ids, found);
    }
    return found;
  }

  let lastOrigin: EventOrigin | undefined;
  let lastResource: DictionaryEntry = { id: 0, private: false, lastSeen: 0 };
  let lastRequest: Buffer | string = '';

  function add(event: MetricEvent, origin: EventOrigin): number {
    // A private row has no one to raise its age: events of another day get one of their own.
    if (origin !== lastOrigin || event.timestamp > lastResource.lastSeen) {
      lastResource = resourceOf(origin.resource, origin.keyService, event.timestamp);
      lastRequest = packRequestId(origin.requestId);
      lastOrigin = origin;
    }
    const encoded = encoder.encode(event);
    const { type, attributeSet, client, numbers } = encoded;
    const { timestamp } = event;
    insert.run(
      type,
      timestamp,
      attributeSet.id,
      lastResource.id,
      client === undefined ? null : client.id,
      encoded.shapeId,
      origin.receivedAt - timestamp,
      event.value,
      event.durationMs ?? null,
      lastRequest,
      encoded.emitterRequest,
      encoded.userHash,
      encoded.text1,
      numbers[0],
      numbers[1],
      numbers[2],
      numbers[3],
      numbers[4],
      encoded.fields,
    );
    const isShared = !attributeSet.private && client?.private !== true;
    rollups.add(
      event,
      series(
        event,
        origin.resource.service,
        isShared ? `${lastResource.id}.${attributeSet.id}.${client?.id ?? 0}` : undefined,
      ),
    );
    counts[type - 1]! += 1;
    return attributeSet.id;
  }

  function flush(): void {
    rollups.flush();
    for (const dictionary of dictionaries) dictionary.flush();
    for (const [at, count] of counts.entries()) {
      if (count !== 0) addCount.run(count, at + 1);
    }
    counts.fill(0);
    lastOrigin = undefined;
  }

  /** Reads the state, and drops the caches where another writer made them void. */
  function begin(): StateRow {
    const state = readState.get();
    if (state === undefined)
      throw new Error('writer_state is empty: the database was edited by hand; restore a backup');
    if (state.dictionary_generation !== generation) {
      reset();
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
      else if (voids === 'all') reset();
      return result;
    } catch (error) {
      reset();
      throw error;
    } finally {
      lastOrigin = undefined;
    }
  }

  return {
    write: (batch, checkpoint, late = false) => {
      try {
        return { written: writeBatch.immediate(batch, checkpoint, late) };
      } catch (error) {
        lastOrigin = undefined;
        reset();
        throw db.open ? asSinkError(error) : error;
      }
    },
    add,
    flush,
    checkpoint: () => {
      const { journal_id: journalId, sequence, count } = readState.get() ?? EMPTY_STATE;
      return journalId === null ? undefined : { journalId, sequence, count };
    },
    replaceRollups: (table, bucket, bucketMs, { rows, throughId }) =>
      exclusively('rollups', () => {
        rollups.reset();
        const target = table === 'rollup_hourly' ? rollups.hourly : rollups.daily;
        target.replace(bucket, rows);
        for (const id of rolled.ids(bucket, bucket + bucketMs, throughId)) {
          const found = rolled.read(id);
          if (found !== undefined) target.add(found.event, found.series);
        }
        rollups.flush();
      }),
    exclusively,
    reset,
  };
}

const REQUEST_ID = /^req_[0-9a-f]{32}$/;

const packRequestId = (requestId: string): Buffer | string =>
  REQUEST_ID.test(requestId) ? Buffer.from(requestId.slice(4), 'hex') : requestId;

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
