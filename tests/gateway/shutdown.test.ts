/** SIGTERM: readiness fails first, what is in flight is answered, what waits is written, and all of it in time. */
import { once } from 'node:events';
import { request } from 'node:http';
import t from 'tap';
import { spawnGateway, startGateway } from '../support/gateway.ts';
import { startLoad } from '../support/load.ts';
import { compareStored } from '../support/stored.ts';
import { waitFor } from '../support/wait-for.ts';
import { startTroubled } from '../fault/troubled-gateway.ts';
import { folderOf } from '../support/folder.ts';

t.test('under load, with a sink that hangs: everything answered 200 is kept, and it ends in time', async (t) => {
  const dataDirectory = folderOf(t);
  const env = { SHUTDOWN_TIMEOUT_MS: '3000', FLUSH_INTERVAL_SECONDS: '60' };
  const sinks = { deaf: 'refuse' } as const;
  const gateway = await startTroubled({ dataDirectory, sinks, env });
  t.teardown(() => gateway.stop('SIGKILL'));
  await gateway.setMood('deaf', 'deaf');
  const load = startLoad(gateway);
  await waitFor('load', () => load.acknowledged().size > 500);
  const began = performance.now();
  gateway.signal('SIGTERM');
  await waitFor(
    'readiness to fail',
    async () => {
      const response = await fetch(`${gateway.url}/readyz`);
      return response.status === 503 && /shutting down/.test(await response.text());
    },
    { deadlineMs: 1000, everyMs: 1 },
  );
  const exit = await gateway.exited;
  const took = performance.now() - began;
  await load.stop();
  t.same(exit, { code: 0, signal: null });
  t.ok(took < 3500, `it took ${Math.round(took)} ms`);
  t.same(load.surprises(), []);
  t.same(compareStored(gateway.databasePath, load.acknowledged()).lost, [], 'the buffer was flushed');
  t.equal((await gateway.taken('deaf')).length, 0);

  await gateway.setMood('deaf', 'ok');
  const next = await startTroubled({ dataDirectory, sinks, env });
  t.teardown(() => next.stop('SIGKILL'));
  await waitFor(
    'the journal to bring the rest',
    async () => new Set(await next.taken('deaf')).size >= load.acknowledged().size,
  );
  t.pass('what it could not take stayed in the journal');
});

t.test('a request that is under way gets its answer', async (t) => {
  const gateway = await startGateway({ dataDirectory: folderOf(t) });
  t.teardown(() => gateway.stop('SIGKILL'));
  const body = JSON.stringify({
    service: 's',
    metrics: [{ type: 'custom', value: 1, dimensions: { metric_name: 'm' } }],
  });
  const sent = request(`${gateway.url}/metrics`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'content-length': body.length, 'x-api-key': gateway.key },
  });
  sent.write(body.slice(0, 20));
  await waitFor('it to have begun', async () => (await fetch(`${gateway.url}/livez`)).ok);
  gateway.signal('SIGTERM');
  await waitFor('the listener to be closed', () =>
    fetch(`${gateway.url}/livez`).then(
      () => false,
      () => true,
    ),
  );
  sent.end(body.slice(20));
  const [response] = (await once(sent, 'response')) as [{ statusCode: number; headers: object; resume: () => void }];
  response.resume();
  t.equal(response.statusCode, 200);
  t.match(response.headers, { connection: 'close' });
  t.same(await gateway.exited, { code: 0, signal: null });
});

t.test('a second gateway on the same data refuses to start, and says why', async (t) => {
  const dataDirectory = folderOf(t);
  const first = await startGateway({ dataDirectory });
  t.teardown(() => first.stop('SIGKILL'));
  const second = await spawnGateway({ dataDirectory });
  t.equal((await second.exited).code, 69, 'EX_UNAVAILABLE');
  t.match(second.output(), /in use by another gateway \(process \d+ on host .*\)\. Stop that one first/);
  t.equal((await fetch(`${first.url}/readyz`)).status, 200, 'the first one does not notice');
  await first.stop('SIGKILL');
  const third = await startGateway({ dataDirectory });
  t.equal((await third.stop()).code, 0, 'the lock dies with its process');
});

t.test('two starts without a metric between find nothing lost', async (t) => {
  const dataDirectory = folderOf(t);
  const first = await startGateway({ dataDirectory });
  await first.stop();
  const second = await startGateway({ dataDirectory });
  t.teardown(() => second.stop('SIGKILL'));
  t.notMatch(second.output(), 'where this sink stood is lost');
  t.notMatch(await second.scrape(), 'mcp_gateway_sink_checkpoint_misfit{');
});
