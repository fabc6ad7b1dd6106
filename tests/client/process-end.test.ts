import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { startChild } from '../support/child.ts';
import { plainNode } from '../support/plain-node.ts';
import { startStandIn } from './stand-in-gateway.ts';

const CLIENT = join(import.meta.dirname, '../../src/client/index.ts');

/** Runs a program that has `client`, and tells how it ended and how long it took. */
async function run(
  url: string,
  program: string,
  options = '',
): Promise<{ code: number | null; output: string; ms: number }> {
  const began = performance.now();
  const script = `
    import { createMetricsClient } from ${JSON.stringify(CLIENT)};
    const client = createMetricsClient({ url: ${JSON.stringify(url)}, apiKey: 'k', service: 's', ${options} });
    ${program}`;
  const child = await startChild(...plainNode('--input-type=module', '--eval', script));
  const { code } = await child.exited;
  return { code, output: child.output(), ms: performance.now() - began };
}

t.test('a process that has nothing more to do sends what is left before it ends', async (t) => {
  const gateway = await startStandIn();
  t.teardown(() => gateway.close());
  const { code, output } = await run(gateway.url, `for (let n = 0; n < 1200; n += 1) client.custom('x');`);
  t.equal(code, 0);
  t.equal(output, '');
  t.equal(gateway.accepted.length, 1200);
});

t.test('without a gateway it ends soon all the same', async (t) => {
  const { code, ms } = await run('http://127.0.0.1:9', `client.custom('x');`);
  t.equal(code, 0);
  t.ok(ms < 9000, `${ms} ms`);
});

t.test('a gateway that takes the connection and says nothing keeps it for seconds, not for ever', async (t) => {
  const silent = createServer(() => {});
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  t.teardown(() => silent.close());
  const { port } = silent.address() as AddressInfo;
  const { code, ms } = await run(`http://127.0.0.1:${port}`, `client.custom('x');`);
  t.equal(code, 0);
  t.ok(ms < 9000, `${ms} ms`);
});

t.test('a last flush ends a request that hangs, and the process is kept no longer than that', async (t) => {
  const silent = createServer(() => {});
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  t.teardown(() => silent.close());
  const { port } = silent.address() as AddressInfo;
  const program = `
    client.custom('x');
    const began = performance.now();
    // Its request is under way when the last flush begins.
    await client.flush({ timeoutMs: 50 });
    await client.flush({ timeoutMs: 200, final: true });
    process.on('exit', () => console.log(performance.now() - began));`;
  const { code, output } = await run(`http://127.0.0.1:${port}`, program, 'requestTimeoutMs: 60_000');
  t.equal(code, 0);
  t.ok(Number(output) >= 200 && Number(output) < 2000, `${output} ms: no time-out, and no other flush at the end`);
});

t.test('after a last flush in vain, the end of the process is a chance again for what comes', async (t) => {
  const gateway = await startStandIn();
  t.teardown(() => gateway.close());
  gateway.answer = (_, index) => (index === 0 ? { status: 503 } : undefined);
  const program = `
    for (let n = 0; n < 25; n += 1) client.custom('x');
    await client.flush({ timeoutMs: 50, final: true });
    client.custom('y');`;
  await run(gateway.url, program, 'maxBatchSize: 10');
  t.equal(gateway.accepted.length, 26);
});

t.test('a gateway that begins its answers and never ends them keeps it no longer', async (t) => {
  let answers = 0;
  const endless = createHttpServer((request, response) => {
    request.resume().on('end', () => {
      answers += 1;
      response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders();
    });
  });
  await new Promise<void>((resolve) => endless.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    endless.close();
    endless.closeAllConnections();
  });
  const { port } = endless.address() as AddressInfo;
  const program = `for (let n = 0; n < 40; n += 1) client.custom('x');`;
  const { code, ms } = await run(`http://127.0.0.1:${port}`, program, 'maxBatchSize: 10');
  t.equal(code, 0);
  t.equal(answers, 1, 'no further request after the deadline');
  t.ok(ms < 9000, `${ms} ms`);
});

t.test('after a shutdown that ran out of time, a request that hangs does not keep it', async (t) => {
  const silent = createServer(() => {});
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  t.teardown(() => silent.close());
  const { port } = silent.address() as AddressInfo;
  const program = `client.custom('x'); await client.shutdown({ timeoutMs: 100 });`;
  const { code, ms } = await run(`http://127.0.0.1:${port}`, program, 'requestTimeoutMs: 60_000');
  t.equal(code, 0);
  t.ok(ms < 9000, `${ms} ms`);
});

t.test('the client listens to no signal, and many clients to beforeExit once', async (t) => {
  const { output } = await run(
    'http://127.0.0.1:9',
    `for (let i = 0; i < 50; i += 1) createMetricsClient({ apiKey: 'k', url: 'http://127.0.0.1:9' }).custom('x');
     const counts = ['SIGINT', 'SIGTERM', 'SIGHUP', 'exit', 'beforeExit', 'uncaughtException', 'unhandledRejection']
       .map((name) => process.listenerCount(name));
     console.log(JSON.stringify(counts));
     process.exit(0);`,
  );
  t.strictSame(JSON.parse(output), [0, 0, 0, 0, 1, 0, 0]);
});

t.test('after shutdown nothing is left that could keep or wake the process', async (t) => {
  const gateway = await startStandIn();
  t.teardown(() => gateway.close());
  const { output } = await run(
    gateway.url,
    `client.custom('x');
     await client.shutdown();
     console.log(process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length);`,
  );
  t.equal(output.trim(), '0');
  t.equal(gateway.accepted.length, 1);
});
