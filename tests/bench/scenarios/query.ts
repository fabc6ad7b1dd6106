/** The questions that can be asked by name, on 30 days and 5 million rows; baseline: one scan of the rows for the first of them. */
import { openForReading } from '../../../src/sinks/sqlite/open-for-reading.ts';
import { QUERIES, type QueryName, readParameters } from '../../../src/sinks/sqlite/query-names.ts';
import { runQuery } from '../../../src/sinks/sqlite/run-query.ts';
import { filledDatabase } from '../filled-database.ts';
import { compared, type Figure, median, type Scenario } from '../scenario.ts';

const PARAMETERS: Partial<Record<QueryName, Readonly<Record<string, string>>>> = {
  latency: { type: 'tool_execution', from: '30d' },
  requests: { from: '30d', step: 'day' },
  events: { from: '30d', view: 'tool_metrics', success: 'false', limit: '100' },
  user: { from: '30d', user_hash: '2b8b66f64b60' },
  trend: {},
};

const SCAN = `SELECT tool_name, count(*), avg(success), max(duration_ms) FROM tool_metrics GROUP BY tool_name ORDER BY 2 DESC`;

export const scenario: Scenario = async (settings) => {
  const { rounds, small } = settings;
  const filled = filledDatabase(small ? 50_000 : 5_000_000, settings);
  try {
    const db = openForReading(filled.path);
    const now = filled.endsAt;
    const timed = (work: () => unknown): number => {
      const start = performance.now();
      work();
      return performance.now() - start;
    };
    const ask = (name: QueryName): number =>
      timed(() =>
        runQuery(name, readParameters(PARAMETERS[name] ?? { from: '30d' }, now), {
          db,
          path: filled.path,
          now,
          policies: [],
        }),
      );
    const scan = db.prepare(SCAN);
    const names = Object.keys(QUERIES) as QueryName[];
    for (const name of names) ask(name);
    const measured: { scan: number; asked: Map<QueryName, number> }[] = [];
    for (let round = 0; round < rounds; round += 1) {
      measured.push({ scan: timed(() => scan.all()), asked: new Map(names.map((name) => [name, ask(name)])) });
    }
    db.close();
    const figures = names.map((name): Figure =>
      name === 'top-tools'
        ? compared(
            { what: 'top-tools, 30 days', unit: 'ms', against: 'the same by a scan of the rows' },
            measured.map(({ scan: baseline, asked }) => ({ value: asked.get(name)!, baseline })),
          )
        : { what: `${name}, 30 days`, value: median(measured.map(({ asked }) => asked.get(name)!)), unit: 'ms' },
    );
    return await Promise.resolve(figures);
  } finally {
    filled.remove();
  }
};
