/**
 * What a pipeline's types refuse. Each `@ts-expect-error` is a proof: an error that vanishes fails `npm run check:types`,
 * and `proofs.test.ts` takes the directives away and looks that each guards an error of the kind that its words name.
 */
import {
  auth as makeAuth,
  buffer as makeBuffer,
  definePipeline,
  enrich as makeEnrich,
  prometheus,
  rateLimit as makeRateLimit,
  sqlite,
  validate as makeValidate,
} from '../../src/index.ts';
import type { Enriched, Processor, Sink } from '../../src/index.ts';

const [auth, rateLimit, validate, enrich, buffer] = [
  makeAuth(),
  makeRateLimit(),
  makeValidate(),
  makeEnrich(),
  makeBuffer(),
];
declare const redact: Processor<Enriched, Enriched>;
declare const sample: Processor<Enriched, Enriched>;
declare const sink: Sink;

definePipeline({ processors: [auth, rateLimit, validate, enrich, buffer], sinks: [sqlite(), prometheus(), sink] });
definePipeline({ processors: [auth, rateLimit, validate, enrich, buffer], sinks: [sink] });
definePipeline({
  processors: [auth, rateLimit, validate, enrich, redact, sample, redact, buffer],
  sinks: [sink, sink],
});

// @ts-expect-error validate before auth
definePipeline({ processors: [validate, auth, rateLimit, enrich, buffer], sinks: [sink] });
// @ts-expect-error rateLimit before auth
definePipeline({ processors: [rateLimit, auth, validate, enrich, buffer], sinks: [sink] });
// @ts-expect-error enrich before validate
definePipeline({ processors: [auth, rateLimit, enrich, validate, buffer], sinks: [sink] });

// @ts-expect-error auth missing
definePipeline({ processors: [rateLimit, validate, enrich, buffer], sinks: [sink] });
// @ts-expect-error rateLimit missing
definePipeline({ processors: [auth, validate, enrich, buffer], sinks: [sink] });
// @ts-expect-error validate missing
definePipeline({ processors: [auth, rateLimit, enrich, buffer], sinks: [sink] });
// @ts-expect-error enrich missing
definePipeline({ processors: [auth, rateLimit, validate, buffer], sinks: [sink] });
// @ts-expect-error buffer missing
definePipeline({ processors: [auth, rateLimit, validate, enrich], sinks: [sink] });
// @ts-expect-error no stage at all
definePipeline({ processors: [], sinks: [sink] });

// @ts-expect-error auth twice
definePipeline({ processors: [auth, auth, rateLimit, validate, enrich, buffer], sinks: [sink] });
// @ts-expect-error rateLimit twice
definePipeline({ processors: [auth, rateLimit, rateLimit, validate, enrich, buffer], sinks: [sink] });
// @ts-expect-error validate twice
definePipeline({ processors: [auth, rateLimit, validate, validate, enrich, buffer], sinks: [sink] });
// @ts-expect-error enrich twice
definePipeline({ processors: [auth, rateLimit, validate, enrich, enrich, buffer], sinks: [sink] });
// @ts-expect-error buffer twice
definePipeline({ processors: [auth, rateLimit, validate, enrich, buffer, buffer], sinks: [sink] });

// @ts-expect-error buffer not last
definePipeline({ processors: [auth, rateLimit, validate, enrich, buffer, redact], sinks: [sink] });
// @ts-expect-error own stage before enrich
definePipeline({ processors: [auth, rateLimit, redact, validate, enrich, buffer], sinks: [sink] });
// @ts-expect-error own stage first
definePipeline({ processors: [redact, auth, rateLimit, validate, enrich, buffer], sinks: [sink] });

// @ts-expect-error no sink
definePipeline({ processors: [auth, rateLimit, validate, enrich, buffer], sinks: [] });
// @ts-expect-error no field for sinks
definePipeline({ processors: [auth, rateLimit, validate, enrich, buffer] });
// @ts-expect-error no field for processors
definePipeline({ sinks: [sink] });
// @ts-expect-error a factory that was not called
definePipeline({ processors: [makeAuth, rateLimit, validate, enrich, buffer], sinks: [sink] });
// @ts-expect-error unknown field
definePipeline({ processors: [auth, rateLimit, validate, enrich, buffer], sinks: [sink], sink });
// @ts-expect-error unknown server field
definePipeline({ processors: [auth, rateLimit, validate, enrich, buffer], sinks: [sink], server: { hostname: '' } });
