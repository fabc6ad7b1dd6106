import t from 'tap';
import { AlreadyAnswered } from '../../src/core/idempotency.ts';
import { enterPhase } from '../../src/core/brand.ts';
import type { Admitted, Receipt } from '../../src/core/phases.ts';
import type { Refusal } from '../../src/core/refusal.ts';
import { validate, type ValidateOptions } from '../../src/processors/validate.ts';
import { client, submission, testContext } from './context.ts';

const NOW = Date.UTC(2026, 0, 15, 12);
const at = (ms: number): string => new Date(NOW + ms).toISOString();

async function start(options?: ValidateOptions) {
  const context = testContext();
  const stage = validate(options);
  await stage.start?.(context);
  const run = async (body: unknown, headers: Record<string, string> = {}) => {
    const from = submission({ body: typeof body === 'string' ? body : JSON.stringify(body), headers, receivedAt: NOW });
    const admitted = enterPhase<Admitted>({ submission: from, client: client() });
    try {
      return { batch: await stage.process(admitted), books: from.books, refusal: undefined };
    } catch (error) {
      return { batch: undefined, books: from.books, refusal: error as Refusal };
    }
  };
  return { context, run };
}

const metric = (more: object = {}): object => ({ type: 'auth_request', value: 1, ...more });
const body = (metrics: readonly unknown[], more: object = {}): object => ({ service: 'a', metrics, ...more });

t.test('events are read as they are meant', async (t) => {
  const { run } = await start();
  const { batch } = await run(
    body(
      [
        metric({ dimensions: { success: 'true', method: null, n: 0 }, duration_ms: 0, extra: 1 }),
        metric({ timestamp: '2026-01-15T11:59:59.5' }),
      ],
      { version: '1.0.0', instance_id: 'a.b-1', unknown: true },
    ),
  );
  t.same(batch?.events, [
    {
      type: 'auth_request',
      timestamp: NOW,
      value: 1,
      durationMs: 0,
      dimensions: { success: true, n: 0 },
      metadata: {},
    },
    { type: 'auth_request', timestamp: NOW - 500, value: 1, dimensions: {}, metadata: {} },
  ]);
  t.same(batch?.resource, { service: 'a', version: '1.0.0', instanceId: 'a.b-1', attributes: {} });
  t.same(batch?.warnings, []);
});

t.test(
  'timestamps: five minutes ahead and the raw retention are the edges; older than a week is warned of',
  async (t) => {
    const { run } = await start();
    const day = 86_400_000;
    const { batch } = await run(
      body(
        [300_000, 300_001, -7 * day, -7 * day - 1, -8 * day, -90 * day, -90 * day - 1].map((ms) =>
          metric({ timestamp: at(ms) }),
        ),
      ),
    );
    t.same(batch?.rejected, [
      { index: 1, reason: 'timestamp' },
      { index: 6, reason: 'timestamp' },
    ]);
    t.equal(batch?.accepted, 5);
    t.match(batch?.errors[0], /^metrics\[1\]\.timestamp: must not lie after 2026-01-15T12:05:00\.000Z/);
    t.match(
      batch?.errors[1],
      /^metrics\[6\]\.timestamp: must not lie before 2025-10-17T12:00:00\.000Z: auth_request is not kept for longer/,
    );
    t.same(batch?.warnings, ['metrics[3].timestamp: older than 2026-01-08T12:00:00.000Z; so are 2 more']);
  },
);

t.test('a plain body: all of it is taken, and its events are read when somebody asks', async (t) => {
  const { run } = await start();
  const week = -7 * 86_400_000;
  const { batch, books } = await run(
    body([metric({ timestamp: at(week), dimensions: { a: 'b', c: null } }), metric()], {
      version: '1.0.0',
      instance_id: 'i-1',
    }),
  );
  t.equal(batch?.accepted, 2);
  t.same(batch?.resource, { service: 'a', version: '1.0.0', instanceId: 'i-1', attributes: {} });
  t.same([batch?.rejected, batch?.errors, batch?.errorsOmitted, batch?.warnings], [[], [], 0, []]);
  t.same(books, [['received', 2]]);
  t.same(batch?.events, [
    { type: 'auth_request', timestamp: NOW + week, value: 1, dimensions: { a: 'b' }, metadata: {} },
    { type: 'auth_request', timestamp: NOW, value: 1, dimensions: {}, metadata: {} },
  ]);
  const { batch: old } = await run(body([metric({ timestamp: at(week - 1) }), metric()]));
  t.same(old?.warnings, ['metrics[0].timestamp: older than 2026-01-08T12:00:00.000Z'], 'old, and nothing else of note');
});

t.test('how far back metrics are taken may change while the gateway runs', async (t) => {
  let days = 90;
  const { run } = await start({ maxAgeDays: () => days });
  const old = body([metric({ timestamp: at(-30 * 86_400_000) })]);
  t.equal((await run(old)).batch?.accepted, 1);
  days = 10;
  t.equal((await run(old)).refusal?.code, 'invalid');
});

t.test('errors are bounded: the first hundred, and how many more', async (t) => {
  const { run } = await start();
  const { batch, books } = await run(body([metric(), ...Array.from({ length: 4999 }, () => metric({ value: -1 }))]));
  t.equal(batch?.errors.length, 100);
  t.equal(batch?.errorsOmitted, 4899);
  t.equal(batch?.rejected.length, 4999);
  t.same(books, [
    ['received', 5000],
    ['rejected', 'value', 4999],
  ]);
});

t.test('nothing acceptable is refused with what was wrong', async (t) => {
  const { run } = await start();
  const { refusal, books } = await run(body([metric({ type: 'x' }), 7]));
  t.equal(refusal?.code, 'invalid');
  t.match(refusal?.message, /^None of the 2 metrics can be taken: metrics\[0\]\.type: must be one of/);
  t.match(refusal?.options.extensions, { accepted: 0, rejected: 2, errors: { length: 2 }, warnings: [] });
  t.same(books, [
    ['received', 2],
    ['rejected', 'type', 1],
    ['rejected', 'shape', 1],
  ]);
});

t.test('names of members come back escaped and cut, values and keys not at all', async (t) => {
  const { run } = await start();
  const secret = `mcp_metrics_${'q'.repeat(43)}`;
  const { refusal } = await run(
    body([
      metric({ dimensions: { ['k'.repeat(5000)]: 1, '\u001b[31m\n': 1, [secret]: 'x', [`-${secret}`]: 2 } }),
      metric({ type: secret }),
      metric({ timestamp: secret }),
    ]),
  );
  const text = [refusal?.message, refusal?.options.extensions?.['errors']].flat().join(' ');
  t.notMatch(text, /qqqq/);
  t.notOk(text.includes('\u001b') || text.includes('\n'));
  t.notMatch(text, /k{65}/);
  t.match(text, /metrics\[0\]\.dimensions\.\\u001b\[31m/, 'the name of a member, escaped');
  t.match(text, /metrics\[0\]\.dimensions\.mcp_metrics_…/);
});

t.test('the key that came with the request never comes back, whatever text it is', async (t) => {
  const { run } = await start();
  const secret = 'changed-key-1234567890';
  for (const headers of [{ 'x-api-key': secret }, { authorization: `Bearer ${secret}` }]) {
    const { refusal } = await run(
      body([metric({ dimensions: { [secret]: 'x', [`${'a'.repeat(50)}-${secret}`]: 1 } })]),
      headers,
    );
    const text = [refusal?.message, refusal?.options.extensions?.['errors']].flat().join(' ');
    t.match(text, 'metrics[0].dimensions.[key]');
    t.notMatch(text, /changed|1234/);
  }
});

t.test('a version that is not semantic is taken with a warning', async (t) => {
  const { run } = await start();
  t.same((await run(body([metric()], { version: '2026.01' }))).batch?.warnings, [
    'version: not a semantic version such as 1.4.2',
  ]);
  t.same((await run(body([metric()], { version: null }))).batch?.warnings, []);
});

t.test('a limit that makes no sense stops the start', (t) => {
  t.throws(() => validate({ maxMetrics: 0 }), { message: 'validate: maxMetrics must be a number above 0; got 0' });
  t.throws(() => validate({ maxDimensions: Number.NaN }));
  t.end();
});

t.test('Idempotency-Key: claimed before parsing, released when the request is refused', async (t) => {
  const { run, context } = await start();
  const headers = { 'idempotency-key': 'batch-1' };
  t.equal((await run(body([]), headers)).refusal?.code, 'invalid');
  t.equal((await run('not json', headers)).refusal?.code, 'malformed');
  t.equal(context.idempotency.size(), 0, 'no trace of the key');
  const { batch } = await run(body([metric()]), headers);
  t.match(batch?.source.idempotency, { key: 'batch-1', bodyHash: /^[0-9a-f]{64}$/ });
  t.equal((await run(body([metric()]), headers)).refusal?.code, 'conflict', 'while the first is in flight');
  t.equal((await run(body([metric(), metric()]), headers)).refusal?.code, 'invalid', 'another body');
  const receipt: Receipt = {
    requestId: 'req_1',
    accepted: 1,
    rejected: 0,
    dropped: 0,
    errors: [],
    errorsOmitted: 0,
    warnings: [],
  };
  context.idempotency.settle('key_1', batch!.source.idempotency!, receipt, 1, NOW);
  const again = await run(body([metric()]), headers);
  t.type(again.refusal, AlreadyAnswered);
  t.equal((again.refusal as unknown as AlreadyAnswered).receipt, receipt);
  t.same(again.books, [], 'a replayed body is not parsed');
});

t.test('Idempotency-Key: quotes of a structured field are taken off; what is no key is refused', async (t) => {
  const { run } = await start();
  const good = body([metric()]);
  t.equal((await run(good, { 'idempotency-key': '"8e03978e-40d5"' })).batch?.source.idempotency?.key, '8e03978e-40d5');
  t.equal((await run(good, { 'idempotency-key': 'k'.repeat(128) })).batch?.accepted, 1);
  for (const key of ['', '""', 'k'.repeat(129), 'a\u0001b', 'clé']) {
    t.equal((await run(good, { 'idempotency-key': key })).refusal?.code, 'malformed', JSON.stringify(key));
  }
});

t.test('content types: JSON with its relatives, or none at all', async (t) => {
  const { run } = await start();
  for (const [type, code] of [
    ['application/json', undefined],
    ['application/json; charset=UTF-8', undefined],
    ['Application/JSON;charset="utf-8"', undefined],
    ['application/vnd.mcp+json', undefined],
    ['text/plain', 'unsupported_media'],
    ['application/x-www-form-urlencoded', 'unsupported_media'],
    ['application/json; charset=utf-16', 'unsupported_media'],
    ['application/jsonp', 'unsupported_media'],
    ['', 'unsupported_media'],
  ] as const) {
    t.equal((await run(body([metric()]), { 'content-type': type })).refusal?.code, code, type);
  }
});
