/** The pipeline as its config declares it: a chain of stages checked by type and again at start, and the sinks behind it. */
import type { Admitted, Authenticated, Enriched, Receipt, Submission, Validated } from './phases.ts';
import { BUILT_IN_STAGES, builtIn, type BuiltInStage, type Processor } from './processor.ts';
import type { AnySink } from './sink.ts';
import type { TotalsOptions } from './totals.ts';

/** The chain in the order in which data flows. Stages of your own stand between `enrich` and `buffer`. */
export type Chain = readonly [
  auth: Processor<Submission, Authenticated>,
  rateLimit: Processor<Authenticated, Admitted>,
  validate: Processor<Admitted, Validated>,
  enrich: Processor<Validated, Enriched>,
  ...own: Processor<Enriched, Enriched>[],
  buffer: Processor<Enriched, Receipt>,
];

export interface PipelineDefinition {
  /** The chain: `[auth(), rateLimit(), validate(), enrich(), …, buffer()]`, stages of your own before the buffer. */
  readonly processors: Chain;
  /** At least one, each under a name of its own: it names files and labels. */
  readonly sinks: readonly [AnySink, ...AnySink[]];
  /** What shapes the counters and histograms that `prometheus()` and `otlp()` show. */
  readonly totals?: TotalsOptions;
  readonly deliveries?: DeliveryLimits;
  /** The HTTP listener. */
  readonly server?: ServerOptions;
  /** Days for which raw metrics are kept until an operator says otherwise (`/admin/retention`). Default 90. */
  readonly retentionDays?: number;
  /** Keys that come from the environment: service and secret. A key that is no longer among them stops working. */
  readonly environmentKeys?: readonly { readonly service: string; readonly secret: string }[];
  /** Where keys live. Default `./data/metrics.db`; its folder is the data directory. */
  readonly databasePath?: string;
  /** Where the journal, snapshots and the lock lie. Default: the folder of `databasePath`. */
  readonly dataDirectory?: string;
}

/** Limits of what lies between the journal and the sinks. */
export interface DeliveryLimits {
  /** Journal records kept in memory for sinks that keep up, bytes; sinks further behind read from disk. Default 32 MiB. */
  readonly memoryBytes?: number;
  /** Events that were set aside, kept per sink at most; the oldest go first, counted. Default 10,000. */
  readonly maxSetAside?: number;
}

/** The HTTP listener of `POST /metrics`. */
export interface ServerOptions {
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Default 8890; 0 takes a free one. */
  readonly port?: number;
  /** From the signal to stop until the process ends, whatever is left undone. Default 10,000. */
  readonly shutdownTimeoutMs?: number;
  /**
   * After the signal to stop, `/readyz` fails for so long before the listener closes, so that load balancers stop sending
   * first. Default 200; with Kubernetes rather 5,000.
   */
  readonly drainDelayMs?: number;
  /** Requests between header and answer; one more is refused with 503. Default 4,096. */
  readonly maxInFlightRequests?: number;
  /** Bytes of bodies being read and processed; one more is refused with 503. Default 256 MiB. */
  readonly maxInFlightBytes?: number;
  /** Silence after which a body that has begun is given up with 408. Default 30,000. */
  readonly bodyTimeoutMs?: number;
  /** From a connection's first byte to the end of its headers. Default 10,000. */
  readonly headersTimeoutMs?: number;
  /** From the first byte to the end of the body, however it drips. Default 120,000. */
  readonly requestTimeoutMs?: number;
  /** How long an idle connection is kept for its next request. Default 75,000: longer than usual proxies keep theirs. */
  readonly keepAliveTimeoutMs?: number;
  /** Bytes of all request headers. Default 16 KiB. */
  readonly maxHeaderBytes?: number;
  /** Connections at once; further ones are closed at once. Default 10,000. */
  readonly maxConnections?: number;
  /** Serves HTTPS with this certificate chain and private key, both PEM. Default: plain HTTP. */
  readonly tls?: TlsOptions;
}

/** A certificate chain and its private key, as PEM text: `readFileSync('cert.pem')`. */
export interface TlsOptions {
  readonly cert: string | Uint8Array;
  readonly key: string | Uint8Array;
  /** Of the private key, where it has one. */
  readonly passphrase?: string;
}

/** A pipeline that passed its checks. */
export interface Pipeline extends PipelineDefinition {
  readonly kind: 'pipeline';
}

/** What is wrong with a pipeline, in words that name the stage. Thrown by `definePipeline`. */
export class PipelineError extends Error {
  override readonly name = 'PipelineError';
}

/**
 * Declares the pipeline. A wrong order does not compile; in plain JavaScript it throws here.
 * @throws PipelineError naming the stage at fault
 */
export function definePipeline(definition: PipelineDefinition): Pipeline {
  checkFields('the pipeline', definition, FIELDS);
  checkFields('server', definition.server, SERVER_FIELDS);
  checkFields('totals', definition.totals, TOTALS_FIELDS);
  checkFields('deliveries', definition.deliveries, DELIVERY_FIELDS);
  checkChain(definition.processors);
  checkSinks(definition.sinks);
  return { ...definition, kind: 'pipeline' };
}

type FieldsOf<Options> = Readonly<Record<keyof Options, true>>;

const FIELDS: FieldsOf<PipelineDefinition> = {
  processors: true,
  sinks: true,
  totals: true,
  deliveries: true,
  server: true,
  environmentKeys: true,
  retentionDays: true,
  databasePath: true,
  dataDirectory: true,
};

const SERVER_FIELDS: FieldsOf<ServerOptions> = {
  host: true,
  port: true,
  shutdownTimeoutMs: true,
  drainDelayMs: true,
  maxInFlightRequests: true,
  maxInFlightBytes: true,
  bodyTimeoutMs: true,
  headersTimeoutMs: true,
  requestTimeoutMs: true,
  keepAliveTimeoutMs: true,
  maxHeaderBytes: true,
  maxConnections: true,
  tls: true,
};

const DELIVERY_FIELDS: FieldsOf<DeliveryLimits> = { memoryBytes: true, maxSetAside: true };

const TOTALS_FIELDS: FieldsOf<TotalsOptions> = {
  histogramBoundaries: true,
  maxSeries: true,
  maxLabelValues: true,
  maxLabelLength: true,
  expireAfterMs: true,
  labels: true,
  resource: true,
};

/** A field that nobody reads is a setting that silently does nothing: refuse it. */
function checkFields(where: string, options: unknown, known: object): void {
  if (options === undefined && known !== FIELDS) return;
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new PipelineError(
      `${where}: expected an object { ${Object.keys(known).join(', ')} }; got ${describe(options)}`,
    );
  }
  const unknown = Object.keys(options).find((field) => !Object.hasOwn(known, field));
  if (unknown !== undefined) {
    throw new PipelineError(
      `${where}: unknown field ${JSON.stringify(unknown)}; the fields are ${Object.keys(known).join(', ')}`,
    );
  }
}

function checkChain(chain: readonly unknown[]): void {
  if (!Array.isArray(chain))
    throw new PipelineError('processors: expected an array of stages, [auth(), rateLimit(), …]');
  const seen: BuiltInStage[] = [];
  for (const [index, stage] of chain.entries()) {
    const where = `processors[${index}]`;
    if (!isNamed(stage) || typeof (stage as { process?: unknown }).process !== 'function') {
      throw new PipelineError(`${where}: expected a processor { name, process }; got ${describe(stage)}`);
    }
    const kind = (stage as Processor<unknown, unknown>)[builtIn];
    if (kind === undefined) {
      if (seen.length !== BUILT_IN_STAGES.length - 1) {
        const expected = BUILT_IN_STAGES[seen.length];
        throw new PipelineError(
          expected === undefined
            ? `${where}: stage "${stage.name}" stands after buffer; buffer ends the chain`
            : `${where}: stage "${stage.name}" stands before ${expected}; stages of your own belong between enrich and buffer`,
        );
      }
      continue;
    }
    if (seen.includes(kind))
      throw new PipelineError(`${where}: stage ${kind} appears twice; each built-in stage appears once`);
    const expected = BUILT_IN_STAGES[seen.length];
    if (kind !== expected) {
      throw new PipelineError(
        `${where}: stage ${kind} stands where ${expected ?? 'nothing'} belongs; the order is ${BUILT_IN_STAGES.join(' → ')}`,
      );
    }
    seen.push(kind);
  }
  const missing = BUILT_IN_STAGES[seen.length];
  if (missing !== undefined)
    throw new PipelineError(`processors: stage ${missing} is missing; the order is ${BUILT_IN_STAGES.join(' → ')}`);
}

function checkSinks(sinks: readonly unknown[]): void {
  if (!Array.isArray(sinks) || sinks.length === 0) {
    throw new PipelineError('sinks: expected at least one, such as sqlite(); without a sink nothing is kept');
  }
  const names = new Set<string>();
  for (const [index, sink] of sinks.entries()) {
    const where = `sinks[${index}]`;
    if (!isNamed(sink))
      throw new PipelineError(`${where}: expected a sink { name, whenFull, write }; got ${describe(sink)}`);
    if (!/^[a-z][a-z0-9_-]{0,63}$/.test(sink.name)) {
      throw new PipelineError(
        `${where}: sink name ${JSON.stringify(sink.name)} must match ^[a-z][a-z0-9_-]{0,63}$: it names files and labels`,
      );
    }
    if (names.has(sink.name))
      throw new PipelineError(`${where}: a second sink is named "${sink.name}"; names tell the checkpoints apart`);
    names.add(sink.name);
    if ((sink as { kind?: unknown }).kind === 'totals-reader') continue;
    const { write, whenFull, batching } = sink as { write?: unknown; whenFull?: unknown; batching?: unknown };
    if (typeof write !== 'function')
      throw new PipelineError(`${where}: sink "${sink.name}" has no write(batch, signal)`);
    if (whenFull !== 'refuse' && whenFull !== 'skip') {
      throw new PipelineError(`${where}: sink "${sink.name}" must say whenFull: "refuse" or "skip"`);
    }
    checkBatching(`${where}: sink "${sink.name}"`, batching);
  }
}

/** A batch of no metrics would never be written, and no delay would ever be over. */
function checkBatching(where: string, batching: unknown): void {
  if (batching === undefined) return;
  const { maxMetrics = 1, maxDelayMs = 0 } = (batching ?? {}) as { maxMetrics?: unknown; maxDelayMs?: unknown };
  if (!Number.isSafeInteger(maxMetrics) || (maxMetrics as number) < 1) {
    throw new PipelineError(`${where}: batching.maxMetrics must be a whole number from 1; got ${String(maxMetrics)}`);
  }
  if (typeof maxDelayMs !== 'number' || !Number.isFinite(maxDelayMs) || maxDelayMs < 0) {
    throw new PipelineError(`${where}: batching.maxDelayMs must be milliseconds from 0; got ${String(maxDelayMs)}`);
  }
}

const isNamed = (value: unknown): value is { name: string } =>
  typeof value === 'object' && value !== null && typeof (value as { name?: unknown }).name === 'string';

const describe = (value: unknown): string =>
  typeof value === 'function'
    ? `a function; call it: ${value.name || 'stage'}()`
    : value === null
      ? 'null'
      : Array.isArray(value)
        ? 'an array'
        : typeof value;
