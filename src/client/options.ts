/** What a client is told by its caller and by the environment, checked once; a fault disables the client and never throws. */
import { between } from './encode.ts';
import { attempt, environmentVariable } from './runtime.ts';

export interface MetricsClientOptions {
  /** Base address of the gateway. Default `METRICS_SERVICE_URL`, else `http://127.0.0.1:8890`. */
  readonly url?: string;
  /** Key of this service. Default `METRICS_API_KEY`; without one the client is disabled, and says so once. */
  readonly apiKey?: string;
  /** Name under which the metrics appear. Default `OTEL_SERVICE_NAME`, else `unknown_service`. */
  readonly service?: string;
  /** Version of the service. */
  readonly version?: string;
  /** This process among others of the service. */
  readonly instanceId?: string;
  /** False makes every call do nothing. Default true. */
  readonly enabled?: boolean;
  /**
   * Salt of user hashes. Default `METRICS_USER_HASH_SALT`, else the API key, so that names cannot be found by trying
   * them out; so in every client, whatever its language. The empty text gives the unsalted hashes of deployed emitters.
   */
  readonly userHashSalt?: string;
  /** Longest time a metric waits before it is sent, in milliseconds. Default 2,000. */
  readonly flushIntervalMs?: number;
  /** Metrics in a request; so many waiting are sent at once. Default 1,000, at most 5,000. */
  readonly maxBatchSize?: number;
  /** Metrics that may wait, beside the batch on its way, of 1,000 bytes on average at most; the oldest are dropped and counted.
   * Default 10,000. */
  readonly maxQueueSize?: number;
  /** How long an answer may take before the request is tried again, in milliseconds. Default 5,000. */
  readonly requestTimeoutMs?: number;
  /** Characters of free text (such as search queries) that are sent; 0 sends none. Default 100, at most 200. */
  readonly maxTextLength?: number;
  /** Takes warnings, each kind once. Default `console.warn`. */
  readonly onWarning?: (message: string) => void;
  /** Default the host's `fetch`. */
  readonly fetch?: typeof fetch;
}

/** As the client uses them. */
export interface ResolvedOptions {
  /** Why the client does nothing; undefined for one that works. */
  readonly disabled: string | undefined;
  /** Of `POST /metrics`. */
  readonly url: string;
  /** Of every request, the key among them. */
  readonly headers: Headers | undefined;
  /** Who sends, as a body says it. */
  readonly identity: object;
  readonly userHashSalt: string;
  readonly flushIntervalMs: number;
  readonly maxBatchSize: number;
  readonly maxQueueSize: number;
  readonly requestTimeoutMs: number;
  readonly maxTextLength: number;
  readonly fetch: typeof fetch;
  /** Once per kind; never throws. */
  readonly warn: (kind: string, message: string, detail?: unknown) => void;
}

/** Makes a name of what the gateway takes for one. */
const clean = (text: string | number | undefined, forbidden: RegExp, longest: number): string | undefined =>
  String(text ?? '')
    .replace(forbidden, '-')
    .slice(0, longest) || undefined;

/** @throws TypeError for what is no address */
function ingestUrl(base: string): string | undefined {
  const url = new URL(base);
  if (!/^https?:$/.test(url.protocol) || url.username + url.password) return undefined;
  return `${url.origin}${url.pathname.replace(/(\/metrics)?\/*$/, '')}/metrics`;
}

/** One voice per process for a client without a key: a service that makes many clients says it once. */
let saidDisabled = false;

/** @param fault what is wrong already */
function resolve(given: MetricsClientOptions, fault?: string): ResolvedOptions {
  const apiKey = (given.apiKey ?? environmentVariable('METRICS_API_KEY') ?? '').trim();
  const base = given.url ?? environmentVariable('METRICS_SERVICE_URL') ?? 'http://127.0.0.1:8890';
  const url = attempt(() => ingestUrl(base));
  const service = given.service ?? environmentVariable('OTEL_SERVICE_NAME');
  const said = new Set<string>();
  const warn = (kind: string, message: string, detail: unknown = ''): void => {
    if (said.has(kind)) return;
    try {
      // Not every thrown value can be made text.
      const text = `mcp-metrics-client: ${message}${String(detail)}`;
      said.add(kind);
      (given.onWarning ?? console.warn)(text);
    } catch {
      // A warning that cannot be given changes nothing for the service.
    }
  };

  let disabled = fault;
  // Made as the client is: Node loads all of `fetch` with the first `Headers`, which is no matter for the first batch.
  const makeHeaders = (): Headers => new Headers({ 'content-type': 'application/json', 'x-api-key': apiKey });
  let headers: Headers | undefined;
  if (given.enabled === false) disabled = 'switched off';
  else if (!apiKey) disabled = 'set METRICS_API_KEY or pass apiKey';
  else if (!(headers = attempt(makeHeaders))) disabled = 'the API key fits no header';
  else if (!url) disabled = 'METRICS_SERVICE_URL or url is no http(s) address';
  if (disabled && given.enabled !== false && (!saidDisabled || apiKey)) {
    saidDisabled = true;
    warn('disabled', `no metrics are sent: ${disabled}`);
  }

  return {
    disabled,
    url: url ?? '',
    headers,
    identity: {
      service: clean(service, /[^\w-]/g, 100) ?? 'unknown_service',
      version: clean(given.version, /\0/g, 50),
      instance_id: clean(given.instanceId, /[^\w.-]/g, 100),
    },
    userHashSalt: given.userHashSalt ?? environmentVariable('METRICS_USER_HASH_SALT') ?? apiKey,
    flushIntervalMs: between(given.flushIntervalMs, 2000, 1, 3_600_000),
    maxBatchSize: between(given.maxBatchSize, 1000, 1, 5000),
    maxQueueSize: between(given.maxQueueSize, 10_000, 1, 1_000_000),
    requestTimeoutMs: between(given.requestTimeoutMs, 5000, 1, 600_000),
    maxTextLength: between(given.maxTextLength, 100, 0, 200),
    fetch: given.fetch ?? ((input, init) => fetch(input, init)),
    warn,
  };
}

/** Options that cannot be read disable the client as well. */
export const resolveOptions = (given: MetricsClientOptions | undefined): ResolvedOptions =>
  attempt(() => resolve(given ?? {})) ?? resolve({ apiKey: '-' }, 'unreadable options');
