/** `/api/v1/query`: named questions to the database, paged and bounded; no SQL comes from outside. */
import { Hono } from 'hono';
import { stream } from 'hono/streaming';
import { Refusal } from '../core/refusal.ts';
import { InvalidQuery } from '../sinks/sqlite/errors.ts';
import { isQueryName, PARAMETERS, QUERIES } from '../sinks/sqlite/query-names.ts';
import type { AppEnv } from './app-env.ts';
import { requireScope } from './caller.ts';
import type { HttpDependencies } from './dependencies.ts';
import { operation } from './operation.ts';
import { unknownParameter } from './parameters.ts';
import { NDJSON } from './progress-lines.ts';

const READERS = ['read', 'admin'] as const;

export function queryRoutes(dependencies: HttpDependencies): Hono<AppEnv> {
  const { history, clock } = dependencies;
  return new Hono<AppEnv>()
    .get(
      '/api/v1/query',
      operation({
        summary: 'The questions that can be asked',
        tag: 'query',
        needs: READERS,
        answers: { 200: { description: 'By name', shape: 'QueryCatalog' } },
      }),
      (c) => {
        requireScope(c, dependencies, READERS);
        const queries = Object.entries(QUERIES).map(([name, description]) => ({
          name,
          path: `/api/v1/query/${name}`,
          description,
        }));
        return c.json({ queries });
      },
    )
    .get(
      '/api/v1/query/:name',
      operation({
        summary: 'Ask a question by name',
        description: `Each question takes the parameters that mean something to it, and refuses others; times are ISO 8601, milliseconds, or an age such as \`24h\`. With \`Accept: ${NDJSON}\` all pages come, one row a line.`,
        tag: 'query',
        needs: READERS,
        path: {
          name: {
            description: Object.entries(QUERIES)
              .map(([name, description]) => `\`${name}\`: ${description}`)
              .join('; '),
            values: Object.keys(QUERIES),
          },
        },
        query: PARAMETERS,
        answers: { 200: { description: 'A page of rows', shape: 'QueryAnswer' } },
        lines: true,
        refusals: ['not_found', 'invalid'],
      }),
      async (c) => {
        requireScope(c, dependencies, READERS);
        const name = c.req.param('name');
        if (!isQueryName(name)) throw new Refusal('not_found', 'No such question; GET /api/v1/query lists them.');
        const parameters = c.req.query();
        if (!Object.keys(parameters).every((given) => Object.hasOwn(PARAMETERS.entries, given))) {
          throw new Refusal('invalid', unknownParameter(PARAMETERS));
        }
        if (!(c.req.header('accept') ?? '').includes(NDJSON)) {
          const answer = await history.answer(name, parameters, clock.now()).catch(asRefusal);
          return c.body(answer, 200, { 'Content-Type': 'application/json' });
        }
        const pages = history.lines(name, parameters, clock.now());
        // The first page before the status: a question that cannot be read is refused, not cut short.
        const first = await pages.next().catch(asRefusal);
        c.header('Content-Type', NDJSON);
        return stream(c, async (out) => {
          for (let page = first; page.done !== true && !out.aborted; page = await pages.next()) {
            await out.write(page.value);
          }
          await pages.return();
        });
      },
    );
}

function asRefusal(error: unknown): never {
  throw error instanceof InvalidQuery ? new Refusal('invalid', error.message) : error;
}
