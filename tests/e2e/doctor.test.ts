/** `mcp-metrics doctor` on broken set-ups: each with the right finding, and the right advice. */
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import t from 'tap';
import { checkNode } from '../../src/cli/doctor/node.ts';
import { selfSigned } from '../sinks/otel/self-signed.ts';
import { runCli } from '../support/cli.ts';
import { freePort } from '../support/free-port.ts';
import { ROOT } from '../support/root.ts';
import { waitFor } from '../support/wait-for.ts';

const directory = mkdtempSync(join(tmpdir(), 'doc-'));
t.teardown(() => rmSync(directory, { recursive: true, force: true }));
const database = join(directory, 'metrics.db');
const [port, scrapePort] = [await freePort(), await freePort()];
const healthy = {
  SQLITE_DB_PATH: database,
  METRICS_SERVICE_PORT: String(port),
  OTEL_PROMETHEUS_PORT: String(scrapePort),
  METRICS_API_KEY_TEST: 'a key for the doctor',
};

const examine = async (env: Readonly<Record<string, string>>, ...args: string[]) => {
  const { stdout, code } = await runCli({ ...healthy, ...env }, 'doctor', '--json', ...args);
  return { code, findings: JSON.parse(stdout) as { check: string; status: string; detail: string; advice?: string }[] };
};
/** Exits 1 for a fault, 0 for a warning; all that is no trouble is told as such. */
const finds = async (
  name: string,
  [check, status, detail, advice]: readonly [string, 'warning' | 'fault', RegExp, RegExp],
  env: Readonly<Record<string, string>>,
  ...args: string[]
) => {
  const { code, findings } = await examine(env, ...args);
  const found = findings.find((each) => each.check === check);
  t.match({ code, ...found }, { code: status === 'fault' ? 1 : 0, status, detail, advice }, name);
};
/** A config file of its own, within the checkout's reach of imports. */
const config = (name: string, extra: string): string => {
  const path = join(directory, name);
  writeFileSync(
    path,
    `import { auth, buffer, definePipeline, enrich, prometheus, rateLimit, validate } from ${JSON.stringify(join(ROOT, 'src/index.ts'))};
import { readFileSync } from 'node:fs';
export default definePipeline({ databasePath: ${JSON.stringify(database)},
  processors: [auth(), rateLimit(), validate(), enrich(), buffer()], ${extra} });\n`,
  );
  return path;
};

t.test('a set-up without fault', async (t) => {
  const { code, findings } = await examine({});
  t.equal(code, 0);
  t.same(
    findings.filter(({ status }) => status !== 'ok'),
    [],
  );
  t.match((await runCli(healthy, 'doctor')).stdout, /^✔ node .*\n[\s\S]*\n0 faults, 0 warnings\n$/);
});

t.test('an old Node', (t) => {
  t.match(checkNode('22.17.1'), { status: 'fault', advice: /install Node 22.18/ });
  t.match(checkNode('20.20.0'), { status: 'fault' });
  t.match(checkNode('22.18.0'), { status: 'ok' });
  t.match(checkNode('24.0.0'), { status: 'ok' });
  t.end();
});

t.test('configuration and keys', async () => {
  await finds('a variable that does not parse', ['configuration', 'fault', /METRICS_SERVICE_PORT/, /validate/], {
    METRICS_SERVICE_PORT: 'http',
  });
  await finds('no config file', ['configuration', 'fault', /no such file/, /validate/], {}, '--config', 'nosuch.ts');
  const wrong = config('wrong.config.ts', 'sinks: [prometheus({ prot: 1 })]');
  await finds('an unknown option', ['configuration', 'fault', /prot/, /validate/], {}, '--config', wrong);
  await finds('no key', ['keys', 'warning', /401/, /keys create/], { METRICS_API_KEY_TEST: '' });
});

t.test('the data directory', async () => {
  await finds('not writable', ['data directory', 'fault', /cannot be written/, /chown.*SQLITE_DB_PATH/], {
    SQLITE_DB_PATH: '/proc/nowhere/metrics.db',
  });
  const open = join(directory, 'open');
  mkdirSync(open);
  chmodSync(open, 0o777);
  await finds('open to everyone', ['data directory', 'warning', /other users/, /chmod go-w/], {
    SQLITE_DB_PATH: join(open, 'metrics.db'),
  });
  await finds('too deep for a socket', ['gateway', 'warning', /too long for a socket/, /shorter path/], {
    SQLITE_DB_PATH: join(directory, 'd'.repeat(100), 'metrics.db'),
  });
});

t.test('the gateway that is asked', async () => {
  const args = ['--url', 'http://127.0.0.1:9', '--key', 'an admin key'];
  await finds('nobody listens', ['gateway', 'fault', /cannot be reached/, /--url/], {}, ...args);
});

t.test('ports', async () => {
  const squatter = createServer((_, response) => response.writeHead(404).end()).listen(0, '127.0.0.1');
  await waitFor('the port to be taken', () => squatter.listening);
  const { port: taken } = squatter.address() as { port: number };
  await finds('taken', [`port ${taken}`, 'fault', /another program/, new RegExp(`:${taken}`)], {
    METRICS_SERVICE_PORT: String(taken),
  });
  await finds(
    'an address of another machine',
    [`port ${port}`, 'fault', /EADDRNOTAVAIL/, /host that this machine has/],
    {
      METRICS_SERVICE_HOST: '192.0.2.1',
    },
  );
  await finds('a page that is not a collector', ['otlp', 'warning', /404/, /4318, not 4317/], {
    OTEL_OTLP_ENDPOINT: `http://127.0.0.1:${taken}`,
  });
  squatter.close();
  await finds('a collector that is not there', ['otlp', 'fault', /cannot be reached/, /start the collector/], {
    OTEL_OTLP_ENDPOINT: 'http://127.0.0.1:9',
  });
});

t.test('a collector that is asked as the export asks it', async (t) => {
  const own = mkdtempSync(join(directory, 'c'));
  const { certFile, keyFile } = selfSigned(own);
  const asked: string[] = [];
  const listener: RequestListener = ({ url, headers }, response) => {
    asked.push(`${url} ${headers.authorization} ${String(headers['api-key'])}`);
    response.writeHead(url === '/v1/metrics' && headers['api-key'] === 'a key' ? 400 : 401).end();
  };
  const plain = createServer(listener).listen(0, '127.0.0.1');
  const secure = createTlsServer({ cert: readFileSync(certFile), key: readFileSync(keyFile) }, listener);
  secure.listen(0, '127.0.0.1');
  t.teardown(() => [plain, secure].map((server) => server.close()));
  await waitFor('both to listen', () => plain.listening && secure.listening);
  const at = (server: typeof plain | typeof secure): string =>
    `localhost:${(server.address() as { port: number }).port}`;
  const headers = { OTEL_EXPORTER_OTLP_HEADERS: 'api-key=a%20key' };

  const { findings, code } = await examine({
    ...headers,
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://user:pass%20word@${at(plain)}/`,
  });
  t.match(
    findings.find(({ check }) => check === 'otlp'),
    { status: 'ok', detail: `http://${at(plain)} answers` },
  );
  t.equal(code, 0);
  t.same(asked, [`/v1/metrics Basic ${Buffer.from('user:pass word').toString('base64')} a key`]);

  const trusted = { OTEL_EXPORTER_OTLP_ENDPOINT: `https://${at(secure)}`, OTEL_EXPORTER_OTLP_CERTIFICATE: certFile };
  t.match(
    (await examine({ ...headers, ...trusted })).findings.find(({ check }) => check === 'otlp'),
    { status: 'ok' },
  );

  const gone = await examine({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://user:pass%20word@127.0.0.1:9' });
  t.match(
    gone.findings.find(({ check }) => check === 'otlp'),
    { status: 'fault' },
  );
  t.notMatch(JSON.stringify(gone.findings), /pass%20word|pass word/, 'a password in the address is not shown');
});

t.test('the database', async () => {
  const file = (name: string) => ({ SQLITE_DB_PATH: join(directory, name) });
  writeFileSync(join(directory, 'broken.db'), `SQLite format 3\0${'x'.repeat(8192)}`);
  await finds('damaged', ['database', 'fault', /damaged/, /restore a backup/], file('broken.db'));
  mkdirSync(join(directory, 'folder.db'));
  await finds('a folder', ['database', 'fault', /cannot be read: it is not a file/, /chown/], file('folder.db'));
  const holder = new Database(join(directory, 'held.db'));
  holder.exec('CREATE TABLE theirs (x); BEGIN EXCLUSIVE');
  await finds('held by another', ['database', 'fault', /held by another process/, /fuser/], file('held.db'));
  holder.close();
  new Database(join(directory, 'foreign.db')).exec('CREATE TABLE theirs (x)').close();
  await finds('another program’s', ['database', 'fault', /another program/, /another file/], file('foreign.db'));
  new Database(join(directory, 'legacy.db')).exec('CREATE TABLE metrics (x); CREATE TABLE auth_metrics (x)').close();
  await finds('of the service before', ['database', 'fault', /replaces/, /mcp-metrics import/], file('legacy.db'));
  await runCli({ ...healthy, ...file('newer.db') }, 'migrate', 'up');
  new Database(join(directory, 'newer.db'))
    .exec("INSERT INTO __drizzle_migrations (hash, created_at) VALUES ('future', 9999999999999)")
    .close();
  await finds('of a newer version', ['database', 'fault', /newer version/, /start that version/], file('newer.db'));
});

t.test('certificates', async () => {
  const [first, second] = ['a', 'b'].map((name) => {
    mkdirSync(join(directory, name));
    return selfSigned(join(directory, name));
  });
  const tls = (certFile = '', keyFile = '') =>
    `{ certFile: ${JSON.stringify(certFile)}, keyFile: ${JSON.stringify(keyFile)} }`;
  const page = (name: string, certFile?: string, keyFile?: string): string[] => [
    '--config',
    config(name, `sinks: [prometheus({ port: ${scrapePort}, tls: ${tls(certFile, keyFile)} })]`),
  ];
  const check = 'TLS prometheus';
  await finds(
    'about to end',
    [check, 'warning', /valid until/, /renew/],
    {},
    ...page('soon.config.ts', first?.certFile, first?.keyFile),
  );
  await finds(
    'of another key',
    [check, 'fault', /not that of the certificate/, /belong together/],
    {},
    ...page('pair.config.ts', first?.certFile, second?.keyFile),
  );
  await finds(
    'not there',
    [check, 'fault', /cannot be read/, /PEM files/],
    {},
    ...page('gone.config.ts', join(directory, 'nowhere.pem'), first?.keyFile),
  );
});
