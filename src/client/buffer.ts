/** Metrics that wait to be sent, as JSON texts: bounded by number and by size, and the oldest give way. */

export interface MetricBuffer {
  /** @returns how many of the oldest were dropped to make room */
  readonly push: (metric: string) => number;
  /** Takes the oldest, at most so many metrics and (beyond the first) so many characters. */
  readonly take: (maxMetrics: number, maxCharacters: number) => string[];
  readonly clear: () => void;
}

/** Size is bounded by 1,000 characters for each of `maxMetrics`, about three times what a metric has. */
export function createBuffer(maxMetrics: number): MetricBuffer {
  let items: string[] = [];
  let head = 0;
  let characters = 0;

  const shift = (): string => {
    const oldest = items[head]!;
    items[head] = '';
    head += 1;
    characters -= oldest.length;
    if (head > 1024 && head * 2 > items.length) {
      items = items.slice(head);
      head = 0;
    }
    return oldest;
  };

  return {
    push: (metric) => {
      let dropped = 0;
      while (
        items.length > head &&
        (items.length - head >= maxMetrics || characters + metric.length > maxMetrics * 1000)
      ) {
        shift();
        dropped += 1;
      }
      items.push(metric);
      characters += metric.length;
      return dropped;
    },
    take: (limit, maxTaken) => {
      const taken: string[] = [];
      let length = 0;
      while (items.length > head && taken.length < limit) {
        length += items[head]!.length + 1;
        if (taken.length > 0 && length > maxTaken) break;
        taken.push(shift());
      }
      return taken;
    },
    clear: () => {
      items = [];
      head = characters = 0;
    },
  };
}
