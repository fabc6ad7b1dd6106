/** A real nginx with the Lua modules of clients/nginx, in front of whatever a test puts behind it. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, globSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { startChild, type Child } from '../support/child.ts';
import { freePort } from '../support/free-port.ts';
import { ROOT } from '../support/root.ts';
import { programPath } from '../support/tools.ts';
import { waitFor } from '../support/wait-for.ts';

const MODULES = '/usr/lib/nginx/modules';

const complete = existsSync(`${MODULES}/ngx_http_lua_module.so`) && globSync('/usr/lib/*/lua/5.1/cjson.so').length > 0;

/** Where nginx is, or undefined without it or what its Lua needs. */
export const NGINX = complete ? programPath('nginx') : undefined;
export const NGINX_PACKAGES = 'nginx with Lua (Debian’s packages nginx, libnginx-mod-http-lua and lua-cjson)';

export interface NginxOptions {
  /** An empty folder. */
  readonly folder: string;
  /** The server behind `/mcp-server/`. */
  readonly upstream: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Lua source of further options for `setup`. */
  readonly options?: string;
  /** Further directives of the `http` block. */
  readonly http?: string;
  /** Whether answers are looked into, as location.conf has it. Default true. */
  readonly filters?: boolean;
  readonly workers?: number;
}

export interface Books {
  readonly recorded: number;
  readonly delivered: number;
  readonly rejected: number;
  readonly dropped: number;
  readonly queued: number;
  readonly in_flight: number;
  readonly requests: number;
  readonly retries: number;
  readonly unread: number;
}

export interface Nginx extends Child {
  /** With a slash at the end; stands for the upstream's root. */
  readonly url: string;
  readonly books: () => Promise<Books>;
  /** Sends a JSON-RPC body, or any other text. */
  readonly post: (body: unknown, headers?: Readonly<Record<string, string>>) => Promise<Response>;
  readonly errorLog: () => string;
}

export async function startNginx(options: NginxOptions): Promise<Nginx> {
  const { folder, upstream, environment, options: more = '', http = '', filters = true, workers = 2 } = options;
  const port = await freePort();
  const file = join(folder, 'nginx.conf');
  const errors = join(folder, 'error.log');
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  writeFileSync(
    file,
    `load_module ${MODULES}/ndk_http_module.so;
     load_module ${MODULES}/ngx_http_lua_module.so;
     daemon off; user root; worker_processes ${workers}; pid ${folder}/nginx.pid; error_log ${errors} notice;
     events { worker_connections 256; }
     http {
       access_log off; lua_socket_log_errors off; client_max_body_size 20m;
       ${temporary.map((name) => `${name}_temp_path ${folder}/${name};`).join(' ')}
       lua_package_path "${ROOT}/clients/nginx/lib/?.lua;;";
       lua_shared_dict mcp_metrics 10m;
       lua_shared_dict mcp_metrics_sessions 1m;
       ${http}
       init_by_lua_block {
         require("mcp_metrics").setup({ service = "edge", flush_interval = 0.05, retry_base = 0.05, retry_max = 0.2,
           misconfigured_pause = 0.2, ${more} })
       }
       init_worker_by_lua_block { require("mcp_metrics").start() }
       server {
         listen 127.0.0.1:${port};
         location /mcp-server/ {
           set $mcp_user $http_x_user;
           proxy_pass ${upstream}/; proxy_http_version 1.1; proxy_buffering off; proxy_set_header Host $proxy_host;
           ${filters ? `include ${ROOT}/clients/nginx/location.conf;` : 'log_by_lua_block { require("mcp_metrics").log() }'}
         }
         location = /status { content_by_lua_block { require("mcp_metrics").status() } }
       }
     }`,
  );
  const child = await startChild(NGINX!, ['-p', folder, '-c', file], { env: environment });
  const base = `http://127.0.0.1:${port}`;
  const books = async (): Promise<Books> => (await (await fetch(`${base}/status`)).json()) as Books;
  const errorLog = (): string => (existsSync(errors) ? readFileSync(errors, 'utf8') : '');
  try {
    await waitFor('nginx', async () => child.exit() !== undefined || (await books()).recorded === 0);
    if (child.exit() !== undefined) throw new Error('nginx ended at once');
  } catch (error) {
    await child.stop('SIGKILL');
    throw new Error(`nginx did not start. It said:\n${child.output()}\n${errorLog()}`, { cause: error });
  }
  return {
    ...child,
    url: `${base}/mcp-server/`,
    books,
    errorLog,
    post: (body, headers) =>
      fetch(`${base}/mcp-server/`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: typeof body === 'string' || body instanceof Uint8Array ? (body as string) : JSON.stringify(body),
      }),
  };
}

/** The example of the documentation as it stands, but for its ports, its folders and where this machine's modules are. */
export async function startExample(
  folder: string,
  upstream: string,
  environment: NginxOptions['environment'],
): Promise<Child & { readonly url: string }> {
  const port = await freePort();
  const clients = join(ROOT, 'clients/nginx');
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${folder}/${name};`,
  );
  // Installed as its README says.
  const readme = readFileSync(join(clients, 'README.md'), 'utf8');
  const install = /^mkdir -p .*$/m.exec(readme)?.[0] ?? '';
  execFileSync('sh', ['-euc', install.replaceAll('/etc/nginx', folder)], { cwd: clients });
  const example = readFileSync(join(clients, 'nginx.conf.example'), 'utf8')
    .replaceAll('/etc/nginx', folder)
    .replace('listen 8080', `listen 127.0.0.1:${port}`)
    .replace('http://127.0.0.1:8001', upstream)
    .replace('http {', `http { access_log off; ${temporary.join(' ')}`);
  const file = join(folder, 'nginx.conf');
  writeFileSync(
    file,
    `load_module ${MODULES}/ndk_http_module.so; load_module ${MODULES}/ngx_http_lua_module.so;
     daemon off; user root; pid ${folder}/nginx.pid; error_log ${folder}/error.log;\n${example}`,
  );
  const child = await startChild(NGINX!, ['-p', folder, '-c', file], { env: environment });
  const url = `http://127.0.0.1:${port}`;
  await waitFor('nginx', async () => (await fetch(`${url}/mcp-metrics-status`)).ok);
  return { ...child, url };
}

export interface LocalServer {
  readonly url: string;
  readonly close: () => Promise<void>;
}

/** An HTTP server in this process; `make` takes another kind, such as one with TLS. */
export async function serve(
  listener: RequestListener,
  make: (listener: RequestListener) => ReturnType<typeof createServer> = (handler) => createServer(handler),
  port = 0,
): Promise<LocalServer> {
  const server = make(listener);
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** A request that a stand-in for the gateway took. */
export interface Taken {
  readonly key: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly metrics: readonly Readonly<Record<string, unknown>>[];
  readonly at: number;
}

export type Script = readonly [status: number, headers?: Readonly<Record<string, string>>, body?: object];

/** Takes the gateway's place: answers by the script, then 200, and keeps what came. */
export function standIn(script: Script[]): { readonly taken: Taken[]; readonly listener: RequestListener } {
  const taken: Taken[] = [];
  const listener: RequestListener = (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString();
      const { metrics } = JSON.parse(body) as Pick<Taken, 'metrics'>;
      const key = String(request.headers['idempotency-key']);
      taken.push({ key, headers: request.headers, body, metrics, at: performance.now() });
      const [status, headers = {}, answer = { accepted: metrics.length, rejected: 0 }] = script.shift() ?? [200];
      response.writeHead(status, { 'content-type': 'application/json', ...headers });
      // Written in two pieces: chunked, as a proxy may make it.
      response.write(' ');
      response.end(JSON.stringify(answer));
    });
  };
  return { taken, listener };
}

/** An MCP server as far as nginx can tell: answers every request, as its method says. */
export const answering: RequestListener = (request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const found = /"id":("[^"]*"|\d+)/.exec(Buffer.concat(chunks).toString());
    const status = Number(request.headers['x-answer-status'] ?? 200);
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(`{"jsonrpc":"2.0","id":${found?.[1] ?? 'null'},"result":{}}`);
  });
};
