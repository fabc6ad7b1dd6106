/** `GET /admin/tail`: what passes, as it passes, one JSON object a line. Who reads too slowly misses some, and is told how many. */
import { Hono } from 'hono';
import { stream } from 'hono/streaming';
import * as v from 'valibot';
import type { DeliveredEvent } from '../core/sink.ts';
import type { AppEnv } from './app-env.ts';
import { requireScope } from './caller.ts';
import type { HttpDependencies } from './dependencies.ts';
import { operation } from './operation.ts';

/** Events that wait for a slow reader at most; what comes meanwhile is left out and counted. */
const MAX_WAITING = 1000;
/** An empty line so often tells the reader that nothing happens, and us that the reader is gone. */
const HEARTBEAT_MS = 5000;

/** Either may be given several times. */
const TailFilter = v.object({ type: v.optional(v.string()), service: v.optional(v.string()) });

export function tailRoute(dependencies: HttpDependencies): Hono<AppEnv> {
  return new Hono<AppEnv>().get(
    '/admin/tail',
    operation({
      summary: 'What passes, as it passes, one event a line',
      description: 'Ends when the client does. Who reads too slowly misses some, and is told how many: `{"missed":n}`.',
      tag: 'gateway',
      needs: ['admin'],
      query: TailFilter,
      answers: { 200: { description: 'NDJSON without end', media: 'application/x-ndjson' } },
    }),
    (c) => {
      requireScope(c, dependencies, ['admin']);
      const types = c.req.queries('type');
      const services = c.req.queries('service');
      const wanted = (event: DeliveredEvent): boolean =>
        (types === undefined || types.includes(event.type)) &&
        (services === undefined || services.includes(event.service));

      c.header('Content-Type', 'application/x-ndjson');
      return stream(c, async (out) => {
        let waiting: string[] = [];
        let missed = 0;
        let wake: (() => void) | undefined;
        const stop = dependencies.tail((events) => {
          for (const event of events) {
            if (!wanted(event)) continue;
            if (waiting.length < MAX_WAITING) waiting.push(JSON.stringify(event));
            else missed += 1;
          }
          wake?.();
        });
        out.onAbort(() => wake?.());
        try {
          while (!out.aborted) {
            if (waiting.length === 0) {
              await new Promise<void>((resolve) => {
                const heartbeat = dependencies.clock.after(HEARTBEAT_MS, resolve);
                wake = () => {
                  heartbeat.cancel();
                  resolve();
                };
              });
              wake = undefined;
            }
            const lines = waiting;
            waiting = [];
            if (missed > 0) lines.push(JSON.stringify({ missed }));
            missed = 0;
            await out.write(`${lines.join('\n')}\n`);
          }
        } finally {
          stop();
        }
      });
    },
  );
}
