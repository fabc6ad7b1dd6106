import t from 'tap';
import { enterPhase } from '../../src/core/brand.ts';
import type { Admitted, Enriched } from '../../src/core/phases.ts';
import { readRecord } from '../../src/core/record.ts';
import { Refusal } from '../../src/core/refusal.ts';
import { buffer } from '../../src/processors/buffer.ts';
import { enrich, type EnrichOptions } from '../../src/processors/enrich.ts';
import { validate } from '../../src/processors/validate.ts';
import { client, submission, type TestContext, testContext } from './context.ts';

const BODY = JSON.stringify({
  service: 'claimed',
  metrics: [
    { type: 'auth_request', value: 1, dimensions: { success: 'true' } },
    { type: 'auth_request', value: -1 },
    { type: 'custom', value: 2, dimensions: { metric_name: 'x' } },
  ],
});

async function throughEnrich(context: TestContext, headers = {}, options?: EnrichOptions): Promise<Enriched> {
  const first = validate();
  const second = enrich(options);
  await first.start?.(context);
  const from = submission({ body: BODY, headers });
  return second.process(
    await first.process(enterPhase<Admitted>({ submission: from, client: client({ service: 'of-the-key' }) })),
  );
}

async function ended(context: TestContext) {
  const stage = buffer();
  await stage.start?.(context);
  return stage;
}

t.test("the request's own bytes are appended, and the receipt tells what became of the metrics", async (t) => {
  const context = testContext();
  const stage = await ended(context);
  const receipt = await stage.process(await throughEnrich(context, {}, { attributes: { region: 'eu', shard: 3 } }));
  t.match(receipt, { accepted: 2, rejected: 1, dropped: 0, errors: { length: 1 }, errorsOmitted: 0, warnings: [] });
  const [entry] = context.appended;
  t.equal(Buffer.from(entry!.payload).toString(), BODY);
  t.equal(entry?.metrics, 2);
  t.match(readRecord(entry!), {
    envelope: { format: 'json', keyService: 'of-the-key', rejected: [1] },
    resource: { service: 'claimed', attributes: { region: 'eu', shard: 3 } },
    events: [{ dimensions: { success: true } }, { type: 'custom' }],
  });
});

t.test("with a stage of the user's own in the chain its outcome is appended, and what it dropped is not", async (t) => {
  const context = testContext({ builtInOnly: false });
  const stage = await ended(context);
  const batch = await throughEnrich(context);
  const redacted = { ...batch, events: batch.events.slice(1) };
  t.match(await stage.process(redacted), { accepted: 1, rejected: 1, dropped: 1 });
  const { payload, metrics } = context.appended[0]!;
  t.equal(metrics, 1);
  t.notMatch(Buffer.from(payload).toString(), /success/, 'what a stage left out is never on disk');
});

t.test('a batch that was emptied on purpose leaves nothing in the journal', async (t) => {
  const context = testContext({ builtInOnly: false });
  const stage = await ended(context);
  const batch = await throughEnrich(context);
  t.match(await stage.process({ ...batch, events: [] }), { accepted: 0, dropped: 2 });
  t.same(context.appended, []);
});

t.test('unless a retry is to get the same answer', async (t) => {
  const context = testContext({ builtInOnly: false });
  const stage = await ended(context);
  const batch = await throughEnrich(context, { 'idempotency-key': 'k' });
  const receipt = await stage.process({ ...batch, events: [] });
  t.equal(context.appended.length, 1);
  t.match(readRecord(context.appended[0]!).envelope, { idempotency: { key: 'k' }, receipt: { dropped: 2 } });
  t.equal(context.idempotency.claim('key_1', batch.source.idempotency!), receipt, 'settled');
});

t.test('what the journal refuses is refused', async (t) => {
  const context = testContext({ append: () => Promise.reject(new Refusal('overloaded', 'full')) });
  const stage = await ended(context);
  await t.rejects(Promise.resolve(stage.process(await throughEnrich(context))), { code: 'overloaded' });
});
