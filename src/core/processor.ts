/** One stage of the chain, and what a stage is given at start. */
import type { IdempotencyIndex } from './idempotency.ts';
import type { JournalEntry, JournalRecord } from './journal.ts';
import type { KeyStore } from './key-store.ts';
import type { MetricType } from './metric.ts';
import type { Clock, Log, Telemetry } from './ports.ts';

export interface ProcessorContext {
  readonly log: Log;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly keys: KeyStore;
  readonly idempotency: IdempotencyIndex;
  /** Appends to the journal; resolves once durable. */
  readonly append: (entry: JournalEntry) => Promise<JournalRecord>;
  /** Days for which metrics of a type are kept, by the policies as they are now; Infinity for ever. */
  readonly keptDays?: (type: MetricType) => number;
  /** True when every stage is built in: then the request's own bytes are the chain's outcome. */
  readonly builtInOnly: boolean;
}

/** The built-in stages, in their order. */
export const BUILT_IN_STAGES = ['auth', 'rateLimit', 'validate', 'enrich', 'buffer'] as const;
export type BuiltInStage = (typeof BUILT_IN_STAGES)[number];

/** Marks a built-in stage, so that a wrong order is found in plain JavaScript too. */
export const builtIn: unique symbol = Symbol('mcp-metrics-gateway.stage');

/**
 * One stage. `process` throws a `Refusal` to turn the whole request away, and puts single bad items into `rejected`.
 * Property-style function types on purpose: method-style ones are bivariant and let a wrong order compile.
 */
export interface Processor<In, Out> {
  readonly name: string;
  readonly process: (input: In) => Out | Promise<Out>;
  readonly start?: (context: ProcessorContext) => void | Promise<void>;
  readonly stop?: () => void | Promise<void>;
  readonly [builtIn]?: BuiltInStage;
}
