/** Load from outside: as much as the server takes, from wrk, or so many requests a second, from a process of our own. */
import { execFile, fork } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { bodies, bodyCount } from './bodies.ts';
import type { PacedOrder, PacedResult } from './paced-client.ts';
import type { Load } from './scenario.ts';

export interface Target {
  /** The URL that takes `POST`. */
  readonly url: string;
  readonly keys: readonly string[];
}

export interface LoadOptions extends Load {
  readonly seconds: number;
}

export interface Saturated {
  readonly ok: number;
  readonly refused: number;
  readonly failed: number;
  readonly seconds: number;
  /** Milliseconds, of all answers. */
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
}

const SCRIPT = `
local requests, bodies, keys, at = {}, {}, {}, 0
local threads = {}
function setup(thread) table.insert(threads, thread) end
function init(args)
  local file = io.open(args[1]); for line in file:lines() do bodies[#bodies + 1] = line end; file:close()
  for key in string.gmatch(args[2], "[^,]+") do keys[#keys + 1] = key end
  for i = 1, #bodies do
    local headers = { ["Content-Type"] = "application/json", ["X-API-Key"] = keys[(i - 1) % #keys + 1] }
    requests[i] = wrk.format("POST", nil, headers, bodies[i])
  end
  busy, other = 0, 0
end
function request() at = at % #requests + 1; return requests[at] end
function response(status) if status == 503 then busy = busy + 1 elseif status ~= 200 then other = other + 1 end end
function done(summary, latency)
  local busy, other = 0, summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  for _, thread in ipairs(threads) do busy = busy + thread:get("busy"); other = other + thread:get("other") end
  io.write(string.format("RESULT %d %d %d %d %d %d %d\\n", summary.requests, busy, other, summary.duration,
    latency:percentile(50), latency:percentile(99), latency:percentile(99.9)))
end`;

/** As many requests as the server answers, each connection with one under way. */
export async function saturate({ url, keys }: Target, options: LoadOptions): Promise<Saturated> {
  const { metrics, connections, seconds } = options;
  const directory = mkdtempSync(join(tmpdir(), 'bench-load-'));
  try {
    const script = join(directory, 'post.lua');
    const file = join(directory, 'bodies');
    writeFileSync(script, SCRIPT);
    writeFileSync(
      file,
      `${bodies(metrics, bodyCount(metrics))
        .map((body) => JSON.stringify(body))
        .join('\n')}\n`,
    );
    const size = ['-t1', `-c${connections}`, `-d${seconds}s`, '--timeout', '10s'];
    const { stdout } = await promisify(execFile)('wrk', [...size, '-s', script, url, '--', file, keys.join(',')]);
    const found = /RESULT (\d+) (\d+) (\d+) (\d+) (\d+) (\d+) (\d+)/.exec(stdout);
    if (found === null) throw new Error(`wrk did not say what it measured:\n${stdout}`);
    const [requests, refused, failed, micros, p50, p99, p999] = found.slice(1).map(Number);
    return {
      ok: requests! - refused! - failed!,
      refused: refused!,
      failed: failed!,
      seconds: micros! / 1e6,
      p50: p50! / 1000,
      p99: p99! / 1000,
      p999: p999! / 1000,
    };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/**
 * So many requests a second at even distances, latencies counted from when each was due.
 * @param end ends it before its time, with all answers in
 */
export function pace(
  { url, keys }: Target,
  options: LoadOptions & { readonly perSecond: number },
  end?: AbortSignal,
): Promise<PacedResult> {
  const client = fork(new URL('./paced-client.ts', import.meta.url));
  const { metrics, seconds } = options;
  const order: PacedOrder = {
    ...options,
    warmUpSeconds: Math.min(1, seconds / 4),
    url,
    keys,
    bodies: bodies(metrics, bodyCount(metrics)).map((body) => JSON.stringify(body)),
  };
  return new Promise((resolve, reject) => {
    client.once('message', (result) => resolve(result as PacedResult));
    client.once('exit', (code) => reject(new Error(`the paced client ended with ${code}`)));
    client.send(order);
    end?.addEventListener('abort', () => {
      if (client.connected) client.send('end');
    });
  });
}
