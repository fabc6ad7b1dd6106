import t from 'tap';
import { environment, EnvironmentError } from '../src/environment.ts';

t.test('an empty environment gives the documented defaults', (t) => {
  t.same(environment({}), {
    databasePath: './data/metrics.db',
    host: '127.0.0.1',
    port: 8890,
    requestsPerMinute: 1000,
    retentionDays: 90,
    apiKeys: [],
    flushIntervalMs: 5000,
    maxBodyBytes: 10_485_760,
    serviceName: 'mcp-metrics-service',
    prometheus: { enabled: true, host: '127.0.0.1', port: 9465 },
  });
  t.same(
    environment({ METRICS_SERVICE_PORT: '', OTEL_PROMETHEUS_ENABLED: ' ' }),
    environment({}),
    'empty counts as unset',
  );
  t.end();
});

t.test('values are read in the units that they are written in', (t) => {
  const read = environment({
    FLUSH_INTERVAL_SECONDS: '0.5',
    MAX_REQUEST_SIZE: '2MB',
    HISTOGRAM_BUCKET_BOUNDARIES: '0.1, 1,10',
    OTEL_PROMETHEUS_ENABLED: 'False',
  });
  t.match(read, {
    flushIntervalMs: 500,
    maxBodyBytes: 2 * 1024 ** 2,
    histogramBoundaries: [0.1, 1, 10],
    prometheus: { enabled: false },
  });
  t.equal(environment({ MAX_REQUEST_SIZE: '4096' }).maxBodyBytes, 4096);
  t.equal(environment({ MAX_REQUEST_SIZE: '1.5 KiB' }).maxBodyBytes, 1536);
  t.end();
});

t.test('every METRICS_API_KEY_ variable is the key of the service it names', (t) => {
  const { apiKeys } = environment({
    METRICS_API_KEY_CURRENTTIME_SERVER: 'first',
    METRICS_API_KEY_AUTH: 'second',
    METRICS_API_KEY_OFF: '',
  });
  t.same(apiKeys, [
    { service: 'currenttime-server', secret: 'first' },
    { service: 'auth', secret: 'second' },
  ]);
  t.end();
});

t.test('the standard OTLP variables win over the alias', (t) => {
  t.equal(environment({ OTEL_OTLP_ENDPOINT: 'http://alias:4318' }).otlpEndpoint, 'http://alias:4318');
  t.equal(
    environment({ OTEL_OTLP_ENDPOINT: 'http://alias:4318', OTEL_EXPORTER_OTLP_ENDPOINT: 'http://std:4318' })
      .otlpEndpoint,
    undefined,
  );
  t.end();
});

t.test('what does not parse is told with name, value and what was expected, all at once', (t) => {
  const wrong = {
    METRICS_SERVICE_PORT: '99999',
    METRICS_RATE_LIMIT: '1e3.5',
    METRICS_RETENTION_DAYS: '0',
    FLUSH_INTERVAL_SECONDS: 'soon',
    MAX_REQUEST_SIZE: '10 apples',
    HISTOGRAM_BUCKET_BOUNDARIES: '1,1',
    OTEL_PROMETHEUS_ENABLED: 'maybe',
    OTEL_OTLP_ENDPOINT: 'collector:4318',
  };
  try {
    environment(wrong);
    t.fail('expected an EnvironmentError');
  } catch (error) {
    if (!(error instanceof EnvironmentError)) throw error;
    t.equal(error.problems.length, Object.keys(wrong).length);
    for (const [name, value] of Object.entries(wrong)) {
      const problem = error.problems.find((line) => line.startsWith(`${name}=`));
      t.match(problem, `${name}=${JSON.stringify(value)}: expected `);
    }
  }
  t.end();
});

t.test('an address that does not parse is told without the password in it', (t) => {
  t.throws(() => environment({ OTEL_EXPORTER_OTLP_ENDPOINT: 'htp://user:hunter2@collector:4318' }), {
    message: /^(?!.*(user|hunter2)).*ENDPOINT="\(not shown\)@collector:4318": expected an http/s,
  });
  t.end();
});

t.test('a key that cannot be one is told without being shown', (t) => {
  const secret = 'sécret-Ω';
  t.throws(() => environment({ METRICS_API_KEY_A: secret }), /METRICS_API_KEY_A=\(8 characters, not shown\)/);
  t.throws(
    () => environment({ METRICS_API_KEY_A: 'same', METRICS_API_KEY_B: 'same' }),
    /METRICS_API_KEY_B: expected a key of its own; METRICS_API_KEY_A has the same/,
  );
  try {
    environment({ METRICS_API_KEY_A: secret });
  } catch (error) {
    t.notMatch(String(error), secret);
  }
  t.end();
});

t.test("OpenTelemetry's own variables are checked too, and headers are not shown", (t) => {
  for (const [name, value, expected] of [
    ['OTEL_EXPORTER_OTLP_COMPRESSION', 'zip', 'gzip or none'],
    ['OTEL_EXPORTER_OTLP_METRICS_PROTOCOL', 'grpc', 'http/protobuf'],
    ['OTEL_EXPORTER_OTLP_CERTIFICATE', '/nowhere/ca.pem', 'a file that is there'],
    ['OTEL_RESOURCE_ATTRIBUTES', 'a=b,,c', 'key=value pairs'],
  ] as const) {
    t.throws(() => environment({ [name]: value }), {
      message: new RegExp(`${name}="${value}": expected .*${expected}`),
    });
  }
  try {
    environment({ OTEL_EXPORTER_OTLP_HEADERS: 'vendor-secret' });
    t.fail('expected an EnvironmentError');
  } catch (error) {
    t.match(String(error), 'OTEL_EXPORTER_OTLP_HEADERS=(13 characters, not shown): expected key=value pairs');
    t.notMatch(String(error), 'vendor-secret');
  }
  t.doesNotThrow(() =>
    environment({
      OTEL_EXPORTER_OTLP_HEADERS: 'api-key=abc,x-tenant=1',
      OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment=prod',
      OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip',
    }),
  );
  t.end();
});
