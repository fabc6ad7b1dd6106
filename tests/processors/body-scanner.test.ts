/** The pass over a body's bytes is sure or silent: what it takes in, the close look takes whole and without a warning. */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import t from 'tap';
import type { JsonBody, JsonMetric } from '../../src/core/json-events.ts';
import { parseTimestamp } from '../../src/core/timestamp.ts';
import { isBody } from '../../src/processors/validate/body-checker.ts';
import { createBodyScanner } from '../../src/processors/validate/body-scanner.ts';
import { parseJson } from '../../src/processors/validate/json-text.ts';
import { createMetricChecker } from '../../src/processors/validate/metric-checker.ts';
import {
  DAY_MS,
  DEFAULT_LIMITS,
  type MetricLimits,
  moveWindow,
  newWindow,
  SEMANTIC_VERSION,
} from '../../src/processors/validate/metric-limits.ts';
import { metric } from './hostile-values.ts';

const NOW = Date.UTC(2026, 10, 22, 8, 20);
const WARN_BEFORE = NOW - 7 * DAY_MS;
const WINDOW = newWindow();
moveWindow(WINDOW, NOW, 300_000, (type) => (type === 'custom' ? 3 : 90));

const recorded = readFileSync(new URL('../fixtures/auth-server.ndjson', import.meta.url), 'utf8')
  .trim()
  .split('\n');

function scan(text: string | Uint8Array, limits: MetricLimits = DEFAULT_LIMITS) {
  const bytes = typeof text === 'string' ? Buffer.from(text) : text;
  return createBodyScanner(limits).scan(bytes, WINDOW, WARN_BEFORE);
}

/** What the close look finds where it has nothing to say; undefined where it has. */
function lookClosely(bytes: Uint8Array, limits: MetricLimits) {
  let body: unknown;
  try {
    body = parseJson(bytes);
  } catch {
    return undefined;
  }
  if (!isBody(body, limits)) return undefined;
  const checker = createMetricChecker(limits);
  checker.reset(true);
  if (!body.metrics.every((item) => checker.check(item, WINDOW) === undefined)) return undefined;
  if (checker.earliest() < WARN_BEFORE) return undefined;
  const { service, version, instance_id: instanceId, metrics } = body;
  if (typeof version === 'string' && !SEMANTIC_VERSION.test(version)) return undefined;
  return { service, version: version ?? undefined, instanceId: instanceId ?? undefined, metrics: metrics.length };
}

/** How often a text was taken in, and how often the close look alone took it. */
interface Verdicts {
  plain: number;
  left: number;
}

const isSure = (bytes: Uint8Array, limits: MetricLimits, verdicts: Verdicts): boolean => {
  const found = scan(bytes, limits);
  if (found === undefined) {
    verdicts.left += 1;
    return true;
  }
  verdicts.plain += 1;
  return JSON.stringify(found) === JSON.stringify(lookClosely(bytes, limits));
};

const RUNS = Number(process.env['SCANNER_RUNS'] ?? 10_000);

/** JSON as `JSON.stringify` and as Python's `json.dumps` write it, and with as many spaces as there can be. */
const written = (body: unknown, style: 'short' | 'python' | 'long'): string => {
  if (style === 'short') return JSON.stringify(body);
  const long = JSON.stringify(body, null, '\t');
  if (style === 'long') return ` \r\n${long} \n`;
  return long.replaceAll(/(?<=[{[])\n\t*|\n\t*(?=[}\]])/g, '').replaceAll(/\n\t*/g, ' ');
};

/** Metrics as they were recorded, with up to two members of others in their place. */
const changed = fc
  .tuple(
    fc.constantFrom(...recorded.slice(0, 300)),
    metric(NOW),
    fc.subarray(['type', 'value', 'timestamp', 'duration_ms', 'dimensions', 'metadata', 'unknown'], { maxLength: 2 }),
  )
  .map(([line, other, members]) => {
    const [item] = (JSON.parse(line) as { metrics: Record<string, unknown>[] }).metrics;
    for (const member of members) item![member] = (other as Record<string, unknown> | null | undefined)?.[member];
    return item;
  });

t.test('whatever is made of right and hostile values', (t) => {
  const verdicts = { plain: 0, left: 0 };
  const style = fc.constantFrom('short', 'python', 'long');
  const metrics = fc.array(fc.oneof({ weight: 9, arbitrary: changed }, metric(NOW)), { minLength: 1, maxLength: 3 });
  fc.assert(
    fc.property(metrics, style, (metrics, how) =>
      isSure(Buffer.from(written({ service: 'a', version: '1.0.0', metrics }, how)), DEFAULT_LIMITS, verdicts),
    ),
    { numRuns: RUNS },
  );
  t.ok(verdicts.plain > RUNS / 20 && verdicts.left > RUNS / 20, JSON.stringify(verdicts));
  t.end();
});

t.test('whatever becomes of a recorded body when bytes are changed, lost, doubled or moved', (t) => {
  const verdicts = { plain: 0, left: 0 };
  // Small limits, so that a doubled stretch goes past them.
  const limits: MetricLimits = {
    ...DEFAULT_LIMITS,
    maxMetrics: 2,
    maxDimensionKeyLength: 14,
    maxMetadataLength: 22,
    // What is counted may be limited by a fraction.
    maxDimensions: 8.5,
    maxDimensionValueLength: 20.5,
    maxMetadataFields: 9.5,
    maxMetadataKeyLength: 17.5,
    maxValue: 12.5,
    maxDurationMs: 40,
  };
  const byte = fc.oneof(
    fc.constantFrom(...Array.from('"\\{}[],:.-+eE0123456789truefalsn uT Z/_\n\t', (each) => each.charCodeAt(0))),
    fc.integer({ min: 0, max: 255 }),
  );
  const change = fc.record({
    kind: fc.constantFrom('set', 'insert', 'delete', 'double', 'move'),
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    to: fc.double({ min: 0, max: 1, noNaN: true }),
    length: fc.integer({ min: 1, max: 30 }),
    byte,
  });
  type Change = typeof change extends fc.Arbitrary<infer Made> ? Made : never;
  const apply = (bytes: number[], { kind, at, to, length, byte: value }: Change): void => {
    const place = Math.floor(at * bytes.length);
    if (kind === 'set') bytes[place] = value;
    else if (kind === 'insert') bytes.splice(place, 0, value);
    else if (kind === 'delete') bytes.splice(place, length > 15 ? 1 : length);
    else if (kind === 'double') bytes.splice(place, 0, ...bytes.slice(place, place + length));
    else bytes.splice(Math.floor(to * bytes.length), 0, ...bytes.splice(place, length));
  };
  const one = fc.constantFrom(...recorded.slice(0, 300));
  fc.assert(
    fc.property(one, one, fc.array(change, { minLength: 0, maxLength: 3 }), (first, second, changes) => {
      const body = JSON.parse(first) as { metrics: unknown[] };
      body.metrics.push(...(JSON.parse(second) as { metrics: unknown[] }).metrics);
      const bytes = [...Buffer.from(JSON.stringify(body))];
      for (const each of changes) apply(bytes, each);
      return isSure(Uint8Array.from(bytes), limits, verdicts);
    }),
    { numRuns: RUNS },
  );
  t.ok(verdicts.plain > RUNS / 20 && verdicts.left > RUNS / 20, JSON.stringify(verdicts));
  t.end();
});

t.test('every recorded body is plain, whoever writes the JSON', (t) => {
  for (const style of ['short', 'python', 'long'] as const) {
    const closer = recorded.filter((line) => scan(written(JSON.parse(line), style)) === undefined);
    t.strictSame(closer, [], style);
  }
  t.end();
});

t.test('timestamps are read as parseTimestamp reads them', (t) => {
  const two = (max: number) => fc.integer({ min: 0, max }).map((number) => String(number).padStart(2, '0'));
  const text = fc
    .tuple(
      fc.integer({ min: 2020, max: 2030 }),
      two(13),
      two(32),
      fc.constantFrom('T', 'T', 'T', 't', ' ', '_'),
      two(24),
      two(60),
      two(61),
      fc.oneof(
        fc.constant(''),
        fc.integer({ min: 0, max: 46 }).map((digits) => `.${'0123456789'.repeat(5).slice(0, digits)}`),
      ),
      fc.constantFrom('', 'Z', 'z', '+00:00', '-00:00', '+01:00', '+0000'),
    )
    .map(
      ([year, month, day, t, hour, minute, second, fraction, offset]) =>
        `${year}-${month}-${day}${t}${hour}:${minute}:${second}${fraction}${offset}`,
    );
  const scanner = createBodyScanner(DEFAULT_LIMITS);
  const taken = (body: Buffer, from: number, to: number): boolean => {
    const window = newWindow();
    window.latest = to;
    return scanner.scan(body, window, from) !== undefined;
  };
  let plain = 0;
  fc.assert(
    fc.property(text, (timestamp) => {
      const body = Buffer.from(`{"service":"a","metrics":[{"type":"custom","value":1,"timestamp":"${timestamp}"}]}`);
      if (!taken(body, 0, 8.64e15)) return true;
      plain += 1;
      const at = parseTimestamp(timestamp);
      return taken(body, at, at) && !taken(body, at + 1, 8.64e15) && !taken(body, 0, at - 1);
    }),
    { numRuns: RUNS },
  );
  t.ok(plain > RUNS / 50, `${plain} were plain`);
  t.end();
});

t.test('the body around the metrics', (t) => {
  const one = '[{"type":"custom","value":1}]';
  const all = [
    `{"service":"a","metrics":${one}}`,
    `{"metrics":${one},"instance_id":"i.1","version":"v1.2.3-rc.1","service":"a-B_9"}`,
    `\t{ "service"\r:\n"a" , "metrics" : ${one} } `,
  ];
  for (const text of all) t.same(scan(text), lookClosely(Buffer.from(text), DEFAULT_LIMITS), encodeURI(text));
  for (const text of [
    ...['a b', 'é', 'a\\/b', '', 'a.b'].map((service) => `{"service":"${service}","metrics":${one}}`),
    ...['1.0', 'latest', '', '1.0.0\\n', 'é'].map(
      (version) => `{"service":"a","version":"${version}","metrics":${one}}`,
    ),
    ...['a b', '', 'é', 'a/b'].map((id) => `{"service":"a","instance_id":"${id}","metrics":${one}}`),
    ...['1', 'null', '["a"]', '{}'].map((service) => `{"service":${service},"metrics":${one}}`),
    ...['\f', '\v', '\u00a0', '\0', '\u2028'].flatMap((space) => [
      `${space}{"service":"a","metrics":${one}}`,
      `{"service":${space}"a","metrics":${one}}`,
      `{"service":"a","metrics":${one}}${space}`,
    ]),
    '{}',
    '[]',
    ' ',
    '',
    '{"service":"a"}',
    '{"service":"a","metrics":[]}',
    '{"service":"a","metrics":{}}',
    '{"service":"a","metrics":"x"}',
    `{"metrics":${one}}`,
    `{"service":"a","metrics":${one},"metrics":"x"}`,
    `{"service":"a","metrics":${one},"metrics":[]}`,
    `{"service":"a","metrics":${one},"service":"b c"}`,
    `{"service":"a","metrics":${one},}`,
    `{"service":"a" "metrics":${one}}`,
    '{"service":"a","metrics":[{"type":"custom","value":1},]}',
    '{"service":"a","metrics":[{"type":"custom","value":1,"dimensions":{"__proto__":1}}]}',
    '{"service":"a","metrics":[{"type":"custom","value":1,"metadata":{"__proto__":1}}]}',
  ]) {
    t.notOk(scan(text), encodeURI(text));
    t.notOk(lookClosely(Buffer.from(text), DEFAULT_LIMITS), 'nor taken without a word');
  }
  // Right, if odd: the last one counts, which is for the close look to find out.
  t.notOk(scan(`{"service":"a","metrics":${one},"metrics":${one}}`), 'metrics twice');
  t.notOk(scan(`{"service":"a","metrics":${one},"service":"b"}`), 'a name twice');
  t.end();
});

t.test('a text far beyond its limit is not read to its end', (t) => {
  const long = 'x'.repeat(1_000_000);
  const scanner = createBodyScanner(DEFAULT_LIMITS);
  for (const [what, text] of [
    ['service', `{"service":"${long}","metrics":[{"type":"custom","value":1}]}`],
    ['metadata', `{"service":"a","metrics":[{"type":"custom","value":1,"metadata":{"a":"${long}"}}]}`],
  ] as const) {
    let reads = 0;
    const bytes = new Proxy(Buffer.from(text), {
      get: (target, key) => {
        if (typeof key === 'string' && /^\d+$/.test(key)) reads += 1;
        const value: unknown = Reflect.get(target, key, target);
        return value;
      },
    });
    t.equal(scanner.scan(bytes, WINDOW, WARN_BEFORE), undefined, what);
    t.ok(reads < 5_000, `${what}: ${reads} bytes were looked at one by one`);
  }
  t.end();
});

t.test('each limit, at its edge', (t) => {
  const limits: MetricLimits = {
    maxMetrics: 2,
    maxServiceLength: 3,
    maxVersionLength: 5,
    maxInstanceIdLength: 4,
    maxValue: 10,
    maxDurationMs: 100,
    maxDimensions: 2,
    maxDimensionKeyLength: 3,
    maxDimensionValueLength: 4,
    maxMetadataFields: 2,
    maxMetadataKeyLength: 3,
    maxMetadataLength: 4,
  };
  const body = (change: object, metric: object = {}, metrics = 1): string =>
    JSON.stringify({
      service: 'abc',
      version: '1.0.0',
      instance_id: 'i-12',
      metrics: Array.from({ length: metrics }, () => ({ type: 'custom', value: 9, ...metric })),
      ...change,
    });
  const edges: readonly (readonly [what: string, at: string, beyond: string])[] = [
    ['maxMetrics', body({}, {}, 2), body({}, {}, 3)],
    ['maxServiceLength', body({}), body({ service: 'abcd' })],
    ['maxVersionLength', body({}), body({ version: '1.0.10' })],
    ['maxInstanceIdLength', body({}), body({ instance_id: 'i-123' })],
    ['maxValue', body({}, { value: 9.99 }), body({}, { value: 10.01 })],
    ['maxDurationMs', body({}, { duration_ms: 99.99 }), body({}, { duration_ms: 100.5 })],
    ['maxDimensions', body({}, { dimensions: { a: 1, b: 2 } }), body({}, { dimensions: { a: 1, b: 2, c: 3 } })],
    ['maxDimensionKeyLength', body({}, { dimensions: { abc: 1 } }), body({}, { dimensions: { abcd: 1 } })],
    ['maxDimensionValueLength', body({}, { dimensions: { a: 'abcd' } }), body({}, { dimensions: { a: 'abcde' } })],
    ['maxMetadataFields', body({}, { metadata: { a: 1, b: 2 } }), body({}, { metadata: { a: 1, b: 2, c: 3 } })],
    ['maxMetadataKeyLength', body({}, { metadata: { abc: 1 } }), body({}, { metadata: { abcd: 1 } })],
    ['maxMetadataLength', body({}, { metadata: { a: 'abcd' } }), body({}, { metadata: { a: 'abcde' } })],
  ];
  for (const [what, at, beyond] of edges) {
    t.ok(scan(at, limits), `${what}: plain`);
    t.ok(lookClosely(Buffer.from(at), limits), `${what}: and taken`);
    t.notOk(scan(beyond, limits), `${what}: beyond`);
  }
  t.end();
});

t.test('what is right and not plain is left to the close look', (t) => {
  const item = (members: string): string => `{"service":"a","metrics":[{"type":"custom","value":1${members}}]}`;
  for (const [what, text] of [
    ['a member of the body that nobody knows', '{"service":"a","x":1,"metrics":[{"type":"custom","value":1}]}'],
    ['a member of a metric that nobody knows', item(',"unit":"ms"')],
    ['a member twice', item(',"value":2')],
    ['a name that is written with an escape', item(',"dimensions":{"\\u0061":1}')],
    ['text with \\u', item(',"metadata":{"a":"\\u00e9"}')],
    ['an exponent', item(',"duration_ms":1e1')],
    ['objects within metadata', item(',"metadata":{"a":{"b":1}}')],
    ['no dimensions, said by null', item(',"dimensions":null')],
    ['no version, said by null', '{"service":"a","version":null,"metrics":[{"type":"custom","value":1}]}'],
    ['a byte order mark', `\ufeff${item('')}`],
  ] as const) {
    t.notOk(scan(text), what);
    t.ok(lookClosely(Buffer.from(text), DEFAULT_LIMITS), `${what}: taken`);
  }
  t.end();
});

t.test('what is no JSON, or no text, is not plain', (t) => {
  const values = [
    '01',
    '00',
    '1.',
    '.5',
    '-',
    '-.5',
    '+1',
    '1x',
    '1.5.5',
    '1e5x',
    'tru',
    'nul',
    'falsy',
    "'a'",
    '',
    '"a',
    'a"',
  ];
  const texts = [...values, '"\n"', '"\t"', '"\\x"', '"\\"', '9'.repeat(400), '[1]', '{}'].map(
    (value) => `{"service":"a","metrics":[{"type":"custom","value":1,"dimensions":{"a":${value}}}]}`,
  );
  for (const text of [
    ...texts,
    ...values.map((value) => `{"service":"a","metrics":[{"type":"custom","value":${value}}]}`),
  ]) {
    t.notOk(scan(text), text.slice(0, 100));
    t.notOk(lookClosely(Buffer.from(text), DEFAULT_LIMITS), 'nor taken');
  }
  const before = '{"service":"a","metrics":[{"type":"custom","value":1,"metadata":{"a":"';
  const after = '"}}]}';
  const withBytes = (...bytes: number[]): Buffer =>
    Buffer.concat([Buffer.from(before), Buffer.from(bytes), Buffer.from(after)]);
  t.ok(scan(withBytes(0xc3, 0xa9)), 'é');
  for (const bytes of [[0xe9], [0xc3], [0xed, 0xa0, 0x80], [0xff], [0xc0, 0xaf]])
    t.notOk(scan(withBytes(...bytes)), `bytes ${bytes.join(' ')}`);
  t.end();
});

t.test('what follows or is missing at the end of a body is seen', (t) => {
  const whole = '{"service":"a","metrics":[{"type":"custom","value":1,"dimensions":{"a":"b"},"metadata":{"c":"d"}}]}';
  t.ok(scan(whole));
  t.ok(scan(`${whole}\n\n`), 'spaces may follow');
  for (let length = 0; length < whole.length; length += 1)
    if (scan(whole.slice(0, length)) !== undefined) t.fail(`cut after ${length} bytes`);
  for (const more of ['}', ']}', ',{}', whole, '\u0000', 'x']) t.notOk(scan(whole + more), JSON.stringify(more));
  t.notOk(scan(Buffer.concat([Buffer.from(whole), Buffer.from([0xff]), Buffer.from('}')])));
  t.end();
});

t.test('text beyond ASCII is plain where it is UTF-8', (t) => {
  const text = '{"service":"a","metrics":[{"type":"custom","value":1,"metadata":{"größe":"日本 😀 \\n"}}]}';
  t.ok(scan(text));
  const broken = Buffer.from(text);
  broken[broken.indexOf(0xf0) + 1] = 0x22;
  t.notOk(scan(broken), 'a character cut short');
  t.end();
});

t.test('metrics that are old by their type, or for everybody', (t) => {
  const at = (type: string, days: number): string =>
    JSON.stringify({
      service: 'a',
      metrics: [{ timestamp: new Date(NOW - days * DAY_MS).toISOString(), value: 1, type }],
    } satisfies JsonBody & { metrics: readonly (Omit<JsonMetric, 'type'> & { type: string })[] });
  t.ok(scan(at('custom', 3)), 'as old as its type is kept');
  t.notOk(scan(at('custom', 3.001)), 'older: refused');
  t.ok(scan(at('auth_request', 7)), 'as old as goes without a warning');
  t.notOk(scan(at('auth_request', 7.001)), 'older: taken with one');
  t.notOk(scan(at('auth_request', -0.01)), 'from the future');
  t.end();
});
