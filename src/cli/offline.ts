/** The data directory without a gateway: its lock is held and the same routes are served within this process. */
import { createControlApp } from '../http/control.ts';
import { Refusal } from '../core/refusal.ts';
import { lockDirectory } from '../sinks/sqlite/directory-lock.ts';
import { openKeyStore } from '../sinks/sqlite/key-store.ts';
import { openStore } from '../sinks/sqlite/store.ts';
import { createLog } from '../telemetry/log.ts';
import { systemClock } from '../telemetry/system-clock.ts';
import { version } from '../version.ts';
import type { DataLocation } from './connection.ts';

export interface OfflineDirectory {
  readonly request: (
    method: string,
    path: string,
    headers: Record<string, string>,
    body: string | undefined,
  ) => Promise<Response>;
  readonly close: () => Promise<void>;
}

const notRunning = (): never => {
  throw new Refusal('overloaded', 'No gateway runs on this data directory; start it with: mcp-metrics start');
};

export async function openOffline({
  databasePath,
  dataDirectory,
  retentionDays,
}: DataLocation): Promise<OfflineDirectory> {
  const lock = await lockDirectory(dataDirectory);
  const log = createLog({ level: 'error' });
  const store = await openStore(databasePath, { log });
  const keys = await openKeyStore({ path: databasePath, log, clock: systemClock });
  await store.retention.applyDefaults(retentionDays, systemClock.now());
  const app = createControlApp(
    {
      name: 'metrics-collection',
      version,
      log,
      clock: systemClock,
      run: notRunning,
      openTally: notRunning,
      authenticate: notRunning,
      keys,
      retention: store.retention,
      history: store.history,
      rateLimitState: notRunning,
      readiness: () => ({ ready: false, problems: ['gateway: it does not run'] }),
      flush: notRunning,
      tail: notRunning,
    },
    { store, now: systemClock.now, setAside: undefined },
  );
  return {
    request: async (method, path, headers, body) =>
      app.request(path, { method, headers, ...(body === undefined ? undefined : { body }) }),
    close: async () => {
      await keys.close();
      await store.close();
      await lock.release();
    },
  };
}
