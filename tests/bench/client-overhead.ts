/**
 * What the client costs a service: one recording, and a request through the middleware of node:http and of Hono while the
 * gateway is up, slow, refusing or absent, against the same requests without, taken in turns in the same run. The caller is a
 * process of its own, and no request is left out: medians of the turns are what a disturbance of some of them leaves alone. A turn
 * has somewhat more requests than two batches hold, so that two are sent within it and not between turns.
 * `node --conditions=mcp-metrics-source tests/bench/client-overhead.ts [--json] [--rounds 10] [--requests 2100]`
 */
import { fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { getRequestListener } from '@hono/node-server';
import { Client, InMemoryTransport } from '@modelcontextprotocol/client';
import { McpServer } from '@modelcontextprotocol/server';
import { Hono } from 'hono';
import { createMetricsClient, type MetricsClient } from '../../src/client/index.ts';
import { authMetrics as honoMetrics } from '../../src/client/http/hono.ts';
import { authMetrics as nodeMetrics } from '../../src/client/http/node.ts';
import { instrumentMcpServer } from '../../src/client/mcp/index.ts';
import { startChild } from '../support/child.ts';
import { freePort } from '../support/free-port.ts';
import { startGateway } from '../support/gateway.ts';
import { plainNode } from '../support/plain-node.ts';
import { waitFor } from '../support/wait-for.ts';
import type { Took, Turn } from './requester.ts';
import { threadCpuMs } from './thread-clock.ts';

export interface RecordingCost {
  /** Microseconds for one metric, median of the rounds: with the client, and for `JSON.stringify` of the same metric. */
  readonly recordMicroseconds: number;
  readonly stringifyMicroseconds: number;
  readonly ratio: number;
}

interface Quantiles {
  readonly p50: number;
  readonly p99: number;
}

export interface RequestCost {
  readonly framework: string;
  readonly gateway: string;
  /** Of each kind. */
  readonly requests: number;
  /** Microseconds that a caller waits without the middleware, and what it adds: medians of the turns and of what follows on them. */
  readonly plain: Quantiles;
  readonly added: Quantiles;
  /** With the middleware over without, at p50. */
  readonly ratio: number;
  /** Microseconds of the service's thread for a request, mean of all: after the answer too, and with sending. */
  readonly cpu: { readonly plain: number; readonly measured: number };
}

/** Of the requests of one turn; microseconds. */
interface TurnCost extends Quantiles {
  readonly cpu: number;
}

/** CPU time of this thread so far, microseconds. */
const cpuTime = (): number => threadCpuMs() * 1000;

const quantile = (sorted: readonly number[], q: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0;
const median = (values: readonly number[]): number =>
  quantile(
    values.toSorted((a, b) => a - b),
    0.5,
  );
const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

const EXECUTION = {
  toolName: 'get_forecast',
  method: 'tools/call',
  success: true,
  durationMs: 12.5,
  serverName: 'weather',
  clientName: 'inspector',
  clientVersion: '1.2.3',
  userHash: '2b8b66f64b60',
  inputSizeBytes: 115,
  outputSizeBytes: 2048,
} as const;

/** CPU microseconds of the process to seal a batch of 1,000, compression on a thread of its own included, without what `fetch` takes. */
export async function batchCost(batches = 60): Promise<number> {
  const client = createMetricsClient({
    apiKey: 'bench',
    flushIntervalMs: 3_600_000,
    fetch: async () => Response.json({ accepted: 1000, rejected: 0 }),
  });
  const took: number[] = [];
  for (let batch = 0; batch < batches; batch += 1) {
    for (let i = 0; i < 999; i += 1) client.toolExecution(EXECUTION);
    // Of the whole process: the compression is another thread's.
    const began = process.cpuUsage();
    await client.flush();
    const { user, system } = process.cpuUsage(began);
    took.push(user + system);
  }
  return mean(took);
}

/** Records faster than anything could be sent, so that the full buffer's dropping is part of the price. */
export async function recordingCost(rounds = 15, perRound = 20_000): Promise<RecordingCost> {
  const client = createMetricsClient({ url: 'http://127.0.0.1:9', apiKey: 'bench', onWarning: () => {} });
  const record: number[] = [];
  const stringify: number[] = [];
  let length = 0;
  for (let round = 0; round < rounds; round += 1) {
    let began = cpuTime();
    for (let i = 0; i < perRound; i += 1) client.toolExecution(EXECUTION);
    record.push((cpuTime() - began) / perRound);
    began = cpuTime();
    for (let i = 0; i < perRound; i += 1) length += JSON.stringify(EXECUTION).length;
    stringify.push((cpuTime() - began) / perRound);
    await new Promise((resolve) => setImmediate(resolve));
  }
  if (length === 0) throw new Error('nothing was measured');
  await client.shutdown({ timeoutMs: 1 });
  const [recordMicroseconds, stringifyMicroseconds] = [median(record), median(stringify)];
  return { recordMicroseconds, stringifyMicroseconds, ratio: recordMicroseconds / stringifyMicroseconds };
}

export interface McpCallCost {
  /** CPU microseconds for a tool call over the in-memory transport, client and server together: without, and added on the server. */
  readonly plainMicroseconds: number;
  readonly addedMicroseconds: number;
  readonly ratio: number;
}

/** What `instrumentMcpServer` adds to a call of a tool that does nothing: the most unfavourable case there is. */
export async function mcpCallCost(rounds = 40, perRound = 400): Promise<McpCallCost> {
  const metrics = createMetricsClient({ apiKey: 'bench', fetch: async () => Response.json({ accepted: 500 }) });
  const connect = async (instrumented: boolean): Promise<Client> => {
    const server = new McpServer({ name: 'bench', version: '1' });
    server.registerTool('nothing', {}, () => ({ content: [{ type: 'text', text: 'x'.repeat(1000) }] }));
    if (instrumented) instrumentMcpServer(server, metrics);
    const [near, far] = InMemoryTransport.createLinkedPair();
    await server.connect(near);
    const client = new Client({ name: 'bench', version: '1' });
    await client.connect(far);
    await client.listTools();
    return client;
  };
  const clients = { plain: await connect(false), instrumented: await connect(true) };
  const took = { plain: [] as number[], instrumented: [] as number[] };
  // V8 changes its mind about this code for some thousands of calls.
  for (let round = -20; round < rounds; round += 1) {
    for (const kind of ['plain', 'instrumented'] as const) {
      const began = cpuTime();
      for (let i = 0; i < perRound; i += 1) await clients[kind].callTool({ name: 'nothing', arguments: {} });
      if (round >= 0) took[kind].push((cpuTime() - began) / perRound);
      await metrics.flush();
    }
  }
  for (const client of Object.values(clients)) await client.close();
  const [plain, instrumented] = [median(took.plain), median(took.instrumented)];
  return { plainMicroseconds: plain, addedMicroseconds: instrumented - plain, ratio: instrumented / plain };
}

/** Starts the caller. Who shares a process with the service waits for what is done after its answer, which no caller does. */
function startRequester(): { turn: (turn: Turn) => Promise<Took>; stop: () => void } {
  const child = fork(new URL('./requester.ts', import.meta.url), { execArgv: [], env: { PATH: process.env['PATH'] } });
  const gone = once(child, 'exit').then(() => {
    throw new Error('the requester ended');
  });
  // Told to who waits for a turn.
  gone.catch(() => {});
  return {
    turn: async (turn) => {
      child.send(turn);
      const [took] = (await Promise.race([once(child, 'message'), gone])) as [Took];
      return took;
    },
    stop: () => void child.kill(),
  };
}

/** The same service without the middleware and with it. */
type Listeners = Readonly<Record<'plain' | 'measured', RequestListener>>;

function nodeListeners(client: MetricsClient): Listeners {
  const plain: RequestListener = (_, response) => void response.end('{"ok":true}');
  const middleware = nodeMetrics({ client });
  const measured: RequestListener = (request, response) => {
    middleware(request, response);
    plain(request, response);
  };
  return { plain, measured };
}

function honoListeners(client: MetricsClient): Listeners {
  const plain = new Hono().get('/', (context) => context.body('{"ok":true}'));
  const measured = new Hono().use(honoMetrics({ client })).get('/', (context) => context.body('{"ok":true}'));
  const listener = ({ fetch }: Hono): RequestListener => {
    const answer = getRequestListener(fetch);
    return (request, response) => void answer(request, response);
  };
  return { plain: listener(plain), measured: listener(measured) };
}

const FRAMEWORKS = { 'node:http': nodeListeners, Hono: honoListeners };

async function requestCost(
  framework: keyof typeof FRAMEWORKS,
  gateway: string,
  client: MetricsClient,
  requester: ReturnType<typeof startRequester>,
  rounds: number,
  perRound: number,
): Promise<RequestCost> {
  const listeners = FRAMEWORKS[framework](client);
  let listener = listeners.plain;
  const server = createServer((request, response) => listener(request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const turns = { plain: [] as TurnCost[], measured: [] as TurnCost[] };
  for (let round = -2; round < rounds; round += 1) {
    for (const kind of ['plain', 'measured'] as const) {
      listener = listeners[kind];
      const began = cpuTime();
      const took = (await requester.turn({ url, count: perRound })).toSorted((a, b) => a - b);
      // What is left to send belongs to this turn's price, and is no burden on the other's.
      await client.flush({ timeoutMs: 100 });
      const cpu = (cpuTime() - began) / perRound;
      // The first rounds warm up.
      if (round >= 0) turns[kind].push({ p50: quantile(took, 0.5), p99: quantile(took, 0.99), cpu });
    }
  }
  server.closeAllConnections();
  server.close();
  const { plain, measured } = turns;
  const ofTurns = (cost: (measured: TurnCost, plain: TurnCost) => number): number =>
    median(measured.map((turn, i) => cost(turn, plain[i]!)));
  return {
    framework,
    gateway,
    requests: rounds * perRound,
    plain: { p50: ofTurns((_, { p50 }) => p50), p99: ofTurns((_, { p99 }) => p99) },
    added: { p50: ofTurns((turn, { p50 }) => turn.p50 - p50), p99: ofTurns((turn, { p99 }) => turn.p99 - p99) },
    ratio: ofTurns((turn, { p50 }) => turn.p50 / p50),
    cpu: { plain: mean(plain.map(({ cpu }) => cpu)), measured: mean(measured.map(({ cpu }) => cpu)) },
  };
}

/** A server in a process of its own that answers so late, or refuses. */
async function standIn(answer: string): Promise<{ url: string; stop: () => Promise<unknown> }> {
  const port = await freePort();
  const program = `require('node:http').createServer((request, response) => { request.resume(); ${answer} }).listen(${port})`;
  const child = await startChild(...plainNode('--eval', program));
  await waitFor('the stand-in', () => fetch(`http://127.0.0.1:${port}`, { method: 'HEAD' }).then(() => true));
  return { url: `http://127.0.0.1:${port}`, stop: () => child.stop('SIGKILL') };
}

/** Both frameworks and all four states of a gateway, one after the other. */
export async function requestCosts(rounds: number, perRound: number): Promise<RequestCost[]> {
  const dataDirectory = mkdtempSync(join(tmpdir(), 'client-overhead-'));
  const gateway = await startGateway({ dataDirectory });
  const requester = startRequester();
  const slow = await standIn('setTimeout(() => response.end("{}"), request.method === "HEAD" ? 0 : 1000)');
  const refusing = await standIn('response.writeHead(503).end("{}")');
  try {
    const costs: RequestCost[] = [];
    const states = [
      ['up', gateway.url],
      ['slow', slow.url],
      ['refusing', refusing.url],
      ['absent', 'http://127.0.0.1:9'],
    ] as const;
    for (const framework of ['node:http', 'Hono'] as const) {
      for (const [state, url] of states) {
        const client = createMetricsClient({ url, apiKey: gateway.key, service: 'bench', onWarning: () => {} });
        costs.push(await requestCost(framework, state, client, requester, rounds, perRound));
        await client.shutdown({ timeoutMs: 1000 });
      }
    }
    return costs;
  } finally {
    requester.stop();
    await Promise.all([gateway.stop('SIGKILL'), slow.stop(), refusing.stop()]);
    rmSync(dataDirectory, { recursive: true, force: true });
  }
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      json: { type: 'boolean' },
      rounds: { type: 'string', default: '10' },
      requests: { type: 'string', default: '2100' },
    },
  });
  const recording = await recordingCost();
  const batchMicroseconds = await batchCost();
  const mcpCall = await mcpCallCost();
  const middleware = await requestCosts(Number(values.rounds), Number(values.requests));
  if (values.json === true) console.log(JSON.stringify({ recording, batchMicroseconds, mcpCall, middleware }));
  else {
    const us = (value: number): string => `${value.toFixed(1)} µs`;
    const { recordMicroseconds, stringifyMicroseconds, ratio } = recording;
    console.log(
      `recording: ${us(recordMicroseconds)}, × ${ratio.toFixed(1)} of JSON.stringify of the same (${us(stringifyMicroseconds)})`,
    );
    console.log(`sealing a batch of 1,000: ${us(batchMicroseconds)}`);
    console.log(
      `a call of an instrumented MCP server: +${us(mcpCall.addedMicroseconds)} (× ${mcpCall.ratio.toFixed(2)} of ${us(mcpCall.plainMicroseconds)})`,
    );
    for (const { framework, gateway, requests, plain, added, ratio: times, cpu } of middleware) {
      console.log(
        `${framework.padEnd(9)} with the gateway ${gateway.padEnd(8)}: p50 +${us(added.p50)} (× ${times.toFixed(2)} of ${us(plain.p50)}), p99 +${us(added.p99)} (of ${us(plain.p99)}); CPU ${us(cpu.measured)} over ${us(cpu.plain)}; ${requests} requests`,
      );
    }
  }
}
