/** What a sink is given at start, with a log that tests can read. */
import type { Log } from '../../../src/core/ports.ts';
import type { SinkContext } from '../../../src/core/sink.ts';
import { systemClock } from '../../../src/telemetry/system-clock.ts';
import { createTelemetry } from '../../../src/telemetry/telemetry.ts';

export interface TestContext extends SinkContext {
  readonly lines: { readonly level: string; readonly fields: object; readonly message: string }[];
}

export function testContext(dataDirectory: string): TestContext {
  const lines: TestContext['lines'] = [];
  const write = (level: string) => (fields: object, message: string) => void lines.push({ level, fields, message });
  const log: Log = {
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
    child: () => log,
  };
  return { log, lines, clock: systemClock, telemetry: createTelemetry(), dataDirectory };
}

/** Waits for a condition, not for time. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  deadlineMs = 30_000,
): Promise<void> {
  const deadline = performance.now() + deadlineMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`not within ${deadlineMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
