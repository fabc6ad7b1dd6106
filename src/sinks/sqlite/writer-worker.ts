/** The writer's thread: owns the database for writing. */
import { threadData } from '../../core/threads.ts';
import { serve } from './worker-server.ts';
import { createWriterMethods, type WriterSettings } from './writer-methods.ts';

/** How soon keys changed by another process work here: well within a second. */
const POLL_INTERVAL_MS = 400;
/** Keys that one message carries, so that no message stalls the main thread. */
const KEYS_PER_MESSAGE = 500;

const settings = await threadData<WriterSettings>();
let poll: NodeJS.Timeout | undefined;
const methods = serve(
  (send) =>
    createWriterMethods(settings, {
      log: (level, fields, message) => send({ kind: 'log', level, fields, message }),
      policies: (policies) => send({ kind: 'policies', policies }),
      keys: (keys, all) => {
        for (let at = 0; at === 0 || at < keys.length; at += KEYS_PER_MESSAGE) {
          const more = at + KEYS_PER_MESSAGE < keys.length;
          send({ kind: 'keys', keys: keys.slice(at, at + KEYS_PER_MESSAGE), all, more });
        }
      },
    }),
  () => clearInterval(poll),
);
if (methods !== undefined) {
  poll = setInterval(() => {
    try {
      methods.poll();
    } catch {
      // Locked or out of order: the next write says so to someone who can act on it.
    }
  }, POLL_INTERVAL_MS);
}
