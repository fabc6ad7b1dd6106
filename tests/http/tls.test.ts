import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { goodBody, SECRET, testGateway } from './gateway.ts';
import { rawConnection, rawRequest } from './raw-connection.ts';
import { folderOf } from '../support/folder.ts';

/** A certificate for this test alone; undefined where the machine has no openssl. */
function certificate(directory: string): { cert: Buffer; key: Buffer } | undefined {
  const cert = join(directory, 'cert.pem');
  const key = join(directory, 'key.pem');
  try {
    execFileSync(
      'openssl',
      [
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:prime256v1',
        '-nodes',
        '-days',
        '1',
        '-subj',
        '/CN=localhost',
        '-keyout',
        key,
        '-out',
        cert,
      ],
      { stdio: 'ignore' },
    );
  } catch {
    return undefined;
  }
  return { cert: readFileSync(cert), key: readFileSync(key) };
}

t.test('with a certificate the same surface is served over TLS', async (t) => {
  const tls = certificate(folderOf(t));
  if (tls === undefined) {
    t.pass('served over TLS', { skip: 'openssl is not installed: no certificate to test with' });
    return;
  }
  const gateway = await testGateway({ listen: { tls } });
  const { port, protocol } = await gateway.serve();
  t.teardown(gateway.close);
  t.equal(protocol, 'https');
  const connection = await rawConnection(port, { tls: true });
  connection.write(rawRequest(goodBody(2), { 'X-API-Key': SECRET }));
  const answer = await connection.answer();
  t.equal(answer.status, 200);
  t.match(answer.headers.get('strict-transport-security'), /^max-age=\d+/);
  connection.write('nonsense\r\n\r\n');
  t.equal((await connection.answer()).status, 400, 'what is no HTTP is answered as well');
  connection.destroy();

  const plain = await rawConnection(port);
  plain.write(rawRequest(goodBody(), { 'X-API-Key': SECRET }));
  await plain.closed();
  t.equal(plain.pending(), '', 'plain HTTP on a TLS port gets nothing');
});
