/** The sinks that ship keep the contract that users' sinks keep. */
import { join } from 'node:path';
import t from 'tap';
import { prometheus, type Sink, sqlite } from '../../src/index.ts';
import { sinkContract } from '../../src/testing/index.ts';

const SHIPPED: Readonly<Record<string, (folder: string) => Sink>> = {
  'sqlite()': (folder) => sqlite({ path: join(folder, 'metrics.db') }),
  'the totals behind prometheus() and otlp()': () => {
    const reader = prometheus({ port: 0 });
    return reader.openTotals([reader], {});
  },
};

for (const [what, make] of Object.entries(SHIPPED)) {
  t.test(what, async (t) => {
    for (const { name, check } of sinkContract({ make })) await t.resolves(check(), name);
  });
}
