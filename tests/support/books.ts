/** Reads a scrape of :9465, and says where the two sums of promise 3 do not hold. */

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const SAMPLE = /^([A-Za-z_:][A-Za-z0-9_:]*)(?:\{(.*)\})? (\S+)/;
const LABEL = /([A-Za-z_][A-Za-z0-9_]*)="((?:[^"\\]|\\.)*)"/g;

export function readSamples(text: string): readonly Sample[] {
  return text.split('\n').flatMap((line) => {
    const found = line.startsWith('#') ? null : SAMPLE.exec(line);
    if (found === null) return [];
    const [, name = '', labels = '', value = ''] = found;
    return [
      {
        name,
        value: Number(value),
        labels: Object.fromEntries(
          [...labels.matchAll(LABEL)].map(([, key = '', text = '']): [string, string] => [key, text]),
        ),
      },
    ];
  });
}

/** The sum over all series of a name that carry these labels. */
export function sumOf(samples: readonly Sample[], name: string, labels: Readonly<Record<string, string>> = {}): number {
  return samples
    .filter(
      (sample) => sample.name === name && Object.entries(labels).every(([key, value]) => sample.labels[key] === value),
    )
    .reduce((sum, { value }) => sum + value, 0);
}

/** One sentence for each sum that does not hold; empty when the books balance. */
export function imbalances(text: string): readonly string[] {
  const samples = readSamples(text);
  const metrics = (part: string): number => sumOf(samples, `mcp_gateway_metrics_${part}`);
  const found: string[] = [];
  const received = metrics('received_total');
  const fates = [
    'accepted_total',
    'rejected_total',
    'dropped_total',
    'refused_total',
    'replayed_total',
    'in_flight',
  ].map((part) => [part, metrics(part)] as const);
  const sum = fates.reduce((total, [, value]) => total + value, 0);
  if (received !== sum)
    found.push(`received ${received} ≠ ${fates.map(([part, value]) => `${part} ${value}`).join(' + ')}`);

  const sinks = new Set(
    samples.filter(({ name }) => name === 'mcp_gateway_sink_queued').map(({ labels }) => labels['sink']!),
  );
  if (sinks.size === 0) found.push('no sink reports mcp_gateway_sink_queued');
  for (const sink of sinks) {
    const of = (part: string): number => sumOf(samples, `mcp_gateway_sink_${part}`, { sink });
    const given = of('accepted_total') + of('recovered');
    const dealt = of('delivered_total') + of('queued') + of('set_aside_total') + of('skipped_total');
    if (given !== dealt) {
      found.push(
        `${sink}: accepted ${of('accepted_total')} + recovered ${of('recovered')} ≠ delivered ${of('delivered_total')} + queued ${of('queued')} + set aside ${of('set_aside_total')} + skipped ${of('skipped_total')}`,
      );
    }
  }
  return found;
}
