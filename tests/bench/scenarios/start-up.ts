/** From the start of the process to `/readyz`: cold and empty, and with 1 GiB of journal to deliver. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSegmentedLog } from '../../../src/journal/segmented-log.ts';
import { systemClock } from '../../../src/telemetry/system-clock.ts';
import { silentLog } from '../../support/silent-log.ts';
import { waitFor } from '../../support/wait-for.ts';
import { recordStream } from '../records.ts';
import { compared, median, type Scenario } from '../scenario.ts';
import { forkServer, startServer } from '../servers.ts';

/** Fills the journal that a gateway left so, as if it had been killed with all its sinks behind. */
async function fillJournal(directory: string, bytes: number): Promise<void> {
  const journal = await openSegmentedLog({ directory: join(directory, 'journal'), clock: systemClock, log: silentLog });
  const stream = recordStream({ perRequest: 100, startsAt: Date.now() - 3_600_000, stepMs: 0.1 });
  while (journal.size().bytes < bytes) {
    await Promise.all(
      stream.next(10_000).map(({ envelope, payload, metrics }) => journal.append({ envelope, payload, metrics })),
    );
  }
  await journal.close();
}

export const scenario: Scenario = async (settings) => {
  const { rounds, small, say } = settings;
  const cold: { value: number; baseline: number }[] = [];
  const ownFile: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const begin = performance.now();
    const { child } = await forkServer('./baselines/bare-http.ts');
    const baseline = performance.now() - begin;
    child.disconnect();
    const gateway = await startServer(settings);
    cold.push({ value: gateway.readyAfterMs, baseline });
    await gateway.stop();
    const other = await startServer(settings, { pipeline: 'file' });
    ownFile.push(other.readyAfterMs);
    await other.stop();
  }

  const recovering: { ready: number; firstAnswer: number }[] = [];
  for (let round = 0; round < (small ? 1 : rounds); round += 1) {
    const dataDirectory = mkdtempSync(join(tmpdir(), 'bench-start-'));
    try {
      say('filling the journal');
      await fillJournal(dataDirectory, small ? 16 * 1024 ** 2 : 1024 ** 3);
      const gateway = await startServer(settings, { dataDirectory });
      const ready = gateway.readyAfterMs;
      const start = performance.now() - ready;
      await waitFor('a 200 while the journal is being delivered', async () => {
        const body = { service: 'test', metrics: [{ type: 'custom', value: 1, dimensions: { metric_name: 'first' } }] };
        return (await gateway.gateway.post(body)).ok;
      });
      recovering.push({ ready, firstAnswer: performance.now() - start });
      await gateway.gateway.stop('SIGKILL');
      await gateway.stop();
    } finally {
      rmSync(dataDirectory, { recursive: true, force: true });
    }
  }
  const size = small ? '16 MiB' : '1 GiB';
  return [
    {
      ...compared({ what: 'ready, empty', unit: 'ms', against: 'bare node:http' }, cold),
      goal: { atMost: 1000 },
      judgedBy: 'value',
    },
    { what: 'ready, empty, with a pipeline.config.ts', value: median(ownFile), unit: 'ms' },
    {
      what: `ready, ${size} of journal to deliver`,
      value: median(recovering.map(({ ready }) => ready)) / 1000,
      unit: 's',
      goal: { atMost: 30 },
    },
    {
      what: `the first 200, ${size} of journal`,
      value: median(recovering.map(({ firstAnswer }) => firstAnswer)) / 1000,
      unit: 's',
    },
  ];
};
