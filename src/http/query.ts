/** `/api/v1/query`: named questions to the database, paged and bounded; no SQL comes from outside. */
import { Hono } from 'hono';
import { stream } from 'hono/streaming';
import * as v from 'valibot';
import type { History, NamedQuery, QueryParameter } from '../core/history.ts';
import { parseTimestamp } from '../core/timestamp.ts';
import type { AppEnv } from './app-env.ts';
import { requireScope } from './caller.ts';
import type { HttpDependencies } from './dependencies.ts';
import { type ObjectSchema, operation } from './operation.ts';
import { readParameters } from './parameters.ts';

const READERS = ['read', 'admin'] as const;
const NDJSON = 'application/x-ndjson';

export function queryRoutes(dependencies: HttpDependencies, history: History): Hono<AppEnv> {
  const app = new Hono<AppEnv>();
  const path = (query: NamedQuery): string => `/api/v1/query/${query.name}`;

  app.get(
    '/api/v1/query',
    operation({
      summary: 'The questions that can be asked',
      tag: 'query',
      needs: READERS,
      answers: { 200: { description: 'With their parameters and columns', shape: 'QueryCatalog' } },
    }),
    (c) => {
      requireScope(c, dependencies, READERS);
      return c.json({
        queries: history.queries.map((query) => ({
          name: query.name,
          path: path(query),
          description: query.description,
          parameters: query.parameters,
          columns: query.columns,
        })),
      });
    },
  );

  for (const query of history.queries) {
    const schema = parametersSchema(query);
    app.get(
      path(query),
      operation({
        summary: query.description,
        description: `Columns: ${Object.entries(query.columns)
          .map(([name, column]) => `\`${name}\` (${column.description})`)
          .join(', ')}. With \`Accept: ${NDJSON}\` one row a line, all pages.`,
        tag: 'query',
        needs: READERS,
        query: schema,
        answers: { 200: { description: 'A page of rows', shape: 'QueryAnswer' } },
        lines: true,
        refusals: ['malformed', 'too_large', 'invalid'],
      }),
      async (c) => {
        requireScope(c, dependencies, READERS);
        const given = argumentsOf(query, await readParameters(c, schema));
        const { signal } = c.req.raw;
        const first = await query.run(given, signal);
        if (!(c.req.header('accept') ?? '').includes(NDJSON)) {
          return c.json({ query: query.name, rows: first.rows, cursor: first.cursor ?? null });
        }
        c.header('Content-Type', NDJSON);
        return stream(c, async (out) => {
          let page = first;
          for (;;) {
            if (page.rows.length > 0) await out.write(page.rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
            if (page.cursor === undefined || out.aborted) return;
            page = await query.run({ ...given, cursor: page.cursor }, signal);
          }
        });
      },
    );
  }
  return app;
}

function parametersSchema(query: NamedQuery): ObjectSchema {
  return v.strictObject(
    Object.fromEntries(
      Object.entries(query.parameters).map(([name, parameter]) => {
        const { description, default: otherwise } = parameter;
        const words = otherwise === undefined ? description : `${description}; default ${otherwise}`;
        const schema = v.pipe(schemaOf(parameter), v.metadata({ description: words }));
        return [name, parameter.required === true ? schema : v.optional(schema)];
      }),
    ),
  );
}

function schemaOf({ type, values, minimum = 0, maximum = Number.MAX_SAFE_INTEGER }: QueryParameter): v.GenericSchema {
  switch (type) {
    case 'string':
      return values === undefined ? v.pipe(v.string(), v.maxLength(2000)) : v.picklist(values);
    case 'integer':
      return v.pipe(v.number(), v.integer(), v.minValue(minimum), v.maxValue(maximum));
    case 'boolean':
      return v.boolean();
    default:
      return v.pipe(
        v.string(),
        v.check((text) => !Number.isNaN(timeOf(text)), 'must be an ISO 8601 date and time, or milliseconds since 1970'),
      );
  }
}

const timeOf = (text: string): number => (/^\d{1,16}$/.test(text) ? Number(text) : parseTimestamp(text));

function argumentsOf(query: NamedQuery, given: unknown): Record<string, string | number | boolean | undefined> {
  const values = given as Record<string, string | number | boolean | undefined>;
  return Object.fromEntries(
    Object.entries(query.parameters).map(([name, { type, default: otherwise }]) => {
      const value = values[name] ?? otherwise;
      return [name, type === 'timestamp' && typeof value === 'string' ? timeOf(value) : value];
    }),
  );
}
