/** `mcp-metrics demo`: realistic MCP traffic at a chosen rate, with a live line that says how it goes. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Command, InvalidArgumentError } from 'commander';
import { CommandFailed, connect, type Connection, type ConnectionOptions } from './connection.ts';
import { type DemoMetric, demoTraffic } from './demo-traffic.ts';

interface DemoOptions extends ConnectionOptions {
  readonly rate: number;
  readonly duration?: number;
  readonly service: string;
}

const positive = (text: string): number => {
  const number = Number(text);
  if (!(number > 0 && number <= 100_000)) throw new InvalidArgumentError('expected a number above 0, at most 100000');
  return number;
};

/** A request so often; each carries what the rate makes due. */
const TICK_MS = 200;
/** As many as one request may carry. */
const MAX_METRICS = 1000;
/** Between lines where the output is no terminal. */
const QUIET_MS = 10_000;

export function demoCommand(command: Command): Command {
  return command
    .description('Send realistic MCP traffic to a gateway, until interrupted.')
    .option('-r, --rate <n>', 'metrics a second', positive, 50)
    .option('-d, --duration <seconds>', 'stop after so long', positive)
    .option('--service <name>', 'the service that the metrics claim', 'demo')
    .action(async ({ rate, duration, service, ...where }: DemoOptions) => {
      const connection = await connect(where);
      const key = await temporaryKey(connection);
      const stop = new AbortController();
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
      if (duration !== undefined) setTimeout(() => stop.abort(), duration * 1000);
      const line = progressLine(connection.target);
      try {
        await send(rate, stop.signal, async (metrics) => {
          line.add(await sendBatch(connection, key.secret, service, metrics, stop.signal));
        });
      } finally {
        line.end();
        await connection.call('DELETE', `/admin/keys/${key.id}`);
      }
    });
}

/** Hands over what the rate makes due, until the signal. */
async function send(
  rate: number,
  stop: AbortSignal,
  sendBatch: (metrics: readonly DemoMetric[]) => Promise<void>,
): Promise<void> {
  const next = demoTraffic();
  const waiting: DemoMetric[] = [];
  const began = performance.now();
  let due = 0;
  for (let tick = 1; !stop.aborted; tick += 1) {
    due += (rate * TICK_MS) / 1000;
    while (waiting.length < due) waiting.push(...next(Date.now()));
    while (due >= 1 && !stop.aborted) {
      const metrics = waiting.splice(0, Math.min(Math.floor(due), MAX_METRICS));
      due -= metrics.length;
      await sendBatch(metrics);
    }
    await pause(began + tick * TICK_MS - performance.now(), stop);
  }
}

/** Ends early at the signal. */
const pause = (ms: number, stop: AbortSignal): Promise<unknown> =>
  sleep(Math.max(0, ms), undefined, { signal: stop }).catch(() => undefined);

/** One line that is written anew on a terminal, and a line now and then elsewhere. */
function progressLine(target: string): { readonly add: (accepted: number) => void; readonly end: () => void } {
  const live = process.stderr.isTTY === true;
  const began = performance.now();
  let accepted = 0;
  let told = 0;
  const tell = (end: string): void => {
    told = performance.now();
    const seconds = (told - began) / 1000;
    const rate = (accepted / Math.max(seconds, 0.1)).toFixed(0);
    process.stderr.write(
      `${live ? '\r\u001B[K' : ''}${accepted} metrics accepted by ${target} in ${seconds.toFixed(0)} s (${rate}/s)${end}`,
    );
  };
  return {
    add: (more) => {
      accepted += more;
      if (live) tell('');
      else if (performance.now() - told > QUIET_MS) tell('\n');
    },
    end: () => tell('\n'),
  };
}

/** A key for this demo alone: revoked at its end, and after a day where the demo was killed. */
async function temporaryKey(connection: Connection): Promise<{ id: string; secret: string }> {
  const body = {
    service: 'demo',
    description: 'made by mcp-metrics demo',
    expires_at: new Date(Date.now() + 86_400_000).toISOString(),
  };
  const { key, secret } = (await connection.call('POST', '/admin/keys', { body })) as {
    key: { id: string };
    secret: string;
  };
  return { id: key.id, secret };
}

async function sendBatch(
  connection: Connection,
  secret: string,
  service: string,
  metrics: readonly DemoMetric[],
  stop: AbortSignal,
): Promise<number> {
  const body = {
    service,
    version: '1.0.0',
    instance_id: `${service}-01`,
    metrics: metrics.map((metric) => ({ ...metric })),
  };
  while (!stop.aborted) {
    try {
      const answer = (await connection.call('POST', '/metrics', { body, headers: { 'X-API-Key': secret } })) as {
        accepted?: number;
      };
      return answer.accepted ?? 0;
    } catch (error) {
      // Limits are met by waiting, as any client should.
      if (error instanceof CommandFailed && /^(429|503):/.test(error.message)) await pause(1000, stop);
      else throw error;
    }
  }
  return 0;
}
