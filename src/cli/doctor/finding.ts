/** What a check of `mcp-metrics doctor` looks at, and what it says. */
import type { Pipeline } from '../../core/pipeline.ts';
import type { TotalsReader } from '../../core/sink.ts';
import type { Connection } from '../connection.ts';

export interface Finding {
  readonly check: string;
  readonly status: 'ok' | 'warning' | 'fault';
  readonly detail: string;
  /** What to do about it; always there for a warning or a fault. */
  readonly advice?: string;
}

export interface Patient {
  readonly pipeline: Pipeline;
  readonly databasePath: string;
  readonly dataDirectory: string;
  /** Undefined where no gateway runs on the data directory; an Error where one cannot be spoken to. */
  readonly gateway: Connection | Error | undefined;
}

/** Looks, and changes nothing. */
export type Check = (patient: Patient) => Finding | readonly Finding[] | Promise<Finding | readonly Finding[]>;

export const ok = (check: string, detail: string): Finding => ({ check, status: 'ok', detail });
export const warning = (check: string, detail: string, advice: string): Finding => ({
  check,
  status: 'warning',
  detail,
  advice,
});
export const fault = (check: string, detail: string, advice: string): Finding => ({
  check,
  status: 'fault',
  detail,
  advice,
});

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Name and settings of the readers of the totals that are on and of this kind. */
export function readersOf<Settings>(
  { sinks }: Pipeline,
  kind: string,
): readonly { readonly name: string; readonly settings: Partial<Settings> }[] {
  return (sinks as readonly Partial<TotalsReader>[]).flatMap(({ name = kind, settings, enabled }) =>
    enabled !== false && settings !== undefined && 'kind' in settings && settings.kind === kind
      ? [{ name, settings: settings as Partial<Settings> }]
      : [],
  );
}
