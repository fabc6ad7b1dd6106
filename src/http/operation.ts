/** What a route says of itself in the OpenAPI document: the one way to describe it, so that all describe alike. */
import type { MiddlewareHandler } from 'hono';
import { describeRoute } from 'hono-openapi';
import type { GenericSchema } from 'valibot';
import type { Scope } from '../core/key-store.ts';
import { type RefusalCode, REFUSALS } from '../core/refusal.ts';
import type { AnswerName } from './answers.ts';
import { jsonSchema, type JsonSchema } from './json-schema.ts';
import { PROBLEM_TYPE } from './problem.ts';

/** A JSON answer of one of the known shapes, or something else by its media type. */
export type Answer =
  | { readonly description: string; readonly shape: AnswerName }
  | { readonly description: string; readonly media: string };

export interface Operation {
  /** One line, without a full stop. */
  readonly summary: string;
  readonly description?: string;
  readonly tag: 'ingest' | 'gateway' | 'keys' | 'retention' | 'database' | 'query';
  /** One of these scopes is enough; none means that no key is needed. */
  readonly needs?: readonly Scope[];
  /** Parameters that may stand in the query. */
  readonly query?: ObjectSchema;
  /** Names in the path with what they mean, and their values where these are a closed list. */
  readonly path?: Readonly<Record<string, { readonly description: string; readonly values?: readonly string[] }>>;
  readonly headers?: Readonly<Record<string, { readonly description: string; readonly schema: JsonSchema }>>;
  readonly body?: GenericSchema;
  readonly bodyRequired?: boolean;
  /** Status → shape. */
  readonly answers: Readonly<Record<number, Answer>>;
  /** Also answered as NDJSON, one row a line. */
  readonly lines?: boolean;
  readonly refusals?: readonly RefusalCode[];
}

/** A schema of an object with its members, as `v.object` and `v.strictObject` make it. */
export interface ObjectSchema extends GenericSchema {
  readonly entries: Readonly<Record<string, GenericSchema>>;
}

export function operation(given: Operation): MiddlewareHandler {
  const { needs = [] } = given;
  const refusals = new Set<RefusalCode>([
    ...(needs.length > 0 ? (['unauthenticated', 'forbidden', 'rate_limited'] as const) : []),
    ...(given.refusals ?? []),
    'internal',
  ]);
  return describeRoute({
    summary: given.summary,
    ...(given.description === undefined ? undefined : { description: given.description }),
    tags: [given.tag],
    ...(needs.length > 0 ? { security: [{ apiKey: [] }, { bearer: [] }], 'x-scopes': [...needs] } : { security: [] }),
    parameters: [
      ...Object.entries(given.path ?? {}).map(([name, { description, values }]) => ({
        name,
        in: 'path' as const,
        required: true,
        description,
        schema: { type: 'string' as const, ...(values === undefined ? undefined : { enum: [...values] }) },
      })),
      ...queryParameters(given.query),
      ...Object.entries(given.headers ?? {}).map(([name, { description, schema }]) => ({
        name,
        in: 'header' as const,
        description,
        schema: schema as object,
      })),
    ],
    ...(given.body === undefined
      ? undefined
      : {
          requestBody: {
            required: given.bodyRequired ?? false,
            content: { 'application/json': { schema: jsonSchema(given.body) as object } },
          },
        }),
    responses: { ...answersOf(given), ...problemAnswers(refusals) },
  });
}

type Responses = NonNullable<Parameters<typeof describeRoute>[0]['responses']>;

function answersOf({ answers, lines }: Operation): Responses {
  const responses: Responses = {};
  for (const [status, answer] of Object.entries(answers)) {
    const content =
      'shape' in answer
        ? { 'application/json': { schema: { $ref: `#/components/schemas/${answer.shape}` } } }
        : { [answer.media]: {} };
    responses[status] = {
      description: answer.description,
      content: lines === true ? { ...content, 'application/x-ndjson': {} } : content,
    };
  }
  return responses;
}

function queryParameters(schema: ObjectSchema | undefined) {
  if (schema === undefined) return [];
  const { properties = {}, required = [] } = jsonSchema(schema) as {
    properties?: Record<string, JsonSchema & { description?: string }>;
    required?: readonly string[];
  };
  return Object.entries(properties).map(([name, { description, ...rest }]) => ({
    name,
    in: 'query' as const,
    required: required.includes(name),
    ...(description === undefined ? undefined : { description }),
    schema: rest as object,
  }));
}

/** One entry per status, naming all codes that have it. */
function problemAnswers(codes: ReadonlySet<RefusalCode>): Responses {
  const responses: Responses = {};
  for (const [status, these] of Map.groupBy([...codes].toSorted(), (code) => REFUSALS[code].status)) {
    responses[status] = {
      description: these.map((code) => `\`${code}\`: ${REFUSALS[code].title}`).join('; '),
      content: { [PROBLEM_TYPE]: { schema: { $ref: '#/components/schemas/Problem' } } },
    };
  }
  return responses;
}
