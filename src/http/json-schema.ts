/** Valibot schemas as JSON Schema 2020-12, which OpenAPI 3.1 speaks. */
import { toJsonSchema } from '@valibot/to-json-schema';
import type { GenericSchema } from 'valibot';
import type { Documented } from '../processors/validate/metric-schema.ts';

export type JsonSchema = Omit<ReturnType<typeof toJsonSchema>, '$schema'>;

/** @throws where a schema says something that JSON Schema cannot, and nothing stands in for it */
export function jsonSchema(schema: GenericSchema): JsonSchema {
  const { $schema: _draft, ...converted } = toJsonSchema(schema, {
    target: 'draft-2020-12',
    // Pipelines begin with a check that this is an object at all; what it holds stands in the last schema.
    typeMode: 'output',
    overrideSchema: ({ valibotSchema, jsonSchema: soFar }) => stated(valibotSchema, soFar),
    overrideAction: ({ valibotAction, jsonSchema: soFar }) =>
      stated(valibotAction, soFar) ?? (isCheck(valibotAction) ? soFar : undefined),
  });
  return converted;
}

/** Checks of our own only narrow what the schema beside them says; the documents may leave them out. */
const isCheck = (action: { readonly type: string }): boolean =>
  ['check', 'raw_check', 'not_value', 'finite', 'transform'].includes(action.type);

function stated(item: object, soFar: JsonSchema): JsonSchema | undefined {
  if (!('documents' in item)) return undefined;
  const { documents } = item as Documented;
  switch (documents.type) {
    case 'object':
      return { ...soFar, type: 'object' };
    case 'array':
      return { ...soFar, type: 'array', items: jsonSchema(documents.items) };
    default:
      return {
        ...soFar,
        type: 'object',
        propertyNames: jsonSchema(documents.key),
        additionalProperties: jsonSchema(documents.value),
        maxProperties: documents.max,
      };
  }
}
