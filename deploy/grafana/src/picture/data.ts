/** What a panel shows: the answers of a Prometheus to its expressions, each series with the name of its legend. */
import { type DashboardPanel, interpolate, type Target } from './dashboard-file.ts';

export interface Span {
  /** Milliseconds since the epoch. */
  readonly from: number;
  readonly to: number;
  readonly stepSeconds: number;
}

export interface Series {
  readonly refId: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Milliseconds since the epoch, value; not finite ones are left out. One point where the target asks for an instant. */
  readonly points: readonly (readonly [at: number, value: number])[];
}

interface Answer {
  readonly status: string;
  readonly error?: string;
  readonly data: {
    readonly result: readonly {
      readonly metric: Readonly<Record<string, string>>;
      readonly value?: readonly [number, string];
      readonly values?: readonly (readonly [number, string])[];
    }[];
  };
}

/** A point about every five pixels of the widest panel, and not more often than Grafana asks for. */
export const spanUntil = (to: number, rangeSeconds: number): Span => ({
  from: to - rangeSeconds * 1000,
  to,
  stepSeconds: Math.max(30, Math.ceil(rangeSeconds / 200)),
});

async function ask(url: string, expr: string, instant: boolean, { from, to, stepSeconds }: Span): Promise<Answer> {
  const times = instant ? { time: to / 1000 } : { start: from / 1000, end: to / 1000, step: stepSeconds };
  const body = new URLSearchParams({ query: expr });
  for (const [name, value] of Object.entries(times)) body.set(name, String(value));
  const response = await fetch(`${url}/api/v1/query${instant ? '' : '_range'}`, { method: 'POST', body });
  const answer = (await response.json()) as Answer;
  if (answer.status !== 'success') throw new Error(`${expr}: ${answer.error ?? response.status}`);
  return answer;
}

async function seriesOf(url: string, target: Target, span: Span): Promise<readonly Series[]> {
  const expr = interpolate(target.expr, {
    __range: `${(span.to - span.from) / 1000}s`,
    __interval: `${span.stepSeconds}s`,
    __rate_interval: `${Math.max(60, span.stepSeconds)}s`,
  });
  const { data } = await ask(url, expr, target.range !== true, span);
  return data.result.map(({ metric, value, values }) => ({
    refId: target.refId,
    name: target.legendFormat.replaceAll(/\{\{(\w+)\}\}/g, (_, label: string) => metric[label] ?? ''),
    labels: metric,
    points: (values ?? (value === undefined ? [] : [value]))
      .map(([at, text]) => [at * 1000, Number(text)] as const)
      .filter(([, number]) => Number.isFinite(number)),
  }));
}

/** @param url of a Prometheus, without a slash at the end */
export const askPanel = async (url: string, panel: DashboardPanel, span: Span): Promise<readonly Series[]> =>
  (await Promise.all((panel.targets ?? []).map((target) => seriesOf(url, target, span)))).flat();

/** When the gateway started within the span, by the dashboard's own annotation. */
export async function restarts(url: string, expr: string, span: Span): Promise<readonly number[]> {
  const { data } = await ask(url, expr, false, span);
  const starts = data.result.flatMap(({ values = [] }) => values.map(([, text]) => Number(text)));
  return [...new Set(starts)].filter((at) => at >= span.from && at <= span.to);
}
