/** A delivery over a memory journal with a virtual clock, and records of numbered events. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createDelivery, type Delivery } from '../../src/core/delivery.ts';
import type { Journal, JournalEntry, Position } from '../../src/core/journal.ts';
import type { Log } from '../../src/core/ports.ts';
import { encodeEvent } from '../../src/core/record.ts';
import { createRecentRecords, type RecentRecords } from '../../src/core/recent-records.ts';
import { openSetAside, type SetAside, type SetAsideEvent } from '../../src/core/set-aside.ts';
import type { DeliveredBatch, Sink } from '../../src/core/sink.ts';
import { openMemoryJournal } from '../../src/journal/memory-journal.ts';
import { type VirtualClock, virtualClock } from '../support/virtual-clock.ts';

export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => silentLog };

/** A record of `values.length` events, told apart by their values. */
export function entryOf(...values: number[]): JournalEntry {
  const { envelope } = encodeEvent({
    id: '',
    type: 'custom',
    timestamp: 0,
    value: 0,
    dimensions: {},
    metadata: {},
    requestId: 'req_1',
    receivedAt: Date.UTC(2026, 0, 1),
    service: 's',
    keyService: 'k',
    resourceAttributes: {},
  });
  const events = values.map((value) => ({ type: 'custom', timestamp: 0, value, dimensions: {}, metadata: {} }));
  return {
    envelope,
    payload: new TextEncoder().encode(JSON.stringify({ resource: { service: 's' }, events })),
    metrics: values.length,
  };
}

export const valuesOf = (batch: DeliveredBatch): number[] => batch.events.map(({ value }) => value);

/** Set-aside events in memory: nothing waits for a disk, so a virtual clock alone moves everything. */
export function memorySetAside(): SetAside {
  const events = new Map<string, SetAsideEvent>();
  return {
    put: async (event) => void events.set(event.id, event),
    remove: async (id) => void events.delete(id),
    list: async () => [...events.values()],
    size: () => events.size,
    discarded: () => 0,
  };
}

export interface Harness {
  readonly clock: VirtualClock;
  readonly journal: Journal;
  readonly records: RecentRecords;
  readonly delivery: Delivery;
  readonly setAside: SetAside;
  readonly remove: () => Promise<void>;
}

export async function harness(
  sink: Sink,
  options: { position?: Position; memoryBytes?: number; journal?: Journal; setAside?: SetAside } = {},
): Promise<Harness> {
  const clock = virtualClock();
  const directory = await mkdtemp(join(tmpdir(), 'delivery-'));
  const journal = options.journal ?? openMemoryJournal({ maxBytes: 1e9 });
  const records = createRecentRecords(journal, clock, options.memoryBytes ?? 1e9);
  const setAside = options.setAside ?? (await openSetAside(directory, 100, silentLog));
  const delivery = createDelivery({
    sink,
    records,
    journalId: journal.id,
    locate: (checkpoint) => checkpoint,
    position: options.position ?? { sequence: 0, count: 0 },
    setAside,
    clock,
    log: silentLog,
  });
  return { clock, journal, records, delivery, setAside, remove: () => rm(directory, { recursive: true }) };
}
