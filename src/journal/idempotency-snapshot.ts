/** The idempotency index on disk: a snapshot with its journal position, completed by the journal's envelopes after it. */
import { setImmediate } from 'node:timers/promises';
import type { Checkpoint, Journal, JournalRecord, Position } from '../core/journal.ts';
import type { Log } from '../core/ports.ts';
import { type Envelope, readEnvelope } from '../core/record.ts';
import { readSnapshots, writeSnapshot } from '../core/snapshot-file.ts';
import type { RememberedAnswers } from './remembered-answers.ts';

const NAME = 'idempotency';

/** The first line of a snapshot; one line per answer follows. */
interface Header extends Checkpoint {
  readonly format: 1;
}

/** Lines encoded in one go: a quarter of a millisecond of the thread that answers HTTP. */
const SLICE_LINES = 1000;

/** Everything at the call, and perhaps some of what came later: the journal is replayed over it. */
export async function saveAnswers(
  directory: string,
  answers: RememberedAnswers,
  journalId: string,
  position: Position,
): Promise<void> {
  const header: Header = { format: 1, journalId, sequence: position.sequence, count: position.count };
  const parts: Buffer[] = [];
  let slice = [JSON.stringify(header)];
  // A map's iterator goes on to what is added meanwhile, so that it might never end.
  let left = answers.size();
  for (const line of answers.lines()) {
    if (left === 0) break;
    left -= 1;
    slice.push(line);
    if (slice.length < SLICE_LINES) continue;
    parts.push(Buffer.from(`${slice.join('\n')}\n`));
    slice = [];
    await setImmediate();
  }
  if (slice.length > 0) parts.push(Buffer.from(`${slice.join('\n')}\n`));
  await writeSnapshot(directory, NAME, parts);
}

/**
 * Fills `answers` from the newest snapshot that can be read, and from the journal behind it.
 * @returns the position that the snapshot on disk covers; undefined where it has to be written anew
 */
export async function loadAnswers(
  directory: string,
  answers: RememberedAnswers,
  journal: Journal,
  log: Log,
): Promise<Position | undefined> {
  const { snapshots, damaged } = await readSnapshots(directory, NAME);
  for (const { path, problem } of damaged) {
    log.warn({ path, problem }, 'an idempotency snapshot is damaged; the one before it or the journal stands in');
  }
  let header: Header | undefined;
  for (const { bytes } of snapshots) {
    header = readLines(bytes, answers);
    if (header !== undefined) break;
  }
  const fits = header?.journalId === journal.id && header.sequence <= journal.head().sequence;
  await replay(journal, fits ? header!.sequence : 0, answers);
  if (header !== undefined && !fits) {
    // Answers stay true, whatever became of the journal; only the position means nothing in this one.
    log.warn(
      { snapshot: header.sequence, journal: journal.head().sequence },
      'the idempotency snapshot is of another journal, or of one that went further; its answers are kept',
    );
  }
  return fits ? { sequence: header!.sequence, count: header!.count } : undefined;
}

function readLines(bytes: Uint8Array, answers: RememberedAnswers): Header | undefined {
  const [first, ...lines] = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString().trimEnd().split('\n');
  try {
    const header = JSON.parse(first ?? '') as Header;
    if (header.format !== 1) return undefined;
    for (const line of lines) answers.setLine(line);
    return header;
  } catch {
    // Its CRC is right, so another version wrote it.
    return undefined;
  }
}

const READ_LIMIT = { maxBytes: 4 * 1024 * 1024, maxMetrics: Number.POSITIVE_INFINITY };

async function replay(journal: Journal, after: number, answers: RememberedAnswers): Promise<void> {
  let sequence = after;
  for (;;) {
    const records = await journal.read(sequence, READ_LIMIT);
    if (records.length === 0) return;
    for (const record of records) {
      const envelope = claimedEnvelope(record);
      if (envelope?.idempotency !== undefined && envelope.receipt !== undefined) {
        answers.set(envelope.keyId, envelope.idempotency, envelope.receipt, envelope.receivedAt);
      }
    }
    sequence = records.at(-1)!.sequence;
  }
}

/** How every envelope with an idempotency claim has it; most have none, and need not be parsed. */
const CLAIM = Buffer.from('"i":{');

function claimedEnvelope({ envelope }: JournalRecord): Envelope | undefined {
  const bytes = Buffer.from(envelope.buffer, envelope.byteOffset, envelope.byteLength);
  return bytes.includes(CLAIM) ? readEnvelope(envelope) : undefined;
}
