/** One file of the log as it is known in memory: what it covers, and a sparse index into it. */
import { join } from 'node:path';
import type { Position } from '../core/journal.ts';
import { SEGMENT_HEADER_BYTES } from './frame.ts';

export interface Segment {
  /** 1, 2, 3 … in the order of writing; the number in the file's name. */
  readonly ordinal: number;
  readonly path: string;
  /** The position before its first record. */
  readonly base: Position;
  /** The position of its last durable record; `base` where it has none. */
  last: Position;
  /** Bytes of the file. */
  bytes: number;
  /** Where the durable records end. */
  end: number;
  readonly index: SparseIndex;
  /** True once damage in it was told while reading: once is enough. */
  damageTold: boolean;
}

const NAME = /^segment-(\d{10,15})\.log$/;

export const segmentPath = (directory: string, ordinal: number): string =>
  join(directory, `segment-${String(ordinal).padStart(10, '0')}.log`);

/** @returns undefined for a file that is no segment */
export function segmentOrdinal(file: string): number | undefined {
  const digits = NAME.exec(file)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

export function newSegment(directory: string, ordinal: number, base: Position): Segment {
  return {
    ordinal,
    path: segmentPath(directory, ordinal),
    base,
    last: base,
    bytes: 0,
    end: SEGMENT_HEADER_BYTES,
    index: sparseIndex(),
    damageTold: false,
  };
}

/** Where to begin reading for a sequence: one entry per 64 KiB, so that a reader skips at most that much. */
export interface SparseIndex {
  /** Call in ascending order; most calls add nothing. */
  readonly add: (sequence: number, offset: number) => void;
  /** @returns an offset at which a frame begins, none of those before it being `sequence` or later */
  readonly find: (sequence: number) => number;
}

const INDEX_EVERY_BYTES = 64 * 1024;

function sparseIndex(): SparseIndex {
  const sequences: number[] = [];
  const offsets: number[] = [];
  let next = 0;
  return {
    add: (sequence, offset) => {
      if (offset < next) return;
      sequences.push(sequence);
      offsets.push(offset);
      next = offset + INDEX_EVERY_BYTES;
    },
    find: (sequence) => {
      let low = 0;
      let high = sequences.length;
      while (low < high) {
        const middle = (low + high) >>> 1;
        if (sequences[middle]! <= sequence) low = middle + 1;
        else high = middle;
      }
      return offsets[Math.max(0, low - 1)] ?? SEGMENT_HEADER_BYTES;
    },
  };
}
