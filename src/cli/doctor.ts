/** `mcp-metrics doctor`: looks at everything that keeps a gateway from working, and says for each finding what to do. */
import type { Command } from 'commander';
import { findConfig, loadConfig } from '../config.ts';
import type { Pipeline } from '../core/pipeline.ts';
import { type ConnectionOptions, connectToRunning, locationOf } from './connection.ts';
import { checkCertificates } from './doctor/certificates.ts';
import { checkClock } from './doctor/clock.ts';
import { checkCollector } from './doctor/collector.ts';
import { checkDataDirectory, checkSpace } from './doctor/data-directory.ts';
import { checkDatabase } from './doctor/database.ts';
import { type Check, fault, type Finding, messageOf, ok, type Patient } from './doctor/finding.ts';
import { checkGateway } from './doctor/gateway.ts';
import { checkNode } from './doctor/node.ts';
import { checkPorts } from './doctor/ports.ts';
import { EXIT } from './exit-codes.ts';
import { printable } from './table.ts';

const CHECKS: readonly Check[] = [
  checkGateway,
  checkDataDirectory,
  checkSpace,
  checkClock,
  checkDatabase,
  checkPorts,
  checkCertificates,
  checkCollector,
];

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
  const gateway = await connectToRunning(where).catch((error: unknown) => error as Error);
  const patient: Patient = { pipeline, ...locationOf(pipeline), gateway };
  for (const check of CHECKS) {
    try {
      findings.push(...[await check(patient)].flat());
    } catch (error) {
      findings.push(fault(check.name, messageOf(error), 'the check itself failed; report this with the message'));
    }
  }
  return findings;
}

const MARKS = { ok: '✔', warning: '!', fault: '✘' } as const;

function readable(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ check }) => check.length));
  const lines = findings.map(({ check, status, detail, advice }) => {
    const line = `${MARKS[status]} ${check.padEnd(width)}  ${detail.split('\n').map(printable).join('\n')}`;
    return advice === undefined ? line : `${line}\n  ${''.padEnd(width)}  → ${advice}`;
  });
  const faults = findings.filter(({ status }) => status === 'fault').length;
  const warnings = findings.filter(({ status }) => status === 'warning').length;
  return `${lines.join('\n')}\n\n${faults} faults, ${warnings} warnings\n`;
}
