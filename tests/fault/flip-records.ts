/** Flips bits in a journal's records, and says what that must cost: from docs/journal-format.md alone, not from the code. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface LostRecord {
  readonly metrics: number;
  readonly ids: readonly string[];
}

export interface Cost {
  /** Records with a readable one behind them: their metrics are counted. */
  readonly counted: readonly LostRecord[];
  /** Records at the end: counted in bytes alone. */
  readonly tail: readonly LostRecord[];
  readonly damagedBytes: number;
}

const SEGMENT_HEADER_BYTES = 64;
const RECORD_HEADER_BYTES = 48;

export const metricsOf = (records: readonly LostRecord[]): number =>
  records.reduce((sum, { metrics }) => sum + metrics, 0);

/** @param places shares of what each segment holds behind its header */
export function flipRecords(directory: string, places: readonly number[]): Cost {
  const records: (LostRecord & { readonly bytes: number; readonly hit: boolean })[] = [];
  let damagedBytes = 0;
  for (const name of readdirSync(directory).toSorted()) {
    const path = join(directory, name);
    const content = readFileSync(path);
    const room = content.length - SEGMENT_HEADER_BYTES;
    const hits = new Set(places.map((share) => SEGMENT_HEADER_BYTES + Math.floor(share * room)));
    let at = SEGMENT_HEADER_BYTES;
    while (at + RECORD_HEADER_BYTES <= content.length) {
      const envelope = at + RECORD_HEADER_BYTES;
      const payload = envelope + content.readUInt32LE(at + 36);
      const end = payload + content.readUInt32LE(at + 40);
      if (end > content.length) break;
      const { metrics } = JSON.parse(content.toString('utf8', payload, end)) as {
        metrics: { metadata: { event_id: string } }[];
      };
      records.push({
        metrics: content.readUInt32LE(at + 32),
        ids: metrics.map(({ metadata }) => metadata.event_id),
        bytes: end - at,
        hit: [...hits].some((hit) => hit >= at && hit < end),
      });
      at = end;
    }
    // A last write that the kill cut short.
    damagedBytes += content.length - at;
    for (const hit of hits) content[hit]! ^= 1 << (hit % 8);
    writeFileSync(path, content);
  }
  const lastWhole = records.findLastIndex(({ hit }) => !hit);
  const lost = records.filter(({ hit }) => hit);
  return {
    counted: records.filter(({ hit }, index) => hit && index < lastWhole),
    tail: records.filter(({ hit }, index) => hit && index > lastWhole),
    damagedBytes: lost.reduce((sum, { bytes }) => sum + bytes, damagedBytes),
  };
}
