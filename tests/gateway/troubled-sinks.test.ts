/** A sink's trouble is its own: whatever it does, ingest and the other sinks do not feel it, and it catches up by itself. */
import t from 'tap';
import { readSamples, sumOf } from '../support/books.ts';
import { watchBooks } from '../support/books-watch.ts';
import { quantile, startLoad } from '../support/load.ts';
import { compareStored, settledScrape, totalsOf } from '../support/stored.ts';
import { waitFor } from '../support/wait-for.ts';
import { startTroubled } from '../fault/troubled-gateway.ts';
import { folderOf } from '../support/folder.ts';

/** Ids of one client in the order in which it got its answers. */
const inOrder = (ids: Iterable<string>, client: string): string[] =>
  [...ids].filter((id) => id.startsWith(`${client}-`));

t.test('sinks that throw, hang or hear nothing', async (t) => {
  const gateway = await startTroubled({
    dataDirectory: folderOf(t),
    sinks: { thrower: 'refuse', hanger: 'refuse', deaf: 'skip', good: 'refuse' },
  });
  t.teardown(() => gateway.stop('SIGKILL'));
  await gateway.setMood('thrower', 'throw');
  await gateway.setMood('hanger', 'hang');
  await gateway.setMood('deaf', 'deaf');
  const watch = watchBooks(gateway.scrapeUrl);
  const load = startLoad({ ...gateway, pauseMs: 2 });
  await waitFor('some thousand events', () => load.acknowledged().size > 2000);
  await load.stop();
  const acknowledged = load.acknowledged();

  await waitFor(
    'the others to have everything',
    async () => (await gateway.taken('good')).length === acknowledged.size,
  );
  await waitFor('SQLite to have everything', () => compareStored(gateway.databasePath, acknowledged).lost.length === 0);
  t.same([...load.statuses().keys()], [200]);
  t.ok(quantile(load.latencies(), 0.99) < 1000, 'answers come as ever');
  const page = await gateway.scrape();
  t.equal(
    Object.values(totalsOf(page, load.names)).reduce((sum, count) => sum + count, 0),
    acknowledged.size,
    'the totals are fresh',
  );
  for (const sink of ['thrower', 'hanger', 'deaf'])
    t.equal(sumOf(readSamples(page), 'mcp_gateway_sink_queued', { sink }), acknowledged.size, `${sink} waits`);
  t.ok(sumOf(readSamples(page), 'mcp_gateway_sink_write_failures_total', { sink: 'thrower' }) > 1, 'it is tried again');
  const ready = await fetch(`${gateway.url}/readyz`);
  t.equal(ready.status, 200, 'metrics are taken, so it is ready');
  t.match(await ready.json(), { problems: [/^thrower: writes have been failing/] });
  t.match(await (await fetch(`${gateway.url}/health`)).json(), { status: 'degraded' });

  await gateway.setMood('thrower', 'ok');
  await gateway.setMood('hanger', 'ok');
  await waitFor(
    'those that can to catch up',
    async () =>
      (await gateway.taken('thrower')).length + (await gateway.taken('hanger')).length === 2 * acknowledged.size,
    { deadlineMs: 40_000 },
  );
  for (const sink of ['thrower', 'hanger', 'good']) {
    const taken = await gateway.taken(sink);
    t.equal(new Set(taken).size, acknowledged.size, `${sink} has all`);
    for (const client of load.names) t.same(inOrder(taken, client), inOrder(acknowledged, client), 'in order');
  }
  await watch.stop();
  t.same(watch.imbalances(), [], `the books balance at each of ${watch.scrapes()} scrapes`);
  t.same((await gateway.stop('SIGTERM')).code, 0, 'and one that never hears anything does not keep it from ending');
});

t.test('what a sink can never take is set aside, alone and visible', async (t) => {
  const gateway = await startTroubled({ dataDirectory: folderOf(t), sinks: { picky: 'refuse' } });
  t.teardown(() => gateway.stop('SIGKILL'));
  await gateway.setMood('picky', 'picky:client1');
  const load = startLoad({ ...gateway, clients: 3, metrics: 3, pauseMs: 20, name: 'client' });
  await waitFor('some events', () => load.acknowledged().size > 60);
  await load.stop();
  const page = await settledScrape(gateway);
  const [poisoned, rest] = [
    inOrder(load.acknowledged(), 'client1'),
    [...load.acknowledged()].filter((id) => !id.startsWith('client1')),
  ];
  t.same(new Set(await gateway.taken('picky')), new Set(rest));
  const samples = readSamples(page);
  t.equal(sumOf(samples, 'mcp_gateway_sink_set_aside_total', { sink: 'picky' }), poisoned.length);
  t.equal(sumOf(samples, 'mcp_gateway_sink_set_aside_held', { sink: 'picky' }), poisoned.length);
  t.equal(sumOf(samples, 'mcp_gateway_sink_set_aside_total', { sink: 'sqlite' }), 0, 'others take them');
  t.same(compareStored(gateway.databasePath, load.acknowledged()).lost, []);
  t.match(gateway.output(), /cannot take this event; it was set aside/);
});
