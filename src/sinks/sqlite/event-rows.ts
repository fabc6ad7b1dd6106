/** Single events into the tables: dictionary entries, the row, its rollups and the counts. Whose transaction it is, is told elsewhere. */
import type Database from 'better-sqlite3';
import { METRIC_TYPES, type MetricEvent, type Resource } from '../../core/metric.ts';
import { LABEL_COLUMNS } from './columns.ts';
import { type DictionaryEntry, openDictionary } from './dictionary.ts';
import { createEventEncoder } from './encode-event.ts';
import { openRowInsert } from './row-insert.ts';
import { type RollupSeries, rollupSeriesOf } from './rollup-series.ts';
import { openRollupWriter, type RollupWriter } from './rollup-writer.ts';
import type { WriterCaps } from './writer-caps.ts';

/** Texts longer than this stay out of dictionaries. */
const MAX_DICTIONARY_TEXT = 96;
/** Series descriptions kept by dictionary entries. */
const MAX_CACHED_SERIES = 50_000;

/** An event with what the row needs beside it. */
interface EventOrigin {
  readonly requestId: string;
  readonly receivedAt: number;
  readonly resource: Resource;
  readonly keyService: string;
}

export interface EventRows {
  /**
   * Adds one event; only inside a transaction that ends with `flush`, or is rolled back and followed by `reset`.
   * @returns the id of its attribute set
   */
  readonly add: (event: MetricEvent, origin: EventOrigin) => number;
  readonly flush: () => void;
  /** Forgets all that is not in the database. */
  readonly reset: () => void;
  readonly rollups: RollupWriter;
}

/** Of one resource: the series by attribute set, then by client. */
type SeriesBySet = Map<DictionaryEntry, Map<DictionaryEntry | undefined, RollupSeries>>;

export function openEventRows(db: Database.Database, caps: WriterCaps): EventRows {
  const insert = openRowInsert(db);
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
  const seriesByResource = new Map<DictionaryEntry, SeriesBySet>();
  const counts = METRIC_TYPES.map(() => 0);
  let cachedSeries = 0;
  let lastOrigin: EventOrigin | undefined;
  let lastResource: DictionaryEntry = { id: 0, private: false, lastSeen: 0 };
  let lastSeries: SeriesBySet = new Map();
  const source = { resourceId: 0, receivedAt: 0, requestId: '' as Buffer | string };

  function resourceOf(
    { service, version, instanceId, attributes }: Resource,
    keyService: string,
    timestamp: number,
  ): DictionaryEntry {
    const attributesJson = JSON.stringify(attributes);
    const parts = [service, version ?? null, instanceId ?? null, keyService, attributesJson];
    return resources.entry(JSON.stringify(parts), timestamp, () => parts);
  }

  function enter(origin: EventOrigin, timestamp: number): void {
    lastOrigin = origin;
    lastResource = resourceOf(origin.resource, origin.keyService, timestamp);
    source.resourceId = lastResource.id;
    source.receivedAt = origin.receivedAt;
    source.requestId = packRequestId(origin.requestId);
    let known = seriesByResource.get(lastResource);
    if (known === undefined) {
      known = new Map();
      // A private row serves one event: nobody would ask for it again.
      if (!lastResource.private) seriesByResource.set(lastResource, known);
    }
    lastSeries = known;
  }

  function seriesOf(event: MetricEvent, set: DictionaryEntry, client: DictionaryEntry | undefined): RollupSeries {
    const { service } = lastOrigin!.resource;
    if (set.private || client?.private === true) return rollupSeriesOf(event, service);
    let byClient = lastSeries.get(set);
    const known = byClient?.get(client);
    if (known !== undefined) return known;
    if (cachedSeries >= MAX_CACHED_SERIES) forgetSeries();
    if (byClient === undefined) {
      byClient = new Map();
      lastSeries.set(set, byClient);
    }
    const made = rollupSeriesOf(event, service);
    byClient.set(client, made);
    cachedSeries += 1;
    return made;
  }

  function forgetSeries(): void {
    seriesByResource.clear();
    lastSeries = new Map();
    cachedSeries = 0;
  }

  return {
    rollups,
    add: (event, origin) => {
      // A private row has no one to raise its age: events of another day get one of their own.
      if (origin !== lastOrigin || event.timestamp > lastResource.lastSeen) enter(origin, event.timestamp);
      const encoded = encoder.encode(event);
      const { type, attributeSet, client } = encoded;
      insert(event, encoded, source);
      rollups.add(event, seriesOf(event, attributeSet, client));
      counts[type - 1]! += 1;
      return attributeSet.id;
    },
    flush: () => {
      rollups.flush();
      for (const dictionary of dictionaries) dictionary.flush();
      for (const [at, count] of counts.entries()) {
        if (count !== 0) addCount.run(count, at + 1);
      }
      counts.fill(0);
      lastOrigin = undefined;
    },
    reset: () => {
      for (const dictionary of dictionaries) dictionary.reset();
      encoder.reset();
      rollups.reset();
      seriesByResource.clear();
      cachedSeries = 0;
      counts.fill(0);
      lastOrigin = undefined;
    },
  };
}

const REQUEST_ID = /^req_[0-9a-f]{32}$/;

const packRequestId = (requestId: string): Buffer | string =>
  REQUEST_ID.test(requestId) ? Buffer.from(requestId.slice(4), 'hex') : requestId;
