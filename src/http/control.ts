/**
 * The control socket: the same app on a socket in the data directory, for the command line on this machine. Who may
 * open the file may do everything, so it belongs to its owner alone and no key is asked for.
 */
import { rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { getRequestListener } from '@hono/node-server';
import type { Client } from '../core/phases.ts';
import { type App, createApp } from './app.ts';
import type { HttpDependencies } from './dependencies.ts';
import { type MaintenanceDependencies, maintenanceRoutes } from './maintenance.ts';

/** Who is at the other end of the control socket. */
const LOCAL_OPERATOR: Client = {
  keyId: 'control-socket',
  service: 'control-socket',
  scopes: ['ingest', 'read', 'admin'],
  limits: {},
};

/** The app for whoever owns the data directory: no key is asked for, and there is more that can be done. */
export function createControlApp(dependencies: HttpDependencies, maintenance: MaintenanceDependencies): App {
  const app = createApp({ ...dependencies, authenticate: () => LOCAL_OPERATOR });
  app.route('/', maintenanceRoutes(maintenance));
  return app;
}

export interface ControlListener {
  readonly path: string;
  readonly close: () => Promise<void>;
}

/** Longest path of a socket that every platform takes, bytes. */
export const MAX_SOCKET_PATH_BYTES = 103;

/**
 * Listens on `path`; a socket left by a process that was killed is replaced, so call this with the directory's lock held.
 * @throws RangeError for a path too long for a socket
 */
export async function listenControl(app: App, path: string): Promise<ControlListener> {
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES) {
    throw new RangeError(`${path} is too long for a socket (${MAX_SOCKET_PATH_BYTES} bytes at most)`);
  }
  await rm(path, { force: true });
  const server: Server = createServer();
  const toApp = getRequestListener(app.fetch, { hostname: 'localhost' });
  server.on('request', (incoming, outgoing) => void toApp(incoming, outgoing));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    // The socket is made within this call: nobody else can open it in between.
    const before = process.umask(0o177);
    try {
      server.listen(path, resolve);
    } finally {
      process.umask(before);
    }
  });
  return {
    path,
    close: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
      await rm(path, { force: true });
    },
  };
}
