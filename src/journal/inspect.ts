/**
 * What a journal's directory holds, for people and for tools: each segment, each record, each stretch that cannot be
 * read. Reads alone, so that it may look at the journal of a running gateway too.
 */
import { readEnvelope } from '../core/record.ts';
import { type FileOperations, realFiles } from './file-operations.ts';
import { frameLength, journalId, SEGMENT_HEADER_BYTES } from './frame.ts';
import { findId, findSegmentFiles, isIntact, type SegmentFile, withFile } from './segment-files.ts';
import { walk } from './walk.ts';

export interface InspectedSegment {
  readonly kind: 'segment';
  readonly path: string;
  readonly bytes: number;
  /** From its header; absent where that is damaged. */
  readonly journalId?: string;
  readonly version?: number;
  /** The position before its first record. */
  readonly base?: { readonly sequence: number; readonly count: number };
  /** ISO 8601. */
  readonly createdAt?: string;
  readonly problem?: string;
}

export interface InspectedRecord {
  readonly kind: 'record';
  readonly offset: number;
  readonly bytes: number;
  readonly sequence: number;
  readonly count: number;
  readonly metrics: number;
  readonly envelopeBytes: number;
  readonly payloadBytes: number;
  /** From the envelope; absent where that is not of this gateway's making. */
  readonly requestId?: string;
  /** ISO 8601. */
  readonly receivedAt?: string;
  readonly service?: string;
}

export interface InspectedDamage {
  readonly kind: 'damage';
  readonly offset: number;
  readonly bytes: number;
}

/** Records that are missing before the next one, told by its running counts. */
export interface InspectedGap {
  readonly kind: 'gap';
  readonly afterSequence: number;
  readonly records: number;
  readonly metrics: number;
}

export interface InspectedSummary {
  readonly kind: 'summary';
  readonly journalId?: string;
  readonly segments: number;
  readonly records: number;
  readonly metrics: number;
  readonly lostMetrics: number;
  readonly damagedBytes: number;
}

export type Inspected = InspectedSegment | InspectedRecord | InspectedDamage | InspectedGap | InspectedSummary;

/**
 * Everything in the order of the files, the summary last. Records of one segment are held in memory at a time.
 * @throws Error where the directory cannot be read, or was written by a newer version
 */
export async function* inspectJournal(
  directory: string,
  files: FileOperations = realFiles,
): AsyncGenerator<Inspected, void, undefined> {
  const found = await findSegmentFiles(directory, files);
  const id = await findId(found, files);
  let segments = 0;
  let records = 0;
  let metrics = 0;
  let lostMetrics = 0;
  let damagedBytes = 0;
  let position: { sequence: number; count: number } | undefined;

  function* gapBefore(base: { sequence: number; count: number }): Generator<InspectedGap> {
    if (position !== undefined && base.sequence > position.sequence) {
      const missing = base.count - position.count;
      yield {
        kind: 'gap',
        afterSequence: position.sequence,
        records: base.sequence - position.sequence,
        metrics: missing,
      };
      lostMetrics += missing;
    }
    if (position === undefined || base.sequence > position.sequence) position = base;
  }

  for (const file of found) {
    const segment = describeSegment(file, id);
    if (id === undefined || (file.header !== undefined && !isIntact(file, id))) {
      segments += 1;
      yield segment;
      damagedBytes += file.size;
      continue;
    }
    const items = await unlessTrimmed(walkSegment(file, id, files));
    if (items === undefined) {
      position = undefined;
      continue;
    }
    segments += 1;
    yield segment;
    if (segment.base !== undefined) yield* gapBefore(segment.base);
    for (const item of items) {
      if (item.kind === 'damage') damagedBytes += item.bytes;
      else {
        yield* gapBefore({ sequence: item.sequence - 1, count: item.count - item.metrics });
        position = { sequence: item.sequence, count: item.count };
        records += 1;
        metrics += item.metrics;
      }
      yield item;
    }
  }
  const summary = { segments, records, metrics, lostMetrics, damagedBytes };
  yield { kind: 'summary', ...(id === undefined ? undefined : { journalId: id }), ...summary };
}

/** A running gateway removes what all its sinks have: that is no loss, and no fault. */
async function unlessTrimmed<T>(look: Promise<T>): Promise<T | undefined> {
  try {
    return await look;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function describeSegment(file: SegmentFile, id: string | undefined): InspectedSegment {
  const { path, size, header } = file;
  const segment = { kind: 'segment', path, bytes: size } as const;
  if (header === undefined) {
    return { ...segment, problem: size < SEGMENT_HEADER_BYTES ? 'too short for a header' : 'the header is damaged' };
  }
  const { id: journalId, version, base, createdAt } = header;
  const known = { ...segment, journalId, version, base, createdAt: new Date(createdAt).toISOString() };
  if (header.ordinal !== file.ordinal) {
    return { ...known, problem: `a copy of segment ${header.ordinal} under another name; it is passed over` };
  }
  return journalId === id ? known : { ...known, problem: 'of another journal; it is passed over' };
}

function walkSegment(
  file: SegmentFile,
  id: string,
  files: FileOperations,
): Promise<(InspectedRecord | InspectedDamage)[]> {
  return withFile(files, file.path, async (opened) => {
    const items: (InspectedRecord | InspectedDamage)[] = [];
    const from = isIntact(file, id) ? SEGMENT_HEADER_BYTES : 0;
    await walk(
      opened,
      { from, to: file.size, id: journalId(id), after: 0, keep: false },
      {
        record: (frame, offset, chunk, at) => {
          const { sequence, count, metrics, envelopeBytes, payloadBytes } = frame;
          const body = at + frameLength(frame) - payloadBytes;
          items.push({
            kind: 'record',
            offset,
            bytes: frameLength(frame),
            sequence,
            count,
            metrics,
            envelopeBytes,
            payloadBytes,
            ...readable(chunk.subarray(body - envelopeBytes, body)),
          });
          return true;
        },
        damage: (start, end) => {
          items.push({ kind: 'damage', offset: start, bytes: end - start });
        },
      },
    );
    // Shorter than it was: should it have been trimmed meanwhile, its name is gone too.
    if ((await opened.size()) < file.size) await withFile(files, file.path, () => Promise.resolve());
    return items;
  });
}

function readable(envelope: Uint8Array): Pick<InspectedRecord, 'requestId' | 'receivedAt' | 'service'> {
  try {
    const { requestId, receivedAt, keyService } = readEnvelope(envelope);
    return { requestId, receivedAt: new Date(receivedAt).toISOString(), service: keyService };
  } catch {
    return {};
  }
}

/** One line for people. For tools, `JSON.stringify` the item. */
export function describeInspected(item: Inspected): string {
  switch (item.kind) {
    case 'segment': {
      const { base, problem } = item;
      const start = base === undefined ? '' : `, after record ${base.sequence} and metric ${base.count}`;
      return `${item.path}: ${item.bytes} bytes${start}${problem === undefined ? '' : `: ${problem}`}`;
    }
    case 'record': {
      const { receivedAt = '', requestId = '', service = '' } = item;
      const known = `${receivedAt} ${requestId} ${service}`.trim();
      return `  ${item.offset}: record ${item.sequence}, ${item.metrics} metrics (${item.count} in all), ${item.envelopeBytes} + ${item.payloadBytes} bytes ${known}`.trimEnd();
    }
    case 'damage':
      return `  ${item.offset}: ${item.bytes} bytes cannot be read`;
    case 'gap':
      return `  ${item.records} records with ${item.metrics} metrics are missing after record ${item.afterSequence}`;
    default:
      return (
        `journal ${item.journalId ?? 'without a readable id'}: ${item.segments} segments, ${item.records} records, ` +
        `${item.metrics} metrics; ${item.lostMetrics} metrics lost, ${item.damagedBytes} bytes damaged`
      );
  }
}
