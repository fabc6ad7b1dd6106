/** `mcp-metrics doctor`: looks at everything that keeps a gateway from working, and says for each finding what to do. */
import { constants } from 'node:fs';
import { access, rm, statfs, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname, join, resolve } from 'node:path';
import type { Command } from 'commander';
import { commandLine } from '../command-line.ts';
import { findConfig, loadConfig } from '../config.ts';
import type { Pipeline } from '../core/pipeline.ts';
import type { TotalsReader } from '../core/sink.ts';
import { diagnoseDatabase } from '../sinks/sqlite/diagnose.ts';
import { type Connection, type ConnectionOptions, connectToRunning } from './connection.ts';
import { EXIT } from './exit-codes.ts';

interface Finding {
  readonly check: string;
  readonly status: 'ok' | 'warning' | 'fault';
  readonly detail: string;
  /** What to do about it; always there for a warning or a fault. */
  readonly advice?: string;
}

interface Patient {
  readonly pipeline: Pipeline;
  readonly databasePath: string;
  readonly dataDirectory: string;
  /** Undefined where no gateway runs on the data directory. */
  readonly connection: Connection | undefined;
}

const ok = (check: string, detail: string): Finding => ({ check, status: 'ok', detail });
const warning = (check: string, detail: string, advice: string): Finding => ({
  check,
  status: 'warning',
  detail,
  advice,
});
const fault = (check: string, detail: string, advice: string): Finding => ({ check, status: 'fault', detail, advice });
const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

const OLDEST_NODE = [22, 18] as const;
/** What the journal and the database need to go on for a while. */
const LOW_SPACE_BYTES = 1024 ** 3;
const LEAST_SPACE_BYTES = 64 * 1024 ** 2;
/** This version was made then: a clock before it is wrong. */
const BUILT_AT = Date.UTC(2026, 10, 1);

const CHECKS: readonly ((patient: Patient) => Finding | readonly Finding[] | Promise<Finding | readonly Finding[]>)[] =
  [checkGateway, checkDataDirectory, checkSpace, checkClock, checkDatabase, checkPorts, checkCollector];

export function doctorCommand(command: Command): Command {
  return command
    .description('Look for what keeps a gateway from working, and say what to do; exits 1 where it finds a fault.')
    .option('--json', 'findings as a JSON array')
    .action(async ({ json, ...where }: ConnectionOptions & { json?: boolean }) => {
      const findings = await examine(where);
      process.stdout.write(json === true ? `${JSON.stringify(findings, null, 2)}\n` : readable(findings));
      if (findings.some(({ status }) => status === 'fault')) process.exitCode = EXIT.failed;
    });
}

async function examine(where: ConnectionOptions): Promise<readonly Finding[]> {
  const findings = [checkNode()];
  let pipeline: Pipeline;
  try {
    const path = findConfig(where.config);
    pipeline = await loadConfig(path);
    findings.push(ok('configuration', path));
  } catch (error) {
    return [
      ...findings,
      fault('configuration', messageOf(error), 'correct what it names; mcp-metrics validate checks it again'),
    ];
  }
  const databasePath = resolve(pipeline.databasePath ?? './data/metrics.db');
  const dataDirectory = resolve(pipeline.dataDirectory ?? dirname(databasePath));
  const connection = await connectToRunning(where).catch(() => undefined);
  const patient: Patient = { pipeline, databasePath, dataDirectory, connection };
  for (const check of CHECKS) {
    try {
      findings.push(...[await check(patient)].flat());
    } catch (error) {
      findings.push(fault(check.name, messageOf(error), 'the check itself failed; report this with the message'));
    }
  }
  return findings;
}

function checkNode(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const fits = major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1]);
  return fits
    ? ok('node', process.version)
    : fault(
        'node',
        `${process.version} is too old`,
        `install Node ${OLDEST_NODE.join('.')} or newer; 24 is what it is tested with`,
      );
}

async function checkGateway({ connection, dataDirectory }: Patient): Promise<Finding> {
  if (connection === undefined) return ok('gateway', `none runs on ${dataDirectory}`);
  try {
    await connection.call('GET', '/readyz');
    return ok('gateway', `runs and is ready (${connection.target})`);
  } catch (error) {
    return fault(
      'gateway',
      `runs but is not ready: ${messageOf(error)}`,
      'read what /readyz names, and the log from when it began',
    );
  }
}

async function checkDataDirectory({ dataDirectory }: Patient): Promise<Finding> {
  let existing = dataDirectory;
  while (existing !== dirname(existing) && !(await isThere(existing))) existing = dirname(existing);
  const probe = join(existing, `.doctor-${process.pid}`);
  try {
    await access(existing, constants.W_OK | constants.X_OK);
    await writeFile(probe, '');
    await rm(probe);
  } catch (error) {
    return fault(
      'data directory',
      `${existing} cannot be written: ${messageOf(error)}`,
      `give it to the user that runs the gateway (chown), mount it writable, or set SQLITE_DB_PATH elsewhere`,
    );
  }
  return ok('data directory', existing === dataDirectory ? dataDirectory : `${dataDirectory} will be made`);
}

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

async function checkSpace({ dataDirectory }: Patient): Promise<Finding> {
  let existing = dataDirectory;
  while (existing !== dirname(existing) && !(await isThere(existing))) existing = dirname(existing);
  const { bavail, bsize } = await statfs(existing);
  const free = bavail * bsize;
  const detail = `${(free / 1024 ** 3).toFixed(1)} GiB free`;
  if (free < LEAST_SPACE_BYTES)
    return fault('disk space', detail, 'free some: without space every request is answered 503');
  if (free < LOW_SPACE_BYTES)
    return warning('disk space', detail, 'free some, or shorten the retention: mcp-metrics retention');
  return ok('disk space', detail);
}

function checkClock({ databasePath }: Patient): Finding {
  const now = Date.now();
  const newest = diagnoseDatabase(databasePath, now).newestEventAt;
  const time = new Date(now).toISOString();
  if (now < BUILT_AT)
    return fault(
      'clock',
      `${time} is before this version was made`,
      'set the clock (timedatectl set-ntp true): timestamps far from it are rejected',
    );
  if (newest !== undefined && newest > now + 5 * 60_000) {
    return warning(
      'clock',
      `${time}, but the newest metric is of ${new Date(newest).toISOString()}`,
      'check the clock: it seems to have gone back',
    );
  }
  return ok('clock', time);
}

function checkDatabase({ databasePath, pipeline }: Patient): readonly Finding[] {
  const found = diagnoseDatabase(databasePath, Date.now());
  if (found.legacy) {
    return [
      fault(
        'database',
        `${databasePath} is of the metrics service that this gateway replaces`,
        `set SQLITE_DB_PATH to another file, then: mcp-metrics import ${databasePath}`,
      ),
    ];
  }
  if (!found.ours)
    return [fault('database', `${databasePath} is another program's`, 'set SQLITE_DB_PATH to another file')];
  const [first] = found.faults;
  if (first !== undefined) {
    return [
      fault(
        'database',
        `${databasePath} is damaged: ${first}`,
        'stop the gateway and restore a backup (docs/deployment.md); the journal brings what came since',
      ),
    ];
  }
  if (found.pendingMigrations < 0)
    return [
      fault(
        'database',
        `${databasePath} is of a newer version`,
        'start that version, or restore a backup from before the upgrade',
      ),
    ];
  const state = !found.exists
    ? 'will be made'
    : found.pendingMigrations === 0
      ? 'sound'
      : `sound; ${found.pendingMigrations} migrations at the next start`;
  // A start brings the environment's keys in; those of an earlier start are in the database already.
  const keys = Math.max(found.liveKeys, pipeline.environmentKeys?.length ?? 0);
  return [
    ok('database', `${databasePath} ${state}`),
    keys > 0
      ? ok('keys', `${keys} live`)
      : warning(
          'keys',
          'none: every request is answered 401',
          `create one: ${commandLine()} keys create --service my-service`,
        ),
  ];
}

async function checkPorts({ pipeline, connection }: Patient): Promise<readonly Finding[]> {
  const listeners = [
    { name: 'ingest', host: pipeline.server?.host ?? '127.0.0.1', port: pipeline.server?.port ?? 8890 },
  ];
  for (const { settings, enabled } of pipeline.sinks as readonly Partial<TotalsReader>[]) {
    const { kind, host, port } = (settings ?? {}) as { kind?: string; host?: string; port?: number };
    if (kind === 'prometheus' && enabled !== false && host !== undefined && port !== undefined)
      listeners.push({ name: 'prometheus', host, port });
  }
  return Promise.all(
    listeners.map(async ({ name, host, port }) => {
      const check = `port ${port}`;
      if (connection !== undefined) return ok(check, `${name}: the running gateway's`);
      const code = await tryPort(host, port);
      if (code === undefined) return ok(check, `${name}: free`);
      if (code === 'EADDRINUSE')
        return fault(
          check,
          `${name}: another program listens there`,
          `stop it (ss -ltnp 'sport = :${port}' names it), or set another port`,
        );
      return fault(
        check,
        `${name}: cannot listen on ${host}: ${code}`,
        code === 'EACCES' ? 'ports below 1024 need privileges: choose another' : 'set a host that this machine has',
      );
    }),
  );
}

function tryPort(host: string, port: number): Promise<string | undefined> {
  return new Promise((done) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => done(error.code ?? error.message));
    server.listen({ host, port, exclusive: true }, () => server.close(() => done(undefined)));
  });
}

/** A collector answers anything at all to an empty export; only silence is a fault. */
async function checkCollector({ pipeline }: Patient): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const { name = 'otlp', settings, enabled } of pipeline.sinks as readonly Partial<TotalsReader>[]) {
    const { kind, url } = (settings ?? {}) as { kind?: string; url?: string };
    if (kind !== 'otlp' || enabled === false) continue;
    const address =
      url ??
      process.env['OTEL_EXPORTER_OTLP_METRICS_ENDPOINT'] ??
      `${process.env['OTEL_EXPORTER_OTLP_ENDPOINT'] ?? ''}/v1/metrics`;
    try {
      const answer = await fetch(address, {
        method: 'POST',
        headers: { 'content-type': 'application/x-protobuf' },
        body: new Uint8Array(),
        signal: AbortSignal.timeout(5000),
      });
      findings.push(
        answer.status < 500 && answer.status !== 404
          ? ok(name, `${new URL(address).origin} answers`)
          : warning(
              name,
              `${new URL(address).origin} answers ${answer.status}`,
              'check that this is an OTLP/HTTP receiver (port 4318, not 4317, which is gRPC)',
            ),
      );
    } catch (error) {
      const cause = (error as Error).cause ?? error;
      findings.push(
        fault(
          name,
          `${URL.canParse(address) ? new URL(address).origin : 'the endpoint'} cannot be reached: ${messageOf(cause)}`,
          'start the collector, or correct OTEL_EXPORTER_OTLP_ENDPOINT; until then totals wait and nothing is lost',
        ),
      );
    }
  }
  return findings;
}

const MARKS = { ok: '✔', warning: '!', fault: '✘' } as const;

function readable(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ check }) => check.length));
  const lines = findings.map(({ check, status, detail, advice }) => {
    const line = `${MARKS[status]} ${check.padEnd(width)}  ${detail}`;
    return advice === undefined ? line : `${line}\n  ${''.padEnd(width)}  → ${advice}`;
  });
  const faults = findings.filter(({ status }) => status === 'fault').length;
  const warnings = findings.filter(({ status }) => status === 'warning').length;
  return `${lines.join('\n')}\n\n${faults} faults, ${warnings} warnings\n`;
}
