/** Reads records back from the segments: for a sink that has fallen behind, and after a restart. */
import type { JournalRecord, ReadLimit } from '../core/journal.ts';
import type { FileOperations } from './file-operations.ts';
import { FRAME_BYTES, type JournalId } from './frame.ts';
import { withFile } from './segment-files.ts';
import type { Segment } from './segment.ts';
import { walk } from './walk.ts';

const MIN_CHUNK_BYTES = 64 * 1024;
const MAX_CHUNK_BYTES = 1024 * 1024;

/**
 * Records after `after` up to `through`, within the limit but at least one.
 * @param onDamage told of stretches that cannot be read; more than once where they are read more than once
 */
export async function readRecords(
  segments: readonly Segment[],
  id: JournalId,
  after: number,
  through: number,
  limit: ReadLimit,
  files: FileOperations,
  onDamage: (segment: Segment, from: number, to: number) => void,
): Promise<readonly JournalRecord[]> {
  const found: JournalRecord[] = [];
  let bytes = 0;
  let metrics = 0;
  let full = false;
  // A copy: trimming may go on meanwhile.
  for (const segment of segments.filter(({ last }) => last.sequence > after)) {
    if (full || segment.base.sequence >= through) break;
    const from = segment.index.find(Math.max(after, segment.base.sequence) + 1);
    const range = { from, to: segment.end, id, after: 0, keep: true };
    const chunkBytes = Math.min(MAX_CHUNK_BYTES, Math.max(MIN_CHUNK_BYTES, limit.maxBytes));
    try {
      await withFile(files, segment.path, (file) =>
        walk(
          file,
          { ...range, chunkBytes },
          {
            record: (frame, _offset, chunk, at) => {
              if (frame.sequence <= after) return true;
              if (frame.sequence > through) return false;
              bytes += frame.envelopeBytes + frame.payloadBytes;
              metrics += frame.metrics;
              full = bytes > limit.maxBytes || metrics > limit.maxMetrics;
              if (full && found.length > 0) return false;
              const body = at + FRAME_BYTES;
              const middle = body + frame.envelopeBytes;
              found.push({
                sequence: frame.sequence,
                count: frame.count,
                metrics: frame.metrics,
                envelope: chunk.subarray(body, middle),
                payload: chunk.subarray(middle, middle + frame.payloadBytes),
              });
              return !full;
            },
            damage: (start, end) => onDamage(segment, start, end),
          },
        ),
      );
    } catch (error) {
      // Trimmed since the call began: the reader sees the jump.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  return found;
}
