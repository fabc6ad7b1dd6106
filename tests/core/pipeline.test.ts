/** The checks that plain JavaScript gets at start, where no compiler read the config. */
import t from 'tap';
import { definePipeline, PipelineError, type PipelineDefinition } from '../../src/core/pipeline.ts';
import { builtIn, type BuiltInStage } from '../../src/core/processor.ts';

const stage = (kind: BuiltInStage) => ({ name: kind, process: () => undefined, [builtIn]: kind });
const [auth, rateLimit, validate, enrich, buffer] = [
  stage('auth'),
  stage('rateLimit'),
  stage('validate'),
  stage('enrich'),
  stage('buffer'),
];
const own = { name: 'redact', process: () => undefined };
const sink = { name: 'memory', whenFull: 'skip', write: async () => undefined };
const totals = { kind: 'totals-reader', name: 'prometheus', settings: {}, openTotals: () => undefined };

/** As an untyped config file calls it. */
const define = (definition: unknown): unknown => definePipeline(definition as PipelineDefinition);
const withChain = (...processors: unknown[]): unknown => define({ processors, sinks: [sink] });
const withSinks = (...sinks: unknown[]): unknown =>
  define({ processors: [auth, rateLimit, validate, enrich, buffer], sinks });
const withField = (field: object): unknown =>
  define({ processors: [auth, rateLimit, validate, enrich, buffer], sinks: [sink], ...field });

const FAULTS: readonly [what: string, define: () => unknown, message: RegExp][] = [
  ['validate before auth', () => withChain(validate, auth, rateLimit, enrich, buffer), /stage validate .*auth belongs/],
  ['auth missing', () => withChain(rateLimit, validate, enrich, buffer), /stage rateLimit stands where auth belongs/],
  ['rateLimit missing', () => withChain(auth, validate, enrich, buffer), /validate stands where rateLimit belongs/],
  ['validate missing', () => withChain(auth, rateLimit, enrich, buffer), /enrich stands where validate belongs/],
  ['enrich missing', () => withChain(auth, rateLimit, validate, buffer), /buffer stands where enrich belongs/],
  ['buffer missing', () => withChain(auth, rateLimit, validate, enrich), /stage buffer is missing/],
  ['buffer missing after an own stage', () => withChain(auth, rateLimit, validate, enrich, own), /buffer is missing/],
  ['an empty chain', () => withChain(), /stage auth is missing/],
  ['a stage twice', () => withChain(auth, rateLimit, validate, validate, enrich, buffer), /validate appears twice/],
  [
    'buffer twice',
    () => withChain(auth, rateLimit, validate, enrich, buffer, buffer),
    /\[5\]: stage buffer appears twice/,
  ],
  ['buffer not last', () => withChain(auth, rateLimit, validate, enrich, buffer, own), /"redact" stands after buffer/],
  [
    'an own stage before enrich',
    () => withChain(auth, own, rateLimit, validate, enrich, buffer),
    /"redact" stands before/,
  ],
  ['a factory not called', () => withChain(function auth() {}, rateLimit), /\[0\]: .*a function; call it: auth\(\)/],
  ['a stage that is no object', () => withChain(null), /\[0\]: expected a processor .* got null/],
  ['a stage without process', () => withChain({ name: 'auth' }), /\[0\]: expected a processor/],
  [
    'a batch of no metrics, which would never be written',
    () => withSinks({ ...sink, batching: { maxMetrics: 0 } }),
    /sink "memory": batching.maxMetrics must be a whole number from 1; got 0/,
  ],
  [
    'a delay that is no number',
    () => withSinks({ ...sink, batching: { maxDelayMs: 'soon' } }),
    /sink "memory": batching.maxDelayMs must be milliseconds from 0; got soon/,
  ],
  ['processors that are no array', () => define({ processors: {}, sinks: [sink] }), /processors: expected an array/],
  ['no sink', () => withSinks(), /sinks: expected at least one/],
  ['sinks that are no array', () => withField({ sinks: sink }), /sinks: expected at least one/],
  ['a sink that is no object', () => withSinks('sqlite'), /sinks\[0\]: expected a sink/],
  ['two sinks of one name', () => withSinks(sink, sink), /sinks\[1\]: a second sink is named "memory"/],
  ['a sink name that is no file name', () => withSinks({ ...sink, name: '../x' }), /sink name "\.\.\/x" must match/],
  ['a sink without write', () => withSinks({ ...sink, write: undefined }), /sink "memory" has no write/],
  ['a sink without whenFull', () => withSinks({ ...sink, whenFull: 'wait' }), /sink "memory" must say whenFull/],
  [
    'an unknown field',
    () => withField({ sink }),
    /the pipeline: unknown field "sink"; the fields are processors, sinks/,
  ],
  ['an unknown server field', () => withField({ server: { hostname: '::' } }), /server: unknown field "hostname"/],
  ['an unknown totals field', () => withField({ totals: { buckets: [] } }), /totals: unknown field "buckets"/],
  ['a server that is no object', () => withField({ server: 8890 }), /server: expected an object .* got number/],
  ['no definition', () => define(undefined), /the pipeline: expected an object .* got undefined/],
  ['a list of stages alone', () => define([auth]), /the pipeline: expected an object .* got an array/],
];

for (const [what, faulty, message] of FAULTS) {
  t.test(`${what} does not start, and the message says where`, (t) => {
    t.throws(faulty, { name: PipelineError.name, message });
    t.end();
  });
}

t.test('the order that the README shows passes, with stages of your own before the buffer', (t) => {
  t.match(withChain(auth, rateLimit, validate, enrich, buffer), { kind: 'pipeline' });
  t.match(withChain(auth, rateLimit, validate, enrich, own, own, buffer), { kind: 'pipeline' });
  t.match(withSinks(sink, totals), { sinks: [sink, totals] });
  t.match(withField({ server: { port: 0 }, totals: { maxSeries: 1 }, dataDirectory: 'x', databasePath: 'y' }), {
    server: { port: 0 },
  });
  t.end();
});
