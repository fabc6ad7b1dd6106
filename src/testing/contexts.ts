/** What a plugin is given at start, for contracts: a real clock and telemetry, a silent log, a folder of its own. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Log } from '../core/ports.ts';
import type { ProcessorContext } from '../core/processor.ts';
import type { SinkContext } from '../core/sink.ts';
import { systemClock } from '../telemetry/system-clock.ts';
import { createTelemetry } from '../telemetry/telemetry.ts';
import { ContractError } from './contract.ts';

const silent: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent };

export const sinkContext = (dataDirectory: string): SinkContext => ({
  log: silent,
  clock: systemClock,
  telemetry: createTelemetry(),
  dataDirectory,
});

/** Of keys, idempotency and journal a stage of one's own has no use: they belong to `auth`, `validate` and `buffer`. */
export function processorContext(): ProcessorContext {
  const notYours = (what: string) => (): never => {
    throw new ContractError(`the stage used ${what}, which belong to the built-in stages`);
  };
  const keys = notYours('the keys');
  const idempotency = notYours('the remembered answers');
  return {
    log: silent,
    clock: systemClock,
    telemetry: createTelemetry(),
    keys: {
      find: keys,
      size: keys,
      list: keys,
      create: keys,
      update: keys,
      rotate: keys,
      revoke: keys,
      syncEnvironment: keys,
      recordUse: keys,
      close: keys,
    },
    idempotency: { claim: idempotency, settle: idempotency, release: idempotency },
    append: notYours('the journal'),
    builtInOnly: false,
  };
}

/** Runs `use` with a new empty folder, and removes it. */
export async function withFolder<Result>(use: (folder: string) => Promise<Result>): Promise<Result> {
  const folder = await mkdtemp(join(tmpdir(), 'mcp-metrics-contract-'));
  try {
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
