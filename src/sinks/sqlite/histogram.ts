/**
 * The rollups' duration histogram: fixed buckets, four to each power of two, so that histograms of any hours and series
 * add up. Bucket i holds [2^(i/4), 2^((i+1)/4)) milliseconds. A quantile read from it is the geometric middle of its
 * bucket, at most 2^(1/8) - 1 = 9.1 % away from the exact one.
 */

/** Bucket of 0 and of everything below a microsecond (2^-10 ms). */
export const LOWEST_BUCKET = -41;
const BUCKETS_PER_OCTAVE = 4;

/** Observations by bucket index. */
export type Histogram = Map<number, number>;

export function bucketOf(ms: number): number {
  if (!(ms >= 2 ** -10)) return LOWEST_BUCKET;
  return Math.floor(Math.log2(ms) * BUCKETS_PER_OCTAVE);
}

export function observe(histogram: Histogram, ms: number): void {
  const bucket = bucketOf(ms);
  histogram.set(bucket, (histogram.get(bucket) ?? 0) + 1);
}

/** The text kept in the database: `{"12":3,"13":1}`, ascending. */
export function encodeHistogram(histogram: Histogram): string {
  let text = '';
  for (const bucket of [...histogram.keys()].sort((a, b) => a - b)) {
    text += `${text === '' ? '{' : ','}"${bucket}":${histogram.get(bucket)!}`;
  }
  return text === '' ? '{}' : `${text}}`;
}

const QUOTE = 0x22;
const MINUS = 0x2d;
const ZERO = 0x30;
const NINE = 0x39;

/**
 * Adds a histogram's text, as encodeHistogram makes it, to a histogram. Answers read it thousands of times: going through
 * the characters takes a third of what JSON.parse does.
 */
export function addHistogram(histogram: Histogram, text: string): void {
  let at = 1;
  /** Reads digits up to what is none. */
  const number = (): number => {
    let value = 0;
    for (let code = text.charCodeAt(at); code >= ZERO && code <= NINE; code = text.charCodeAt(at)) {
      value = value * 10 + code - ZERO;
      at += 1;
    }
    return value;
  };
  while (text.charCodeAt(at) === QUOTE) {
    at += 1;
    const isNegative = text.charCodeAt(at) === MINUS;
    if (isNegative) at += 1;
    const bucket = isNegative ? -number() : number();
    at += 2;
    const count = number();
    at += 1;
    histogram.set(bucket, (histogram.get(bucket) ?? 0) + count);
  }
}

/**
 * The q-quantile (0 to 1) in milliseconds; undefined without observations.
 * @param min the least and `max` the greatest duration observed, where known: no quantile lies beyond them
 */
export function quantile(histogram: Histogram, q: number, min?: number, max?: number): number | undefined {
  let total = 0;
  for (const count of histogram.values()) total += count;
  if (total === 0) return undefined;
  const rank = Math.max(1, Math.ceil(q * total));
  let seen = 0;
  for (const bucket of [...histogram.keys()].sort((a, b) => a - b)) {
    seen += histogram.get(bucket)!;
    if (seen < rank) continue;
    const middle = bucket === LOWEST_BUCKET ? 0 : 2 ** ((bucket + 0.5) / BUCKETS_PER_OCTAVE);
    return Math.min(Math.max(middle, min ?? 0), max ?? Number.POSITIVE_INFINITY);
  }
  return undefined;
}
