/** The threads started before the configuration is read are those that the gateway works with. */
import { join } from 'node:path';
import t from 'tap';
import { endEarlyThreads } from '../../src/core/threads.ts';
import { startThreadsEarly } from '../../src/gateway/early-threads.ts';
import { startGateway } from '../../src/gateway.ts';
import { auth, buffer, definePipeline, enrich, prometheus, rateLimit, sqlite, validate } from '../../src/index.ts';
import { folderOf } from '../support/folder.ts';
import { silentLog } from '../support/silent-log.ts';

const ENDED = -1;

t.test('a gateway takes all of them, and ends them with itself', async (t) => {
  const threads = startThreadsEarly();
  const gateway = await startGateway(
    definePipeline({
      server: { port: 0, drainDelayMs: 0 },
      databasePath: join(folderOf(t), 'metrics.db'),
      processors: [auth(), rateLimit(), validate(), enrich(), buffer()],
      sinks: [sqlite(), prometheus({ port: 0 })],
    }),
    { log: silentLog, version: 'test' },
  );
  await endEarlyThreads();
  t.notOk(
    threads.some(({ threadId }) => threadId === ENDED),
    'none was left over',
  );
  await gateway.stop();
  t.ok(threads.every(({ threadId }) => threadId === ENDED));
});
