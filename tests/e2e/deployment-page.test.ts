/** docs/deployment.md and docs/otel-collector.md: what can be run of their blocks without a cluster is run as it stands there. */
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { startChild } from '../support/child.ts';
import { freePort } from '../support/free-port.ts';
import { startGateway } from '../support/gateway.ts';
import { ROOT } from '../support/root.ts';
import { programPath, skipWithout } from '../support/tools.ts';
import { waitFor } from '../support/wait-for.ts';
import { folderOf } from '../support/folder.ts';

const run = promisify(execFile);
const page = (name: string): string => readFileSync(join(ROOT, 'docs', `${name}.md`), 'utf8');
const nginx = programPath('nginx');
const openssl = programPath('openssl');
const helm = programPath('helm');

t.test(
  'the proxy that is shown for TLS passes a batch on, and the answer back',
  { skip: skipWithout(nginx && openssl, 'Debian’s nginx and openssl') },
  async (t) => {
    const folder = folderOf(t);
    const gateway = await startGateway({ dataDirectory: join(folder, 'data') });
    t.teardown(() => gateway.stop('SIGKILL'));
    const [certificate, key] = [join(folder, 'metrics.pem'), join(folder, 'metrics.key')];
    await run(openssl ?? '', [
      'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1',
      '-subj', '/CN=metrics.example.com', '-addext', 'subjectAltName=DNS:metrics.example.com', '-keyout', key, '-out', certificate,
    ]); // prettier-ignore
    const port = await freePort();
    const shown = /```nginx\n([\s\S]*?)```/.exec(page('deployment'))?.[1] ?? '';
    const server = shown
      .replace('listen 443 ssl', `listen 127.0.0.1:${port} ssl`)
      .replace('/etc/ssl/metrics.pem', certificate)
      .replace('/etc/ssl/metrics.key', key)
      .replace('http://127.0.0.1:8890', gateway.url);
    const config = join(folder, 'nginx.conf');
    writeFileSync(
      config,
      `daemon off; pid ${folder}/nginx.pid; error_log stderr;\nevents {}\nhttp { access_log off; ${server} }\n`,
    );
    const proxy = await startChild(nginx ?? '', ['-c', config, '-p', folder]);
    // Not SIGKILL: the master ends its workers.
    t.teardown(() => proxy.stop('SIGTERM'));

    const body = JSON.stringify({
      service: 'test',
      metrics: [{ type: 'custom', value: 1, dimensions: { metric_name: 'x' } }],
    });
    const post = (): Promise<number> =>
      new Promise((resolve, reject) => {
        const sent = request(
          {
            host: '127.0.0.1', port, path: '/metrics', method: 'POST', servername: 'metrics.example.com', ca: readFileSync(certificate),
            headers: { 'content-type': 'application/json', 'x-api-key': gateway.key },
          }, // prettier-ignore
          (answer) => answer.resume().on('end', () => resolve(answer.statusCode ?? 0)),
        ).on('error', reject);
        sent.end(body);
      });
    t.equal(await waitFor('nginx to listen', post), 200);
  },
);

t.test('the command that installs the chart renders it', { skip: skipWithout(helm, 'helm') }, async (t) => {
  const [, options = ''] = /^helm install (metrics [\s\S]*?)\n(?!\s)/m.exec(page('deployment')) ?? [];
  const args = options.replaceAll('\\\n', ' ').trim().split(/\s+/);
  const { stdout } = await run(helm ?? '', ['template', '--kube-version', '1.30', ...args], { cwd: ROOT });
  t.match(stdout, 'image: "registry.example.com/mcp-metrics-gateway:');
  t.match(stdout, 'kind: ServiceMonitor');
});

t.test('the page of the collector names each configuration and each variable that it needs', (t) => {
  const text = page('otel-collector');
  const files = readdirSync(join(ROOT, 'otel-collector')).filter(
    (file) => file.endsWith('.yaml') && !['base.yaml', 'builder.yaml'].includes(file),
  );
  t.ok(files.length >= 8);
  for (const file of files) {
    t.ok(text.includes(`| \`${file}\``), file);
    const row = text.split('\n').find((line) => line.startsWith(`| \`${file}\``)) ?? '';
    const asked = [...readFileSync(join(ROOT, 'otel-collector', file), 'utf8').matchAll(/\$\{env:(\w+)\}/g)].map(
      ([, name = '']) => name,
    );
    for (const name of new Set(asked)) t.ok(row.includes(name) || /as both/.test(row), `${file}: ${name}`);
  }
  t.end();
});

t.test('every file that the pages on deployment name is there', (t) => {
  const named = [
    ...`${page('deployment')}${page('grafana')}${page('runbooks')}`.matchAll(
      /(?<![\w/])(?:deploy|otel-collector)\/[\w./-]*\w/g,
    ),
  ];
  t.ok(named.length >= 10);
  for (const [path] of named) if (path !== 'deploy/.env') t.ok(existsSync(join(ROOT, path)), path);
  t.end();
});
