import { createHash } from 'node:crypto';
import fc from 'fast-check';
import t from 'tap';
import { createMetricsClient } from '../../src/client/index.ts';
import { sha256 } from '../../src/client/user-hash.ts';

t.test('SHA-256 is that of node:crypto for any text', async () => {
  const same = (text: string): boolean => sha256(text) === createHash('sha256').update(text, 'utf8').digest('hex');
  fc.assert(fc.property(fc.string({ unit: 'grapheme' }), same), { numRuns: 500 });
  // Every length around the padding's edges.
  for (let length = 0; length < 300; length += 1) if (!same('x'.repeat(length))) throw new Error(`length ${length}`);
});

t.test('a user is 12 hexadecimal digits, salted by default with what only this service knows', async (t) => {
  const client = createMetricsClient({ apiKey: 'secret-1' });
  const other = createMetricsClient({ apiKey: 'secret-2' });
  t.match(client.hashUser('alice'), /^[0-9a-f]{12}$/);
  t.equal(client.hashUser('alice'), client.hashUser('alice'));
  t.not(client.hashUser('alice'), client.hashUser('bob'));
  t.not(client.hashUser('alice'), other.hashUser('alice'));
  t.not(client.hashUser('alice'), createHash('sha256').update('alice').digest('hex').slice(0, 12));
});

t.test('services that share a salt give the same user the same hash', async (t) => {
  const [a, b] = ['1', '2'].map((apiKey) => createMetricsClient({ apiKey, userHashSalt: 'ours' }).hashUser('alice'));
  t.equal(a, b);
});

t.test('an empty salt gives what deployed Python emitters send', async (t) => {
  const client = createMetricsClient({ apiKey: 'k', userHashSalt: '' });
  // hashlib.sha256("alice".encode()).hexdigest()[:12]
  t.equal(client.hashUser('alice'), '2bd806c97f0e');
});

t.test('nobody has no hash', async (t) => {
  const client = createMetricsClient({ apiKey: 'k' });
  for (const nobody of ['', null, undefined]) t.equal(client.hashUser(nobody), '');
});
