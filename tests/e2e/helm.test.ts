/** The Helm chart: linted, rendered with its defaults and with everything switched on, and held against Kubernetes' schemas. */
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { ROOT } from '../support/root.ts';
import { programPath, skipWithout } from '../support/tools.ts';
import { folderOf } from '../support/folder.ts';

const run = promisify(execFile);
const CHART = join(ROOT, 'deploy/kubernetes/mcp-metrics-gateway');
const helm = programPath('helm');
const skip = skipWithout(helm, 'helm, from `go install helm.sh/helm/v3/cmd/helm@v3.19.0`');

const template = async (...args: string[]): Promise<string> =>
  (await run(helm ?? '', ['template', 'metrics', CHART, '--kube-version', '1.30', ...args])).stdout;
const kindsOf = (rendered: string): string[] =>
  [...rendered.matchAll(/^kind: (\w+)$/gm)].map(([, kind = '']) => kind).toSorted();

t.test('helm lint finds nothing to complain of', { skip }, async (t) => {
  const { stdout } = await run(helm ?? '', ['lint', '--strict', '--kube-version', '1.30', CHART]);
  t.match(stdout, '1 chart(s) linted, 0 chart(s) failed');
});

t.test('the defaults: one pod with a volume, its service, and who may reach it', { skip }, async (t) => {
  const rendered = await template();
  t.strictSame(kindsOf(rendered), ['NetworkPolicy', 'Service', 'StatefulSet']);
  for (const promise of ['replicas: 1', 'runAsNonRoot: true', 'readOnlyRootFilesystem: true', 'path: /readyz']) {
    t.ok(rendered.includes(promise), promise);
  }
  t.notMatch(rendered, /apiKey|API_KEY/i, 'no secret has a default');
});

/** A file of values with every switch on. */
function everything(folder: string): string {
  const values = join(folder, 'values.json');
  writeFileSync(
    values,
    JSON.stringify({
      envFromSecrets: ['gateway-keys'],
      pipelineConfig: 'export default 1;\n',
      persistence: { size: '50Gi', storageClassName: 'fast' },
      serviceMonitor: { enabled: true, labels: { release: 'prometheus' } },
      networkPolicy: {
        ingestFrom: [{ namespaceSelector: { matchLabels: { team: 'mcp' } } }],
        scrapeFrom: [{ namespaceSelector: { matchLabels: { team: 'monitoring' } } }],
      },
      nodeSelector: { disk: 'ssd' },
      podAnnotations: { note: 'x' },
      imagePullSecrets: [{ name: 'registry' }],
    }),
  );
  return values;
}

/** Both ends of what the chart says it is for, by the schemas of those releases; `--strict` refuses fields that they do not know. */
const RELEASES = ['1.27', '1.37'];
const kubernetesValidate = programPath('kubernetes-validate');
const isValid = async (rendered: string, folder: string): Promise<void> => {
  const file = join(folder, 'rendered.yaml');
  // Custom resources have no schema there.
  writeFileSync(file, rendered.replaceAll(/^---\n(?:(?!^---)[^])*?^kind: ServiceMonitor$(?:(?!^---)[^])*/gm, ''));
  for (const release of RELEASES) {
    await run(kubernetesValidate ?? '', ['--strict', '--quiet', '-k', `${release}.0`, file]);
  }
};

t.test(
  'what is rendered fits the schemas of Kubernetes',
  { skip: skip || skipWithout(kubernetesValidate, 'kubernetes-validate of PyPI') },
  async (t) => {
    const folder = folderOf(t);
    await t.resolves(isValid(await template(), folder));
    await t.resolves(isValid(await template('--values', everything(folder)), folder));
    const wrong = (await template()).replace('replicas: 1', 'replicas: one');
    await t.rejects(isValid(wrong, folder), 'and what does not fit is seen');
  },
);

t.test('everything switched on', { skip }, async (t) => {
  const rendered = await template('--values', everything(folderOf(t)));
  t.strictSame(kindsOf(rendered), ['ConfigMap', 'NetworkPolicy', 'Service', 'ServiceMonitor', 'StatefulSet']);
  for (const part of ['name: "gateway-keys"', 'storageClassName: fast', 'release: prometheus', 'team: monitoring']) {
    t.ok(rendered.includes(part), part);
  }
});
