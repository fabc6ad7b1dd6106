/**
 * Memory for the newest records that is used again and again. A body lives for as long as the slowest sink takes, too long
 * for the young generation; left to the garbage collector, 50 MB of them a second cost a full collection every second.
 */
import type { JournalEntry } from './journal.ts';

/** A stretch of memory that records lie in, one behind the other. */
export interface Slab {
  readonly memory: Buffer;
  used: number;
  /** Records that lie in it, and readers that look at them. With none left it is written over. */
  holders: number;
}

export interface Kept {
  /** The same, with its bytes in the slab. */
  readonly entry: JournalEntry;
  /** Undefined for an entry that is too large for one: the garbage collector has that. */
  readonly slab: Slab | undefined;
}

export interface Slabs {
  /** Copies an entry; it holds its slab until `leave`. */
  readonly keep: (entry: JournalEntry) => Kept;
  /** One more looks at the slab. Who never leaves keeps it from being used again: it goes when nothing refers to it. */
  readonly enter: (slab: Slab) => void;
  readonly leave: (slab: Slab) => void;
}

const SLAB_BYTES = 1024 * 1024;
/** Slabs kept for later; a backlog that needed more gives the others back. */
const SPARE_SLABS = 16;

export function createSlabs(): Slabs {
  const spare: Slab[] = [];
  let open = newSlab();

  return {
    keep: ({ envelope, payload, metrics }) => {
      const length = envelope.length + payload.length;
      if (length > SLAB_BYTES) return { entry: { envelope, payload, metrics }, slab: undefined };
      if (open.used + length > SLAB_BYTES) open = spare.pop() ?? newSlab();
      const { memory, used } = open;
      const middle = used + envelope.length;
      memory.set(envelope, used);
      memory.set(payload, middle);
      open.used = used + length;
      open.holders += 1;
      return {
        entry: { envelope: memory.subarray(used, middle), payload: memory.subarray(middle, used + length), metrics },
        slab: open,
      };
    },
    enter: (slab) => {
      slab.holders += 1;
    },
    leave: (slab) => {
      slab.holders -= 1;
      if (slab.holders > 0) return;
      slab.used = 0;
      if (slab !== open && spare.length < SPARE_SLABS) spare.push(slab);
    },
  };
}

const newSlab = (): Slab => ({ memory: Buffer.allocUnsafeSlow(SLAB_BYTES), used: 0, holders: 0 });
