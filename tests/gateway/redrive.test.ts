/** What was set aside can be looked at and driven again, through the gateway as its CLI and admin routes have it. */
import { join } from 'node:path';
import t from 'tap';
import {
  auth,
  buffer,
  definePipeline,
  enrich,
  prometheus,
  rateLimit,
  type Sink,
  sqlite,
  Unacceptable,
  validate,
} from '../../src/index.ts';
import { startGateway } from '../../src/gateway.ts';
import { silentLog } from '../support/silent-log.ts';
import { waitFor } from '../support/wait-for.ts';
import { folderOf } from '../support/folder.ts';

t.test('list, redrive and sizes', async (t) => {
  const dataDirectory = folderOf(t);
  let mended = false;
  const taken: number[] = [];
  const sink: Sink = {
    name: 'strict',
    whenFull: 'refuse',
    batching: { maxMetrics: 10, maxDelayMs: 10 },
    write: async ({ events }) => {
      if (!mended && events.some(({ value }) => value === 2)) throw new Unacceptable('no twos');
      taken.push(...events.map(({ value }) => value));
    },
  };
  const gateway = await startGateway(
    definePipeline({
      server: { port: 0 },
      dataDirectory,
      databasePath: join(dataDirectory, 'metrics.db'),
      environmentKeys: [{ service: 'test', secret: 'a-key-of-the-test' }],
      processors: [auth(), rateLimit(), validate(), enrich(), buffer()],
      sinks: [sqlite(), prometheus({ port: 0 }), sink],
    }),
    { log: silentLog, version: '0' },
  );
  t.teardown(gateway.stop);
  const metrics = [1, 2, 3].map((value) => ({ type: 'custom', value, dimensions: { metric_name: 'm' } }));
  const response = await fetch(`http://127.0.0.1:${gateway.port}/metrics`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-api-key': 'a-key-of-the-test' },
    body: JSON.stringify({ service: 's', metrics }),
  });
  t.equal(response.status, 200);
  await waitFor('the event to be set aside', () => gateway.setAside.sizes().get('strict') === 1);
  await waitFor('its neighbours to be taken', () => taken.length === 2);
  t.match(await gateway.setAside.list('strict'), [{ sink: 'strict', reason: 'no twos', event: { value: 2 } }]);
  t.same(await gateway.setAside.redrive('strict'), { delivered: 0, remaining: 1 });
  mended = true;
  t.same(await gateway.setAside.redrive('strict'), { delivered: 1, remaining: 0 });
  t.same(taken, [1, 3, 2]);
  t.same(await gateway.setAside.list('strict'), []);
  await t.rejects(gateway.setAside.list('other'), /no sink is named "other"; there are: sqlite, strict, totals/);
});
