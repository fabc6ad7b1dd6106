/** The contract that every stage between `enrich` and `buffer` keeps, as checks for any test runner. */
import { METRIC_TYPES } from '../core/metric.ts';
import type { Enriched } from '../core/phases.ts';
import { builtIn, type Processor } from '../core/processor.ts';
import { Refusal } from '../core/refusal.ts';
import { processorContext } from './contexts.ts';
import { type ContractCheck, ContractError, must, mustNotFail, within } from './contract.ts';
import { sampleEnriched, sampleEvents } from './samples.ts';

export interface ProcessorContractOptions {
  /** Makes a new stage that is not started; called for every check. */
  readonly make: () => Processor<Enriched, Enriched> | Promise<Processor<Enriched, Enriched>>;
}

/** What the buffer writes down has to be what a sink can read: the fields of an event, each of its kind. */
function mustBeEvents(batch: Enriched): void {
  const isArray: boolean = Array.isArray(batch.events);
  must(isArray, 'process gave a batch whose events are no array');
  for (const event of batch.events) {
    must(METRIC_TYPES.includes(event.type), `process gave an event of type ${JSON.stringify(event.type)}`);
    must(Number.isFinite(event.value), `process gave the value ${event.value}; expected a finite number`);
    must(Number.isFinite(event.timestamp), `process gave the timestamp ${event.timestamp}; expected milliseconds`);
    const { durationMs } = event;
    must(durationMs === undefined || durationMs >= 0, `process gave durationMs ${durationMs}; expected 0 or more`);
    for (const [key, value] of Object.entries(event.dimensions)) {
      must(
        ['string', 'number', 'boolean'].includes(typeof value),
        `process gave dimensions.${key} of type ${typeof value}; expected a string, number or boolean`,
      );
    }
    must(typeof event.metadata === 'object', 'process gave an event without metadata');
  }
}

/** A stage may refuse a whole batch; any other error is one of its own. */
async function run(stage: Processor<Enriched, Enriched>, batch: Enriched): Promise<Enriched | undefined> {
  try {
    return await within('process', Promise.resolve(stage.process(batch)));
  } catch (error) {
    if (error instanceof Refusal) return undefined;
    if (error instanceof ContractError) throw error;
    throw new ContractError(
      `process threw ${error instanceof Error ? `${error.name}: ${error.message}` : String(error)}; only a Refusal turns a batch away`,
      { cause: error },
    );
  }
}

/**
 * `for (const { name, check } of processorContract({ make })) test(name, check);`
 * Each check makes a stage of its own and throws a `ContractError` that says what the stage did.
 */
export function processorContract({ make }: ProcessorContractOptions): readonly ContractCheck[] {
  const withStarted = (use: (stage: Processor<Enriched, Enriched>) => Promise<void>) => async (): Promise<void> => {
    const stage = await make();
    await mustNotFail('start', () => stage.start?.(processorContext()));
    try {
      await use(stage);
    } finally {
      await mustNotFail('stop', () => stage.stop?.());
    }
  };

  return [
    {
      name: 'has a name, and does not pass itself off as a built-in stage',
      check: async () => {
        const stage = await make();
        must(typeof stage.name === 'string' && stage.name !== '', 'a stage has a name');
        must(stage[builtIn] === undefined, 'only the built-in stages carry their mark');
      },
    },
    {
      name: 'stops without having been started',
      check: async () => {
        const stage = await make();
        await mustNotFail('stop before start', () => stage.stop?.());
      },
    },
    {
      name: 'stops twice',
      check: async () => {
        const stage = await make();
        await mustNotFail('start', () => stage.start?.(processorContext()));
        await mustNotFail('stop', () => stage.stop?.());
        await mustNotFail('the second stop', () => stage.stop?.());
      },
    },
    {
      name: 'passes on events that sinks can read, in a batch of the same request',
      check: withStarted(async (stage) => {
        const batch = sampleEnriched();
        const passed = await run(stage, batch);
        if (passed === undefined) return;
        mustBeEvents(passed);
        must(passed.submission === batch.submission, 'process gave a batch of another request');
        must(passed.client === batch.client, 'process changed who sent the batch');
      }),
    },
    {
      name: 'takes an empty batch',
      check: withStarted(async (stage) => {
        const passed = await run(stage, sampleEnriched([]));
        if (passed !== undefined) mustBeEvents(passed);
      }),
    },
    {
      name: 'leaves what it is given as it was',
      check: withStarted(async (stage) => {
        // Frozen all the way down: a stage that changes its input throws a TypeError here, and fails.
        for (const event of sampleEvents()) await run(stage, sampleEnriched([event]));
      }),
    },
    {
      name: 'keeps requests apart that it processes at the same time',
      check: withStarted(async (stage) => {
        const batches = Array.from({ length: 8 }, (_, index) =>
          sampleEnriched(sampleEvents(index * 1_000_000).slice(0, (index % 4) + 1)),
        );
        const passed = await Promise.all(batches.map((batch) => run(stage, batch)));
        for (const [index, batch] of passed.entries()) {
          if (batch === undefined) continue;
          must(batch.submission === batches[index]?.submission, 'process answered with the batch of another request');
        }
      }),
    },
  ];
}
