/** A JSON Schema in the few words that a reader needs: `service: text (at most 100 characters, matching …)`. */

/** The part of JSON Schema that our own schemas use. */
export interface ReadableSchema {
  readonly $ref?: string;
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly ReadableSchema[];
  readonly items?: ReadableSchema;
  readonly properties?: Readonly<Record<string, ReadableSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: ReadableSchema | boolean;
  readonly propertyNames?: ReadableSchema;
  readonly description?: string;
  readonly format?: string;
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly maxProperties?: number;
}

/** @param indent spaces before each line of an object's members */
export function schemaText(schema: ReadableSchema, indent = 0): string {
  if (schema.$ref !== undefined) return schema.$ref.split('/').at(-1) ?? 'object';
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum !== undefined) return schema.enum.map((value) => JSON.stringify(value)).join(' | ');
  if (schema.anyOf !== undefined) return [...new Set(schema.anyOf.map((each) => schemaText(each, indent)))].join(' | ');
  if (schema.type === 'array') {
    const items = schema.items === undefined ? 'anything' : schemaText(schema.items, indent);
    return `[${items}, …]${limits([range(schema.minItems, schema.maxItems, 'items')])}`;
  }
  if (schema.type === 'object') return objectText(schema, indent);
  const noun = schema.type === 'string' ? 'text' : (schema.type ?? 'anything');
  return `${schema.format === 'date-time' ? 'time' : noun}${limits([
    range(schema.minLength, schema.maxLength, 'characters'),
    range(schema.minimum, schema.maximum, ''),
    schema.pattern === undefined ? undefined : `matching ${schema.pattern}`,
  ])}`;
}

function objectText(schema: ReadableSchema, indent: number): string {
  const { properties = {}, required = [], additionalProperties, propertyNames, maxProperties } = schema;
  const inner = ' '.repeat(indent + 2);
  const lines = Object.entries(properties).map(([name, member]) => {
    const words = member.description === undefined ? '' : `  — ${member.description}`;
    return `${inner}${name}${required.includes(name) ? '' : '?'}: ${schemaText(member, indent + 2)}${words}`;
  });
  if (typeof additionalProperties === 'object') {
    const name = propertyNames === undefined ? 'text' : schemaText(propertyNames);
    lines.push(
      `${inner}[${name}]: ${schemaText(additionalProperties, indent + 2)}${limits([range(undefined, maxProperties, 'entries')])}`,
    );
  }
  return lines.length === 0 ? '{ … }' : `{\n${lines.join('\n')}\n${' '.repeat(indent)}}`;
}

function range(least: number | undefined, most: number | undefined, unit: string): string | undefined {
  const atLeast = least === undefined || (least === 0 && unit !== '') ? undefined : String(least);
  const atMost = most === undefined || most === Number.MAX_SAFE_INTEGER ? undefined : String(most);
  const words =
    atLeast !== undefined && atMost !== undefined
      ? `${atLeast} to ${atMost}`
      : atMost !== undefined
        ? `at most ${atMost}`
        : atLeast !== undefined
          ? `at least ${atLeast}`
          : undefined;
  return words === undefined ? undefined : `${words} ${unit}`.trim();
}

const limits = (parts: readonly (string | undefined)[]): string => {
  const known = parts.filter((part) => part !== undefined);
  return known.length === 0 ? '' : ` (${known.join(', ')})`;
};
