/**
 * Metric families as text for Prometheus: its format 0.0.4, or OpenMetrics 1.0 where the scraper asks for it.
 * https://prometheus.io/docs/instrumenting/exposition_formats/ and https://prometheus.io/docs/specs/om/open_metrics_spec/
 */
import type { HistogramValue, Labels, MetricFamily } from '../../core/ports.ts';

export type ExpositionFormat = 'prometheus' | 'openmetrics';

export const CONTENT_TYPES: Readonly<Record<ExpositionFormat, string>> = {
  prometheus: 'text/plain; version=0.0.4; charset=utf-8',
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
};

/** OpenMetrics ends with this line; without it a scraper takes the answer for cut short. */
export const OPENMETRICS_END = '# EOF\n';

/** UCUM units as OpenTelemetry writes them → the words that Prometheus' names end with. */
const UNIT_WORDS: Readonly<Record<string, string>> = { s: 'seconds', By: 'bytes', '1': 'ratio' };

/** Characters per piece; a piece is encoded and handed on as one buffer. */
const PIECE_LENGTH = 512 * 1024;

/** The text of a label set, braces left off; the set's object must not change. */
const labelTexts = new WeakMap<Labels, string>();

/** Writes the families in pieces, so that the caller can do other things between them. OpenMetrics' end is not among them. */
export function* writeExposition(families: Iterable<MetricFamily>, format: ExpositionFormat): Generator<string> {
  let piece = '';
  for (const family of families) {
    if (family.series.length === 0) continue;
    piece += metadata(family, format);
    const histogram = family.type === 'histogram' ? histogramWriter(family, format) : undefined;
    for (const { labels, value } of family.series) {
      const text = labelText(labels);
      if (typeof value !== 'number') piece += histogram?.(text, value) ?? '';
      else
        piece +=
          text === '' ? `${family.name} ${numberText(value)}\n` : `${family.name}{${text}} ${numberText(value)}\n`;
      if (piece.length >= PIECE_LENGTH) {
        yield piece;
        piece = '';
      }
    }
  }
  if (piece !== '') yield piece;
}

function metadata({ name, help, unit, type }: MetricFamily, format: ExpositionFormat): string {
  // OpenMetrics names the family, Prometheus the sample.
  const base = type === 'counter' && name.endsWith('_total') ? name.slice(0, -'_total'.length) : name;
  const shown = format === 'openmetrics' ? base : name;
  const escaped = help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
  const word = unit === undefined ? undefined : UNIT_WORDS[unit];
  return (
    `# HELP ${shown} ${format === 'openmetrics' ? escaped.replaceAll('"', '\\"') : escaped}\n` +
    `# TYPE ${shown} ${type}\n` +
    // In format 0.0.4 a comment that scrapers pass over, and people read.
    (word !== undefined && base.endsWith(`_${word}`) ? `# UNIT ${shown} ${word}\n` : '')
  );
}

/** Everything but labels and counts is made once per family: a histogram has a line per bucket and series. */
function histogramWriter(
  { name }: MetricFamily,
  format: ExpositionFormat,
): (labels: string, value: HistogramValue) => string {
  const bucket = `${name}_bucket{`;
  let boundaries: readonly number[] | undefined;
  let ends: readonly string[] = [];
  return (labels, value) => {
    if (value.boundaries !== boundaries) {
      boundaries = value.boundaries;
      ends = [...boundaries, Number.POSITIVE_INFINITY].map((bound) => `le="${boundText(bound, format)}"} `);
    }
    const start = labels === '' ? bucket : `${bucket}${labels},`;
    const braced = labels === '' ? '' : `{${labels}}`;
    let text = '';
    let cumulative = 0;
    for (let index = 0; index < ends.length; index += 1) {
      cumulative += value.counts[index] ?? 0;
      text += `${start}${ends[index]}${cumulative}\n`;
    }
    return `${text}${name}_sum${braced} ${numberText(value.sum)}\n${name}_count${braced} ${value.count}\n`;
  };
}

function labelText(labels: Labels): string {
  const known = labelTexts.get(labels);
  if (known !== undefined) return known;
  const pairs: string[] = [];
  for (const [name, value] of Object.entries(labels)) {
    // An empty value means that the label is absent; of two such series a scraper would refuse one.
    if (value !== '') pairs.push(`${labelName(name)}="${escapeValue(value)}"`);
  }
  const text = pairs.join(',');
  labelTexts.set(labels, text);
  return text;
}

/** OpenTelemetry allows dots, Prometheus' classic names do not. */
const labelName = (name: string): string => name.replaceAll(/[^A-Za-z0-9_]/g, '_').replace(/^(?=\d)/, '_');

const escapeValue = (value: string): string =>
  value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');

const numberText = (value: number): string =>
  Number.isFinite(value) ? String(value) : Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf';

/** OpenMetrics, "Considerations: Canonical Numbers": a bound always shows that it is no integer. */
const boundText = (bound: number, format: ExpositionFormat): string =>
  format === 'openmetrics' && Number.isInteger(bound) && Math.abs(bound) < 1e21 ? `${bound}.0` : numberText(bound);

/**
 * The format that an Accept header asks for: OpenMetrics where it is named and not ranked below plain text.
 * A header that names neither gets the format that everyone reads.
 */
export function chooseFormat(accept: string | undefined): ExpositionFormat {
  const quality = { prometheus: 0, openmetrics: 0 };
  for (const range of (accept ?? '').split(',')) {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    const version = parameters.find((part) => part.startsWith('version='))?.slice('version='.length);
    const q = Number(parameters.find((part) => part.startsWith('q='))?.slice(2) ?? 1);
    const rank = Number.isNaN(q) ? 0 : q;
    if (type === 'application/openmetrics-text' && (version === undefined || /^"?(1\.0\.0|0\.0\.1)"?$/.test(version))) {
      quality.openmetrics = Math.max(quality.openmetrics, rank);
    } else if (type === 'text/plain') quality.prometheus = Math.max(quality.prometheus, rank);
  }
  return quality.openmetrics > 0 && quality.openmetrics >= quality.prometheus ? 'openmetrics' : 'prometheus';
}
