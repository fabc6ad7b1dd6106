/** What a benchmark scenario is: settings in, figures out. `run.ts` makes one table of all of them. */

export interface Settings {
  /** Interleaved rounds; the table shows their medians. */
  readonly rounds: number;
  /** Everything for a moment, on little data: shows that a scenario runs, not how fast anything is. */
  readonly small: boolean;
  /** Where CPU profiles of the gateway go, where they are asked for. */
  readonly profileDirectory: string | undefined;
  /** What `ingest` is restricted to; empty: all that it has. */
  readonly loads: readonly Load[];
  /** Says what is going on, to standard error. */
  readonly say: (text: string) => void;
}

export interface Load {
  /** Of one request. */
  readonly metrics: number;
  readonly connections: number;
}

/** One line of the table. */
export interface Figure {
  readonly what: string;
  readonly value: number;
  readonly unit: string;
  /** What was measured beside it, in the same rounds. */
  readonly baseline?: { readonly what: string; readonly value: number };
  /** Median over the rounds of value ÷ baseline. */
  readonly ratio?: number;
  /** What is promised; of the ratio where there is one, else of the value. */
  readonly goal?: { readonly atMost: number } | { readonly atLeast: number };
  /** Where there is a ratio and the goal is not its, but the value's. */
  readonly judgedBy?: 'value';
}

export type Scenario = (settings: Settings) => Promise<readonly Figure[]>;

export const median = (numbers: readonly number[]): number => {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
};

/** @returns the value at `q` of the way through the sorted numbers */
export const quantile = (numbers: readonly number[], q: number): number =>
  numbers.toSorted((a, b) => a - b)[Math.min(numbers.length - 1, Math.floor(numbers.length * q))] ?? Number.NaN;

/** A figure with its baseline, out of pairs measured in the same rounds. */
export function compared(
  figure: Pick<Figure, 'what' | 'unit' | 'goal'> & { readonly against: string },
  rounds: readonly { readonly value: number; readonly baseline: number }[],
): Figure {
  const { against, ...rest } = figure;
  return {
    ...rest,
    value: median(rounds.map(({ value }) => value)),
    baseline: { what: against, value: median(rounds.map(({ baseline }) => baseline)) },
    ratio: median(rounds.map(({ value, baseline }) => value / baseline)),
  };
}

/** Whether the figure is where it should be; undefined where nothing is promised. */
export function reached({ value, ratio, goal, judgedBy }: Figure): boolean | undefined {
  if (goal === undefined) return undefined;
  const judged = judgedBy === 'value' ? value : (ratio ?? value);
  return 'atMost' in goal ? judged <= goal.atMost : judged >= goal.atLeast;
}
