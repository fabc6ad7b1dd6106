import t, { type Test } from 'tap';
import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import type { Checkpoint } from '../../../src/core/journal.ts';
import { Rewind } from '../../../src/core/sink.ts';
import type { Totals, TotalsOptions } from '../../../src/core/totals.ts';
import { prometheus } from '../../../src/sinks/otel/prometheus.ts';
import { testContext, type TestContext, until } from './context.ts';
import { type Body, journalOf, JOURNAL_ID, type TestJournal } from './journal-of.ts';
import { folderOf } from '../../support/folder.ts';

const signal = new AbortController().signal;
const NOTHING: Checkpoint = { journalId: JOURNAL_ID, sequence: 0, count: 0 };
const body: Body = {
  service: 'auth',
  metrics: [{ type: 'auth_request', value: 1, duration_ms: 4, dimensions: { method: 'jwt' } }],
};

/** The threads that were started, for tests to take away. */
const threads: Worker[] = [];
process.on('worker', (worker) => threads.push(worker));

interface Opened {
  readonly totals: Totals;
  readonly context: TestContext;
  readonly url: string;
  readonly rewinds: Rewind[];
}

async function open(t: Test, directory: string, options: TotalsOptions = {}): Promise<Opened> {
  const reader = prometheus({ port: 0 });
  const totals = reader.openTotals([reader], options);
  const rewinds: Rewind[] = [];
  const context = { ...testContext(directory), rewind: (rewind: Rewind) => void rewinds.push(rewind) };
  await totals.start?.(context);
  t.teardown(() => totals.stop?.());
  const fields = context.lines.find(({ message }) => message.startsWith('metrics are served'))?.fields;
  return { totals, context, rewinds, url: `http://127.0.0.1:${(fields as { port: number }).port}/metrics` };
}

/** Resumes as a delivery does, and writes what is missing. */
async function catchUp(totals: Totals, journal: TestJournal): Promise<Checkpoint | undefined> {
  const from = await totals.checkpoint?.();
  totals.resume?.(from ?? NOTHING, journal.end());
  const batch = journal.after(from);
  if (batch !== undefined) await totals.write(batch, signal);
  return from;
}

const scrape = async (url: string): Promise<{ status: number; requests: number | undefined }> => {
  const response = await fetch(url);
  const found = /^mcp_auth_requests_total\{.*\} (\d+)$/m.exec(await response.text())?.[1];
  return { status: response.status, requests: found === undefined ? undefined : Number(found) };
};

t.test('totals go on after a stop where they were, neither reset nor repeated', async (t) => {
  const directory = folderOf(t);
  const journal = journalOf([body, body]);
  const first = await open(t, directory);
  t.equal(await catchUp(first.totals, journal), undefined, 'nothing is known at first');
  await first.totals.stop?.();

  journal.append(body);
  const second = await open(t, directory);
  t.strictSame(await catchUp(second.totals, journal), { journalId: JOURNAL_ID, sequence: 2, count: 2 });
  t.strictSame(await scrape(second.url), { status: 200, requests: 3 });
});

t.test('a scrape gets 503 until the journal is replayed up to where it ended at start', async (t) => {
  const { totals, url } = await open(t, folderOf(t));
  const journal = journalOf([body, body]);
  t.strictSame(await scrape(url), { status: 503, requests: undefined });
  totals.resume?.(NOTHING, journal.end());
  await totals.write(journal.after(undefined, 1)!, signal);
  t.strictSame(await scrape(url), { status: 503, requests: undefined });
  t.match(totals.health?.(), { healthy: false, detail: /brought up to date/ });
  await totals.write(journal.after({ ...NOTHING, sequence: 1, count: 1 })!, signal);
  t.strictSame(await scrape(url), { status: 200, requests: 2 });
  t.match(totals.health?.(), { healthy: true });
});

t.test('a lost thread rewinds the delivery to its snapshot; totals are shown again once they are whole', async (t) => {
  const { totals, context, url, rewinds } = await open(t, folderOf(t));
  const journal = journalOf([body, body]);
  await catchUp(totals, journal);
  await totals.snapshot();
  journal.append(body);
  await totals.write(journal.after({ ...NOTHING, sequence: 2, count: 2 })!, signal);
  t.equal((await scrape(url)).requests, 3);

  await threads.at(-1)!.terminate();
  await until('503', async () => (await scrape(url)).status === 503);
  await until('a new thread', () => rewinds.length === 1);
  t.strictSame(rewinds[0]?.checkpoint, { journalId: JOURNAL_ID, sequence: 2, count: 2 });
  t.equal((await scrape(url)).status, 503, 'the third event is not in the snapshot');

  journal.append(body);
  const stale = journal.after({ ...NOTHING, sequence: 3, count: 3 })!;
  const rewind: unknown = await totals.write(stale, signal).catch((error: unknown) => error);
  t.ok(rewind instanceof Rewind, 'a write from before the loss is not taken');
  await totals.write(journal.after((rewind as Rewind).checkpoint)!, signal);
  t.strictSame(await scrape(url), { status: 200, requests: 4 });
  t.equal(context.lines.filter(({ message }) => message.includes('totals thread was lost')).length, 1);
});

t.test('a thread lost during a write: the write rejects, and all comes again', async (t) => {
  const { totals, url } = await open(t, folderOf(t));
  const journal = journalOf(Array.from({ length: 2_000 }, () => body));
  totals.resume?.(NOTHING, journal.end());
  const writing = totals.write(journal.after(undefined)!, signal);
  const [failure] = await Promise.all([writing.catch((error: unknown) => error), threads.at(-1)!.terminate()]);
  t.ok(failure instanceof Error, String(failure));
  const rewind: unknown = await totals.write(journal.after(undefined)!, signal).catch((error: unknown) => error);
  t.match(rewind, { name: 'Rewind', checkpoint: undefined });
  await totals.write(journal.after(undefined)!, signal);
  t.strictSame(await scrape(url), { status: 200, requests: 2_000 });
});

t.test('a thread lost in peace, with its snapshot up to date, is current at once', async (t) => {
  const { totals, url } = await open(t, folderOf(t));
  await catchUp(totals, journalOf([body]));
  await totals.snapshot();
  const lost = threads.at(-1)!;
  await lost.terminate();
  await until('a new thread', () => threads.at(-1) !== lost);
  await until('200', async () => (await scrape(url)).status === 200);
  t.equal((await scrape(url)).requests, 1);
});

const snapshots = (directory: string): string[] =>
  readdirSync(join(directory, 'snapshots'))
    .filter((name) => name.endsWith('.snapshot'))
    .sort()
    .map((name) => join(directory, 'snapshots', name));

t.test('the journal may be trimmed up to the previous snapshot, not the newest', async (t) => {
  const { totals } = await open(t, folderOf(t));
  const journal = journalOf([body]);
  await catchUp(totals, journal);
  t.equal(totals.trimmable?.(), undefined);
  await totals.snapshot();
  t.equal(totals.trimmable?.(), undefined, 'with one snapshot, everything may be needed again');
  journal.append(body);
  await totals.write(journal.after({ ...NOTHING, sequence: 1, count: 1 })!, signal);
  await totals.snapshot();
  t.strictSame(totals.trimmable?.(), { journalId: JOURNAL_ID, sequence: 1, count: 1 });
});

t.test('a damaged newest snapshot: the one before is taken, and the journal brings the rest', async (t) => {
  const directory = folderOf(t);
  const journal = journalOf([body]);
  const first = await open(t, directory);
  await catchUp(first.totals, journal);
  await first.totals.snapshot();
  journal.append(body);
  await first.totals.write(journal.after({ ...NOTHING, sequence: 1, count: 1 })!, signal);
  await first.totals.stop?.();
  const newest = snapshots(directory).at(-1)!;
  const bytes = readFileSync(newest);
  bytes[bytes.length - 5]! ^= 1;
  writeFileSync(newest, bytes);

  const second = await open(t, directory);
  t.strictSame(await catchUp(second.totals, journal), { journalId: JOURNAL_ID, sequence: 1, count: 1 });
  t.strictSame(await scrape(second.url), { status: 200, requests: 2 });
  t.equal(
    second.context.lines.filter(({ message }) => /snapshot of the totals cannot be used/.test(message)).length,
    1,
  );
});

t.test('all snapshots damaged: starts all the same, and counts what the journal holds', async (t) => {
  const directory = folderOf(t);
  const journal = journalOf([body, body]);
  const first = await open(t, directory);
  await catchUp(first.totals, journal);
  await first.totals.stop?.();
  for (const path of snapshots(directory)) writeFileSync(path, 'not a snapshot');
  const second = await open(t, directory);
  t.equal(await catchUp(second.totals, journal), undefined);
  t.strictSame(await scrape(second.url), { status: 200, requests: 2 });
});

t.test('a snapshot of another journal says nothing about how far this one may be trimmed', async (t) => {
  const directory = folderOf(t);
  const first = await open(t, directory);
  await catchUp(first.totals, journalOf([body]));
  await first.totals.snapshot();
  await first.totals.stop?.();

  const other = journalOf([body, body], 'journal-2');
  const second = await open(t, directory);
  t.match(
    await second.totals.checkpoint?.(),
    { journalId: JOURNAL_ID },
    'the totals are kept, with their place in the old one',
  );
  second.totals.resume?.({ journalId: 'journal-2', sequence: 0, count: 0 }, other.end());
  await second.totals.write(other.after(undefined)!, signal);
  t.strictSame(await scrape(second.url), { status: 200, requests: 3 });
  await second.totals.snapshot();
  t.equal(second.totals.trimmable?.(), undefined);
});

t.test('reconfigured buckets: the histograms start anew, one line says so, the counters go on', async (t) => {
  const directory = folderOf(t);
  const journal = journalOf([body]);
  const first = await open(t, directory);
  await catchUp(first.totals, journal);
  await first.totals.stop?.();
  const second = await open(t, directory, { histogramBoundaries: [1] });
  await catchUp(second.totals, journal);
  const text = await (await fetch(second.url)).text();
  t.match(text, /^mcp_auth_requests_total\{.*\} 1$/m);
  t.notMatch(text, /mcp_auth_request_duration_seconds/);
  t.match(
    second.context.lines.filter(({ message }) => message.includes('start anew')),
    [{ level: 'warn', fields: { instruments: ['mcp_auth_request_duration_seconds'] } }],
  );
});

t.test('a late event whose snapshot cannot be written is refused, and counts once when it comes again', async (t) => {
  const directory = folderOf(t);
  const journal = journalOf([body]);
  const { totals, url } = await open(t, directory);
  await catchUp(totals, journal);
  await totals.snapshot?.();
  const { records, events } = journalOf([{ ...body, metrics: [{ type: 'auth_request', value: 7 }] }]).after(undefined)!;
  const late = { records, events, metrics: 1, checkpoint: journal.end(), late: true };
  const snapshots = join(directory, 'snapshots');
  renameSync(snapshots, `${snapshots}.away`);
  writeFileSync(snapshots, 'no folder');
  await t.rejects(totals.write(late, signal));
  rmSync(snapshots);
  renameSync(`${snapshots}.away`, snapshots);
  await totals.write(late, signal);
  const page = await (await fetch(url)).text();
  const values = [...page.matchAll(/^mcp_auth_requests_total\{.*\} (\d+)$/gm)].map(([, value]) => Number(value));
  const sum = values.reduce((total, value) => total + value, 0);
  t.equal(sum, 8);
});

t.test('events that come late count although their place is passed', async (t) => {
  const { totals, url } = await open(t, folderOf(t));
  const journal = journalOf([body, body]);
  totals.resume?.(NOTHING, NOTHING);
  const early = journal.after(undefined, 1)!;
  await totals.write(journal.after({ ...NOTHING, sequence: 1, count: 1 })!, signal);
  await totals.write(early, signal);
  t.equal((await scrape(url)).requests, 1, 'it is taken for a repetition');
  await totals.write(
    { records: early.records, events: early.events, metrics: 1, checkpoint: journal.end(), late: true },
    signal,
  );
  t.equal((await scrape(url)).requests, 2);
});

t.test('starts and stops in any order, twice, and takes an empty batch', async (t) => {
  const directory = folderOf(t);
  const reader = prometheus({ port: 0 });
  const totals = reader.openTotals([reader], {});
  await totals.stop?.();
  await t.rejects(totals.write(journalOf([body]).after(undefined)!, signal), /before start/);
  const context = testContext(directory);
  await totals.start?.(context);
  await totals.start?.(context);
  totals.resume?.(NOTHING, NOTHING);
  await totals.write({ records: [], events: [], metrics: 0, checkpoint: NOTHING }, signal);
  await t.rejects(
    totals.write(journalOf([body]).after(undefined)!, AbortSignal.abort(new Error('stop it'))),
    /stop it/,
  );
  await totals.stop?.();
  await totals.stop?.();
  await totals.start?.(context);
  await totals.stop?.();
});

t.test('a port that is taken is said with reader and address', async (t) => {
  const { context } = await open(t, folderOf(t));
  const { port } = (context.lines[0]?.fields ?? {}) as { port: number };
  const reader = prometheus({ port });
  const second = reader.openTotals([reader], {});
  await t.rejects(
    Promise.resolve(second.start?.(testContext(folderOf(t, { second: {} })))),
    new RegExp(`prometheus: cannot serve 127.0.0.1:${port}`),
  );
});
