/** `tool_discovery`: one metric per search for tools or servers. */
import { ask } from '../ask.ts';
import { createReport } from './exchange.ts';
import type { Exchange, HttpMetricsOptions, Report } from './exchange.ts';

/** What no header tells, the handler adds with `annotateMetrics`. */
export interface DiscoveryMetricsOptions<Raw extends object = object> extends HttpMetricsOptions<Raw> {
  /** Free text, cut to the client's `maxTextLength`. Default the parameter `query` or `q` of the address. */
  readonly query?: (exchange: Exchange<Raw>) => string | undefined;
  /** Default the answer's header `X-Results-Count`, else −1, which means not known. */
  readonly resultsCount?: (exchange: Exchange<Raw>) => number | undefined;
  /** Milliseconds. Default the answer's header `X-Embedding-Time-Ms`. */
  readonly embeddingTimeMs?: (exchange: Exchange<Raw>) => number | undefined;
  /** Milliseconds. Default the answer's header `X-Search-Time-Ms`. */
  readonly searchTimeMs?: (exchange: Exchange<Raw>) => number | undefined;
}

function queryOf({ url }: Exchange): string | undefined {
  const at = url.indexOf('?');
  if (at < 0) return undefined;
  const parameters = new URLSearchParams(url.slice(at));
  return parameters.get('query') ?? parameters.get('q') ?? undefined;
}

const numberIn =
  (name: string) =>
  (exchange: Exchange): number | undefined => {
    const text = exchange.responseHeader(name);
    return text === undefined || text.trim() === '' ? undefined : Number(text);
  };

export function discoveryReport<Raw extends object>(options: DiscoveryMetricsOptions<Raw> = {}): Report<Raw> {
  const {
    query = queryOf,
    resultsCount = numberIn('x-results-count'),
    embeddingTimeMs = numberIn('x-embedding-time-ms'),
    searchTimeMs = numberIn('x-search-time-ms'),
  } = options;
  return createReport(options, (client, exchange, { success, durationMs, userHash, errorCode }, annotation) => {
    client.toolDiscovery({
      durationMs,
      query: ask(client, 'query', 'string', query, exchange),
      resultsCount: ask(client, 'resultsCount', 'number', resultsCount, exchange) ?? -1,
      embeddingTimeMs: ask(client, 'embeddingTimeMs', 'number', embeddingTimeMs, exchange),
      searchTimeMs: ask(client, 'searchTimeMs', 'number', searchTimeMs, exchange),
      ...annotation,
      dimensions: { success, user_hash: userHash, ...annotation.dimensions },
      metadata: { error_code: errorCode, ...annotation.metadata },
    });
  });
}
