/**
 * Counters and explicit-bucket histograms by instrument and attribute set. The state is a pure function of the events
 * in the journal's order and of their receive times; no clock is read, so replaying gives the same series again.
 */
import type { MetricEvent, MetricType } from '../../core/metric.ts';
import {
  addSet,
  type AttributeSet,
  openStep,
  removeSet,
  seriesOf,
  type Step,
  type TypeState,
} from './attribute-set.ts';
import type { SeriesSettings, TypeInstruments } from './instruments.ts';
import { LabelValues, labelText, OTHER } from './label-values.ts';

/** Since the process began, for the gateway's own metrics. */
export interface RegistryStatistics {
  readonly series: number;
  readonly evicted: number;
  readonly expired: number;
  /** Events that no counter or histogram can take: their numbers are negative or not finite. */
  readonly ignored: number;
  /** Events counted as `_other`, by label. */
  readonly overflow: Readonly<Record<string, number>>;
}

export class SeriesRegistry {
  readonly settings: SeriesSettings;
  readonly types: ReadonlyMap<MetricType, TypeState>;
  readonly #boundaries: readonly number[];
  readonly #expireAfterMs: number;
  #series = 0;
  #evicted = 0;
  #expired = 0;
  #ignored = 0;
  /** Receive time of the newest record; never goes back, whatever the clock did. */
  #receivedAt = 0;
  #oldest: AttributeSet | undefined;
  #newest: AttributeSet | undefined;

  constructor(settings: SeriesSettings) {
    this.settings = settings;
    this.#boundaries = settings.boundaries;
    this.#expireAfterMs = settings.expireAfterMs ?? Number.POSITIVE_INFINITY;
    this.types = new Map(settings.instruments.map((each) => [each.type, openType(each, settings)]));
  }

  get receivedAt(): number {
    return this.#receivedAt;
  }

  /** Begins a record: what its events feed counts as received now, and what expired by now goes. */
  advance(receivedAt: number): void {
    if (!(receivedAt > this.#receivedAt)) return;
    this.#receivedAt = receivedAt;
    while (this.#oldest !== undefined && receivedAt - this.#oldest.receivedAt > this.#expireAfterMs) {
      this.#expired += seriesOf(this.#oldest);
      this.#remove(this.#oldest);
    }
  }

  /** Counts one event of the record that `advance` began. */
  record(service: string, event: MetricEvent): void {
    const type = this.types.get(event.type);
    if (type === undefined) return;
    const { value, durationMs } = event;
    const observed = type.hasCounter ? (durationMs === undefined ? undefined : durationMs / 1000) : value;
    const adds = type.hasCounter && isCountable(value);
    const observes = observed !== undefined && isCountable(observed);
    if (!adds && !observes) {
      this.#ignored += 1;
      return;
    }
    const set = find(type, service, event) ?? this.#find(type, service, event);
    set.receivedAt = this.#receivedAt;
    if (set !== this.#newest) this.#touch(set);
    if (adds) {
      if (set.value >= 0) set.value += value;
      else this.#openCounter(set, value);
    }
    if (observes) this.#observe(set, observed);
  }

  statistics(): RegistryStatistics {
    const overflow: Record<string, number> = {};
    for (const { labels, values } of this.types.values()) {
      for (const [index, label] of ['service', ...labels].entries()) {
        const count = values[index]!.overflow;
        if (count > 0) overflow[label] = (overflow[label] ?? 0) + count;
      }
    }
    return {
      series: this.#series,
      evicted: this.#evicted,
      expired: this.#expired,
      ignored: this.#ignored,
      overflow,
    };
  }

  /** From the least to the most recently received: the order that a snapshot keeps. */
  *inOrderOfReceipt(): Iterable<AttributeSet> {
    for (let set = this.#oldest; set !== undefined; set = set.newer) yield set;
  }

  /** Puts back what `inOrderOfReceipt` gave, in that order. */
  restore(
    type: TypeState,
    texts: readonly (string | undefined)[],
    fields: Pick<AttributeSet, 'receivedAt' | 'counterStart' | 'value' | 'histogramStart' | 'counts' | 'sum' | 'count'>,
  ): void {
    const set = Object.assign(addSet(type, texts, fields.receivedAt), fields);
    this.#append(set);
    this.#series += seriesOf(set);
    this.#receivedAt = Math.max(this.#receivedAt, set.receivedAt);
    this.#makeRoom(0);
  }

  #openCounter(set: AttributeSet, value: number): void {
    this.#makeRoom(1);
    this.#series += 1;
    set.counterStart = this.#receivedAt;
    set.value = value;
  }

  #observe(set: AttributeSet, value: number): void {
    const boundaries = this.#boundaries;
    let { counts } = set;
    if (counts === undefined) {
      this.#makeRoom(1);
      this.#series += 1;
      counts = Array<number>(boundaries.length + 1).fill(0);
      set.counts = counts;
      set.histogramStart = this.#receivedAt;
    }
    let bucket = 0;
    while (bucket < boundaries.length && value > boundaries[bucket]!) bucket += 1;
    counts[bucket]! += 1;
    set.sum += value;
    set.count += 1;
  }

  /** The way of an event whose labels were not met in this combination, or count as `_other`. */
  #find(type: TypeState, service: string, event: MetricEvent): AttributeSet {
    const { labels, values } = type;
    const raws: unknown[] = [service];
    for (const label of labels) raws.push(readLabel(event, label));
    const texts = raws.map((raw, index) => {
      const text = labelText(raw);
      return text === undefined ? undefined : values[index]!.admit(text);
    });
    let step: Step | undefined = type.root;
    for (const text of texts) step = step?.next.get(text);
    let set = step?.set;
    if (set === undefined) {
      set = addSet(type, texts, this.#receivedAt);
      this.#append(set);
    }
    step = type.root;
    for (const [index, text] of texts.entries()) {
      const next: Step = step.next.get(text)!;
      const raw = raws[index];
      if (text !== OTHER && (typeof raw === 'number' || typeof raw === 'boolean')) step.next.set(raw, next);
      step = next;
    }
    return set;
  }

  /** At the limit the least recently received goes; the newest, which is being fed, stays. */
  #makeRoom(needed: number): void {
    while (this.#series + needed > this.settings.maxSeries && this.#oldest !== this.#newest) {
      this.#evicted += seriesOf(this.#oldest!);
      this.#remove(this.#oldest!);
    }
  }

  #remove(set: AttributeSet): void {
    this.#series -= seriesOf(set);
    this.#unlink(set);
    removeSet(set);
  }

  #touch(set: AttributeSet): void {
    this.#unlink(set);
    this.#append(set);
  }

  #unlink(set: AttributeSet): void {
    const { older, newer } = set;
    if (older === undefined) this.#oldest = newer;
    else older.newer = newer;
    if (newer === undefined) this.#newest = older;
    else newer.older = older;
  }

  #append(set: AttributeSet): void {
    const newest = this.#newest;
    set.older = newest;
    set.newer = undefined;
    if (newest === undefined) this.#oldest = set;
    else newest.newer = set;
    this.#newest = set;
  }
}

const isCountable = (value: number): boolean => value >= 0 && value < Number.POSITIVE_INFINITY;

function openType(instruments: TypeInstruments, settings: SeriesSettings): TypeState {
  const { labels } = instruments;
  return {
    instruments,
    hasCounter: instruments.counter !== undefined,
    labels,
    values: Array.from(
      { length: labels.length + 1 },
      () => new LabelValues(settings.maxLabelValues, settings.maxLabelLength),
    ),
    root: openStep(undefined, undefined),
    sets: new Set(),
  };
}

/** The dimension of that name, else the metadata field; `error_code` only where the event says that it failed. */
function readLabel({ dimensions, metadata }: MetricEvent, label: string): unknown {
  if (label === 'error_code') {
    const success = dimensions['success'] ?? metadata['success'];
    if (success !== false && success !== 'false') return undefined;
  }
  return dimensions[label] ?? metadata[label] ?? undefined;
}

/** The way of nearly every event: its labels were met before in just this combination. */
function find(type: TypeState, service: string, event: MetricEvent): AttributeSet | undefined {
  let step = type.root.next.get(service);
  const { labels } = type;
  for (let index = 0; index < labels.length; index += 1) {
    if (step === undefined) return undefined;
    step = step.next.get(readLabel(event, labels[index]!));
  }
  return step?.set;
}
