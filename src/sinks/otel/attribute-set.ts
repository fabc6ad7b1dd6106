/** One set of attributes of one metric type: its counter, its histogram, and its place in the order of receipt. */
import type { Labels } from '../../core/ports.ts';
import type { TypeInstruments } from './instruments.ts';
import type { LabelValues } from './label-values.ts';

/** A step on the way from a type's first label to an attribute set; raw values that read alike lead to the same step. */
export interface Step {
  readonly parent: Step | undefined;
  /** Label text, `undefined` for an absent label. */
  readonly text: string | undefined;
  readonly next: Map<unknown, Step>;
  set: AttributeSet | undefined;
}

/** What one metric type holds. */
export interface TypeState {
  readonly instruments: TypeInstruments;
  readonly hasCounter: boolean;
  readonly labels: readonly string[];
  /** Of `service`, then of each of `labels`. */
  readonly values: readonly LabelValues[];
  readonly root: Step;
  readonly sets: Set<AttributeSet>;
}

export interface AttributeSet {
  readonly type: TypeState;
  /** Of `service`, then of each of the type's labels; `undefined` where absent. */
  readonly texts: readonly (string | undefined)[];
  /** The same as attributes, `metric_type` among them. One object for the set's lifetime: caches hang on it. */
  readonly attributes: Labels;
  readonly step: Step;
  /** Receive time of the record that last fed this set, as are the starts: milliseconds since the Unix epoch. */
  receivedAt: number;
  counterStart: number;
  /** NaN while there is no counter series. */
  value: number;
  histogramStart: number;
  /** Observations per bucket, one more than boundaries; undefined while there is no histogram series. */
  counts: number[] | undefined;
  sum: number;
  count: number;
  /** Neighbours in the order of receipt. */
  older: AttributeSet | undefined;
  newer: AttributeSet | undefined;
}

/** Of the last steps, which are as many as sets: nothing is ever put in here. */
const NO_STEPS: Map<unknown, Step> = new Map();

export const openStep = (parent: Step | undefined, text: string | undefined, last = false): Step => ({
  parent,
  text,
  next: last ? NO_STEPS : new Map<unknown, Step>(),
  set: undefined,
});

/** Number of series that a set stands for. */
export const seriesOf = (set: AttributeSet): number =>
  (Number.isNaN(set.value) ? 0 : 1) + (set.counts === undefined ? 0 : 1);

/** Hangs a new set into its type; the caller places it in the order of receipt. */
export function addSet(type: TypeState, texts: readonly (string | undefined)[], receivedAt: number): AttributeSet {
  let step = type.root;
  for (const [index, text] of texts.entries()) {
    let next = step.next.get(text);
    if (next === undefined) {
      next = openStep(step, text, index === texts.length - 1);
      step.next.set(text, next);
    }
    step = next;
  }
  const attributes: Record<string, string> = {};
  for (const [index, text] of texts.entries()) {
    if (text === undefined) continue;
    type.values[index]!.use(text);
    attributes[index === 0 ? 'service' : type.labels[index - 1]!] = text;
  }
  attributes['metric_type'] = type.instruments.type;
  const set: AttributeSet = {
    type,
    texts,
    attributes: Object.freeze(attributes),
    step,
    receivedAt,
    counterStart: receivedAt,
    value: Number.NaN,
    histogramStart: receivedAt,
    counts: undefined,
    sum: 0,
    count: 0,
    older: undefined,
    newer: undefined,
  };
  step.set = set;
  type.sets.add(set);
  return set;
}

/** Takes a set out of its type, with the steps that led to it alone. */
export function removeSet(set: AttributeSet): void {
  const { type, texts } = set;
  type.sets.delete(set);
  for (const [index, text] of texts.entries()) if (text !== undefined) type.values[index]!.release(text);
  set.step.set = undefined;
  let step = set.step;
  while (step.parent !== undefined && step.next.size === 0) {
    const { parent } = step;
    // Numbers and booleans lead here beside their text.
    for (const [raw, next] of parent.next) if (next === step) parent.next.delete(raw);
    step = parent;
  }
}
