/** The contract that every sink keeps, as checks for any test runner. */
import { type Sink, type SinkContext, Unacceptable } from '../core/sink.ts';
import { sinkContext, withFolder } from './contexts.ts';
import { type ContractCheck, ContractError, must, mustNotFail, within } from './contract.ts';
import { sampleBatch, sampleEvents } from './samples.ts';

export interface SinkContractOptions {
  /** Makes a new sink that is not started; called for every check. @param folder an empty folder, removed afterwards */
  readonly make: (folder: string) => Sink | Promise<Sink>;
  /** Takes the sink's destination away and brings it back, where a test can do that. */
  readonly outage?: {
    readonly begin: (folder: string) => unknown;
    readonly end: (folder: string) => unknown;
  };
}

/**
 * `for (const { name, check } of sinkContract({ make })) test(name, check);`
 * Each check makes a sink of its own and throws a `ContractError` that says what the sink did.
 */
export function sinkContract({ make, outage }: SinkContractOptions): readonly ContractCheck[] {
  const never = new AbortController().signal;

  const withSink = (use: (sink: Sink, folder: string, context: SinkContext) => Promise<void>) => (): Promise<void> =>
    withFolder(async (folder) => use(await make(folder), folder, sinkContext(folder)));

  const withStarted = (use: (sink: Sink, folder: string) => Promise<void>) =>
    withSink(async (sink, folder, context) => {
      await mustNotFail('start', () => sink.start?.(context));
      try {
        await use(sink, folder);
      } finally {
        await mustNotFail('stop', () => sink.stop?.());
      }
    });

  const checks: ContractCheck[] = [
    {
      name: 'has a name that can name files and labels, and says what becomes of its backlog when the journal is full',
      check: withSink(async ({ name, whenFull }) => {
        must(/^[a-z][a-z0-9_-]{0,63}$/.test(name), `name ${JSON.stringify(name)} must match ^[a-z][a-z0-9_-]{0,63}$`);
        must(whenFull === 'refuse' || whenFull === 'skip', `whenFull is ${whenFull}; expected "refuse" or "skip"`);
      }),
    },
    {
      name: 'stops without having been started',
      check: withSink(async (sink) => mustNotFail('stop before start', () => sink.stop?.())),
    },
    {
      name: 'stops twice',
      check: withSink(async (sink, _folder, context) => {
        await mustNotFail('start', () => sink.start?.(context));
        await mustNotFail('stop', () => sink.stop?.());
        await mustNotFail('the second stop', () => sink.stop?.());
      }),
    },
    {
      name: 'takes batches one after the other',
      check: withStarted(async (sink) => {
        const first = sampleBatch();
        await mustNotFail('write', () => sink.write(first, never));
        await mustNotFail('the next write', () => sink.write(sampleBatch(sampleEvents(), first.checkpoint), never));
      }),
    },
    {
      name: 'takes an empty batch',
      check: withStarted(async (sink) => mustNotFail('write of no events', () => sink.write(sampleBatch([]), never))),
    },
    {
      name: 'takes the same batch again, as after a crash between its write and the checkpoint',
      check: withStarted(async (sink) => {
        const batch = sampleBatch();
        await mustNotFail('write', () => sink.write(batch, never));
        await mustNotFail('write of the same batch', () => sink.write(batch, never));
      }),
    },
    {
      name: 'leaves what it is given as it was',
      check: withStarted(async (sink) => {
        const batch = sampleBatch();
        const bytes = (): Buffer[] => batch.records.map(({ envelope, payload }) => Buffer.concat([envelope, payload]));
        const before = bytes();
        // The events are frozen: a sink that changes them fails here.
        await mustNotFail('write of frozen events', () => sink.write(batch, never));
        const same = bytes().every((each, index) => before[index]?.equals(each) === true);
        must(same, 'write changed or took away the bytes of the records, which other sinks read too');
      }),
    },
    {
      name: 'settles a write whose signal is aborted',
      check: withStarted(async (sink) => {
        const aborted = AbortSignal.abort(new Error('stopping'));
        // Written or not is for the sink to say; hanging is not.
        await within(
          'write with an aborted signal',
          sink.write(sampleBatch(), aborted).catch(() => undefined),
        );
      }),
    },
    {
      name: 'says where it is, where it keeps its own checkpoint, and still does after a restart',
      check: withSink(async (sink, folder, context) => {
        if (sink.checkpoint === undefined) return;
        await mustNotFail('start', () => sink.start?.(context));
        await mustNotFail('checkpoint before any write', () => sink.checkpoint?.());
        const batch = sampleBatch();
        await mustNotFail('write', () => sink.write(batch, never));
        await mustNotFail('stop', () => sink.stop?.());
        const next = await make(folder);
        await mustNotFail('start of the next sink in the same folder', () => next.start?.(sinkContext(folder)));
        try {
          const found = await mustNotFail('checkpoint', () => next.checkpoint?.());
          const { journalId, sequence, count } = batch.checkpoint;
          must(
            found?.journalId === journalId && found.sequence === sequence && found.count === count,
            `checkpoint after a restart is ${JSON.stringify(found)}; the batch written last reached ${JSON.stringify(batch.checkpoint)}`,
          );
        } finally {
          await mustNotFail('stop', () => next.stop?.());
        }
      }),
    },
    {
      name: 'tells its health at any time',
      check: withSink(async (sink, _folder, context) => {
        for (const step of [() => undefined, () => sink.start?.(context), () => sink.stop?.()]) {
          await mustNotFail('start and stop', step);
          const health = await mustNotFail('health', () => sink.health?.());
          must(health === undefined || typeof health.healthy === 'boolean', 'health gives { healthy: true | false }');
        }
      }),
    },
  ];

  if (outage !== undefined) {
    checks.push({
      name: 'rejects while its destination is away, and takes the same batch when it is back',
      check: withStarted(async (sink, folder) => {
        const batch = sampleBatch();
        await outage.begin(folder);
        let failure: unknown;
        try {
          await within('write during an outage', sink.write(batch, never));
        } catch (error) {
          if (error instanceof ContractError) throw error;
          failure = error;
        } finally {
          await outage.end(folder);
        }
        must(failure !== undefined, 'write resolved though its destination was away: that batch is lost');
        must(
          !(failure instanceof Unacceptable),
          'write threw Unacceptable in an outage: that batch would be set aside',
        );
        await mustNotFail('write after the outage', () => sink.write(batch, never));
      }),
    });
  }
  return checks;
}
