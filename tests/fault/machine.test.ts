/** A machine that fails under a running gateway: its disk turns read-only, its clock jumps by hours. */
import t from 'tap';
import { readSamples } from '../support/books.ts';
import { watchBooks } from '../support/books-watch.ts';
import { startGateway } from '../support/gateway.ts';
import { startLoad } from '../support/load.ts';
import { waitFor } from '../support/wait-for.ts';
import { allIsThere } from './all-is-there.ts';
import { faultyMachine, skipWithoutShim } from './shim/faulty.ts';

t.setTimeout(180_000);
const HOUR = 3600;

t.test(
  'a disk that turns read-only: 503, the rest stays up, and it heals by itself',
  { skip: skipWithoutShim },
  async (t) => {
    const machine = faultyMachine(t);
    const gateway = await startGateway({ ...machine, env: { FLUSH_INTERVAL_SECONDS: '0.2' } });
    t.teardown(() => gateway.stop('SIGKILL'));
    const watch = watchBooks(gateway.scrapeUrl, 100);
    const load = startLoad({ ...gateway, pauseMs: 2 });
    await waitFor('load', () => load.acknowledged().size > 500);
    machine.readOnly(true);
    const refused = (): number => load.statuses().get(503) ?? 0;
    await waitFor('the disk to be felt', () => refused() > 20, { deadlineMs: 60_000 });
    const acknowledged = load.acknowledged().size;
    const before = refused();
    await waitFor('/readyz to name it', async () => {
      const ready = await fetch(`${gateway.url}/readyz`);
      return ready.status === 503 && /journal: .*read-only/i.test(await ready.text());
    });
    t.equal((await fetch(`${gateway.url}/livez`)).status, 200);
    t.match(await gateway.scrape(), /mcp_gateway_journal_bytes/);
    await waitFor('more refusals', () => refused() > before + 20, { deadlineMs: 60_000 });
    t.equal(load.acknowledged().size, acknowledged, 'no 200 without the batch on disk');
    machine.readOnly(false);
    await waitFor('it to heal', () => load.acknowledged().size > acknowledged + 500, { deadlineMs: 60_000 });
    await load.stop();
    await allIsThere(t, gateway, load);
    await watch.stop();
    t.same(watch.imbalances(), [], `the books balance at each of ${watch.scrapes()} scrapes`);
    t.equal((await gateway.stop()).code, 0);
  },
);

t.test('the wall clock jumps by hours, forward and back', { skip: skipWithoutShim }, async (t) => {
  const machine = faultyMachine(t);
  const options = { ...machine, key: 'clock-key', env: { FLUSH_INTERVAL_SECONDS: '0.2' } };
  const gateway = await startGateway(options);
  t.teardown(() => gateway.stop('SIGKILL'));
  const watch = watchBooks(gateway.scrapeUrl, 100);
  const once = {
    service: 'once',
    metrics: [{ type: 'custom', value: 1, dimensions: { metric_name: 'once' } }],
  };
  const first = await gateway.post(once, { 'idempotency-key': 'jump' });
  t.equal(first.status, 200);
  const receipt = await first.text();
  const load = startLoad({ ...gateway, pauseMs: 5 });
  const stored = (page: string): number =>
    Number(/^mcp_gateway_sink_delivered_total\{sink="sqlite"\} (\d+)$/m.exec(page)?.[1] ?? 0);
  for (const hours of [3, -5, 20, -20, 0]) {
    machine.clockWrongBy(hours * HOUR);
    const { size } = load.acknowledged();
    await waitFor(`load with the clock wrong by ${hours} h`, () => load.acknowledged().size > size + 300);
    await waitFor('SQLite to have what came meanwhile', async () => stored(await gateway.scrape()) > size + 300);
    const samples = readSamples(await gateway.scrape());
    const ages = samples.filter(({ name }) => name === 'mcp_gateway_sink_queue_age_seconds');
    t.ok(ages.length > 0 && ages.every(({ value }) => value < 60), 'no age is told that is none');
    const again = await gateway.post(once, { 'idempotency-key': 'jump' });
    t.equal(await again.text(), receipt, 'a retry is answered again, not counted again');
  }
  t.same([...load.statuses().keys()], [200], 'nobody was turned away');
  machine.clockWrongBy(-4 * HOUR);
  await gateway.stop('SIGKILL');
  await load.stop();
  const after = await startGateway(options);
  t.teardown(() => after.stop('SIGKILL'));
  t.equal(await (await after.post(once, { 'idempotency-key': 'jump' })).text(), receipt, 'across a restart too');
  await allIsThere(t, after, load);
  await watch.stop();
  t.same(watch.imbalances(), [], `the books balance at each of ${watch.scrapes()} scrapes`);
});
