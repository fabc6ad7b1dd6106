/** `/openapi.json`: the OpenAPI 3.1 document of all routes, and `/docs`, the same for a person, without a network. */
import { hash } from 'node:crypto';
import { Hono } from 'hono';
import { generateSpecs } from 'hono-openapi';
import type { App } from './app.ts';
import { ANSWERS } from './answers.ts';
import type { AppEnv } from './app-env.ts';
import type { HttpDependencies } from './dependencies.ts';
import { documentationPage, STYLE } from './docs-page.ts';
import { jsonSchema } from './json-schema.ts';
import { operation } from './operation.ts';
import type { ReadableSchema } from './schema-text.ts';

/** A document as far as the page reads it. */
export interface ApiDocument {
  readonly openapi: string;
  readonly info: { readonly title: string; readonly version: string; readonly description?: string };
  readonly components?: { readonly schemas?: Readonly<Record<string, ReadableSchema>> };
  readonly paths: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

const DESCRIPTION = [
  'Services push metrics with `POST /metrics`; every other route looks at what became of them, or operates the gateway.',
  'Errors are RFC 9457 problems; `code` is out of a closed table, and `detail` says what to do.',
].join(' ');

/** Made once, on first demand: the routes are fixed by then. */
export function apiDocument(app: Hono<AppEnv>, { version }: Pick<HttpDependencies, 'version'>): Promise<ApiDocument> {
  const document: Promise<object> = generateSpecs(app, {
    documentation: {
      openapi: '3.1.1',
      info: { title: 'MCP metrics gateway', version, description: DESCRIPTION },
      components: {
        securitySchemes: {
          apiKey: { type: 'apiKey', in: 'header', name: 'X-API-Key' },
          bearer: { type: 'http', scheme: 'bearer' },
        },
        schemas: Object.fromEntries(
          Object.entries(ANSWERS).map(([name, schema]) => [name, jsonSchema(schema) as object]),
        ),
      },
    },
    excludeStaticFile: false,
    defaultValidationErrorResponse: false,
  });
  return document as Promise<ApiDocument>;
}

const PAGE_POLICY = `default-src 'none'; style-src 'sha256-${hash('sha256', STYLE, 'base64')}'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'`;

export function openapiRoutes(app: App | Hono<AppEnv>, dependencies: HttpDependencies): Hono<AppEnv> {
  let document: Promise<ApiDocument> | undefined;
  const read = (): Promise<ApiDocument> => (document ??= apiDocument(app, dependencies));
  return new Hono<AppEnv>()
    .get(
      '/openapi.json',
      operation({
        summary: 'This document',
        tag: 'gateway',
        answers: { 200: { description: 'OpenAPI 3.1', media: 'application/json' } },
      }),
      async (c) => c.json(await read()),
    )
    .get(
      '/docs',
      operation({
        summary: 'This document for a person; the page loads nothing from elsewhere',
        tag: 'gateway',
        answers: { 200: { description: 'HTML', media: 'text/html' } },
      }),
      async (c) => c.html(documentationPage(await read()), 200, { 'Content-Security-Policy': PAGE_POLICY }),
    );
}
