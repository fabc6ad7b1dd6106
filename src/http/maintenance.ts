/**
 * What only the control socket serves, because it names files of this machine or may take long: backup, import, backfill,
 * and what was set aside. Answers that take long come as lines of JSON: `progress` until `result` or `error`.
 */
import { Hono } from 'hono';
import * as v from 'valibot';
import type { RedriveResult } from '../core/redrive.ts';
import type { SetAsideEvent } from '../core/set-aside.ts';
import { Refusal } from '../core/refusal.ts';
import type { Store } from '../sinks/sqlite/store.ts';
import type { AppEnv } from './app-env.ts';
import { readBody } from './parameters.ts';
import { progressLines } from './progress-lines.ts';

/** What sinks could never take. All reject with an Error that names the sinks there are. */
export interface SetAsideDesk {
  /** In the journal's order. */
  readonly list: (sink: string) => Promise<readonly SetAsideEvent[]>;
  /** Hands it to the sink once more. Rejects where the sink is in an outage, or cannot take events out of order. */
  readonly redrive: (sink: string) => Promise<RedriveResult>;
  /** Events set aside now, by sink. */
  readonly sizes: () => ReadonlyMap<string, number>;
}

export interface MaintenanceDependencies {
  readonly store: Pick<Store, 'backfill' | 'backup' | 'importLegacy'>;
  readonly now: () => number;
  /** Undefined where no gateway runs: then nothing delivers. */
  readonly setAside: SetAsideDesk | undefined;
}

const Place = v.object({ path: v.pipe(v.string(), v.minLength(1)) });

export function maintenanceRoutes({ store, now, setAside }: MaintenanceDependencies): Hono<AppEnv> {
  const desk = (): SetAsideDesk => {
    if (setAside !== undefined) return setAside;
    throw new Refusal('overloaded', 'What was set aside is looked after by a running gateway; start it first.');
  };
  const known = (sink: string): string => {
    const sinks = [...desk().sizes().keys()];
    if (sinks.includes(sink)) return sink;
    throw new Refusal('not_found', `no sink is named "${sink}"; there are: ${sinks.join(', ')}`);
  };
  const asked = <Result>(work: Promise<Result>): Promise<Result> =>
    work.catch((error: unknown) => {
      throw new Refusal('conflict', messageOf(error), { cause: error });
    });

  return new Hono<AppEnv>()
    .post('/admin/backfill', (c) =>
      progressLines(c, async (progress, signal) =>
        store.backfill({ now: now(), signal, onProgress: (done, total) => progress({ done, total }) }),
      ),
    )
    .post('/admin/backup', async (c) => {
      const { path } = await readBody(c, Place);
      return progressLines(c, async (progress) => ({
        path,
        bytes: await store.backup(path, (done, total) => progress({ done, total })),
      }));
    })
    .post('/admin/import', async (c) => {
      const { path } = await readBody(c, Place);
      return progressLines(c, async (progress, signal) =>
        store.importLegacy(path, {
          now: now(),
          signal,
          onProgress: ({ rows, totalRows, table }) => progress({ done: rows, total: totalRows, what: table }),
        }),
      );
    })
    .get('/admin/set-aside', (c) => c.json({ sinks: Object.fromEntries(desk().sizes()) }))
    .get('/admin/set-aside/:sink', async (c) =>
      c.json({ events: await asked(desk().list(known(c.req.param('sink')))) }),
    )
    .post('/admin/set-aside/:sink/redrive', async (c) =>
      c.json(await asked(desk().redrive(known(c.req.param('sink'))))),
    );
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
