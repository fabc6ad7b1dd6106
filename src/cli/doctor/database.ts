/** Is the database sound, ours and of this version, and does it know a key? */
import { commandLine } from '../../command-line.ts';
import { diagnoseDatabase } from '../../sinks/sqlite/diagnose.ts';
import { type Check, fault, ok, warning } from './finding.ts';

export const checkDatabase: Check = ({ databasePath, pipeline }) => {
  const found = diagnoseDatabase(databasePath, Date.now());
  if (found.unread?.because === 'locked')
    return fault(
      'database',
      `${databasePath} is held by another process: ${found.unread.message}`,
      `end what holds it (fuser ${databasePath} names it); a gateway that starts meanwhile waits for it`,
    );
  if (found.unread !== undefined)
    return fault(
      'database',
      `${databasePath} cannot be read: ${found.unread.message}`,
      'give it, with its -wal and -shm, to the user that runs the gateway (chown), or set SQLITE_DB_PATH to another file',
    );
  if (found.legacy)
    return fault(
      'database',
      `${databasePath} is of the metrics service that this gateway replaces`,
      `set SQLITE_DB_PATH to another file, then: mcp-metrics import ${databasePath}`,
    );
  if (!found.ours)
    return fault('database', `${databasePath} is another program's`, 'set SQLITE_DB_PATH to another file');
  const [first] = found.faults;
  if (first !== undefined)
    return fault(
      'database',
      `${databasePath} is damaged: ${first}`,
      'stop the gateway and restore a backup (docs/deployment.md); the journal brings what came since',
    );
  if (found.pendingMigrations < 0)
    return fault(
      'database',
      `${databasePath} is of a newer version`,
      'start that version, or restore a backup from before the upgrade',
    );
  const state = !found.exists
    ? 'will be made'
    : found.pendingMigrations === 0
      ? 'sound'
      : `sound; ${found.pendingMigrations} migrations at the next start`;
  // A start brings the environment's keys in; those of an earlier start are in the database already.
  const keys = Math.max(found.liveKeys, pipeline.environmentKeys?.length ?? 0);
  return [
    ok('database', `${databasePath} ${state}`),
    keys > 0
      ? ok('keys', `${keys} live`)
      : warning(
          'keys',
          'none: every request is answered 401',
          `create one: ${commandLine()} keys create --service my-service`,
        ),
  ];
};
