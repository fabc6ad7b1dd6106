/** Counters and histograms of the gateway's own metrics: one number, or one row of buckets, per set of labels. */
import type { Counter, Histogram, Labels, Series } from '../core/ports.ts';

/** An instrument that can be read. */
interface Collected {
  readonly collect: () => readonly Series[];
}

const NO_LABELS: Labels = Object.freeze({});

/** The same for the same labels in whatever order; values may hold any character. */
function labelKey(labels: Labels): string {
  const names = Object.keys(labels);
  const [first] = names;
  if (first === undefined) return '';
  if (names.length === 1) return `${first}=${labels[first]}`;
  return JSON.stringify(names.sort().map((name) => [name, labels[name]]));
}

/** A counter; negative amounts and NaN are refused, since a counter that falls looks like a restart. */
export function openCounter(): Counter & Collected {
  const cells = new Map<string, { readonly labels: Labels; value: number }>();
  return {
    add(amount = 1, labels = NO_LABELS) {
      if (!(amount >= 0)) throw new RangeError(`telemetry: a counter cannot add ${amount}`);
      const key = labelKey(labels);
      const cell = cells.get(key);
      if (cell === undefined) cells.set(key, { labels: { ...labels }, value: amount });
      else cell.value += amount;
    },
    value: (labels = NO_LABELS) => cells.get(labelKey(labels))?.value ?? 0,
    // A counter that counted nothing yet shows 0 all the same: sums over it are numbers from the start.
    collect: () =>
      cells.size === 0
        ? [{ labels: NO_LABELS, value: 0 }]
        : Array.from(cells.values(), ({ labels, value }) => ({ labels, value })),
  };
}

/** @param boundaries upper bucket bounds, inclusive, ascending */
export function openHistogram(name: string, boundaries: readonly number[]): Histogram & Collected {
  if (!boundaries.every((bound, index) => Number.isFinite(bound) && (index === 0 || bound > boundaries[index - 1]!))) {
    throw new TypeError(`telemetry: ${name}: boundaries must be finite and ascend; got ${boundaries.join(', ')}`);
  }
  const cells = new Map<string, { readonly labels: Labels; readonly counts: number[]; sum: number; count: number }>();
  return {
    record(value, labels = NO_LABELS) {
      const key = labelKey(labels);
      let cell = cells.get(key);
      if (cell === undefined) {
        cell = { labels: { ...labels }, counts: Array<number>(boundaries.length + 1).fill(0), sum: 0, count: 0 };
        cells.set(key, cell);
      }
      let bucket = 0;
      while (bucket < boundaries.length && value > boundaries[bucket]!) bucket += 1;
      cell.counts[bucket]! += 1;
      cell.sum += value;
      cell.count += 1;
    },
    collect: () =>
      Array.from(cells.values(), ({ labels, counts, sum, count }) => ({
        labels,
        value: { boundaries, counts: [...counts], sum, count },
      })),
  };
}
