import { readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import type { JournalEntry } from '../../src/core/journal.ts';
import type { Enriched, IdempotencyClaim, Receipt } from '../../src/core/phases.ts';
import { encodeRecord } from '../../src/core/record.ts';
import type { Refusal } from '../../src/core/refusal.ts';
import { type IdempotencyIndexOptions, openIdempotencyIndex } from '../../src/journal/idempotency-index.ts';
import { openMemoryJournal } from '../../src/journal/memory-journal.ts';
import { openSegmentedLog } from '../../src/journal/segmented-log.ts';
import { systemClock } from '../../src/telemetry/system-clock.ts';
import { createTelemetry } from '../../src/telemetry/telemetry.ts';
import { silentLog } from '../support/silent-log.ts';
import { virtualClock } from '../support/virtual-clock.ts';
import { folderOf } from '../support/folder.ts';

const claimOf = (key: string, body = 'body'): IdempotencyClaim => ({ key, bodyHash: body });
const receiptOf = (key: string): Receipt => ({
  requestId: `req_${key}`,
  accepted: 3,
  rejected: 1,
  dropped: 0,
  errors: [`metrics[1] of ${key}: “no”`],
  errorsOmitted: 2,
  warnings: ['deprecated'],
});

function entryOf(keyId: string, claim: IdempotencyClaim, receivedAt: number): JournalEntry {
  const batch = {
    submission: { requestId: `req_${claim.key}`, receivedAt },
    client: { keyId },
    keyService: 'service',
    rejected: [],
    resource: { service: 'service', attributes: {} },
    source: { format: 'json', bytes: Buffer.from('{"service":"service","metrics":[]}'), idempotency: claim },
  };
  return encodeRecord(batch as unknown as Enriched, receiptOf(claim.key), true);
}

async function open(t: Tap, directory: string, options: Partial<IdempotencyIndexOptions> = {}) {
  const journal =
    options.journal ??
    (await openSegmentedLog({ directory: join(directory, 'journal'), clock: systemClock, log: silentLog }));
  const clock = options.clock ?? virtualClock();
  const telemetry = createTelemetry();
  const index = await openIdempotencyIndex({
    directory: join(directory, 'snapshots'),
    journal,
    clock,
    log: silentLog,
    telemetry,
    ...options,
  });
  /** What a request that is answered 200 does. */
  const answer = async (key: string, keyId = 'key_1', body = 'body'): Promise<void> => {
    const claim = claimOf(key, body);
    t.equal(index.claim(keyId, claim), undefined, `${key} is new`);
    const { sequence } = await journal.append(entryOf(keyId, claim, clock.now()));
    index.settle(keyId, claim, receiptOf(key), sequence, clock.now());
  };
  const value = (name: string): unknown => telemetry.collect().find((family) => family.name === name)?.series[0]?.value;
  /** As `kill -9` does: nothing is written any more. */
  const crash = (): Promise<void> => journal.close();
  return { index, journal, answer, value, crash };
}
type Tap = Pick<typeof t, 'equal' | 'same'>;

const refusalOf = (action: () => unknown): Refusal => {
  try {
    action();
  } catch (error) {
    return error as Refusal;
  }
  throw new Error('expected a refusal');
};

t.test('a retry gets the first answer; another key or another client is new', async (t) => {
  const { index, answer, journal } = await open(t, folderOf(t));
  await answer('a');
  t.same(index.claim('key_1', claimOf('a')), receiptOf('a'));
  t.same(index.claim('key_1', claimOf('a')), receiptOf('a'));
  await answer('b');
  await answer('a', 'key_2');
  await index.stop();
  await journal.close();
});

t.test('another body under the same key is refused with 422', async (t) => {
  const { index, answer } = await open(t, folderOf(t), { journal: openMemoryJournal() });
  await answer('a');
  const refusal = refusalOf(() => index.claim('key_1', claimOf('a', 'other')));
  t.equal(refusal.status, 422);
  t.same(index.claim('key_1', claimOf('a')), receiptOf('a'), 'the first answer stands');
  await index.stop();
});

t.test('while the first request is in flight a second one is refused with 409 and Retry-After', async (t) => {
  const { index } = await open(t, folderOf(t), { journal: openMemoryJournal() });
  const first = claimOf('a');
  t.equal(index.claim('key_1', first), undefined);
  const second = claimOf('a');
  const refusal = refusalOf(() => index.claim('key_1', second));
  t.equal(refusal.status, 409);
  t.equal(refusal.options.retryAfterSeconds, 1);
  index.release('key_1', second);
  t.equal(refusalOf(() => index.claim('key_1', claimOf('a'))).status, 409, 'who holds no claim releases none');
  index.release('key_1', first);
  t.equal(index.claim('key_1', claimOf('a')), undefined, 'a refused request leaves no trace of its key');
  await index.stop();
});

t.test('an answer is forgotten after its time', async (t) => {
  const clock = virtualClock();
  const { index, answer, value } = await open(t, folderOf(t), { clock, journal: openMemoryJournal(), ttlMs: 1000 });
  await answer('a');
  clock.jump(999);
  t.same(index.claim('key_1', claimOf('a')), receiptOf('a'));
  clock.jump(1);
  await answer('a');
  clock.jump(1000);
  await index.snapshot();
  t.equal(value('mcp_gateway_idempotency_keys'), 0, 'and takes no memory then');
  t.equal(value('mcp_gateway_idempotency_evicted_total'), 0);
  await index.stop();
});

t.test('beyond the number or size of keys the oldest go, counted', async (t) => {
  const journal = openMemoryJournal();
  const { index, answer, value } = await open(t, folderOf(t), { journal, maxKeys: 3 });
  for (const key of ['a', 'b', 'c', 'd']) await answer(key);
  t.equal(value('mcp_gateway_idempotency_keys'), 3);
  t.equal(value('mcp_gateway_idempotency_evicted_total'), 1);
  t.same(index.claim('key_1', claimOf('b')), receiptOf('b'));
  t.equal(index.claim('key_1', claimOf('a')), undefined);
  await index.stop();

  const small = await open(t, folderOf(t), { journal: openMemoryJournal(), maxBytes: 1000 });
  for (let key = 0; key < 100; key += 1) await small.answer(String(key));
  t.ok((small.value('mcp_gateway_idempotency_bytes') as number) <= 1000);
  t.equal(
    (small.value('mcp_gateway_idempotency_keys') as number) +
      (small.value('mcp_gateway_idempotency_evicted_total') as number),
    100,
  );
  await small.index.stop();
});

t.test('answers survive a crash: from the snapshot, and from the journal behind it', async (t) => {
  const directory = folderOf(t);
  const first = await open(t, directory);
  await first.answer('in the snapshot');
  await first.index.snapshot();
  t.same(first.index.trimmable(), { sequence: 1, count: 3 });
  await first.answer('in the journal');
  const pending = claimOf('never answered');
  first.index.claim('key_1', pending);
  await first.crash();

  const second = await open(t, directory);
  t.same(second.index.trimmable(), { sequence: 1, count: 3 });
  for (const key of ['in the snapshot', 'in the journal']) {
    t.same(second.index.claim('key_1', claimOf(key)), receiptOf(key));
  }
  t.equal(second.index.claim('key_1', claimOf('never answered')), undefined);
  await second.index.stop();
  t.same(second.index.trimmable(), { sequence: 2, count: 6 });
  await second.journal.close();
});

t.test('a damaged snapshot falls back to the one before it, and to the journal', async (t) => {
  const directory = folderOf(t);
  const first = await open(t, directory);
  await first.answer('a');
  await first.index.snapshot();
  await first.answer('b');
  await first.index.snapshot();
  await first.crash();
  const snapshots = join(directory, 'snapshots');
  const files = (await readdir(snapshots)).toSorted();
  t.equal(files.length, 2);
  await truncate(join(snapshots, files[1]!), 40);

  const second = await open(t, directory);
  t.same(second.index.trimmable(), { sequence: 1, count: 3 });
  for (const key of ['a', 'b']) t.same(second.index.claim('key_1', claimOf(key)), receiptOf(key));
  await second.crash();
  for (const file of files) await truncate(join(snapshots, file), 10);

  const third = await open(t, directory);
  for (const key of ['a', 'b']) t.same(third.index.claim('key_1', claimOf(key)), receiptOf(key));
  t.same(third.index.trimmable(), third.journal.head(), 'a new snapshot was written at once');
  await third.index.stop();
  await third.journal.close();
});

t.test('a snapshot that is ahead of a restored journal keeps its answers and covers what is new', async (t) => {
  const directory = folderOf(t);
  const first = await open(t, directory);
  for (const key of ['a', 'b', 'c']) await first.answer(key);
  await first.index.stop();
  await first.journal.close();

  const journal = openMemoryJournal();
  await journal.append(entryOf('key_1', claimOf('old'), Date.now()));
  const second = await open(t, directory, { journal });
  t.same(second.index.claim('key_1', claimOf('c')), receiptOf('c'));
  t.same(second.index.claim('key_1', claimOf('old')), receiptOf('old'));
  t.same(second.index.trimmable(), { sequence: 1, count: 3 });
  await second.index.stop();
});

t.test('a snapshot is written at its interval, and only when there is something new', async (t) => {
  const clock = virtualClock();
  const directory = folderOf(t);
  const { index, answer } = await open(t, directory, { clock, journal: openMemoryJournal(), snapshotIntervalMs: 5000 });
  const generations = async (): Promise<readonly string[]> => (await readdir(join(directory, 'snapshots'))).toSorted();
  await answer('a');
  while (index.trimmable().sequence < 1) await clock.advance(5000);
  const written = await generations();
  for (let turn = 0; turn < 5; turn += 1) await clock.advance(5000);
  t.same(await generations(), written);
  await answer('b');
  while (index.trimmable().sequence < 2) await clock.advance(5000);
  await index.stop();
});

t.test('a disk that takes no snapshot holds the journal, and nothing else', async (t) => {
  const directory = folderOf(t);
  const { index, answer } = await open(t, directory, { journal: openMemoryJournal() });
  const snapshots = join(directory, 'snapshots');
  await rm(snapshots, { recursive: true });
  await writeFile(snapshots, 'a file where the folder should be');
  await answer('a');
  await index.snapshot();
  t.same(index.trimmable(), { sequence: 0, count: 0 });
  t.same(index.claim('key_1', claimOf('a')), receiptOf('a'));
  await rm(snapshots);
  await index.snapshot();
  t.same(index.trimmable(), { sequence: 1, count: 3 });
  await index.stop();
});

t.test('saving many answers lets requests in between', async (t) => {
  const { index } = await open(t, folderOf(t), { journal: openMemoryJournal() });
  for (let key = 0; key < 20_000; key += 1) {
    index.settle('key_1', claimOf(`key ${key}`), receiptOf('x'), key, Date.now());
  }
  let turns = 0;
  let done = false;
  const count = async (): Promise<void> => {
    for (; !done; turns += 1) await new Promise((resolve) => setImmediate(resolve));
  };
  const counting = count();
  await index.snapshot();
  done = true;
  await counting;
  t.ok(turns >= 20_000 / 1000, `${turns} turns of the event loop`);
  await index.stop();
});
