/** Parameters of a route, from its query or its JSON body alike: deployed scripts use the one, documents say the other. */
import type { Context } from 'hono';
import * as v from 'valibot';
import { Refusal } from '../core/refusal.ts';
import { describeIssue } from '../processors/validate/metric-errors.ts';
import { isRecord } from '../processors/validate/metric-limits.ts';
import type { AppEnv } from './app-env.ts';
import type { ObjectSchema } from './operation.ts';

const MAX_BODY_BYTES = 65_536;

/**
 * Takes parameters from query and body, all of them optional; a name in both is taken from the body.
 * @throws Refusal `malformed` for a body that is not JSON, `invalid` for parameters that are not as the schema says
 */
export async function readParameters<Schema extends ObjectSchema>(
  c: Context<AppEnv>,
  schema: Schema,
): Promise<v.InferOutput<Schema>> {
  const query = fromQuery(c, schema);
  // Each alone first: what is wrong in the query is not mended by the body.
  check(schema, query);
  return check(schema, { ...query, ...(await fromBody(c)) });
}

/**
 * Takes parameters from the body alone.
 * @throws Refusal `malformed` for a body that is not JSON, `invalid` for parameters that are not as the schema says
 */
export const readBody = async <Schema extends ObjectSchema>(
  c: Context<AppEnv>,
  schema: Schema,
): Promise<v.InferOutput<Schema>> => check(schema, await fromBody(c));

function check<Schema extends ObjectSchema>(schema: Schema, given: unknown): v.InferOutput<Schema> {
  const result = v.safeParse(schema, given, { message: expectation });
  if (result.success) return result.output;
  const errors = result.issues.slice(0, 100).map((issue) =>
    // The name of an unknown one is not told again: what a client put there by mistake may be its key.
    issue.expected === 'never' ? unknownParameter(schema) : describeIssue(issue, ''),
  );
  throw new Refusal('invalid', errors[0] ?? 'parameters are not as expected', { extensions: { errors } });
}

/** What was expected, and not what came: that may be a key, pasted into the wrong field. */
const expectation = ({ type, expected, requirement }: v.BaseIssue<unknown>): string =>
  `expected ${WORDS[type]?.(String(requirement)) ?? expected ?? 'something else'}`;

const WORDS: Readonly<Record<string, (requirement: string) => string>> = {
  integer: () => 'a whole number',
  min_value: (least) => `at least ${least}`,
  max_value: (most) => `at most ${most}`,
  min_length: (least) => `a length of at least ${least}`,
  max_length: (most) => `a length of at most ${most}`,
  regex: (pattern) => `text that matches ${pattern}`,
};

export const unknownParameter = (schema: ObjectSchema): string =>
  `a parameter is unknown; there are ${Object.keys(schema.entries).join(', ')}`;

function fromQuery(c: Context<AppEnv>, schema: ObjectSchema): Record<string, unknown> {
  const given: Record<string, unknown> = {};
  for (const [name, texts] of Object.entries(c.req.queries())) {
    const text = texts.length === 1 ? texts[0] : undefined;
    given[name] = text === undefined ? texts : asType(text, kindOf(schema.entries[name]));
  }
  return given;
}

/** A query is text; numbers and booleans are read where the schema wants them. */
function asType(text: string, kind: string | undefined): unknown {
  if (kind === 'number') return /^-?\d+(?:\.\d+)?$/.test(text) ? Number(text) : text;
  if (kind === 'boolean') return /^(?:true|1)$/i.test(text) ? true : /^(?:false|0)$/i.test(text) ? false : text;
  return text;
}

function kindOf(schema: v.GenericSchema | undefined): string | undefined {
  if (schema === undefined) return undefined;
  return 'wrapped' in schema ? kindOf(schema.wrapped as v.GenericSchema) : schema.type;
}

async function fromBody(c: Context<AppEnv>): Promise<Readonly<Record<string, unknown>>> {
  if (Number(c.req.header('content-length') ?? 0) > MAX_BODY_BYTES) throw tooLarge();
  const text = await readBounded(c.req.raw.body);
  if (text.trim() === '') return {};
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch (cause) {
    throw new Refusal('malformed', 'The body is not JSON.', { cause });
  }
  if (!isRecord(body)) throw new Refusal('invalid', 'The body must be a JSON object.');
  return body;
}

/** Never more than the limit, whatever Content-Length said. */
async function readBounded(body: ReadableStream<Uint8Array> | null): Promise<string> {
  if (body === null) return '';
  const chunks: Uint8Array[] = [];
  let total = 0;
  for await (const chunk of body) {
    total += chunk.length;
    if (total > MAX_BODY_BYTES) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

const tooLarge = (): Refusal =>
  new Refusal('too_large', `The body is larger than ${MAX_BODY_BYTES} bytes; parameters need far less.`);
