import t from 'tap';
import { createMetricsClient, type MetricsClientOptions } from '../../src/client/index.ts';
import { startStandIn, type SentMetric } from './stand-in-gateway.ts';

const gateway = await startStandIn();
t.teardown(() => gateway.close());

/** What arrives of what `record` records. */
async function sent(
  record: (client: ReturnType<typeof createMetricsClient>) => void,
  options: MetricsClientOptions = {},
): Promise<readonly SentMetric[]> {
  const from = gateway.accepted.length;
  const client = createMetricsClient({
    url: gateway.url,
    apiKey: 'k',
    service: 'svc',
    onWarning: () => {},
    ...options,
  });
  record(client);
  await client.shutdown();
  return gateway.accepted.slice(from);
}

t.test('each typed method sends its type with the names the gateway reads', async (t) => {
  const metrics = await sent((client) => {
    client.authRequest({ success: true, durationMs: 12.5, method: 'jwt', server: 'weather', userHash: 'abc' });
    client.toolExecution({
      toolName: 'echo',
      method: 'tools/call',
      success: false,
      durationMs: 0,
      serverName: 'everything',
      serverPath: '/everything/',
      clientName: 'inspector',
      clientVersion: '1.0',
      userHash: 'u',
      errorCode: -32_602,
      inputSizeBytes: 10,
      outputSizeBytes: 20,
    });
    client.toolDiscovery({
      query: 'time',
      resultsCount: -1,
      durationMs: 3,
      topKServices: 3,
      topNTools: 1,
      embeddingTimeMs: 1.5,
      searchTimeMs: 0.5,
    });
    client.protocolLatency({ flowStep: 'full_protocol_flow', latencySeconds: 0.25, serverName: 's', sessionKey: 'k' });
    client.registryOperation({ operation: 'list', resourceType: 'server', success: true, resourceId: 'r1' });
    client.healthCheck({ endpoint: '/mcp', healthy: false, statusCode: 503, durationMs: 9 });
    client.custom('cache_lookups', { value: 3, durationMs: 1, dimensions: { hit: true } });
  });
  const shape = metrics.map(({ timestamp, ...rest }) => {
    t.match(timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    return rest;
  });
  t.strictSame(shape, [
    {
      type: 'auth_request',
      value: 1,
      duration_ms: 12.5,
      dimensions: { success: true, method: 'jwt', server: 'weather', user_hash: 'abc' },
      metadata: {},
    },
    {
      type: 'tool_execution',
      value: 1,
      duration_ms: 0,
      dimensions: {
        tool_name: 'echo',
        method: 'tools/call',
        success: false,
        server_name: 'everything',
        server_path: '/everything/',
        client_name: 'inspector',
        client_version: '1.0',
        user_hash: 'u',
      },
      metadata: { error_code: '-32602', input_size_bytes: 10, output_size_bytes: 20 },
    },
    {
      type: 'tool_discovery',
      value: 1,
      duration_ms: 3,
      dimensions: { query: 'time', results_count: -1, top_k_services: 3, top_n_tools: 1 },
      metadata: { embedding_time_ms: 1.5, faiss_search_time_ms: 0.5 },
    },
    {
      type: 'protocol_latency',
      value: 0.25,
      dimensions: { flow_step: 'full_protocol_flow', server_name: 's', session_key: 'k' },
      metadata: {},
    },
    {
      type: 'registry_operation',
      value: 1,
      dimensions: { operation: 'list', resource_type: 'server', success: true, resource_id: 'r1' },
      metadata: {},
    },
    {
      type: 'health_check',
      value: 1,
      duration_ms: 9,
      dimensions: { endpoint: '/mcp', healthy: false, status_code: 503 },
      metadata: {},
    },
    { type: 'custom', value: 3, duration_ms: 1, dimensions: { metric_name: 'cache_lookups', hit: true }, metadata: {} },
  ]);
});

t.test('a request names the service, its version and instance, and the key in a header alone', async (t) => {
  const client = createMetricsClient({
    url: `${gateway.url}/`,
    apiKey: 'secret',
    service: 'a.b c',
    version: '1.2',
    instanceId: 'i/1',
  });
  client.custom('x');
  await client.shutdown();
  const request = gateway.requests.at(-1)!;
  t.strictSame([request.method, request.path], ['POST', '/metrics']);
  t.match(request.body, { service: 'a-b-c', version: '1.2', instance_id: 'i-1' });
  t.equal(request.headers['x-api-key'], 'secret');
  t.notMatch(request.raw.toString(), 'secret');
});

t.test('what the gateway would turn away is brought within its limits', async (t) => {
  const long = 'é'.repeat(300);
  const [metric] = await sent((client) =>
    client.custom('x', {
      durationMs: -5,
      timestamp: Date.UTC(2026, 0, 1),
      dimensions: { 'a-b': 1, '1st': 'y', long, gone: null, nan: Number.NaN, metric_name: 'no', __proto__: 'no' },
      metadata: { long: 'x'.repeat(5000), deep: { a: ['y'.repeat(2000)] }, fine: { a: [1] }, none: undefined },
    }),
  );
  t.strictSame(metric!.dimensions, { metric_name: 'x', a_b: 1, _1st: 'y', long: 'é'.repeat(200) });
  t.strictSame(metric!.metadata, { long: 'x'.repeat(1000), fine: { a: [1] } });
  t.equal(metric!.duration_ms, 0);
  t.equal(metric!.timestamp, '2026-01-01T00:00:00.000Z');
  const [many] = await sent((client) =>
    client.custom('x', { dimensions: Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`d${i}`, i])) }),
  );
  t.equal(Object.keys(many!.dimensions).length, 20);
  t.equal(many!.dimensions['metric_name'], 'x');
});

t.test('names that every object inherits are names as any other', async (t) => {
  const further = { constructor: 'a', toString: 'b', hasOwnProperty: 'c' };
  const [metric] = await sent((client) => client.custom('x', { dimensions: further, metadata: further }));
  t.strictSame(metric!.dimensions, { metric_name: 'x', ...further });
  t.strictSame(metric!.metadata, further);
});

t.test('a time stands as it was given, whatever the time of the metric before', async (t) => {
  const start = Date.UTC(2026, 10, 27, 23, 59, 59);
  const times = [start, start + 7, start + 80.9, start + 999, start + 1000, start, 0, -1, -1000, start + 50];
  const metrics = await sent((client) => {
    for (const timestamp of times) client.custom('x', { timestamp });
  });
  t.strictSame(
    metrics.map(({ timestamp }) => timestamp),
    times.map((time) => new Date(time).toISOString()),
  );
});

t.test('a character is never cut in two', async (t) => {
  const [metric] = await sent((client) => client.custom('x', { dimensions: { face: `${'a'.repeat(199)}😀` } }));
  t.equal(metric!.dimensions['face'], 'a'.repeat(199));
});

t.test('free text is cut, and not sent at all where the service says so', async (t) => {
  const query = 'q'.repeat(500);
  const [cut] = await sent((client) => client.toolDiscovery({ query }), { maxTextLength: 16 });
  t.equal(cut!.dimensions['query'], 'q'.repeat(16));
  const [none] = await sent((client) => client.toolDiscovery({ query, resultsCount: 1 }), { maxTextLength: 0 });
  t.strictSame(none!.dimensions, { results_count: 1 });
});

t.test('recording never throws: what is no metric is dropped, counted and said once', async (t) => {
  const warnings: string[] = [];
  const client = createMetricsClient({ url: gateway.url, apiKey: 'k', onWarning: (text) => warnings.push(text) });
  client.custom('x', { value: Number.NaN });
  client.custom('x', { value: Number.POSITIVE_INFINITY });
  client.custom('x', { timestamp: 1e300 });
  // @ts-expect-error a caller in plain JavaScript may pass anything
  client.custom('x', { metadata: { big: 1n } });
  const circular: Record<string, unknown> = {};
  circular['self'] = circular;
  // @ts-expect-error a caller in plain JavaScript may pass anything
  client.custom('x', { metadata: { circular } });
  // @ts-expect-error a caller in plain JavaScript may pass anything
  client.toolExecution(undefined);
  t.match(client.stats(), { recorded: 6, dropped: { invalid: 6 }, queued: 0 });
  t.equal(warnings.length, 1);
  await client.shutdown();
});

t.test('nothing that a caller passes throws, whether the client is enabled or not', async (t) => {
  const throwing = (name: string, error: unknown): object =>
    Object.defineProperty({}, name, {
      enumerable: true,
      get: () => {
        throw error;
      },
    });
  const noText: unknown = Object.create(null);
  const odd: readonly unknown[] = [
    null,
    undefined,
    7,
    'text',
    Symbol('s'),
    { query: null },
    { query: 42 },
    throwing('query', new Error('mine')),
    throwing('success', noText),
    throwing('dimensions', noText),
    throwing('value', noText),
    throwing('timeoutMs', noText),
    { timeoutMs: Symbol('s') },
    { dimensions: throwing('x', noText), metadata: null },
  ];
  const warnings: string[] = [];
  for (const enabled of [true, false]) {
    const client = createMetricsClient({
      url: gateway.url,
      apiKey: 'k',
      enabled,
      onWarning: (text) => warnings.push(text),
    });
    const methods = [
      client.authRequest,
      client.toolExecution,
      client.toolDiscovery,
      client.protocolLatency,
      client.registryOperation,
      client.healthCheck,
      (fields: never) => client.custom('x', fields),
      (fields: never) => client.custom(fields),
      client.hashUser,
    ] as readonly ((given: never) => unknown)[];
    for (const method of methods) for (const given of odd) t.doesNotThrow(() => method(given as never));
    for (const given of odd) await t.resolves(client.flush(given as object));
    const { recorded, accepted, rejected, dropped, queued, inFlight } = client.stats();
    t.equal(recorded, enabled ? 8 * odd.length : 0);
    t.equal(recorded, accepted + rejected + dropped.invalid + queued + inFlight);
    for (const given of odd) await t.resolves(client.shutdown(given as object));
  }
  t.equal(warnings.length, 1);
});

t.test('a query that is no text costs nothing else', async (t) => {
  const metrics = await sent((client) => {
    for (const query of [null, 42]) client.toolDiscovery({ query: query as unknown as string, resultsCount: 1 });
  });
  t.strictSame(
    metrics.map(({ dimensions }) => dimensions),
    [{ results_count: 1 }, { query: 42, results_count: 1 }],
  );
});

t.test('a metric is fixed at the moment of recording', async (t) => {
  const dimensions: Record<string, string> = { step: 'before' };
  const [metric] = await sent((client) => {
    client.custom('x', { dimensions });
    dimensions['step'] = 'after';
  });
  t.equal(metric!.dimensions['step'], 'before');
});

t.test('without a key the client is disabled, says so once per process, and costs nothing', async (t) => {
  const warnings: string[] = [];
  const options = { url: gateway.url, onWarning: (text: string) => warnings.push(text) };
  const before = gateway.requests.length;
  for (let i = 0; i < 3; i += 1) {
    const client = createMetricsClient(options);
    t.equal(client.enabled, false);
    client.custom('x');
    await client.flush();
    await client.shutdown();
    t.equal(client.stats().recorded, 0);
  }
  t.equal(gateway.requests.length, before);
  t.strictSame(warnings, ['mcp-metrics-client: no metrics are sent: set METRICS_API_KEY or pass apiKey']);
});

t.test('the environment gives the defaults', async (t) => {
  process.env['METRICS_SERVICE_URL'] = `${gateway.url}/metrics`;
  process.env['METRICS_API_KEY'] = 'from-env';
  process.env['OTEL_SERVICE_NAME'] = 'named-by-env';
  t.teardown(() => {
    for (const name of ['METRICS_SERVICE_URL', 'METRICS_API_KEY', 'OTEL_SERVICE_NAME']) delete process.env[name];
  });
  const client = createMetricsClient();
  client.custom('x');
  await client.shutdown();
  const request = gateway.requests.at(-1)!;
  t.equal(request.path, '/metrics');
  t.equal(request.headers['x-api-key'], 'from-env');
  t.equal(request.body.service, 'named-by-env');
});

t.test('an address or key that cannot work disables the client, without telling the key', async (t) => {
  for (const options of [
    { url: 'not an address', apiKey: 'k' },
    { url: 'ftp://h', apiKey: 'k' },
    { url: 'http://user:pw@h', apiKey: 'k' },
    { url: gateway.url, apiKey: 'sneaky\r\nx: y' },
  ]) {
    const warnings: string[] = [];
    const client = createMetricsClient({ ...options, onWarning: (text) => warnings.push(text) });
    t.equal(client.enabled, false);
    t.equal(warnings.length, 1);
    t.notMatch(warnings.join(), /pw|sneaky/);
  }
});

t.test('options of the wrong type are made to fit, and those that cannot be read disable the client', async (t) => {
  const client = createMetricsClient({
    url: gateway.url,
    apiKey: 'k',
    version: 2,
    service: 5,
    instanceId: 7,
  } as object);
  client.custom('x');
  await client.shutdown();
  t.match(gateway.requests.at(-1)!.body, { service: '5', version: '2', instance_id: '7' });
  const unreadable = Object.defineProperty({}, 'url', {
    get: () => {
      throw new Error('mine');
    },
  });
  const warn = t.capture(console, 'warn');
  for (const options of [null, 7, unreadable, { apiKey: 'k', maxBatchSize: Symbol('s') }]) {
    t.equal(createMetricsClient(options as object).enabled, false);
  }
  const told = warn().filter(({ args }) => String(args[0]).includes('unreadable options'));
  t.equal(told.length, 2);
});
