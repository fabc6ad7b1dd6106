/**
 * The gateway's own metrics as plain numbers on the main thread, behind the `Telemetry` port. `collect` is synchronous,
 * so that whatever stands in the books of one instant balances (docs/guarantees.md).
 */
import type {
  Counter,
  Histogram,
  InstrumentDefinition,
  Labels,
  MetricFamily,
  Series,
  Telemetry,
} from '../core/ports.ts';
import { openCounter, openHistogram } from './instruments.ts';

/** Seconds: what a commit, a write or a scrape takes. */
const DEFAULT_BOUNDARIES = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] as const;

/** Prometheus data model, section "Metric names and labels"; colons are left to recording rules. */
const NAME = /^[a-zA-Z_][a-zA-Z0-9_]*$/;

type Read = () => number | Iterable<readonly [Labels, number]>;

interface Instrument {
  readonly definition: InstrumentDefinition;
  readonly kind: 'counter' | 'gauge' | 'observed counter' | 'histogram';
  readonly collect: () => readonly Series[];
}

const NO_LABELS: Labels = Object.freeze({});

function readSeries(read: Read): readonly Series[] {
  const values = read();
  return typeof values === 'number'
    ? [{ labels: NO_LABELS, value: values }]
    : Array.from(values, ([labels, value]) => ({ labels, value }));
}

/**
 * Asking for a name again gives the same counter or histogram, and adds a further reading to a gauge, so that parts of
 * which there are several (sinks) need not know of each other.
 */
export function createTelemetry(): Telemetry {
  const instruments = new Map<string, Instrument>();
  const counters = new Map<string, Counter>();
  const histograms = new Map<string, Histogram>();
  const readings = new Map<string, Read[]>();
  const failures = openCounter();

  function register(kind: Instrument['kind'], definition: InstrumentDefinition, collect: () => readonly Series[]) {
    const { name } = definition;
    if (!NAME.test(name)) throw new TypeError(`telemetry: ${JSON.stringify(name)} is no metric name, expected ${NAME}`);
    instruments.set(name, { definition, kind, collect });
  }

  function expectKind(kind: Instrument['kind'], { name }: InstrumentDefinition): void {
    const known = instruments.get(name);
    if (known !== undefined && known.kind !== kind) {
      throw new TypeError(`telemetry: ${name} is registered as a ${known.kind}; it cannot be a ${kind} as well`);
    }
  }

  function observe(kind: 'gauge' | 'observed counter', definition: InstrumentDefinition, read: Read): void {
    expectKind(kind, definition);
    const known = readings.get(definition.name);
    if (known !== undefined) {
      known.push(read);
      return;
    }
    const reads = [read];
    readings.set(definition.name, reads);
    register(kind, definition, () => reads.flatMap((each) => readSeries(each)));
  }

  const telemetry: Telemetry = {
    counter(definition) {
      expectKind('counter', definition);
      const known = counters.get(definition.name);
      if (known !== undefined) return known;
      const counter = openCounter();
      counters.set(definition.name, counter);
      register('counter', definition, counter.collect);
      return counter;
    },
    gauge: (definition, read) => observe('gauge', definition, read),
    observedCounter: (definition, read) => observe('observed counter', definition, read),
    histogram(definition, boundaries = DEFAULT_BOUNDARIES) {
      expectKind('histogram', definition);
      const known = histograms.get(definition.name);
      if (known !== undefined) return known;
      const histogram = openHistogram(definition.name, boundaries);
      histograms.set(definition.name, histogram);
      register('histogram', definition, histogram.collect);
      return histogram;
    },
    collect() {
      const families: MetricFamily[] = [];
      for (const { definition, kind, collect } of instruments.values()) {
        const type = kind === 'observed counter' ? 'counter' : kind;
        try {
          families.push({ ...definition, type, series: collect() });
        } catch {
          // A part that cannot be read leaves its family out, visibly; the other families are still true.
          failures.add(1, { instrument: definition.name });
        }
      }
      return families;
    },
  };
  register(
    'counter',
    {
      name: 'mcp_gateway_self_metric_failures_total',
      help: 'Readings of a self-metric that threw, by instrument; its family was left out.',
      unit: '{reading}',
    },
    failures.collect,
  );
  counters.set('mcp_gateway_self_metric_failures_total', failures);
  return telemetry;
}
