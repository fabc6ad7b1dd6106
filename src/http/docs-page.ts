/** The documentation page, made from the OpenAPI document: one file of HTML that loads nothing. */
import { html, raw } from 'hono/html';
import type { ApiDocument } from './openapi.ts';
import { type ReadableSchema, schemaText } from './schema-text.ts';

type Html = ReturnType<typeof html>;

interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly required?: boolean;
  readonly description?: string;
  readonly schema?: ReadableSchema;
}
interface Described {
  readonly summary?: string;
  readonly description?: string;
  readonly tags?: readonly string[];
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema?: ReadableSchema }>> };
  readonly responses?: Readonly<
    Record<
      string,
      {
        readonly description: string;
        readonly content?: Readonly<Record<string, { readonly schema?: ReadableSchema }>>;
      }
    >
  >;
  readonly 'x-scopes'?: readonly string[];
}

/** Inline, and allowed by its hash in the content security policy. */
export const STYLE = `:root{color-scheme:light dark;--line:#8884;--soft:#8882}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:0 auto;padding:1rem}
code,pre{font:14px/1.45 ui-monospace,monospace}pre{background:var(--soft);padding:.75rem;overflow:auto;border-radius:6px}
h1{margin-bottom:0}h2{margin-top:2.5rem;border-bottom:1px solid var(--line);text-transform:capitalize}
details{border:1px solid var(--line);border-radius:6px;margin:.5rem 0;padding:.5rem .75rem}summary{cursor:pointer}
.method{display:inline-block;min-width:4.5rem;font-weight:600}table{border-collapse:collapse;width:100%}
th,td{text-align:left;vertical-align:top;padding:.25rem .5rem;border-bottom:1px solid var(--line)}.soft{opacity:.75}`;

/** In one piece: its content has to be what the policy's hash says, to the letter. */
const STYLE_ELEMENT = raw(`<style>${STYLE}</style>`);

export function documentationPage(document: ApiDocument): Html {
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation: operation as Described })),
  );
  const byTag = Map.groupBy(operations, ({ operation }) => operation.tags?.[0] ?? 'other');
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${document.info.title}: HTTP API</title>
        ${STYLE_ELEMENT}
      </head>
      <body>
        <h1>${document.info.title}</h1>
        <p class="soft">HTTP API, version ${document.info.version} · <a href="/openapi.json">openapi.json</a></p>
        <p>${marked(document.info.description ?? '')}</p>
        ${[...byTag].map(
          ([tag, these]) =>
            html`<section>
              <h2>${tag}</h2>
              ${these.map(section)}
            </section>`,
        )}
        <section>
          <h2>Shapes</h2>
          ${Object.entries(document.components?.schemas ?? {}).map(shapeSection)}
        </section>
      </body>
    </html>`;
}

function section({ path, method, operation }: { path: string; method: string; operation: Described }): Html {
  const scopes = operation['x-scopes'] ?? [];
  return html`<details id="${`${method}${path}`.replace(/[^a-z0-9]+/gi, '-')}">
    <summary>
      <span class="method">${method.toUpperCase()}</span><code>${path}</code>
      <span class="soft">${operation.summary ?? ''}</span>
    </summary>
    ${operation.description === undefined ? '' : html`<p>${marked(operation.description)}</p>`}
    <p>${scopes.length === 0 ? 'No key needed.' : `Needs a key with scope ${scopes.join(' or ')}.`}</p>
    ${parameterTable(operation.parameters ?? [])}
    ${Object.entries(operation.requestBody?.content ?? {}).map(
      ([type, { schema }]) =>
        html`<p>Body, <code>${type}</code>:</p>
          <pre>${shape(schema)}</pre>`,
    )}
    <table>
      <tr>
        <th>Status</th>
        <th>Answer</th>
      </tr>
      ${Object.entries(operation.responses ?? {}).map(
        ([status, { description, content = {} }]) =>
          html`<tr>
            <td><code>${status}</code></td>
            <td>
              ${marked(description)} ${Object.entries(content).map(([type, { schema }]) => answerText(type, schema))}
            </td>
          </tr>`,
      )}
    </table>
  </details>`;
}

function parameterTable(parameters: readonly Parameter[]): Html | '' {
  if (parameters.length === 0) return '';
  return html`<table>
    <tr>
      <th>Parameter</th>
      <th>In</th>
      <th>Meaning</th>
    </tr>
    ${parameters.map(
      (parameter) =>
        html`<tr>
          <td><code>${parameter.name}</code>${parameter.required === true ? ' (required)' : ''}</td>
          <td>${parameter.in}</td>
          <td>${marked(parameter.description ?? '')} <span class="soft">${shape(parameter.schema)}</span></td>
        </tr>`,
    )}
  </table>`;
}

const shape = (schema: ReadableSchema | undefined): string => (schema === undefined ? '' : schemaText(schema));

/** The answers that operations refer to by name. */
const shapeSection = ([name, schema]: [string, ReadableSchema]): Html =>
  html`<details id="${`shape-${name}`}">
    <summary><code>${name}</code> <span class="soft">${schema.description ?? ''}</span></summary>
    <pre>${schemaText(schema)}</pre>
  </details>`;

/** A media type, and the name of the shape that leads to it. */
function answerText(type: string, schema: ReadableSchema | undefined): Html {
  const name = schema?.$ref?.split('/').at(-1);
  return name === undefined
    ? html` <span class="soft"><code>${type}</code></span>`
    : html` <span class="soft"><code>${type}</code></span> <a href="${`#shape-${name}`}">${name}</a>`;
}

/** Text whose \`code\` is set as code; all of it is escaped by the template. */
const marked = (text: string): Html =>
  html`${text.split('`').map((part, index) => (index % 2 === 0 ? part : html`<code>${part}</code>`))}`;
