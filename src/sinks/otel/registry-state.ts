/**
 * The registry's state as one JSON text: numbers come back bit by bit, and an operator can read it. What was
 * reconfigured meanwhile does not come back: that instrument starts anew.
 */
import type { MetricType } from '../../core/metric.ts';
import type { SeriesRegistry } from './series-registry.ts';

/** One attribute set, from the least to the most recently received. */
type StoredSet = readonly [
  type: MetricType,
  texts: readonly (string | null)[],
  receivedAt: number,
  counterStart: number,
  /** null: no counter series. */
  value: number | null,
  histogramStart: number,
  sum: number,
  count: number,
  /** null: no histogram series. */
  counts: readonly number[] | null,
];

export interface RegistryState {
  readonly labels: Readonly<Partial<Record<MetricType, readonly string[]>>>;
  readonly boundaries: readonly number[];
  readonly receivedAt: number;
  readonly sets: readonly StoredSet[];
}

export function storeRegistry(registry: SeriesRegistry): RegistryState {
  const sets: StoredSet[] = [];
  for (const set of registry.inOrderOfReceipt()) {
    sets.push([
      set.type.instruments.type,
      set.texts.map((text) => text ?? null),
      set.receivedAt,
      set.counterStart,
      Number.isNaN(set.value) ? null : set.value,
      set.histogramStart,
      set.sum,
      set.count,
      set.counts === undefined ? null : set.counts.slice(),
    ]);
  }
  return {
    labels: Object.fromEntries([...registry.types].map(([type, { labels }]) => [type, labels])),
    boundaries: registry.settings.boundaries,
    receivedAt: registry.receivedAt,
    sets,
  };
}

/**
 * Fills an empty registry.
 * @returns names of the instruments that start anew because their labels or buckets are configured otherwise now
 */
export function restoreRegistry(registry: SeriesRegistry, state: RegistryState): readonly string[] {
  const sameBuckets = same(state.boundaries, registry.settings.boundaries);
  const sameLabels = new Map(
    [...registry.types].map(([type, { labels }]) => [type, same(state.labels[type] ?? [], labels)]),
  );
  const anew = new Set<string>();
  for (const [name, texts, receivedAt, counterStart, value, histogramStart, sum, count, counts] of state.sets) {
    const type = registry.types.get(name);
    if (type === undefined) continue;
    const { counter, histogram } = type.instruments;
    const keepsCounter = value !== null && sameLabels.get(name) === true;
    const keepsHistogram = counts !== null && sameLabels.get(name) === true && sameBuckets;
    if (value !== null && !keepsCounter && counter !== undefined) anew.add(counter.name);
    if (counts !== null && !keepsHistogram) anew.add(histogram.name);
    if (!keepsCounter && !keepsHistogram) continue;
    registry.restore(
      type,
      texts.map((text) => text ?? undefined),
      {
        receivedAt,
        counterStart,
        value: keepsCounter ? value : Number.NaN,
        histogramStart,
        sum: keepsHistogram ? sum : 0,
        count: keepsHistogram ? count : 0,
        counts: keepsHistogram ? [...counts] : undefined,
      },
    );
  }
  registry.advance(state.receivedAt);
  return [...anew];
}

const same = (a: readonly unknown[], b: readonly unknown[]): boolean =>
  a.length === b.length && a.every((each, index) => each === b[index]);
