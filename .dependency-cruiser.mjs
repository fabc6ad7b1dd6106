// The layers of src/, lowest first. A module may import what stands below it, never what stands beside or above it,
// and type imports count: a type from above is a dependency on it as well.
//
//   core        the contract: types, pipeline, delivery. No library, no sibling.
//   telemetry   the gateway's own metrics and log
//   journal     processors     sinks/sqlite     sinks/otel
//   gateway.ts  puts the parts of a pipeline together
//   http        cli     main.ts     index.ts
//
// `client` is what services install: it stands alone. `testing` is for tests of plugins: it knows core and telemetry.

const src = (...folders) => `^src/(${folders.join('|')})(/|\\.ts$)`;
const library = (...names) => `(^|/)node_modules/(${names.map((name) => name.replace('/', '\\/')).join('|')})(/|$)`;
const anyLibrary = '(^|/)node_modules/';

/** Modules in `from` import nothing that matches `to`. */
const forbid = (name, comment, from, to) => ({ name, comment, severity: 'error', from, to });

/** A library that is at home in some folders, and nowhere else. */
const only = (name, libraries, homes) =>
  forbid(
    `${name}-only-at-home`,
    `${libraries.join(', ')}: imported only in ${homes.join(', ')}`,
    { path: '^src/', pathNot: homes.map((home) => `^src/${home}`) },
    { path: library(...libraries) },
  );

export default {
  forbidden: [
    forbid(
      'core-stands-alone',
      'core imports no sibling and no library: it is the contract that all others are written against',
      { path: src('core') },
      { pathNot: '^src/core/', dependencyTypesNot: ['core'] },
    ),
    forbid(
      'telemetry-on-core',
      'telemetry is used by every layer above core, so it knows core alone',
      { path: src('telemetry') },
      { path: '^src/', pathNot: src('core', 'telemetry') },
    ),
    ...['journal', 'processors', 'sinks/sqlite', 'sinks/otel'].map((part) =>
      forbid(
        `${part.replace('/', '-')}-beside-its-siblings`,
        `${part} knows core and telemetry, not the other parts: they meet in gateway.ts`,
        { path: src(part) },
        { path: '^src/', pathNot: src('core', 'telemetry', part) },
      ),
    ),
    forbid(
      'testing-on-core',
      'the contracts of plugins are written against what plugins see, not against those that ship',
      { path: src('testing') },
      { path: '^src/', pathNot: src('core', 'telemetry', 'testing') },
    ),
    forbid(
      'client-stands-alone',
      'services install the client without the gateway',
      { path: src('client') },
      { path: '^src/', pathNot: src('client') },
    ),
    forbid(
      'nothing-below-knows-the-top',
      'http, cli, main and index use the gateway; the gateway does not know them',
      { path: '^src/', pathNot: src('http', 'cli', 'main', 'index', 'gateway', 'gateway/.*') },
      { path: src('http', 'cli', 'main', 'index', 'gateway') },
    ),
    forbid('src-without-tests', 'tests import src, never the other way', { path: '^src/' }, { path: '^tests/' }),
    only('hono', ['hono', '@hono/.*'], ['http/', 'client/hono']),
    only('database', ['drizzle-orm', 'better-sqlite3'], ['sinks/sqlite/']),
    only(
      'valibot',
      ['valibot', '@valibot/.*'],
      ['http/', 'processors/validate', 'environment', 'cli/', 'sinks/sqlite/'],
    ),
    only('opentelemetry', ['@opentelemetry/.*'], ['sinks/otel/', 'telemetry/']),
    forbid(
      'no-dev-dependency-in-src',
      'what is shipped runs without the development dependencies',
      { path: '^src/' },
      { dependencyTypes: ['npm-dev', 'npm-unknown', 'npm-no-pkg'], path: anyLibrary },
    ),
    forbid('resolvable', 'every import leads somewhere', {}, { couldNotResolve: true }),
  ],
  options: {
    // TypeScript 7 has no API for other tools, so swc reads the imports.
    parser: 'swc',
    doNotFollow: { path: 'node_modules' },
    includeOnly: undefined,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['mcp-metrics-source', 'import', 'node', 'default', 'types'],
    },
  },
};
