import t from 'tap';
import { readFileSync } from 'node:fs';
import { get as getTls } from 'node:https';
import { connect } from 'node:net';
import { createPrometheusServer, type PrometheusServerOptions } from '../../../src/sinks/otel/prometheus-server.ts';
import type { PrometheusSettings } from '../../../src/sinks/otel/reader-settings.ts';
import { shareScrapes } from '../../../src/sinks/otel/shared-scrape.ts';
import { until } from './context.ts';
import { selfSigned } from './self-signed.ts';
import { folderOf } from '../../support/folder.ts';

const SETTINGS: PrometheusSettings = {
  kind: 'prometheus',
  host: '127.0.0.1',
  port: 0,
  bearerToken: undefined,
  tls: undefined,
  timeoutMs: 10_000,
};
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

async function listen(options: Partial<PrometheusServerOptions>, settings: Partial<PrometheusSettings> = {}) {
  const scrapes: number[] = [];
  const server = createPrometheusServer({
    notReady: () => undefined,
    collect: () => Promise.resolve([bytes('x 1\n')]),
    onScrape: (_, status) => scrapes.push(status),
    ...options,
    settings: { ...SETTINGS, ...settings },
  });
  const { port } = await server.listen();
  return { server, port, scrapes, url: `http://127.0.0.1:${port}/metrics` };
}

t.test('a scrape that takes too long is answered with 503', async (t) => {
  const { server, url, scrapes } = await listen({ collect: () => new Promise(() => {}) }, { timeoutMs: 30 });
  t.teardown(server.close);
  const response = await fetch(url);
  t.equal(response.status, 503);
  t.match(await response.text(), /not ready within 30 ms/);
  t.strictSame(scrapes, [503]);
});

t.test('what fails in the totals is told, and the next scrape works', async (t) => {
  let calls = 0;
  const { server, url } = await listen({
    collect: () =>
      calls++ === 0 ? Promise.reject(new Error('the thread is gone')) : Promise.resolve([bytes('x 1\n')]),
  });
  t.teardown(server.close);
  const first = await fetch(url);
  t.equal(first.status, 503);
  t.match(await first.text(), /the thread is gone/);
  t.equal(await (await fetch(url)).text(), 'x 1\n');
});

t.test('a scraper that hangs up in the middle harms nobody', async (t) => {
  const large = Array.from({ length: 200 }, () => new Uint8Array(256 * 1024).fill(120));
  const { server, url, port, scrapes } = await listen({ collect: () => Promise.resolve(large) });
  t.teardown(server.close);
  await new Promise<void>((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n'));
    socket.once('data', () => {
      socket.destroy();
      resolve();
    });
  });
  await until('the scrape ended', () => scrapes.length === 1);
  const response = await fetch(url, { headers: { 'accept-encoding': 'identity' } });
  t.equal((await response.arrayBuffer()).byteLength, 200 * 256 * 1024);
});

t.test('HTTPS where certificate and key are given', async (t) => {
  const { certFile, keyFile } = selfSigned(folderOf(t));
  const { server, port } = await listen({}, { tls: { certFile, keyFile } });
  t.teardown(server.close);
  const text = await new Promise<string>((resolve, reject) => {
    getTls(
      { port, host: '127.0.0.1', servername: 'localhost', path: '/metrics', ca: readFileSync(certFile) },
      (response) => {
        response.on('data', (piece: Buffer) => resolve(piece.toString()));
      },
    ).on('error', reject);
  });
  t.equal(text, 'x 1\n');
});

t.test('one serialisation at a time: who comes during one shares the next', async (t) => {
  const waiting: (() => void)[] = [];
  let running = 0;
  let most = 0;
  const share = shareScrapes(async (format) => {
    running += 1;
    most = Math.max(most, running);
    await new Promise<void>((resolve) => waiting.push(resolve));
    running -= 1;
    return [bytes(`${format} ${waiting.length}`)];
  });
  const first = share('prometheus');
  await until('the first runs', () => waiting.length === 1);
  const others = [share('prometheus'), share('prometheus'), share('openmetrics')];
  waiting[0]?.();
  await until('the second runs', () => waiting.length === 2);
  waiting[1]?.();
  await until('the third runs', () => waiting.length === 3);
  waiting[2]?.();
  await first;
  const [second, third] = await Promise.all(others);
  t.equal(second, third, 'the same bytes');
  t.equal(waiting.length, 3, 'one for the first, one for the two, one for the other format');
  t.equal(most, 1);
});

t.test('a failed serialisation does not fail those behind it', async (t) => {
  let calls = 0;
  const share = shareScrapes(() => (calls++ === 0 ? Promise.reject(new Error('no')) : Promise.resolve([])));
  await t.rejects(share('prometheus'), /no/);
  t.strictSame(await share('prometheus'), []);
});

const raw = (port: number, text: string): Promise<string> =>
  new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(text));
    socket.on('data', (piece: Buffer) => (answer += piece.toString()));
    socket.on('error', reject).on('close', () => resolve(answer));
  });

t.test('every answer has the security headers, what is no HTTP included', async (t) => {
  const { server, port, url } = await listen({}, { bearerToken: 'a token of the test' });
  t.teardown(server.close);
  const origin = new URL(url).origin;
  for (const [path, init, status] of [
    ['/metrics', { headers: { authorization: 'Bearer a token of the test' } }, 200],
    ['/', { headers: { authorization: 'Bearer a token of the test' } }, 200],
    ['/metrics', {}, 401],
    ['/metrics', { method: 'POST' }, 405],
    ['/nowhere', {}, 404],
  ] as const) {
    const response = await fetch(`${origin}${path}`, init);
    t.equal(response.status, status, `${path}: ${status}`);
    t.equal(response.headers.get('x-content-type-options'), 'nosniff');
    t.match(response.headers.get('content-security-policy'), "default-src 'none'");
    t.equal(response.headers.get('cache-control'), 'no-store');
  }
  const large = `GET /metrics HTTP/1.1\r\nHost: x\r\nX-Large: ${'x'.repeat(20_000)}\r\n\r\n`;
  for (const [request, status] of [
    ['nonsense\r\n\r\n', 400],
    [large, 431],
  ] as const) {
    const answer = await raw(port, request);
    t.ok(answer.startsWith(`HTTP/1.1 ${status} `), answer.slice(0, 40));
    t.match(answer, /x-content-type-options: nosniff/i);
  }
});

t.test('a request that does not come whole is ended', { timeout: 40_000 }, async (t) => {
  const { server, port } = await listen({});
  t.teardown(server.close);
  t.match(await raw(port, 'GET /metrics HTTP/1.1\r\nHost: x\r\n'), /^HTTP\/1\.1 408 /);
});

t.test('guesses at the token are limited per address; the right one always passes', async (t) => {
  const { server, url } = await listen({}, { bearerToken: 'a token of the test' });
  t.teardown(server.close);
  const scrape = async (token: string): Promise<Response> => {
    const response = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
    await response.arrayBuffer();
    return response;
  };
  const statuses: number[] = [];
  let last: Response | undefined;
  for (let guess = 0; guess < 70; guess += 1) statuses.push((last = await scrape(`guess ${guess}`)).status);
  t.same(statuses.slice(0, 60), Array<number>(60).fill(401));
  t.ok(statuses.includes(429), 'further ones are turned away');
  t.match(last?.headers.get('retry-after'), /^[1-9]/);
  t.equal((await scrape('a token of the test')).status, 200);
});
