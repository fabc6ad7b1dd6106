/**
 * Metrics that wait to be sent, as the bytes that a body has of them: bounded by number and by size, and the oldest give way.
 * Made bytes one by one as they are recorded, they leave nothing to join when a batch is due, and next to nothing to the garbage collector.
 */
import { utf8 } from './user-hash.ts';

/** Metrics one behind the other, each with a comma after it, and how many bytes each has with it. */
export interface Records {
  readonly bytes: Uint8Array;
  readonly lengths: readonly number[];
}

/** The first of them, at most so many and (beyond the first) so many bytes, and the others. Copies no byte. */
export function divide({ bytes, lengths }: Records, limit: number, mostBytes: number): readonly [Records, Records] {
  let metrics = 0;
  let size = 0;
  for (const length of lengths.slice(0, limit)) {
    if (size > 0 && size + length > mostBytes) break;
    metrics += 1;
    size += length;
  }
  return [
    { bytes: bytes.subarray(0, size), lengths: lengths.slice(0, metrics) },
    { bytes: bytes.subarray(size), lengths: lengths.slice(metrics) },
  ];
}

export interface MetricBuffer {
  /** @returns how many of the oldest were dropped to make room */
  readonly push: (metric: string) => number;
  /** Takes the oldest, as `divide` does. */
  readonly take: (limit: number, mostBytes: number) => Records;
}

/** Size is bounded by 1,000 bytes for each of `maxMetrics`, about three times what a metric has. */
export function createBuffer(maxMetrics: number): MetricBuffer {
  /** Written once from front to back, so that what was taken stays as it is; then others, as large as what waits asks for. */
  let bytes = new Uint8Array();
  let start = 0;
  let end = 0;
  /** Of the metrics in `bytes`; those before `first` are gone. */
  let lengths: number[] = [];
  let first = 0;

  return {
    push: (metric) => {
      const most = metric.length * 3 + 1;
      let dropped = 0;
      while (
        lengths.length > first &&
        (lengths.length - first >= maxMetrics || end - start + metric.length >= maxMetrics * 1000)
      ) {
        start += lengths[first]!;
        first += 1;
        dropped += 1;
      }
      if (end + most > bytes.length) {
        const waiting = bytes.subarray(start, end);
        // Room for as much again, so that moving is rare.
        bytes = new Uint8Array(waiting.length * 2 + most + 65_536);
        bytes.set(waiting);
        lengths = lengths.slice(first);
        end -= start;
        start = first = 0;
      }
      const { written } = utf8.encodeInto(`${metric},`, bytes.subarray(end));
      end += written;
      lengths.push(written);
      return dropped;
    },
    take: (limit, mostBytes) => {
      const waiting = { bytes: bytes.subarray(start, end), lengths: lengths.slice(first) };
      const [taken] = divide(waiting, limit, mostBytes);
      start += taken.bytes.length;
      first += taken.lengths.length;
      return taken;
    },
  };
}
