/**
 * The byte layout of a segment: its header, and the frame around each record. docs/journal-format.md describes it;
 * change neither without the other. All numbers little-endian.
 */
import { crc32 } from 'node:zlib';
import type { Position } from '../core/journal.ts';

export const FORMAT_VERSION = 1;

/** `MCPJRNL\n` */
const SEGMENT_MAGIC = Buffer.from('MCPJRNL\n', 'latin1');
export const SEGMENT_HEADER_BYTES = 64;

/** `ff 4d 4a 31`: ÿMJ1. 0xff occurs in no valid UTF-8, so no well-formed body holds it. */
export const FRAME_MAGIC = Buffer.from([0xff, 0x4d, 0x4a, 0x31]);
const FRAME_MAGIC_NUMBER = FRAME_MAGIC.readUInt32LE(0);
export const FRAME_BYTES = 48;

const TWO_32 = 0x1_0000_0000;

/** The journal's id as two 32-bit numbers: it stands in each frame and is compared for each. */
export interface JournalId {
  readonly text: string;
  readonly low: number;
  readonly high: number;
}

/** @param text 16 hexadecimal digits */
export function journalId(text: string): JournalId {
  const bytes = Buffer.from(text, 'hex');
  return { text, low: bytes.readUInt32LE(0), high: bytes.readUInt32LE(4) };
}

const readId = (from: Buffer, at: number): string => from.toString('hex', at, at + 8);

export interface SegmentHeader {
  readonly id: string;
  readonly version: number;
  /** The number in the file's name: a copied or renamed file gives itself away. */
  readonly ordinal: number;
  /** The position before the segment's first record. Records of earlier segments beyond it were refused. */
  readonly base: Position;
  /** Milliseconds since the Unix epoch. */
  readonly createdAt: number;
}

export function encodeSegmentHeader(header: SegmentHeader): Buffer {
  const bytes = Buffer.alloc(SEGMENT_HEADER_BYTES);
  SEGMENT_MAGIC.copy(bytes);
  bytes.writeUInt16LE(header.version, 8);
  bytes.writeUInt16LE(SEGMENT_HEADER_BYTES, 10);
  bytes.write(header.id, 16, 'hex');
  writeLong(bytes, header.ordinal, 24);
  writeLong(bytes, header.base.sequence, 32);
  writeLong(bytes, header.base.count, 40);
  writeLong(bytes, header.createdAt, 48);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, 60)), 60);
  return bytes;
}

/** @returns undefined where the bytes are no segment header, or a damaged one */
export function decodeSegmentHeader(bytes: Buffer): SegmentHeader | undefined {
  if (bytes.length < SEGMENT_HEADER_BYTES || !bytes.subarray(0, 8).equals(SEGMENT_MAGIC)) return undefined;
  if (crc32(bytes.subarray(0, 60)) !== bytes.readUInt32LE(60)) return undefined;
  return {
    id: readId(bytes, 16),
    version: bytes.readUInt16LE(8),
    ordinal: readLong(bytes, 24),
    base: { sequence: readLong(bytes, 32), count: readLong(bytes, 40) },
    createdAt: readLong(bytes, 48),
  };
}

export interface Frame {
  readonly sequence: number;
  readonly count: number;
  readonly metrics: number;
  readonly envelopeBytes: number;
  readonly payloadBytes: number;
  /** CRC-32 of envelope and payload. */
  readonly bodyCrc: number;
}

/** Bytes of a whole frame: header, envelope, payload. */
export const frameLength = (frame: Pick<Frame, 'envelopeBytes' | 'payloadBytes'>): number =>
  FRAME_BYTES + frame.envelopeBytes + frame.payloadBytes;

export function encodeFrame(into: Buffer, at: number, id: JournalId, frame: Frame): void {
  into.writeUInt32LE(FRAME_MAGIC_NUMBER, at);
  into.writeUInt32LE(id.low, at + 8);
  into.writeUInt32LE(id.high, at + 12);
  writeLong(into, frame.sequence, at + 16);
  writeLong(into, frame.count, at + 24);
  into.writeUInt32LE(frame.metrics, at + 32);
  into.writeUInt32LE(frame.envelopeBytes, at + 36);
  into.writeUInt32LE(frame.payloadBytes, at + 40);
  into.writeUInt32LE(frame.bodyCrc, at + 44);
  into.writeUInt32LE(crc32(into.subarray(at + 8, at + FRAME_BYTES)), at + 4);
}

/**
 * Reads the frame header at `at`; at least 48 bytes must be there.
 * @param id undefined accepts any journal's
 * @returns undefined where none stands, or a damaged one, or another journal's
 */
export function decodeFrame(from: Buffer, at: number, id: JournalId | undefined): Frame | undefined {
  if (from.readUInt32LE(at) !== FRAME_MAGIC_NUMBER) return undefined;
  if (id !== undefined && (from.readUInt32LE(at + 8) !== id.low || from.readUInt32LE(at + 12) !== id.high)) {
    return undefined;
  }
  if (crc32(from.subarray(at + 8, at + FRAME_BYTES)) !== from.readUInt32LE(at + 4)) return undefined;
  return {
    sequence: readLong(from, at + 16),
    count: readLong(from, at + 24),
    metrics: from.readUInt32LE(at + 32),
    envelopeBytes: from.readUInt32LE(at + 36),
    payloadBytes: from.readUInt32LE(at + 40),
    bodyCrc: from.readUInt32LE(at + 44),
  };
}

/** The id in the frame header at `at`. */
export const frameId = (from: Buffer, at: number): string => readId(from, at + 8);

/** Whole numbers below 2^53, without the cost of BigInt. */
function writeLong(into: Buffer, value: number, at: number): void {
  into.writeUInt32LE(value % TWO_32, at);
  into.writeUInt32LE(Math.floor(value / TWO_32), at + 4);
}

const readLong = (from: Buffer, at: number): number => from.readUInt32LE(at + 4) * TWO_32 + from.readUInt32LE(at);
