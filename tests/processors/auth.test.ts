import fc from 'fast-check';
import t from 'tap';
import type { Refusal } from '../../src/core/refusal.ts';
import { auth, type AuthOptions } from '../../src/processors/auth.ts';
import { addressBlock, addressClass } from '../../src/core/remote-address.ts';
import { submission, testContext } from './context.ts';

const SECRET = `mcp_metrics_${'s'.repeat(43)}`;

async function start(options?: AuthOptions) {
  const context = testContext();
  const record = context.keys.add(SECRET, { service: 'auth-server' });
  const stage = auth(options);
  await stage.start?.(context);
  const attempt = (headers: Record<string, string>, remoteAddress = '192.0.2.1') => {
    const from = submission({ headers, remoteAddress });
    try {
      return { passed: stage.process(from) as Awaited<ReturnType<typeof stage.process>>, from };
    } catch (error) {
      return { refusal: error as Refusal, from };
    }
  };
  return { context, stage, record, attempt };
}

t.test('a key is taken from X-API-Key or from Authorization: Bearer, and its use is counted', async (t) => {
  const { attempt, context, record } = await start();
  t.match(attempt({ 'x-api-key': SECRET }).passed?.client, {
    keyId: record.id,
    service: 'auth-server',
    scopes: ['ingest'],
  });
  t.ok(attempt({ authorization: `Bearer ${SECRET}` }).passed);
  t.ok(attempt({ authorization: `bearer  ${SECRET}` }).passed, 'the scheme is case-insensitive');
  t.equal(context.keys.uses(record.id), 3);
});

t.test('each way to fail says which it is, and never what was sent', async (t) => {
  const { attempt, context } = await start();
  context.keys.add('revoked-secret');
  context.keys.end('revoked-secret', 'revoked');
  context.keys.add('expired-secret');
  context.keys.end('expired-secret', 'expired');
  for (const [headers, detail] of [
    [{}, /^No API key/],
    [{ 'x-api-key': '' }, /^No API key/],
    [{ authorization: 'Basic dXNlcjpwYXNz' }, /^No API key/],
    [{ 'x-api-key': 'wrong-secret' }, /^Unknown API key/],
    [{ 'x-api-key': `${SECRET} ` }, /^Unknown API key/],
    [{ 'x-api-key': SECRET.toUpperCase() }, /^Unknown API key/],
    [{ 'x-api-key': 'x'.repeat(15_000) }, /^Unknown API key/],
    [{ 'x-api-key': 'revoked-secret' }, /^Inactive API key: it was revoked/],
    [{ 'x-api-key': 'expired-secret' }, /^Inactive API key: it has expired/],
  ] as const) {
    const { refusal, from } = attempt(headers);
    t.equal(refusal?.code, 'unauthenticated');
    t.match(refusal?.message, detail);
    t.match(refusal?.options.headers?.['WWW-Authenticate'], /^Bearer realm="mcp-metrics"/);
    t.notMatch(JSON.stringify([refusal?.message, refusal?.options]), /wrong-secret|revoked-secret|dXNl|sssss/);
    t.equal(from.reads(), 0, 'nothing of the body was read');
  }
});

t.test('a key without the scope is refused with what is needed', async (t) => {
  const { attempt, context, stage } = await start();
  context.keys.add('reader', { scopes: ['read'] });
  const { refusal } = attempt({ 'x-api-key': 'reader' });
  t.equal(refusal?.code, 'forbidden');
  t.equal(refusal?.message, 'POST /metrics needs a key with scope ingest; this one has scope read.');
  t.same(refusal?.options.extensions, { needed: ['ingest'] });
  const headers = { get: (name: string) => (name === 'x-api-key' ? 'reader' : undefined) };
  t.ok(stage.authenticate(headers, '', ['read', 'admin'], 'GET /rate-limit'), 'one of several scopes is enough');
});

t.test("an environment's key may be any text: its bytes count, as they came over the wire", async (t) => {
  const { attempt, context } = await start();
  const secret = 'clé spéciale ✓';
  context.keys.add(secret);
  const asOnTheWire = Buffer.from(secret, 'utf8').toString('latin1');
  t.ok(attempt({ 'x-api-key': asOnTheWire }).passed);
});

t.test('failures are limited per address, and a valid key is never refused for them', async (t) => {
  const { attempt, context } = await start({ failuresPerMinutePerAddress: 3 });
  const wrong = { 'x-api-key': 'wrong' };
  for (let failed = 0; failed < 3; failed += 1) t.equal(attempt(wrong).refusal?.code, 'unauthenticated');
  const { refusal } = attempt(wrong);
  t.equal(refusal?.code, 'rate_limited');
  t.equal(refusal?.options.retryAfterSeconds, 20);
  t.ok(attempt({ 'x-api-key': SECRET }).passed, 'the same address with the right key');
  t.equal(attempt(wrong, '192.0.2.2').refusal?.code, 'unauthenticated', 'another address');
  await context.clock.advance(20_000);
  t.equal(attempt(wrong).refusal?.code, 'unauthenticated', 'after Retry-After');
});

t.test('one host cannot escape its limit by the addresses of its own IPv6 network', async (t) => {
  const { attempt } = await start({ failuresPerMinutePerAddress: 1 });
  const wrong = { 'x-api-key': 'wrong' };
  t.equal(attempt(wrong, '2001:db8:1:2::1').refusal?.code, 'unauthenticated');
  t.equal(attempt(wrong, '2001:db8:1:2:ffff::9').refusal?.code, 'rate_limited');
  t.equal(attempt(wrong, '2001:db8:1:3::1').refusal?.code, 'unauthenticated', 'the next network');
});

t.test('addresses are cut to their block', (t) => {
  for (const [address, block] of [
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['2001:db8:1:2::1', '2001:db8:1:2::/64'],
    ['2001:0DB8:0001:0002:0003:4:5:6', '2001:db8:1:2::/64'],
    ['::1', '0:0:0:0::/64'],
    ['2001:db8::', '2001:db8:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['', ''],
  ] as const) {
    t.equal(addressBlock(address), block, address);
  }
  t.end();
});

t.test('however an IPv6 address is written, its block is the same', (t) => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 0xffff }), { minLength: 8, maxLength: 8 }), (groups) => {
      const long = groups.map((group) => group.toString(16).padStart(4, '0')).join(':');
      const short = new URL(`http://[${long}]/`).hostname.slice(1, -1);
      return addressBlock(long) === addressBlock(short);
    }),
  );
  t.end();
});

t.test('addresses have a class of few values', (t) => {
  for (const [address, expected] of [
    ['127.0.0.1', 'loopback'],
    ['::1', 'loopback'],
    ['::ffff:10.1.2.3', 'private'],
    ['172.31.0.1', 'private'],
    ['172.32.0.1', 'public'],
    ['fd00::1', 'private'],
    ['2001:db8::1', 'public'],
    ['', 'unknown'],
  ] as const) {
    t.equal(addressClass(address), expected, address);
  }
  t.end();
});
