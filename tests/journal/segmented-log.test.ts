import { join } from 'node:path';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import t from 'tap';
import { openSegmentedLog } from '../../src/journal/segmented-log.ts';
import { systemClock } from '../../src/telemetry/system-clock.ts';
import { silentLog } from '../support/silent-log.ts';
import { journalContract } from './contract.ts';

const directory = await mkdtemp(join(tmpdir(), 'segmented-log-'));
t.teardown(() => rm(directory, { recursive: true, force: true }));
let journals = 0;

journalContract('segmented log', {
  open: (maxBytes) =>
    openSegmentedLog({
      directory: join(directory, String((journals += 1))),
      clock: systemClock,
      log: silentLog,
      maxBytes,
    }),
});
