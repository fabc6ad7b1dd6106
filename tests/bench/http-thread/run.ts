/**
 * CPU time on the HTTP thread per request and metric, against bare node:http + JSON.parse, in interleaved rounds.
 * Needs wrk. `node tests/bench/http-thread/run.ts [rounds] [seconds] [--memory] [--profile]`; durable unless `--memory`
 */
import { execFile, fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const PROFILE = process.argv.includes('--profile');
const [rounds = 5, seconds = 2] = process.argv
  .slice(2)
  .filter((argument) => /^\d+$/.test(argument))
  .map(Number);
const CONNECTIONS = 64;
const SIZES = process.argv.includes('--one') ? [1] : process.argv.includes('--hundred') ? [100] : [100, 10, 1];

interface Server {
  readonly child: ChildProcess;
  readonly port: number;
}

async function start(kind: 'bare' | 'memory' | 'durable'): Promise<Server> {
  const child = fork(new URL('./server.ts', import.meta.url), [kind], {
    execArgv: [
      '--conditions=mcp-metrics-source',
      ...(PROFILE && kind !== 'bare' ? ['--cpu-prof', '--cpu-prof-dir=/tmp/http-thread'] : []),
    ],
  });
  const [message] = (await once(child, 'message')) as [{ port: number }];
  return { child, port: message.port };
}

async function cpuMicros(child: ChildProcess): Promise<number> {
  child.send('cpu');
  const [message] = (await once(child, 'message')) as [{ cpuMicros: number }];
  return message.cpuMicros;
}

/** Bodies of recorded metrics, as many in one as asked for. */
function body(metrics: number): string {
  const recorded = readFileSync(new URL('../../fixtures/auth-server.ndjson', import.meta.url), 'utf8')
    .trim()
    .split('\n');
  const items = recorded.flatMap((line) => (JSON.parse(line) as { metrics: unknown[] }).metrics);
  const now = new Date().toISOString();
  const chosen = Array.from({ length: metrics }, (_, index) => ({
    ...(items[(index * 7) % items.length] as object),
    timestamp: now,
  }));
  return JSON.stringify({ service: 'auth-server', version: '1.0.0', metrics: chosen });
}

const directory = mkdtempSync(join(tmpdir(), 'http-thread-'));
async function load(
  server: Server,
  metrics: number,
  duration: number,
): Promise<{ requests: number; cpu: number; bad: number }> {
  const script = join(directory, `post-${metrics}.lua`);
  writeFileSync(join(directory, `body-${metrics}.json`), body(metrics));
  writeFileSync(
    script,
    `local f = io.open("${directory}/body-${metrics}.json"); wrk.body = f:read("*a"); f:close()
wrk.method = "POST"; wrk.headers["Content-Type"] = "application/json"; wrk.headers["X-API-Key"] = "bench"
done = function(s) io.write(string.format("RESULT %d %d\\n", s.requests, s.errors.status + s.errors.read + s.errors.timeout)) end`,
  );
  const before = await cpuMicros(server.child);
  const { stdout } = await promisify(execFile)('wrk', [
    '-t1',
    `-c${CONNECTIONS}`,
    `-d${duration}s`,
    '-s',
    script,
    `http://127.0.0.1:${server.port}/metrics`,
  ]);
  const cpu = (await cpuMicros(server.child)) - before;
  const [, requests = '0', bad = '0'] = /RESULT (\d+) (\d+)/.exec(stdout) ?? [];
  return { requests: Number(requests), cpu, bad: Number(bad) };
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

const KIND = process.argv.includes('--memory') ? 'memory' : 'durable';
const servers = { bare: await start('bare'), gateway: await start(KIND) };
console.log('metrics/request   bare µs/request   gateway µs/request   ratio   µs/metric   requests/s');
for (const metrics of SIZES) {
  for (const server of Object.values(servers)) await load(server, metrics, 1);
  const ratios: number[] = [];
  const costs = { bare: [] as number[], gateway: [] as number[] };
  const rates: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const bare = await load(servers.bare, metrics, seconds);
    const gateway = await load(servers.gateway, metrics, seconds);
    if (bare.bad + gateway.bad > 0) throw new Error(`${gateway.bad} requests were not answered with 200`);
    costs.bare.push(bare.cpu / bare.requests);
    costs.gateway.push(gateway.cpu / gateway.requests);
    ratios.push(gateway.cpu / gateway.requests / (bare.cpu / bare.requests));
    rates.push(gateway.requests / seconds);
  }
  const cost = median(costs.gateway);
  console.log(
    [
      metrics,
      median(costs.bare).toFixed(1),
      cost.toFixed(1),
      median(ratios).toFixed(2),
      (cost / metrics).toFixed(2),
      median(rates).toFixed(0),
    ]
      .map((cell, index) => String(cell).padEnd([18, 18, 21, 8, 12, 10][index] ?? 10))
      .join(''),
  );
}
for (const { child } of Object.values(servers)) child.disconnect();
rmSync(directory, { recursive: true });
