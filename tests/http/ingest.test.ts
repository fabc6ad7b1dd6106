import { gzipSync } from 'node:zlib';
import t, { type Test } from 'tap';
import { goodBody, SECRET, testGateway, type TestGatewayOptions, valueOf } from './gateway.ts';

async function start(t: Test, options?: TestGatewayOptions) {
  const gateway = await testGateway(options);
  const { port } = await gateway.serve();
  t.teardown(gateway.close);
  const post = (body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}) =>
    fetch(`http://127.0.0.1:${port}/metrics`, {
      method: 'POST',
      headers: { 'X-API-Key': SECRET, 'Content-Type': 'application/json', ...headers },
      body,
    });
  return { gateway, port, post };
}

t.test('accepted metrics are answered with exactly 200 and the fields that emitters read', async (t) => {
  const { gateway, post } = await start(t);
  const response = await post(goodBody(3));
  t.equal(response.status, 200);
  t.equal(response.headers.get('content-type'), 'application/json');
  const answer = (await response.json()) as Record<string, unknown>;
  t.match(answer['request_id'], /^req_[0-9a-f]{32}$/);
  t.same(
    { ...answer, request_id: '' },
    {
      status: 'success',
      accepted: 3,
      rejected: 0,
      errors: [],
      warnings: [],
      request_id: '',
    },
  );
  const records = await gateway.records();
  t.equal(records.length, 1);
  t.equal(Buffer.from(records[0]!.payload).toString(), goodBody(3), "the journal holds the request's own bytes");
  t.equal(valueOf(gateway, 'mcp_gateway_metrics_accepted_total'), 3);
  t.equal(valueOf(gateway, 'mcp_gateway_requests_total', { code: 'ok' }), 1);
  const durations = gateway.telemetry.collect().find(({ name }) => name === 'mcp_gateway_request_duration_seconds');
  t.match(durations?.series, [{ value: { count: 1 } }], 'how long it took is in the histogram');
});

t.test('one bad item does not sink the others', async (t) => {
  const { gateway, post } = await start(t);
  const body = JSON.parse(goodBody(5)) as { metrics: { dimensions: Record<string, unknown>; value: unknown }[] };
  body.metrics[3]!.dimensions = { 'a-b': 1 };
  body.metrics[4]!.value = 'many';
  const response = await post(JSON.stringify(body));
  t.equal(response.status, 200);
  t.match(await response.json(), {
    status: 'partial',
    accepted: 3,
    rejected: 2,
    errors: [
      'metrics[3].dimensions.a-b: name must match ^[A-Za-z_][A-Za-z0-9_]*$',
      'metrics[4].value: must be a number',
    ],
  });
  t.equal(valueOf(gateway, 'mcp_gateway_metrics_received_total'), 5);
  t.equal(valueOf(gateway, 'mcp_gateway_metrics_accepted_total'), 3);
  t.equal(valueOf(gateway, 'mcp_gateway_metrics_rejected_total', { reason: 'dimensions' }), 1);
  t.equal(valueOf(gateway, 'mcp_gateway_metrics_rejected_total', { reason: 'value' }), 1);
});

t.test('a request without a key is refused as a problem before its body is read', async (t) => {
  const { gateway, post } = await start(t);
  const response = await post(goodBody(), { 'X-API-Key': '' });
  t.equal(response.status, 401);
  t.equal(response.headers.get('content-type'), 'application/problem+json');
  t.match(response.headers.get('www-authenticate'), /^Bearer realm=/);
  t.match(await response.json(), {
    type: 'urn:mcp-metrics:problem:unauthenticated',
    title: 'Unauthenticated',
    status: 401,
    detail: 'No API key: send it in the header X-API-Key, or as Authorization: Bearer.',
    code: 'unauthenticated',
    request_id: /^req_/,
  });
  t.equal(valueOf(gateway, 'mcp_gateway_requests_total', { code: 'unauthenticated' }), 1);
});

t.test('gzip is taken, and its bytes are kept as they were before it', async (t) => {
  const { gateway, post } = await start(t);
  const response = await post(gzipSync(goodBody(2)), { 'Content-Encoding': 'gzip' });
  t.equal(response.status, 200);
  t.equal(Buffer.from((await gateway.records())[0]!.payload).toString(), goodBody(2));
});
