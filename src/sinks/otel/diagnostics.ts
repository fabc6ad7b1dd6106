/** What the OpenTelemetry SDK has to say, as lines of the gateway's log: each text once in a while, not per export. */
import type { DiagLogger } from '@opentelemetry/api';
import type { LogLine } from './messages.ts';

const REPEAT_MS = 600_000;
const REMEMBERED = 100;

export function forwardDiagnostics(log: (line: LogLine) => void): DiagLogger {
  const told = new Map<string, number>();
  const forward = (level: LogLine['level'], message: string): void => {
    const now = performance.now();
    if (now - (told.get(message) ?? Number.NEGATIVE_INFINITY) < REPEAT_MS) return;
    if (told.size >= REMEMBERED) told.clear();
    told.set(message, now);
    // The arguments may hold requests and answers; the message alone says what happened.
    log({ level, fields: { component: 'opentelemetry' }, message });
  };
  const silent = (): void => {};
  return {
    error: (message) => forward('error', message),
    warn: (message) => forward('warn', message),
    info: silent,
    debug: silent,
    verbose: silent,
  };
}
