/** What no well-behaved SDK would send: the instrumentation over a transport that the test holds in its hands. */
import t from 'tap';
import {
  instrumentMcpClient,
  instrumentMcpServer,
  type McpInstrumentationOptions,
} from '../../../src/client/mcp/index.ts';
import { captureMetrics } from '../captured-metrics.ts';

/** A transport, and a peer that connects to it as the SDKs do. */
function connect(options: McpInstrumentationOptions = {}, instrument = instrumentMcpServer) {
  const { client, metrics } = captureMetrics();
  const sent: unknown[] = [];
  const seen: unknown[] = [];
  const wire = { deliver: async (): Promise<void> => {} };
  const transport = {
    onmessage: undefined as ((message: unknown, extra?: unknown) => void) | undefined,
    onclose: undefined as (() => void) | undefined,
    start: async () => {},
    send: async (message: unknown, options?: unknown) => {
      void options;
      sent.push(message);
      await wire.deliver();
    },
    close: async () => transport.onclose?.(),
  };
  const peer = instrument(
    {
      connect: async (to: typeof transport) => {
        const { onmessage, onclose } = to;
        Object.assign(to, {
          onmessage: (message: unknown, extra?: unknown) => {
            onmessage?.(message, extra);
            seen.push(message);
          },
          onclose: () => onclose?.(),
        });
        await to.start();
      },
    },
    client,
    { serverName: 'odd', ...options },
  );
  return {
    sent,
    seen,
    transport,
    wire,
    ready: peer.connect(transport),
    receive: (message: unknown) => transport.onmessage?.(message, undefined),
    executions: () => metrics('tool_execution'),
    metrics,
  };
}

const request = (id: string | number, method: string, params: object = {}) => ({ jsonrpc: '2.0', id, method, params });
const result = (id: string | number, value: object = {}) => ({ jsonrpc: '2.0', id, result: value });
const failure = (id: string | number, code: number) => ({ jsonrpc: '2.0', id, error: { code, message: 'no' } });
const notice = (method: string, params: object = {}) => ({ jsonrpc: '2.0', method, params });

t.test(
  'a cancelled request fails as cancelled, one whose time ran out as timeout, and a late answer changes nothing',
  async (t) => {
    const server = connect();
    await server.ready;
    server.receive(request(1, 'tools/call', { name: 'slow' }));
    server.receive(request(2, 'tools/list'));
    server.receive(notice('notifications/cancelled', { requestId: 1, reason: 'the user changed her mind' }));
    server.receive(
      notice('notifications/cancelled', { requestId: 2, reason: 'McpError: MCP error -32001: Request timed out' }),
    );
    server.receive(notice('notifications/cancelled', { requestId: 99 }));
    await server.transport.send(result(1));
    const executions = await server.executions();
    t.strictSame(
      executions.map(({ dimensions, metadata }) => [
        dimensions['method'],
        dimensions['success'],
        metadata['error_code'],
      ]),
      [
        ['tools/call', false, 'cancelled'],
        ['tools/list', false, 'timeout'],
      ],
    );
  },
);

t.test('a connection that closes with requests open ends them, once', async (t) => {
  const server = connect();
  await server.ready;
  server.receive(request('a', 'resources/read', { uri: 'file:///secret' }));
  server.receive(request('b', 'ping'));
  await server.transport.close();
  await server.transport.close();
  const executions = await server.executions();
  t.strictSame(
    executions.map(({ dimensions, metadata }) => [dimensions['method'], metadata['error_code']]),
    [
      ['resources/read', 'connection_closed'],
      ['ping', 'connection_closed'],
    ],
  );
  t.notMatch(JSON.stringify(executions), 'secret');
});

t.test('an id used twice at a time belongs to two requests, answered in order', async (t) => {
  const server = connect();
  await server.ready;
  server.receive(request(7, 'tools/list'));
  server.receive(request(7, 'prompts/list'));
  server.receive(request('7', 'ping'));
  await server.transport.send(failure(7, -32_000));
  await server.transport.send(result('7'));
  await server.transport.send(result(7));
  await server.transport.send(result(7));
  t.strictSame(
    (await server.executions()).map(({ dimensions, metadata }) => [
      dimensions['method'],
      dimensions['success'],
      metadata['error_code'],
      metadata['duplicate_id'],
    ]),
    [
      ['tools/list', false, '-32000', undefined],
      ['ping', true, undefined, undefined],
      ['prompts/list', true, undefined, true],
    ],
  );
});

t.test('batches are read message by message', async (t) => {
  const server = connect();
  await server.ready;
  server.receive([request(1, 'ping'), notice('notifications/initialized'), request(2, 'tools/list')]);
  await server.transport.send([result(2), result(1)]);
  t.strictSame(
    (await server.executions()).map(({ dimensions }) => dimensions['method']),
    ['tools/list', 'ping'],
  );
});

t.test('progress is counted with its request', async (t) => {
  const server = connect();
  await server.ready;
  server.receive(request(1, 'tools/call', { name: 'long', _meta: { progressToken: 'p' } }));
  for (let progress = 0; progress < 3; progress += 1) {
    await server.transport.send(notice('notifications/progress', { progressToken: 'p', progress }));
  }
  await server.transport.send(notice('notifications/progress', { progressToken: 'other', progress: 1 }));
  await server.transport.send(result(1));
  await server.transport.send(notice('notifications/progress', { progressToken: 'p', progress: 4 }));
  const [execution] = await server.executions();
  t.equal(execution!.metadata['progress_notifications'], 3);
});

t.test('notifications are no executions; they are counted apart where that is asked for', async (t) => {
  const quiet = connect();
  await quiet.ready;
  quiet.receive(notice('notifications/initialized'));
  t.strictSame(await quiet.metrics(), []);

  const server = connect({ notifications: true });
  await server.ready;
  server.receive(notice('notifications/initialized'));
  await server.transport.send(notice('made/up'));
  t.strictSame(
    (await server.metrics()).map(({ type, dimensions }) => [type, dimensions]),
    [
      [
        'custom',
        {
          metric_name: 'mcp_notifications',
          method: 'notifications/initialized',
          direction: 'received',
          server_name: 'odd',
        },
      ],
      ['custom', { metric_name: 'mcp_notifications', method: '_other', direction: 'sent', server_name: 'odd' }],
    ],
  );
});

t.test('names that callers make up do not become labels', async (t) => {
  const server = connect();
  await server.ready;
  const call = async (id: number, method: string, name: string | undefined, answer: object): Promise<void> => {
    server.receive(request(id, method, name === undefined ? {} : { name }));
    await server.transport.send(answer);
  };
  await call(1, 'tools/call', 'rm -rf', failure(1, -32_602));
  await call(2, 'tools/call', 'guess', result(2, { isError: true, content: [] }));
  await call(3, 'tools/list', undefined, result(3, { tools: [{ name: 'real' }] }));
  await call(4, 'tools/call', 'real', result(4, { isError: true, content: [] }));
  await call(5, 'tools/call', 'anything', result(5, { content: [] }));
  await call(6, 'no/such/method', undefined, failure(6, -32_601));
  await call(7, 'x-vendor/method', undefined, result(7));
  t.strictSame(
    (await server.executions()).map(({ dimensions }) => [dimensions['method'], dimensions['tool_name']]),
    [
      ['tools/call', '_other'],
      ['tools/call', '_other'],
      ['tools/list', 'tools/list'],
      ['tools/call', 'real'],
      ['tools/call', '_other'],
      ['_other', '_other'],
      ['x-vendor/method', 'x-vendor/method'],
    ],
  );
});

t.test('a list in pages is whole with its last page, until it changes', async (t) => {
  const server = connect();
  await server.ready;
  let id = 0;
  const exchange = async (method: string, params: object, answer: object): Promise<void> => {
    id += 1;
    server.receive(request(id, method, params));
    await server.transport.send(result(id, answer));
  };
  const call = (name: string): Promise<void> => exchange('tools/call', { name }, { content: [] });
  await exchange('tools/list', {}, { tools: [{ name: 'first' }], nextCursor: '2' });
  await call('on-page-2');
  await exchange('tools/list', { cursor: '2' }, { tools: [{ name: 'on-page-2' }] });
  await call('made-up');
  server.receive(notice('notifications/tools/list_changed'));
  await call('made-up');
  await server.transport.send(notice('notifications/tools/list_changed'));
  await call('added');
  t.strictSame(
    (await server.executions())
      .filter(({ dimensions }) => dimensions['method'] === 'tools/call')
      .map(({ dimensions }) => dimensions['tool_name']),
    ['on-page-2', '_other', '_other', 'added'],
  );
});

t.test('functions of the service that throw cost their value alone', async (t) => {
  const boom = (): never => {
    throw new Error('boom');
  };
  const server = connect({ user: boom, session: boom });
  await server.ready;
  server.transport.onmessage?.(request(1, 'ping'), {});
  await server.transport.send(result(1));
  t.match(await server.executions(), [{ dimensions: { method: 'ping', success: true } }]);
});

t.test('a server that was never asked for its list has the tools that it answers', async (t) => {
  const server = connect();
  await server.ready;
  server.receive(request(1, 'tools/call', { name: 'echo' }));
  await server.transport.send(result(1));
  server.receive(request(2, 'tools/call', { name: 'echo' }));
  await server.transport.send(failure(2, -32_000));
  t.strictSame(
    (await server.executions()).map(({ dimensions }) => dimensions['tool_name']),
    ['echo', 'echo'],
  );
});

t.test('what is no message passes by', async (t) => {
  const server = connect();
  await server.ready;
  for (const odd of [
    null,
    undefined,
    7,
    'text',
    {},
    [],
    [null],
    { id: 1 },
    { id: {}, method: 'x' },
    { method: 5 },
    { id: null, result: 1 },
  ]) {
    server.receive(odd);
    await server.transport.send(odd);
  }
  server.receive(request(1, 'tools/call', { name: 5 }));
  server.receive({ jsonrpc: '2.0', id: 2, method: 'initialize', params: 'not an object' });
  await server.transport.send({ jsonrpc: '2.0', id: 1, error: 'not an object' });
  await server.transport.send({ jsonrpc: '2.0', id: 2, result: 'not an object' });
  t.equal(server.seen.length, 13);
  t.strictSame(
    (await server.executions()).map(({ dimensions, metadata }) => [
      dimensions['tool_name'],
      dimensions['success'],
      metadata['error_code'],
    ]),
    [
      ['_other', false, 'error'],
      ['initialize', true, undefined],
    ],
  );
});

t.test('a function of the user that throws disturbs nothing', async (t) => {
  const server = connect({
    user: () => {
      throw new Error('boom');
    },
    session: () => {
      throw new Error('boom');
    },
  });
  await server.ready;
  server.transport.onmessage?.(request(1, 'ping'), {});
  await server.transport.send(result(1));
  t.equal(server.seen.length, 1);
  t.equal(server.sent.length, 1);
});

t.test('functions of the service are asked only about requests that the SDK says something of', async (t) => {
  const asked: unknown[] = [];
  const note = (extra: unknown): string => {
    asked.push(extra);
    return 'same';
  };
  const server = connect({ user: note, session: note });
  await server.ready;
  server.receive(request(1, 'ping'));
  await server.transport.send(request(1, 'roots/list'));
  t.strictSame(asked, []);
  server.transport.onmessage?.(request(2, 'ping'), { some: 'thing' });
  t.strictSame(asked, [{ some: 'thing' }, { some: 'thing' }]);
});

t.test('a protocol version that is none is no version', async (t) => {
  const server = connect();
  await server.ready;
  const key = 'io.modelcontextprotocol/protocolVersion';
  const made = ['2025-13-99; DROP', 'x'.repeat(10_000), '2026-07-28\n', '9999-99-99', { year: 2026 }, 20_260_728];
  for (const [id, version] of made.entries()) {
    server.receive(request(id, 'ping', { _meta: { [key]: version } }));
    await server.transport.send(result(id));
  }
  server.receive(request('i', 'initialize'));
  await server.transport.send(result('i', { protocolVersion: 'latest' }));
  for (const [id, version] of ['2026-07-28', 'whatever'].entries()) {
    server.receive(request(id, 'ping', { _meta: { [key]: version } }));
    await server.transport.send(result(id));
  }
  t.strictSame(
    (await server.executions()).map(({ metadata }) => metadata['protocol_version']),
    [...Array.from({ length: 7 }, () => undefined), '2026-07-28', '2026-07-28'],
    'the connection keeps the last good one',
  );
});

t.test('a subscription is answered once it stands, on a server too', async (t) => {
  const server = connect();
  await server.ready;
  server.receive(request('s', 'subscriptions/listen', { notifications: {} }));
  const acknowledged = (id: unknown) =>
    notice('notifications/subscriptions/acknowledged', { _meta: { 'io.modelcontextprotocol/subscriptionId': id } });
  server.receive(acknowledged('s'));
  for (const id of [{}, undefined, 'other', 's', 's']) await server.transport.send(acknowledged(id));
  server.receive(notice('notifications/cancelled', { requestId: 's' }));
  await server.transport.send(result('s'));
  t.match(await server.executions(), [{ dimensions: { method: 'subscriptions/listen', success: true } }]);
  t.equal((await server.executions()).length, 1);
});

t.test('a user is sent as a hash, and a session id never as it is', async (t) => {
  const server = connect({
    user: (extra) => (extra as { user?: string }).user,
    session: (extra) => (extra as { session?: string }).session,
  });
  await server.ready;
  for (const [id, session] of [
    [1, 'sess-1'],
    [2, 'sess-2'],
    [3, 'sess-1'],
  ] as const) {
    server.transport.onmessage?.(request(id, 'ping'), { user: 'alice@example.org', session });
    await server.transport.send(result(id));
  }
  const executions = await server.executions();
  t.notMatch(JSON.stringify(executions), /alice|sess-/);
  const keys = executions.map(({ dimensions }) => dimensions['session_key']);
  t.match(keys[0], /^[0-9a-f]{12}$/);
  t.equal(keys[0], keys[2]);
  t.not(keys[0], keys[1]);
  t.match(executions[0]!.dimensions['user_hash'], /^[0-9a-f]{12}$/);
});

t.test('flows are measured once per session, from the last list to the first call', async (t) => {
  const server = connect({ session: (extra) => extra as string });
  await server.ready;
  let id = 0;
  const ask = async (session: string, method: string): Promise<void> => {
    id += 1;
    server.transport.onmessage?.(request(id, method, { name: 'x' }), session);
    await server.transport.send(result(id));
  };
  for (const method of [
    'initialize',
    'tools/list',
    'tools/list',
    'tools/call',
    'tools/call',
    'tools/list',
    'tools/call',
  ]) {
    await ask('one', method);
    await ask('two', method);
  }
  // Protocol 2026-07-28: no handshake.
  for (const method of ['server/discover', 'tools/list', 'tools/call']) await ask('three', method);
  for (const method of ['ping', 'tools/call']) await ask('four', method);
  for (const method of ['tools/list', 'tools/call']) await ask('five', method);
  await ask('six', 'tools/call');
  await ask('six', 'tools/call');
  const flows = new Map<string, string[]>();
  for (const { value, dimensions, metadata } of await server.metrics('protocol_latency')) {
    t.ok(value >= 0 && value < 5);
    const key = String(dimensions['session_key']);
    flows.set(key, [
      ...(flows.get(key) ?? []),
      `${String(dimensions['flow_step'])} ${String(metadata['from_method'])}`,
    ]);
  }
  const handshake = [
    'initialize_to_tools_list initialize',
    'tools_list_to_tools_call tools/list',
    'full_protocol_flow initialize',
  ];
  t.strictSame(
    [...flows.values()],
    [
      handshake,
      handshake,
      [
        'initialize_to_tools_list server/discover',
        'tools_list_to_tools_call tools/list',
        'full_protocol_flow server/discover',
      ],
      ['full_protocol_flow ping'],
      ['tools_list_to_tools_call tools/list', 'full_protocol_flow tools/list'],
    ],
  );
});

t.test('a client sees requests that could not be sent, and those it gave up over HTTP', async (t) => {
  const client = connect({}, instrumentMcpClient);
  await client.ready;
  client.wire.deliver = () => Promise.reject(Object.assign(new Error('Unauthorized'), { code: 401 }));
  await t.rejects(client.transport.send(request(1, 'tools/list')), /Unauthorized/);
  client.wire.deliver = () => Promise.reject(new Error('socket hang up'));
  await t.rejects(client.transport.send(request(2, 'ping')));
  client.wire.deliver = async () => {};
  const controller = new AbortController();
  await client.transport.send(request(3, 'tools/call', { name: 'x' }), { requestSignal: controller.signal });
  controller.abort();
  t.strictSame(
    (await client.executions()).map(({ dimensions, metadata }) => [dimensions['method'], metadata['error_code']]),
    [
      ['tools/list', '401'],
      ['ping', 'send_failed'],
      ['tools/call', 'cancelled'],
    ],
  );
});

t.test('the tools of one server are not taken for those of another that a client speaks to', async (t) => {
  const { client, metrics } = captureMetrics();
  const speakTo = async (calls: (send: (message: object) => void, receive: (message: object) => void) => void) => {
    const transport = {
      onmessage: undefined as ((message: unknown) => void) | undefined,
      onclose: undefined as (() => void) | undefined,
      send: async (message: unknown) => void message,
    };
    await instrumentMcpClient({ connect: async (to: unknown) => to }, client).connect(transport);
    calls(
      (message) => void transport.send(message).catch(() => {}),
      (message) => transport.onmessage?.(message),
    );
  };
  await speakTo((send, receive) => {
    send(request(1, 'tools/list'));
    receive(result(1, { tools: [{ name: 'a' }] }));
  });
  await speakTo((send, receive) => {
    send(request(1, 'tools/call', { name: 'b' }));
    receive(result(1));
    send(request(2, 'tools/call', { name: 'a' }));
    receive(failure(2, -32_602));
  });
  t.strictSame(
    (await metrics('tool_execution')).map(({ dimensions }) => dimensions['tool_name']),
    ['tools/list', 'b', '_other'],
  );
});

t.test('a transport that cannot be observed still works', async (t) => {
  const { client } = captureMetrics();
  const frozen = Object.freeze({ start: async () => {}, send: async () => {} });
  let connected: unknown;
  const peer = instrumentMcpServer({ connect: async (transport: unknown) => (connected = transport) }, client);
  await peer.connect(frozen);
  t.equal(connected, frozen);
});
