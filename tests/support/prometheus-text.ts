/** Just enough reading of Prometheus' text format to ask a page for sums. */

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** The samples of a page, in its order. Throws on a line that is none. */
export function parseSamples(page: string): Sample[] {
  return page
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const match = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)( \d+)?$/.exec(line);
      if (match === null) throw new Error(`no sample: ${line}`);
      const labels: Record<string, string> = {};
      for (const [, label = '', value = ''] of (match[2] ?? '').matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) {
        labels[label] = value.replaceAll(/\\(.)/g, (_, escaped: string) => (escaped === 'n' ? '\n' : escaped));
      }
      return { name: match[1] ?? '', labels, value: Number(match[3] === '+Inf' ? Infinity : match[3]) };
    });
}

/** The sum of all samples of that name whose labels include `labels`; undefined where there is none. */
export function sumOf(page: string, name: string, labels: Readonly<Record<string, string>> = {}): number | undefined {
  const samples = parseSamples(page).filter(
    (sample) =>
      sample.name === name && Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
  );
  return samples.length === 0 ? undefined : samples.reduce((sum, { value }) => sum + value, 0);
}
