import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { createMetricsClient } from '../../src/client/index.ts';
import { sha256 } from '../../src/client/user-hash.ts';
import { ROOT } from '../support/root.ts';

t.test('SHA-256 is that of node:crypto for any text', async () => {
  const hex = (words: Int32Array): string => Buffer.from(words.buffer).swap32().toString('hex');
  const same = (text: string): boolean => hex(sha256(text)) === createHash('sha256').update(text, 'utf8').digest('hex');
  fc.assert(fc.property(fc.string({ unit: 'grapheme' }), same), { numRuns: 500 });
  // Every length around the padding's edges, and around those of the room that is kept.
  for (let length = 0; length < 300; length += 1) if (!same('x'.repeat(length))) throw new Error(`length ${length}`);
});

interface Vector {
  readonly why: string;
  readonly apiKey: string;
  readonly environmentSalt: string | null;
  readonly optionSalt: string | null;
  readonly user: string;
  readonly hash: string;
}

// The Python client and nginx are held to the same file.
const vectors = JSON.parse(readFileSync(join(ROOT, 'clients/user-hash-vectors.json'), 'utf8')) as readonly Vector[];

for (const { why, apiKey, environmentSalt, optionSalt, user, hash } of vectors) {
  t.test(`hashes are those of every client: ${why}`, async (t) => {
    const { METRICS_USER_HASH_SALT: before } = process.env;
    t.teardown(() => {
      if (before !== undefined) process.env['METRICS_USER_HASH_SALT'] = before;
      else delete process.env['METRICS_USER_HASH_SALT'];
    });
    if (environmentSalt === null) delete process.env['METRICS_USER_HASH_SALT'];
    else process.env['METRICS_USER_HASH_SALT'] = environmentSalt;
    const client = createMetricsClient({ apiKey, ...(optionSalt !== null && { userHashSalt: optionSalt }) });
    t.equal(client.hashUser(user), hash);
  });
}

t.test('users are told apart, and so are the same names of services with keys of their own', async (t) => {
  const client = createMetricsClient({ apiKey: 'secret-1' });
  const other = createMetricsClient({ apiKey: 'secret-2' });
  t.match(client.hashUser('alice'), /^[0-9a-f]{12}$/);
  t.equal(client.hashUser('alice'), client.hashUser('alice'));
  t.not(client.hashUser('alice'), client.hashUser('bob'));
  t.not(client.hashUser('alice'), other.hashUser('alice'));
});

t.test('nobody has no hash', async (t) => {
  const client = createMetricsClient({ apiKey: 'k' });
  for (const nobody of ['', null, undefined]) t.equal(client.hashUser(nobody), '');
});
