/** Can the listeners have their ports? */
import { createServer } from 'node:net';
import type { PrometheusSettings } from '../../sinks/otel/reader-settings.ts';
import { type Check, fault, type Finding, ok, readersOf } from './finding.ts';

interface Listener {
  readonly name: string;
  readonly host: string;
  readonly port: number;
}

export const checkPorts: Check = ({ pipeline, gateway }) => {
  const { host = '127.0.0.1', port = 8890 } = pipeline.server ?? {};
  const pages = readersOf<PrometheusSettings>(pipeline, 'prometheus').map(({ name, settings }): Listener => ({
    name,
    host: settings.host ?? '127.0.0.1',
    port: settings.port ?? 9465,
  }));
  const listeners: readonly Listener[] = [{ name: 'ingest', host, port }, ...pages];
  return Promise.all(
    listeners.map(async (listener, at) => {
      const check = `port ${listener.port}`;
      const other = listeners.find((each, index) => index < at && each.port === listener.port && each.port !== 0);
      if (other !== undefined)
        return fault(check, `${listener.name}: it is ${other.name}'s already`, 'give each listener a port of its own');
      if (gateway !== undefined && !(gateway instanceof Error))
        return ok(check, `${listener.name}: the running gateway's`);
      return findingOf(check, listener, await tryPort(listener));
    }),
  );
};

function findingOf(check: string, { name, host, port }: Listener, code: string | undefined): Finding {
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
}

function tryPort({ host, port }: Listener): Promise<string | undefined> {
  return new Promise((done) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => done(error.code ?? error.message));
    server.listen({ host, port, exclusive: true }, () => server.close(() => done(undefined)));
  });
}
