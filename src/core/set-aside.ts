/** Events that a sink can never take, kept one file each so that an operator can look at them and drive them again. */
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { makeDirectory, writeFileAtomically } from './files.ts';
import type { Log } from './ports.ts';
import type { DeliveredEvent } from './sink.ts';

/** An event that was set aside, as its file holds it. */
export interface SetAsideEvent {
  /** The event's id: journal, sequence, index. */
  readonly id: string;
  readonly sink: string;
  /** What the sink said. */
  readonly reason: string;
  /** Milliseconds since the Unix epoch. */
  readonly at: number;
  /** Absent where this version cannot decode the journal's record; `record` is there then. */
  readonly event?: DeliveredEvent;
  readonly record?: RawRecord;
}

/** A record of the journal as it is, in base64: another version of the gateway may be able to read it. */
export interface RawRecord {
  readonly envelope: string;
  readonly payload: string;
  readonly metrics: number;
}

export interface SetAside {
  /** Durable once resolved. The same event again replaces its file. */
  readonly put: (event: SetAsideEvent) => Promise<void>;
  readonly remove: (id: string) => Promise<void>;
  /** In the journal's order. A file that cannot be read is left out, and told in the log. */
  readonly list: () => Promise<readonly SetAsideEvent[]>;
  /** Events held now. */
  readonly size: () => number;
  /** Events thrown away because more than the limit were set aside; the oldest go first. */
  readonly discarded: () => number;
}

/** Sequence and index padded, so that the names sort in the journal's order. */
function fileName(id: string): string {
  const [journal = '', sequence = '0', index = '0'] = id.split('/');
  return `${sequence.padStart(16, '0')}-${index.padStart(6, '0')}-${journal.replaceAll(/[^A-Za-z0-9_-]/g, '')}.json`;
}

/** @param maxEvents kept at most; the oldest go first, counted */
export async function openSetAside(directory: string, maxEvents: number, log: Log): Promise<SetAside> {
  await makeDirectory(directory);
  const names = new Set((await readdir(directory)).filter((name) => name.endsWith('.json')).toSorted());
  let discarded = 0;

  const readEvent = async (name: string): Promise<SetAsideEvent | undefined> => {
    const path = join(directory, name);
    try {
      const event = JSON.parse(await readFile(path, 'utf8')) as SetAsideEvent;
      if (typeof event.id === 'string' && fileName(event.id) === name) return event;
      throw new Error('it does not hold the event that its name says');
    } catch (error) {
      log.warn({ path, err: error }, 'an event that was set aside cannot be read; its file stays where it is');
      return undefined;
    }
  };

  return {
    put: async (event) => {
      const name = fileName(event.id);
      await writeFileAtomically(join(directory, name), JSON.stringify(event));
      names.add(name);
      for (const oldest of names) {
        if (names.size <= maxEvents) break;
        await rm(join(directory, oldest), { force: true });
        names.delete(oldest);
        discarded += 1;
      }
    },
    remove: async (id) => {
      const name = fileName(id);
      if (!names.delete(name)) return;
      await rm(join(directory, name), { force: true });
    },
    list: async () => {
      const events: SetAsideEvent[] = [];
      for (const name of [...names].toSorted()) {
        const event = await readEvent(name);
        if (event !== undefined) events.push(event);
      }
      return events;
    },
    size: () => names.size,
    discarded: () => discarded,
  };
}
