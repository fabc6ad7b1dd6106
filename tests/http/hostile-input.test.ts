import { gzipSync } from 'node:zlib';
import t from 'tap';
import { goodBody, SECRET, testGateway, valueOf } from './gateway.ts';
import { rawConnection, rawRequest } from './raw-connection.ts';

const KEY = { 'X-API-Key': SECRET };
const one = (metric: string): string => `{"service":"a","metrics":[${metric}]}`;
const dimension = (json: string): string => one(`{"type":"custom","value":1,"dimensions":${json}}`);
const mib = 1024 * 1024;

interface Case {
  readonly name: string;
  readonly body: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string | undefined>>;
  readonly status: number;
  /** `detail` of the problem, or the first error of a partial success. */
  readonly says?: RegExp;
  /** Metrics that are in the journal afterwards. */
  readonly accepted?: number;
}

const cases: readonly Case[] = [
  { name: 'not JSON', body: 'service=a&metrics=1', status: 400, says: /^The body is not JSON/ },
  { name: 'empty body', body: '', status: 400, says: /^The body is not JSON: it ends too early/ },
  { name: 'a colon too few', body: '{"service" "a"}', status: 400, says: /from character 11 on/ },
  { name: 'cut JSON', body: goodBody().slice(0, -5), status: 400, says: /ends too early/ },
  {
    name: 'a comma too many',
    body: '{"service":"a","metrics":[1,]}',
    status: 400,
    says: /^The body is not JSON: unexpected "]"/,
  },
  {
    name: 'NaN',
    body: one('{"type":"custom","value":NaN}'),
    status: 400,
    says: /unexpected "N" \(NaN and Infinity are no JSON/,
  },
  { name: 'Infinity', body: one('{"type":"custom","value":Infinity}'), status: 400, says: /not JSON/ },
  {
    name: '1e400',
    body: one('{"type":"custom","value":1e400}'),
    status: 422,
    says: /metrics\[0\]\.value: must be finite/,
  },
  { name: '1e400 as a dimension', body: dimension('{"a":1e400}'), status: 422, says: /dimensions\.a: must be finite/ },
  {
    name: '1e400 in metadata',
    body: one('{"type":"custom","value":1,"metadata":{"a":-1e400}}'),
    status: 422,
    says: /metadata\.a: must be finite/,
  },
  { name: 'JSON null', body: 'null', status: 422, says: /^body: must be an object/ },
  { name: 'JSON array', body: '[]', status: 422, says: /^body: must be an object/ },
  { name: 'JSON text', body: '"metrics"', status: 422, says: /^body: must be an object/ },
  { name: 'no service', body: '{"metrics":[{"type":"custom","value":1}]}', status: 422, says: /^service: / },
  {
    name: 'service of the wrong type',
    body: '{"service":7,"metrics":[1]}',
    status: 422,
    says: /^service: must be text/,
  },
  {
    name: 'service with SQL in it',
    body: `{"service":"a'; DROP TABLE metrics; --","metrics":[{"type":"custom","value":1}]}`,
    status: 422,
    says: /^service: must match/,
  },
  { name: 'no metrics', body: '{"service":"a"}', status: 422, says: /^metrics: / },
  {
    name: 'metrics as an object',
    body: '{"service":"a","metrics":{"0":{},"length":1}}',
    status: 422,
    says: /^metrics: must be an array/,
  },
  {
    name: 'no metric at all',
    body: '{"service":"a","metrics":[]}',
    status: 422,
    says: /^metrics: must hold at least one/,
  },
  { name: '5,000 metrics', body: goodBody(5000), status: 200, accepted: 5000 },
  { name: '5,001 metrics', body: goodBody(5001), status: 422, says: /^metrics: must hold at most 5000 metrics/ },
  {
    name: 'two million nulls as metrics',
    body: `{"service":"a","metrics":[${'0,'.repeat(2e6)}0]}`,
    status: 422,
    says: /at most 5000/,
  },
  {
    name: 'metrics that are no objects',
    body: '{"service":"a","metrics":[null,1,"x",[],true]}',
    status: 422,
    says: /^None of the 5 metrics can be taken: metrics\[0\]: must be an object/,
  },
  {
    name: 'unknown type',
    body: one('{"type":"cpu_load","value":1}'),
    status: 422,
    says: /metrics\[0\]\.type: must be one of auth_request, /,
  },
  {
    name: 'type of another prototype',
    body: one('{"type":"toString","value":1}'),
    status: 422,
    says: /type: must be one of/,
  },
  { name: 'value as text', body: one('{"type":"custom","value":"1"}'), status: 422, says: /value: must be a number/ },
  { name: 'no value', body: one('{"type":"custom"}'), status: 422, says: /value: / },
  {
    name: 'negative value',
    body: one('{"type":"custom","value":-1}'),
    status: 422,
    says: /value: must not be negative/,
  },
  {
    name: 'value beyond 1e12',
    body: one('{"type":"custom","value":1000000000001}'),
    status: 422,
    says: /value: must be at most 1000000000000/,
  },
  { name: 'value of 1e12', body: one('{"type":"custom","value":1e12}'), status: 200, accepted: 1 },
  { name: 'duration of 0', body: one('{"type":"custom","value":1,"duration_ms":0}'), status: 200, accepted: 1 },
  {
    name: 'duration of a day and a bit',
    body: one('{"type":"custom","value":1,"duration_ms":86400000.1}'),
    status: 422,
    says: /duration_ms: must be at most 86400000/,
  },
  {
    name: 'timestamp as a number',
    body: one('{"type":"custom","value":1,"timestamp":1700000000}'),
    status: 422,
    says: /timestamp: must be text/,
  },
  {
    name: 'timestamp that is no date',
    body: one('{"type":"custom","value":1,"timestamp":"2026-02-30T00:00:00Z"}'),
    status: 422,
    says: /timestamp: must be an ISO 8601/,
  },
  {
    name: 'timestamp in the year 9999',
    body: one('{"type":"custom","value":1,"timestamp":"9999-12-31T23:59:59Z"}'),
    status: 422,
    says: /timestamp: must not lie after/,
  },
  {
    name: 'duplicate keys: the last one counts',
    body: one('{"type":"nothing","type":"custom","value":-1,"value":2}'),
    status: 200,
    accepted: 1,
  },
  {
    name: 'duplicate keys: the last one counts, also when it is wrong',
    body: one('{"type":"custom","type":"nothing","value":1}'),
    status: 422,
    says: /type: /,
  },
  {
    name: '__proto__ as a dimension',
    body: dimension('{"__proto__":"x"}'),
    status: 422,
    says: /dimensions\.__proto__: name is reserved/,
  },
  {
    name: '__proto__ as dimensions of a metric',
    body: one('{"type":"custom","value":1,"__proto__":{"dimensions":{"a-b":1}}}'),
    status: 200,
    accepted: 1,
  },
  {
    name: '__proto__ as the body',
    body: '{"__proto__":{"service":"a","metrics":[{"type":"custom","value":1}]}}',
    status: 422,
    says: /^service: /,
  },
  {
    name: '__proto__ in metadata',
    body: one('{"type":"custom","value":1,"metadata":{"__proto__":{"x":1}}}'),
    status: 422,
    says: /metadata\.__proto__: name is reserved/,
  },
  { name: 'constructor as a dimension', body: dimension('{"constructor":"x"}'), status: 200, accepted: 1 },
  {
    name: 'nested dimension value',
    body: dimension('{"a":{"b":1}}'),
    status: 422,
    says: /dimensions\.a: must be text, a number, a boolean or null/,
  },
  {
    name: 'array as a dimension value',
    body: dimension('{"a":[1]}'),
    status: 422,
    says: /dimensions\.a: must be text/,
  },
  { name: 'dimensions as an array', body: dimension('["a"]'), status: 422, says: /dimensions: must be an object/ },
  {
    name: '21 dimensions',
    body: dimension(JSON.stringify(Object.fromEntries(Array.from({ length: 21 }, (_, n) => [`d${n}`, n])))),
    status: 422,
    says: /dimensions: must hold at most 20 entries; got 21/,
  },
  {
    name: '20 dimensions and 5 that are null',
    body: dimension(
      JSON.stringify({
        ...Object.fromEntries(Array.from({ length: 20 }, (_, n) => [`d${n}`, n])),
        ...Object.fromEntries(Array.from({ length: 5 }, (_, n) => [`n${n}`, null])),
      }),
    ),
    status: 200,
    accepted: 1,
  },
  {
    name: 'dimension value of 201 characters',
    body: dimension(`{"a":"${'x'.repeat(201)}"}`),
    status: 422,
    says: /dimensions\.a: must have at most 200 characters/,
  },
  {
    name: 'a huge text as a dimension',
    body: dimension(`{"a":"${'x'.repeat(9 * mib)}"}`),
    status: 422,
    says: /dimensions\.a: must have at most 200/,
  },
  {
    name: 'a huge name of a dimension',
    body: dimension(`{"${'x'.repeat(mib)}":1}`),
    status: 422,
    says: /dimensions\.x{64}…: name must have at most 50/,
  },
  {
    name: 'metadata of 1,001 characters',
    body: one(`{"type":"custom","value":1,"metadata":{"a":"${'x'.repeat(1001)}"}}`),
    status: 422,
    says: /metadata\.a: must have at most 1000/,
  },
  {
    name: 'metadata of 1,000 characters',
    body: one(`{"type":"custom","value":1,"metadata":{"a":"${'x'.repeat(1000)}"}}`),
    status: 200,
    accepted: 1,
  },
  {
    name: '31 metadata fields',
    body: one(
      JSON.stringify({
        type: 'custom',
        value: 1,
        metadata: Object.fromEntries(Array.from({ length: 31 }, (_, n) => [`m${n}`, n])),
      }),
    ),
    status: 422,
    says: /metadata: must hold at most 30/,
  },
  {
    name: 'metadata nested a hundred thousand deep in a small body',
    body: one(`{"type":"custom","value":1,"metadata":{"a":${'['.repeat(30_000)}${']'.repeat(30_000)}}}`),
    status: 422,
    says: /metadata\.a: must have at most 1000 characters as JSON/,
  },
  { name: 'deep nesting', body: '['.repeat(4 * mib), status: 400, says: /nested deeper than 1000 levels/ },
  {
    name: 'deep nesting in an unknown field',
    body: `{"service":"a","x":${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)},"metrics":[{"type":"custom","value":1}]}`,
    status: 400,
    says: /nested deeper/,
  },
  {
    name: 'brackets in texts are no nesting',
    body: one(`{"type":"custom","value":1,"x":"${'[\\"'.repeat(50_000)}"}`),
    status: 200,
    accepted: 1,
  },
  {
    name: 'SQL and PromQL metacharacters in a dimension',
    body: dimension(`{"a":"'; DROP TABLE metrics; --","b":"{x=~\\".*\\"}[5m]) or (up"}`),
    status: 200,
    accepted: 1,
  },
  {
    name: 'control characters in a label',
    body: dimension('{"a":"\\u0000\\n\\r\\u001b[31m\\u2028\\"\\\\"}'),
    status: 200,
    accepted: 1,
  },
  { name: 'a raw control character in a text', body: dimension('{"a":"\n"}'), status: 400, says: /not JSON/ },
  {
    name: 'half of a surrogate pair',
    body: dimension('{"a":"\\ud800"}'),
    status: 422,
    says: /dimensions\.a: must not hold half of a surrogate pair/,
  },
  {
    name: 'bad UTF-8',
    body: Buffer.concat([
      Buffer.from('{"service":"a","x":"'),
      Buffer.from([0xc3, 0x28]),
      Buffer.from('","metrics":[{"type":"custom","value":1}]}'),
    ]),
    status: 400,
    says: /not valid UTF-8/,
  },
  {
    name: 'overlong UTF-8',
    body: Buffer.concat([Buffer.from('{"service":"a","x":"'), Buffer.from([0xc0, 0xaf]), Buffer.from('"}')]),
    status: 400,
    says: /not valid UTF-8/,
  },
  { name: 'UTF-16', body: Buffer.from(`\ufeff${goodBody()}`, 'utf16le'), status: 400, says: /not valid UTF-8/ },
  { name: 'a byte order mark', body: `\ufeff${goodBody()}`, status: 200, accepted: 1 },
  { name: 'text beyond ASCII', body: dimension('{"a":"日本 😀"}'), status: 200, accepted: 1 },
  {
    name: '10 MiB',
    body: one(
      `{"type":"custom","value":1,"x":"${'x'.repeat(10 * mib - one('{"type":"custom","value":1,"x":""}').length)}"}`,
    ),
    status: 200,
    accepted: 1,
  },
  { name: '10 MiB + 1', body: 'x'.repeat(10 * mib + 1), status: 413, says: /larger than 10485760 bytes/ },
  {
    name: 'a length that nobody can keep',
    body: '{}',
    headers: { 'Content-Length': '999999999999' },
    status: 413,
    says: /larger than/,
  },
  {
    name: 'a gzip bomb',
    body: gzipSync(Buffer.alloc(200 * mib)),
    headers: { 'Content-Encoding': 'gzip' },
    status: 413,
    says: /larger than 10485760 bytes after decompression/,
  },
  {
    name: 'gzip that is none',
    body: goodBody(),
    headers: { 'Content-Encoding': 'gzip' },
    status: 400,
    says: /not valid gzip/,
  },
  {
    name: 'gzip cut short',
    body: gzipSync(goodBody(50)).subarray(0, -20),
    headers: { 'Content-Encoding': 'gzip' },
    status: 400,
    says: /not valid gzip/,
  },
  {
    name: 'gzip with a false checksum',
    body: (() => {
      const bytes = gzipSync(goodBody(5));
      bytes[bytes.length - 6]! ^= 1;
      return bytes;
    })(),
    headers: { 'Content-Encoding': 'gzip' },
    status: 400,
    says: /not valid gzip/,
  },
  {
    name: 'another content encoding',
    body: goodBody(),
    headers: { 'Content-Encoding': 'br' },
    status: 415,
    says: /Content-Encoding must be gzip/,
  },
  {
    name: 'gzip twice',
    body: goodBody(),
    headers: { 'Content-Encoding': 'gzip, gzip' },
    status: 415,
    says: /Content-Encoding must be gzip/,
  },
  {
    name: 'wrong content type',
    body: goodBody(),
    headers: { 'Content-Type': 'text/plain' },
    status: 415,
    says: /Content-Type must be application\/json/,
  },
  { name: 'no content type', body: goodBody(), headers: { 'Content-Type': undefined }, status: 200, accepted: 1 },
  {
    name: 'chunked',
    body: `5\r\n${goodBody().slice(0, 5)}\r\n${(goodBody().length - 5).toString(16)}\r\n${goodBody().slice(5)}\r\n0\r\n\r\n`,
    headers: { 'Content-Length': undefined, 'Transfer-Encoding': 'chunked' },
    status: 200,
    accepted: 1,
  },
  {
    name: 'a chunk of the wrong length',
    body: `ffz\r\n{}\r\n0\r\n\r\n`,
    headers: { 'Content-Length': undefined, 'Transfer-Encoding': 'chunked' },
    status: 400,
    says: /./,
  },
  {
    name: 'a length beside chunks',
    body: '0\r\n\r\n',
    headers: { 'Content-Length': '5', 'Transfer-Encoding': 'chunked' },
    status: 400,
    says: /not HTTP\/1\.1/,
  },
  {
    name: 'a length that is no number',
    body: '{}',
    headers: { 'Content-Length': '2, 2' },
    status: 400,
    says: /not HTTP\/1\.1/,
  },
  {
    name: 'headers of 20 KiB',
    body: goodBody(),
    headers: { 'X-Long': 'x'.repeat(20_000) },
    status: 431,
    says: /headers are too large/,
  },
  {
    name: 'an Idempotency-Key of 129 characters',
    body: goodBody(),
    headers: { 'Idempotency-Key': 'k'.repeat(129) },
    status: 400,
    says: /Idempotency-Key must be/,
  },
  {
    name: 'an unknown key',
    body: goodBody(),
    headers: { 'X-API-Key': 'guess' },
    status: 401,
    says: /^Unknown API key/,
  },
  {
    name: 'two keys in one header',
    body: goodBody(),
    headers: { 'X-API-Key': `${SECRET}, ${SECRET}` },
    status: 401,
    says: /^Unknown API key/,
  },
];

t.test('hostile input has its status and its message', async (t) => {
  const gateway = await testGateway({ rateLimit: { perMinute: 100_000 } });
  const { port } = await gateway.serve();
  t.teardown(gateway.close);
  let kept = 0;
  for (const { name, body, headers, status, says, accepted = 0 } of cases) {
    const connection = await rawConnection(port);
    connection.write(rawRequest(body, { ...KEY, ...headers }));
    const answer = await connection.answer();
    connection.destroy();
    const { detail, errors, code } = answer.json as { detail?: string; errors?: string[]; code?: string };
    t.equal(answer.status, status, `${name}: ${detail ?? ''}`);
    if (status === 200) t.same(errors, [], name);
    else {
      t.match(detail, says, name);
      t.type(code, 'string', name);
      t.equal(answer.json['status'], status, `${name}: status is the number`);
      t.match(answer.json['request_id'], /^req_[0-9a-f]{32}$/);
      t.equal(answer.headers.get('content-type'), 'application/problem+json');
      t.ok(answer.body.length < 40_000, `${name}: the answer is bounded`);
      t.notMatch(answer.body, SECRET, name);
    }
    kept += accepted;
    t.equal(valueOf(gateway, 'mcp_gateway_metrics_accepted_total'), kept, `${name}: what is kept`);
  }
  const { app } = gateway;
  t.equal((await app.request('/livez')).status, 200, 'and the gateway lives');
  const sum = (name: string): number => {
    const family = gateway.telemetry.collect().find((candidate) => candidate.name === name);
    return (family?.series ?? []).reduce((total, { value }) => total + (typeof value === 'number' ? value : 0), 0);
  };
  t.equal(
    sum('mcp_gateway_metrics_received_total'),
    ['accepted', 'rejected', 'refused', 'dropped', 'replayed'].reduce(
      (total, fate) => total + sum(`mcp_gateway_metrics_${fate}_total`),
      0,
    ),
    'and its books balance',
  );
  t.equal(sum('mcp_gateway_metrics_in_flight'), 0);
  t.notMatch(JSON.stringify(gateway.logged), SECRET, 'no key is in the log');
});
