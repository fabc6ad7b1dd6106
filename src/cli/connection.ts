/**
 * How commands reach the gateway: through its control socket, or over HTTP with `--url` and an admin key. Where no gateway
 * runs, the same routes are served in this process over the data directory, so each command is written once.
 */
import { request as httpRequest, type RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { createInterface } from 'node:readline';
import { dirname, join, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { ReadableStream } from 'node:stream/web';
import type { Command } from 'commander';
import { findConfig, loadConfig } from '../config.ts';
import type { Json } from '../core/metric.ts';
import type { Pipeline } from '../core/pipeline.ts';
import { EXIT } from './exit-codes.ts';

/** The gateway answered, and not with what was asked for. */
export class CommandFailed extends Error {
  override readonly name = 'CommandFailed';
  readonly exitCode: number;

  constructor(message: string, exitCode: number = EXIT.failed, cause?: unknown) {
    super(message, { cause });
    this.exitCode = exitCode;
  }
}

export interface CallOptions {
  readonly query?: Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>;
  readonly body?: Json;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Connection {
  /** Whom the commands talk to, for a person: an address, a socket, or the data directory. */
  readonly target: string;
  /** False where the data directory was opened by this process. */
  readonly running: boolean;
  /** @throws CommandFailed with the problem's detail */
  readonly call: (method: string, path: string, options?: CallOptions) => Promise<unknown>;
  /** The lines of an NDJSON answer as they come. */
  readonly lines: (method: string, path: string, options?: CallOptions) => AsyncIterable<unknown>;
}

export interface ConnectionOptions {
  readonly config?: string;
  readonly url?: string;
  readonly key?: string;
}

/** Adds the options that every command which talks to a gateway takes. */
export function withConnectionOptions(command: Command): Command {
  return command
    .option('-c, --config <file>', 'the pipeline, which says where the data directory is; default as for start')
    .option('--url <address>', 'a gateway elsewhere, such as https://metrics.example.com')
    .option(
      '--key <secret>',
      'its admin key; better given in METRICS_ADMIN_KEY, since a command line can be seen by others',
    );
}

export interface DataLocation {
  readonly databasePath: string;
  readonly dataDirectory: string;
  readonly retentionDays: number;
}

/** Where the gateway of this config keeps its files. */
export const dataLocation = async (config: string | undefined): Promise<DataLocation> =>
  locationOf(await loadConfig(findConfig(config)));

export function locationOf(pipeline: Pipeline): DataLocation {
  const databasePath = resolve(pipeline.databasePath ?? './data/metrics.db');
  const dataDirectory = resolve(pipeline.dataDirectory ?? dirname(databasePath));
  return { databasePath, dataDirectory, retentionDays: pipeline.retentionDays ?? 90 };
}

/** An answer, wherever it comes from. */
interface Answer {
  readonly status: number;
  readonly text: () => Promise<string>;
  readonly lines: () => AsyncIterable<string>;
}

type Send = (
  method: string,
  path: string,
  headers: Record<string, string>,
  body: string | undefined,
) => Promise<Answer>;

/** @returns undefined where no gateway runs and `--url` is not given */
export async function connectToRunning({
  config,
  url,
  key = process.env['METRICS_ADMIN_KEY'],
}: ConnectionOptions): Promise<Connection | undefined> {
  if (url !== undefined) {
    if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
      throw new CommandFailed(`--url ${url}: expected an http:// or https:// address`, EXIT.usage);
    }
    if (key === undefined) {
      throw new CommandFailed('--url needs an admin key: set METRICS_ADMIN_KEY, or give --key', EXIT.usage);
    }
    return connection(new URL(url).origin, true, overNetwork(new URL(url), key));
  }
  const { dataDirectory } = await dataLocation(config);
  const path = join(dataDirectory, 'control.sock');
  const found = connection(path, true, overSocket(path));
  try {
    await found.call('GET', '/livez');
    return found;
  } catch (error) {
    const { code } = ((error as Error).cause ?? {}) as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ECONNREFUSED') return undefined;
    throw error;
  }
}

/** @throws CommandFailed where no gateway runs */
export async function connect(options: ConnectionOptions): Promise<Connection> {
  const running = await connectToRunning(options);
  if (running !== undefined) return running;
  const { dataDirectory } = await dataLocation(options.config);
  throw new CommandFailed(`no gateway runs on ${dataDirectory}; start it with: mcp-metrics start`, EXIT.unavailable);
}

/** Where no gateway runs, the data directory is opened by this process for as long as `use` takes. */
export async function withConnection<Result>(
  options: ConnectionOptions,
  use: (connection: Connection) => Promise<Result>,
): Promise<Result> {
  const running = await connectToRunning(options);
  if (running !== undefined) return use(running);
  const { openOffline } = await import('./offline.ts');
  const location = await dataLocation(options.config);
  const offline = await openOffline(location);
  try {
    return await use(
      connection(location.dataDirectory, false, async (...request) => {
        const answer = await offline.request(...request);
        return {
          status: answer.status,
          text: () => answer.text(),
          lines: () => createInterface({ input: Readable.fromWeb(answer.body as ReadableStream) }),
        };
      }),
    );
  } finally {
    await offline.close();
  }
}

const overSocket =
  (path: string): Send =>
  (method, target, headers, body) =>
    send(httpRequest, { socketPath: path, method, path: target, headers }, body);

const overNetwork =
  (url: URL, key: string): Send =>
  (method, target, headers, body) =>
    send(
      url.protocol === 'https:' ? httpsRequest : httpRequest,
      {
        hostname: url.hostname.replace(/^\[|\]$/g, ''),
        port: url.port,
        method,
        path: `${url.pathname.replace(/\/$/, '')}${target}`,
        headers: { 'X-API-Key': key, ...headers },
      },
      body,
    );

function send(request: typeof httpRequest, options: RequestOptions, body: string | undefined): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(options, (incoming) =>
      resolve({
        status: incoming.statusCode ?? 0,
        text: () => text(incoming),
        lines: () => createInterface({ input: incoming }),
      }),
    );
    outgoing.on('error', (error) =>
      reject(new CommandFailed(`the gateway cannot be reached: ${error.message}`, EXIT.unavailable, error)),
    );
    outgoing.end(body);
  });
}

function connection(target: string, running: boolean, sendTo: Send): Connection {
  const open = async (method: string, path: string, options: CallOptions = {}): Promise<Answer> => {
    const { query = {}, body } = options;
    const search = new URLSearchParams();
    for (const [name, value] of Object.entries(query)) {
      for (const item of Array.isArray(value) ? (value as readonly string[]) : [value])
        if (item !== undefined) search.append(name, String(item));
    }
    const headers = {
      ...(body === undefined ? undefined : { 'Content-Type': 'application/json' }),
      ...options.headers,
    };
    const answer = await sendTo(
      method,
      search.size === 0 ? path : `${path}?${search.toString()}`,
      headers,
      body === undefined ? undefined : JSON.stringify(body),
    );
    if (answer.status >= 200 && answer.status < 300) return answer;
    throw failureOf(answer.status, await answer.text());
  };
  return {
    target,
    running,
    call: async (method, path, options) => {
      const content = await (await open(method, path, options)).text();
      return content === '' ? undefined : (JSON.parse(content) as unknown);
    },
    lines: async function* (method, path, options) {
      for await (const line of (await open(method, path, options)).lines()) {
        if (line !== '') yield JSON.parse(line) as unknown;
      }
    },
  };
}

const EXIT_OF_STATUS: Readonly<Record<number, number>> = {
  400: EXIT.usage,
  401: EXIT.denied,
  403: EXIT.denied,
  404: EXIT.notFound,
  422: EXIT.usage,
};

/** The problem's detail is written for people; its status says which exit code fits. */
function failureOf(status: number, body: string): CommandFailed {
  let detail = body.slice(0, 500);
  try {
    detail = (JSON.parse(body) as { detail?: string }).detail ?? detail;
  } catch {
    // Not JSON: some proxy's own page.
  }
  return new CommandFailed(`${status}: ${detail}`, EXIT_OF_STATUS[status] ?? EXIT.failed);
}
